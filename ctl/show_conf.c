// SPDX-License-Identifier: BSD-2-Clause
/* What is configured, with what it has seen so far. */
#include "show.h"

#include <string.h>

#define STR 256

/* Keys that a newer daemon sends and this program has no words for are printed as they are. */
static void put_rest(const struct show *s, const json_t *obj, const char *const *known)
{
	const char *key;
	const json_t *v;
	char b[STR];
	size_t i;

	json_object_foreach((json_t *)obj, key, v)
	{
		for (i = 0; known[i] && strcmp(known[i], key); i++)
			;
		if (!known[i] && !json_is_object(v) && !json_is_array(v))
			fprintf(s->t.f, "    %s %s\n", key, value_str(obj, key, b, STR));
	}
}

/* ---- interfaces ---------------------------------------------------------------------------- */

void show_interface(const struct show *s, const json_t *a)
{
	static const char *const known[] = {"name",	     "role",	"ifindex", "mtu",	 "queues",
					    "mac",	     "xdp",	"xsk",	   "xdp_wanted", "fast_path",
					    "fast_path_why", "xdp_why", NULL};
	const json_t *ifc, *list = show_list(s, a, "interfaces", "interface");
	char b[4][STR];
	size_t i;

	json_array_foreach(list, i, ifc)
	{
		text_tinted(&s->t, TINT_HEAD, "%s", value_str(ifc, "name", b[0], STR));
		fprintf(s->t.f, "  %s\n", value_str(ifc, "role", b[0], STR));
		fprintf(s->t.f, "    ifindex %s  mtu %s  queues %s  mac %s\n",
			value_str(ifc, "ifindex", b[0], STR), value_str(ifc, "mtu", b[1], STR),
			value_str(ifc, "queues", b[2], STR), value_str(ifc, "mac", b[3], STR));
		fprintf(s->t.f, "    xdp %s (wanted %s)  sockets %s\n", value_str(ifc, "xdp", b[0], STR),
			value_str(ifc, "xdp_wanted", b[1], STR), value_str(ifc, "xsk", b[2], STR));
		if (json_object_get(ifc, "xdp_why"))
			fprintf(s->t.f, "    xdp cannot be native: %s\n",
				value_str(ifc, "xdp_why", b[0], STR));
		fprintf(s->t.f, "    fast path %s", value_str(ifc, "fast_path", b[0], STR));
		value_str(ifc, "fast_path_why", b[1], STR);
		fprintf(s->t.f, b[1][0] && strcmp(b[1], "-") ? ": %s\n" : "\n", b[1]);
		put_rest(s, ifc, known);
	}
}

/* ---- acls and policies --------------------------------------------------------------------- */

static void ports(const json_t *r, const char *key, char buf[STR])
{
	const json_t *p = json_object_get(r, key);
	json_int_t from = json_integer_value(json_array_get(p, 0)),
		   to = json_integer_value(json_array_get(p, 1));

	buf[0] = '\0';
	if (json_array_size(p) != 2)
		return;
	if (from == to)
		snprintf(buf, STR, " port %" JSON_INTEGER_FORMAT, from);
	else
		snprintf(buf, STR, " port %" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT, from, to);
}

static const char *protocol(const json_t *r, char buf[STR])
{
	static const struct {
		json_int_t number;
		const char *name;
	} names[] = {
		{1,   "icmp"  },
		{6,   "tcp"	 },
		      {17,  "udp"	},
		     {47,  "gre"   },
		{58,  "icmpv6"},
		{89,  "ospf"  },
		      {115, "l2tp"  },
		     {132, "sctp"	 }
	  };
	const json_t *p = json_object_get(r, "protocol");
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_is_integer(p) && json_integer_value(p) == names[i].number)
			return names[i].name;
	return value_str(r, "protocol", buf, STR);
}

static void acl_rule(const struct show *s, const json_t *r)
{
	char number[STR], action[STR], proto[STR], local[STR], remote[STR], lp[STR], rp[STR], hits[TEXT_BUF];
	char line[8 * STR];

	ports(r, "local_ports", lp);
	ports(r, "remote_ports", rp);
	snprintf(line, sizeof(line), "%5s %-6s %s %s%s -> %s%s", value_str(r, "number", number, STR),
		 value_str(r, "action", action, STR), protocol(r, proto), value_str(r, "local", local, STR),
		 lp, value_str(r, "remote", remote, STR), rp);
	text_line(&s->t, 2, "%-64s  %s hits", line, value_count(r, "hits", hits));
}

