// SPDX-License-Identifier: BSD-2-Clause
/* What runs: status, SAs, counters, failures.  What is configured stands in show_conf.c. */
#include "show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STR 512

static enum tint state_tint(const char *state)
{
	if (strcmp(state, "up") == 0 || strcmp(state, "established") == 0)
		return TINT_GOOD;
	if (strcmp(state, "down") == 0)
		return TINT_BAD;
	return strncmp(state, "waiting", 7) == 0 ? TINT_NONE : TINT_WARN;
}

const json_t *show_list(const struct show *s, const json_t *obj, const char *key, const char *what)
{
	const json_t *list = json_object_get(obj, key);

	if (!json_is_array(list))
		fprintf(s->t.f, "%s: unknown, the daemon does not say\n", what);
	else if (!json_array_size(list))
		fprintf(s->t.f, "no %s\n", what);
	else
		return list;
	return NULL;
}

/* ---- status -------------------------------------------------------------------------------- */

static void status_head(const struct show *s, const json_t *a)
{
	const json_t *config = json_object_get(a, "config");
	const json_t *loaded = json_object_get(config, "loaded_unix");
	char name[STR], file[STR], age[TEXT_BUF], when[64] = "at an unknown time";
	time_t at = json_integer_value(loaded);
	struct tm tm;

	if (json_is_integer(loaded) && localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	text_tinted(&s->t, TINT_HEAD, "%s", value_str(a, "instance", name, sizeof(name)));
	fprintf(s->t.f, "  up %s  config %s\n", value_age(a, "uptime_seconds", age),
		value_str(config, "file", file, sizeof(file)));
	fprintf(s->t.f, "%*s  loaded %s\n", (int)strlen(name), "", when);
}

static void status_interfaces(const struct show *s, const json_t *a)
{
	const json_t *ifc, *list = show_list(s, a, "interfaces", "interface");
	static const char *const heads[] = {"INTERFACE", "ROLE", "XDP", "SOCKETS", "FAST PATH", NULL};
	char b[5][STR];
	struct table tb;
	size_t i;

	table_open(&tb, heads);
	json_array_foreach(list, i, ifc)
	{
		table_cell(&tb, TINT_NONE, "%s", value_str(ifc, "name", b[0], STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(ifc, "role", b[0], STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(ifc, "xdp", b[0], STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(ifc, "xsk", b[0], STR));
		value_str(ifc, "fast_path", b[0], STR);
		value_str(ifc, "fast_path_why", b[1], STR);
		if (strcmp(b[1], "-") && b[1][0])
			table_cell(&tb, TINT_NONE, "%s: %s", b[0], b[1]);
		else
			table_cell(&tb, TINT_NONE, "%s", b[0]);
	}
	table_print(&tb, &s->t);
}

static void rule_row(struct table *tb, const json_t *r)
{
	char peer[STR], remote[STR], state[STR], why[1024], b[TEXT_BUF], name[STR];
	const char *shown = state;
	bool idle, wide;

	value_str(r, "state", state, STR);
	idle = strcmp(state, "waiting for traffic") == 0;
	if (idle)
		shown = "waiting";
	else if (strcmp(state, "-") == 0)
		shown = "unknown";
	table_cell(tb, TINT_NONE, "%s", value_str(r, "name", name, STR));
	value_str(r, "peer", peer, STR);
	value_str(r, "remote", remote, STR);
	wide = strlen(peer) + strlen(remote) > 24;
	table_cell(tb, TINT_NONE, wide ? "%s" : "%s %s", peer, remote);
	table_cell(tb, state_tint(state), "%s", shown);
	table_cell(tb, TINT_NONE, "%s", value_age(r, "age_seconds", b));
	table_cell(tb, TINT_NONE, "%s", value_count(r, "in_bytes", b));
	table_cell(tb, TINT_NONE, "%s", value_count(r, "out_bytes", b));
	table_cell(tb, json_integer_value(json_object_get(r, "drops")) > 0 ? TINT_WARN : TINT_NONE, "%s",
		   value_count(r, "drops", b));
	table_cell(tb, TINT_NONE, "%s", value_age(r, "last_in_seconds", b));
	if (wide) {
		snprintf(why, sizeof(why), "remote %s", remote);
		table_note(tb, TINT_NONE, why);
	}
	if (value_known(r, "why"))
		table_note(tb, strcmp(state, "up") == 0 ? TINT_WARN : TINT_BAD,
			   value_str(r, "why", why, sizeof(why)));
	else if (idle)
		table_note(tb, TINT_NONE, "waiting for traffic");
}

static void remark(const struct show *s, const char *word, const json_t *obj, const char *key)
{
	char text[1024], line[1100];

	snprintf(line, sizeof(line), "%s %s", word, value_str(obj, key, text, sizeof(text)));
	text_wrapped(&s->t, TINT_WARN, 0, line);
}

void show_status(const struct show *s, const json_t *a)
{
	static const char *const heads[] = {"RULE", "PEER",  "STATE", "AGE", "IN",
					    "OUT",  "DROPS", "LAST",  NULL};
	const json_t *r, *list;
	const json_t *w, *warnings = json_object_get(a, "warnings");
	struct table tb;
	size_t i;

	status_head(s, a);
	json_array_foreach(warnings, i, w)
	{
		json_t *holder = json_pack("{s:O}", "w", w);

		remark(s, "WARN", holder, "w");
		json_decref(holder);
	}
	if (value_known(a, "crypto_note"))
		remark(s, "NOTE", a, "crypto_note");
	fputc('\n', s->t.f);
	status_interfaces(s, a);
	fputc('\n', s->t.f);
	list = show_list(s, a, "rules", "rule that protects");
	table_open(&tb, heads);
	json_array_foreach(list, i, r)
	{
		rule_row(&tb, r);
	}
	table_print(&tb, &s->t);
}

/* ---- IKE ----------------------------------------------------------------------------------- */

static void failures(const struct show *s, const json_t *list)
{
	const json_t *f;
	char b[4][STR], text[1024], age[TEXT_BUF];
	size_t i;

	json_array_foreach(list, i, f)
	{
		bool over = json_is_false(json_object_get(f, "current"));

		if (i == 0)
			text_tinted(&s->t, TINT_HEAD, "last failure of each peer\n");
		text_tinted(&s->t, over ? TINT_NONE : TINT_BAD, "  %s",
			    value_known(f, "peer") ? value_str(f, "peer", b[0], STR)
						   : "(no configured peer)");
		value_str(f, "phase", b[2], STR);
		/* Of none, when nothing was ever negotiated. */
		fprintf(s->t.f, "  %s%s%s, %s", value_str(f, "reason", b[1], STR),
			strcmp(b[2], "-") ? " in " : "", strcmp(b[2], "-") ? b[2] : "",
			value_ago(f, "ago_seconds", age));
		if (value_known(f, "count"))
			fprintf(s->t.f, ", %s times", value_str(f, "count", b[3], STR));
		fprintf(s->t.f, "%s\n", over ? ", over since" : "");
		text_wrapped(&s->t, TINT_NONE, 4, value_str(f, "text", text, sizeof(text)));
	}
}

static void ike_block(const struct show *s, const json_t *sa)
{
	char a[STR], b[STR], c[STR], d[STR], e[TEXT_BUF], state[STR], integrity[STR + 2] = "";

	text_tinted(&s->t, TINT_HEAD, "%s",
		    value_known(sa, "peer") ? value_str(sa, "peer", a, STR) : "(peer not known yet)");
	fputs("  ", s->t.f);
	value_str(sa, "state", state, STR);
	text_tinted(&s->t, state_tint(state), "%s", state);
	fprintf(s->t.f, " for %s, %s, rekey in %s\n", value_age(sa, "established_seconds", e),
		value_str(sa, "role", b, STR), value_age(sa, "rekey_in_seconds", (char[TEXT_BUF]){0}));
	text_line(&s->t, 4, "local %s  remote %s  nat %s", value_str(sa, "local", a, STR),
		  value_str(sa, "remote", b, STR),
		  value_known(sa, "nat") ? value_str(sa, "nat", c, STR) : "unknown");
	if (value_known(sa, "integrity"))
		snprintf(integrity, sizeof(integrity), " %s", value_str(sa, "integrity", a, STR));
	text_line(&s->t, 4, "encryption %s%s  prf %s  dh %s", value_str(sa, "encryption", b, STR), integrity,
		  value_str(sa, "prf", c, STR), value_str(sa, "dh", d, STR));
	text_line(&s->t, 4, "spi %s initiator, %s responder", value_str(sa, "spi_initiator", a, STR),
		  value_str(sa, "spi_responder", b, STR));
	fprintf(s->t.f, "    children %s  retransmits %s", value_str(sa, "children", a, STR),
		value_str(sa, "retransmits", b, STR));
	if (value_known(sa, "messages_in"))
		fprintf(s->t.f, "  messages %s in, %s out", value_str(sa, "messages_in", a, STR),
			value_str(sa, "messages_out", b, STR));
	if (value_known(sa, "last_heard_seconds"))
		fprintf(s->t.f, "  heard %s", value_ago(sa, "last_heard_seconds", e));
	fputc('\n', s->t.f);
}

void show_ike(const struct show *s, const json_t *a)
{
	const json_t *sa, *list = show_list(s, a, "ike_sas", "IKE SA");
	size_t i;

	json_array_foreach(list, i, sa)
	{
		ike_block(s, sa);
	}
	failures(s, json_object_get(a, "failures"));
}

void show_errors(const struct show *s, const json_t *a)
{
	failures(s, show_list(s, a, "failures", "failure since the daemon started"));
}

/* ---- child SAs ----------------------------------------------------------------------------- */

static void sa_block(const struct show *s, const json_t *sa)
{
	char a[STR], b[STR], c[STR], d[STR], t1[TEXT_BUF], t2[TEXT_BUF], t3[TEXT_BUF];
	const char *esn = "esn unknown", *arrow;
	bool in;

	value_str(sa, "direction", a, STR);
	in = strcmp(a, "in") == 0;
	arrow = in ? "<-" : "->";
	if (value_known(sa, "esn"))
		esn = json_is_true(json_object_get(sa, "esn")) ? "esn" : "no esn";
	text_line(&s->t, 2, "%-3s  spi %s  %s  %s  index %s", a, value_str(sa, "spi", b, STR),
		  value_str(sa, "suite", c, STR), esn, value_str(sa, "index", d, STR));
	text_line(&s->t, 7, "%s  age %s  rekey in %s  last packet %s",
		  value_known(sa, "state") ? value_str(sa, "state", a, STR) : "state unknown",
		  value_age(sa, "age_seconds", t1), value_age(sa, "rekey_in_seconds", t2),
		  value_ago(sa, "last_packet_seconds", t3));
	text_line(&s->t, 7, "%s  %s %s %s", value_str(sa, "encapsulation", a, STR),
		  value_str(sa, "local", b, STR), arrow, value_str(sa, "remote", c, STR));
	text_line(&s->t, 7, "%s %s %s", value_list(sa, "selectors_local", a, STR), arrow,
		  value_list(sa, "selectors_remote", b, STR));
	fprintf(s->t.f, "       packets %s  bytes %s  sequence %s", value_count(sa, "packets", t1),
		value_count(sa, "bytes", t2), value_str(sa, "sequence", a, STR));
	if (in)
		fprintf(s->t.f, "  window %s\n", value_str(sa, "replay_window", a, STR));
	else
		fprintf(s->t.f, "  inner mtu %s  mss %s\n", value_str(sa, "inner_mtu_bytes", a, STR),
			value_str(sa, "tcp_mss_bytes", b, STR));
	text_line(&s->t, 7, "drops: replay %s, integrity %s, selectors %s, other %s",
		  value_str(sa, "replay_drops", a, STR), value_str(sa, "integrity_drops", b, STR),
		  value_str(sa, "selector_drops", c, STR), value_str(sa, "other_drops", d, STR));
}

void show_sa(const struct show *s, const json_t *a)
{
	const json_t *sa, *list = show_list(s, a, "sas", "SA");
	char rule[STR], peer[STR], last[STR] = "";
	size_t i;

	json_array_foreach(list, i, sa)
	{
		value_str(sa, "rule", rule, STR);
		if (strcmp(rule, last)) {
			text_tinted(&s->t, TINT_HEAD, "%s", rule);
			fprintf(s->t.f, "  peer %s\n", value_str(sa, "peer", peer, STR));
		}
		memcpy(last, rule, sizeof(last));
		sa_block(s, sa);
	}
}

/* ---- counters ------------------------------------------------------------------------------ */

void show_statistics(const struct show *s, const json_t *a)
{
	static const char *const heads[] = {"COUNT", "ROOM", "NAME", "MEANING", NULL};
	const json_t *c, *list = show_list(s, a, "counters", "counters");
	size_t i, hidden = 0, shown = 0;
	char b[STR];
	struct table tb;

	table_open(&tb, heads);
	json_array_foreach(list, i, c)
	{
		const json_t *n = json_object_get(c, "count");

		if (json_is_integer(n) && json_integer_value(n) == 0 && !s->all) {
			hidden++;
			continue;
		}
		shown++;
		table_cell(&tb, TINT_NONE, "%s", value_str(c, "count", b, STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(c, "room", b, STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(c, "name", b, STR));
		table_cell(&tb, TINT_NONE, "%s", value_str(c, "sentence", b, STR));
	}
	table_print(&tb, &s->t);
	if (hidden)
		fprintf(s->t.f, "%s%zu counter%s at zero %s not shown (--all shows them)\n",
			shown ? "" : "nothing counted: ", hidden, hidden == 1 ? "" : "s",
			hidden == 1 ? "is" : "are");
}