void show_acl(const struct show *s, const json_t *a)
{
	const json_t *acl, *r, *rules, *list = show_list(s, a, "acls", "acl");
	char name[STR];
	size_t i, j;

	json_array_foreach(list, i, acl)
	{
		text_tinted(&s->t, TINT_HEAD, "acl %s\n", value_str(acl, "name", name, STR));
		rules = json_object_get(acl, "rules");
		json_array_foreach(rules, j, r)
		{
			acl_rule(s, r);
		}
		if (j == 0)
			fprintf(s->t.f, json_is_array(rules) ? "  no rule\n" : "  rules unknown\n");
	}
}

void show_policy(const struct show *s, const json_t *a)
{
	const json_t *p, *e, *list = show_list(s, a, "policies", "policy"), *entry_list;
	char b[6][STR];
	size_t i, j;

	json_array_foreach(list, i, p)
	{
		text_tinted(&s->t, TINT_HEAD, "policy %s\n", value_str(p, "name", b[0], STR));
		text_line(&s->t, 2, "on %s  denied traffic: %s  unmatched traffic: %s",
			  json_array_size(json_object_get(p, "interfaces"))
				  ? value_list(p, "interfaces", b[0], STR)
				  : "no interface",
			  value_str(p, "deny_action", b[1], STR), value_str(p, "unmatched", b[2], STR));
		entry_list = json_object_get(p, "entries");
		json_array_foreach(entry_list, j, e)
		{
			text_line(&s->t, 2, "%5s  peer %s  acl %s  esp %s  pfs %s  trigger %s",
				  value_str(e, "number", b[0], STR), value_str(e, "peer", b[1], STR),
				  value_str(e, "acl", b[2], STR), value_list(e, "esp", b[3], STR),
				  value_known(e, "pfs") ? value_str(e, "pfs", b[4], STR) : "none",
				  value_str(e, "trigger", b[5], STR));
			if (value_known(e, "hits"))
				fprintf(s->t.f, "         %s hits\n", value_count(e, "hits", b[0]));
		}
		if (j == 0)
			fprintf(s->t.f, json_is_array(entry_list) ? "  no entry\n" : "  entries unknown\n");
	}
}

/* ---- peers --------------------------------------------------------------------------------- */

void show_peer(const struct show *s, const json_t *a)
{
	static const char *const known[] = {"name",	     "version",		 "local",
					    "remote",	     "local_id",	 "remote_id",
					    "nat_traversal", "dpd_idle_seconds", "dpd_interval_seconds",
					    "dpd_retries",   "failure",		 NULL};
	const json_t *p, *list = show_list(s, a, "peers", "peer");
	char b[2][600], t[2][TEXT_BUF];
	size_t i;

	json_array_foreach(list, i, p)
	{
		const json_t *idle = json_object_get(p, "dpd_idle_seconds");

		text_tinted(&s->t, TINT_HEAD, "peer %s", value_str(p, "name", b[0], STR));
		fprintf(s->t.f, "  IKE version %s  nat-traversal %s\n", value_str(p, "version", b[0], STR),
			value_str(p, "nat_traversal", b[1], STR));
		fprintf(s->t.f, "    local %s  id %s\n", value_str(p, "local", b[0], STR),
			value_str(p, "local_id", b[1], sizeof(b[1])));
		fprintf(s->t.f, "    remote %s  id %s\n", value_str(p, "remote", b[0], STR),
			value_str(p, "remote_id", b[1], sizeof(b[1])));
		if (json_is_integer(idle) && json_integer_value(idle) == 0)
			fprintf(s->t.f, "    dpd off\n");
		else
			fprintf(s->t.f, "    dpd after %s of silence, every %s, %s times\n",
				value_age(p, "dpd_idle_seconds", t[0]),
				value_age(p, "dpd_interval_seconds", t[1]),
				value_str(p, "dpd_retries", b[0], STR));
		if (value_known(p, "failure"))
			text_wrapped(&s->t, TINT_BAD, 4, value_str(p, "failure", b[0], sizeof(b[0])));
		put_rest(s, p, known);
	}
}
