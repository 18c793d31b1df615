// SPDX-License-Identifier: BSD-2-Clause
#include "clock.h"
#include "report.h"

#include <adit/reasons.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCHEMA 1

/* A stranger can send one packet at any time; a peer that is behind sends many. */
#define UNKNOWN_SPI_STANDS_MS 60000

/* ---- helpers ------------------------------------------------------------------------------- */

static json_t *num(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Seconds since a moment of the engine's clock; null when it never was. */
static json_t *ago(uint64_t when_ms)
{
	return when_ms ? num((clock_ms() - when_ms) / 1000) : json_null();
}

static json_t *until(uint64_t when_ms)
{
	uint64_t now = clock_ms();

	return !when_ms || when_ms == UINT64_MAX ? json_null()
						 : num(when_ms > now ? (when_ms - now) / 1000 : 0);
}

static json_t *hex(const char *fmt, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), fmt, n);
	return json_string(text);
}

static json_t *endpoint_json(const struct endpoint *e)
{
	char text[ADDR_STRLEN];

	return json_string(endpoint_str(e, text));
}

static json_t *addr_json(const struct addr *a)
{
	char text[ADDR_STRLEN];

	return addr_is_unspecified(a) ? json_string("any") : json_string(addr_str(a, text));
}

/* ---- the child that carries a rule --------------------------------------------------------- */

struct rule_child {
	struct gateway *g;
	uint32_t rule;
	bool found, up;
	uint64_t created_ms;
	struct datapath_child dp;
	const char *remote; /* static text, below */
	char remote_text[ADDR_STRLEN];
};

static void look_at_child(void *self, const struct ike_child_view *v)
{
	struct rule_child *rc = self;

	if (v->sa->rule != rc->rule || (rc->up && v->created_ms < rc->created_ms))
		return;
	rc->found = true;
	if (!v->out_installed || !datapath_find(rc->g->dp, v->sa->spi_in, &rc->dp))
		return;
	rc->up = true;
	rc->created_ms = v->created_ms;
	addr_str(&v->sa->remote.addr, rc->remote_text);
}

static void find_child(struct gateway *g, uint32_t rule, struct rule_child *rc)
{
	*rc = (struct rule_child){.g = g, .rule = rule};
	ike_each_child(g->ike, look_at_child, rc);
}

struct peer_state {
	const char *peer;
	bool connecting;
};

static void look_at_sa(void *self, const struct ike_sa_view *v)
{
	struct peer_state *ps = self;

	if (v->peer && strcmp(v->peer, ps->peer) == 0 &&
	    (v->state == IKE_CONNECTING || v->state == IKE_HALF_OPEN))
		ps->connecting = true;
}

const char *report_rule_state(struct gateway *g, const struct conf_rule *rule, const char **why)
{
	const struct ike_failure *f = ike_last_failure(g->ike, rule->entry->peer->name);
	struct peer_state ps = {.peer = rule->entry->peer->name};
	struct rule_child rc;

	*why = NULL;
	find_child(g, rule->id, &rc);
	if (rc.up)
		return "up";
	if (f && f->current)
		*why = *f->detail ? f->detail : ike_reason_sentence(f->why);
	ike_each_sa(g->ike, look_at_sa, &ps);
	if (ps.connecting || rc.found)
		return "connecting";
	if (*why)
		return "down";
	return rule->entry->trigger == CONF_ON_START ? "down" : "waiting for traffic";
}

static uint64_t sum_drops(const struct adit_sa_stats *s)
{
	return s ? s->replay_drops + s->integrity_drops + s->selector_drops + s->other_drops : 0;
}

static json_t *last_packet(const struct adit_sa_stats *s)
{
	return s && s->last_ns ? num((clock_ms() - s->last_ns / 1000000) / 1000) : json_null();
}

static json_t *rule_json(struct gateway *g, const struct conf_rule *r)
{
	const struct conf_peer *peer = r->entry->peer;
	struct rule_child rc;
	const char *why, *state = report_rule_state(g, r, &why);
	struct adit_hits hits;
	json_t *j;

	find_child(g, r->id, &rc);
	j = json_pack("{s:s,s:s,s:s,s:o,s:o}", "name", r->name, "peer", peer->name, "state", state, "why",
		      why ? json_string(why) : json_null(), "remote",
		      rc.up		 ? json_string(rc.remote_text)
		      : peer->remote_any ? json_string("any")
					 : addr_json(&peer->remote));
	if (!j)
		return NULL;
	json_object_set_new(j, "age_seconds", rc.up ? ago(rc.created_ms) : json_null());
	json_object_set_new(j, "in_bytes", rc.up && rc.dp.in ? num(rc.dp.in->octets) : json_null());
	json_object_set_new(j, "out_bytes", rc.up && rc.dp.out ? num(rc.dp.out->octets) : json_null());
	json_object_set_new(j, "in_packets", rc.up && rc.dp.in ? num(rc.dp.in->packets) : json_null());
	json_object_set_new(j, "out_packets", rc.up && rc.dp.out ? num(rc.dp.out->packets) : json_null());
	json_object_set_new(j, "drops",
			    rc.up ? num(sum_drops(rc.dp.in) + sum_drops(rc.dp.out)) : json_null());
	json_object_set_new(j, "last_in_seconds", rc.up ? last_packet(rc.dp.in) : json_null());
	if (datapath_hits(g->dp, r->id, &hits))
		json_object_set_new(j, "hits", num(hits.packets));
	return j;
}

/* ---- interfaces ---------------------------------------------------------------------------- */

static const char *xdp_wanted(const struct conf *c, const char *name)
{
	static const char *words[] = {"auto", "native", "generic"};
	size_t i;

	for (i = 0; i < c->n_interfaces; i++)
		if (strcmp(c->interfaces[i]->name, name) == 0)
			return words[c->interfaces[i]->xdp];
	return "auto";
}

static json_t *interfaces_json(struct gateway *g, bool all)
{
	const struct host_shared *h = g->setup->host;
	json_t *list = json_array(), *j;
	char mac[18];
	uint32_t i;

	for (i = 0; i < h->ports && i < ADIT_PORTS_MAX; i++) {
		const struct host_port *p = &h->port[i];

		j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "name", p->name, "role",
			      p->outside ? "outside" : "inside", "xdp", p->xdp, "tc", p->tc, "xsk", p->xsk,
			      "fast_path", p->fast_path ? "on" : "off", "fast_path_why", p->why);
		if (all) {
			snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1],
				 p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
			json_object_set_new(j, "ifindex", num(p->ifindex));
			json_object_set_new(j, "mtu", num(p->mtu));
			json_object_set_new(j, "queues", num(p->queues));
			json_object_set_new(j, "mac", json_string(mac));
			json_object_set_new(j, "xdp_wanted", json_string(xdp_wanted(g->conf, p->name)));
			if (*p->xdp_why)
				json_object_set_new(j, "xdp_why", json_string(p->xdp_why));
		}
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *show_interface(struct gateway *g)
{
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "interfaces", interfaces_json(g, true));
}

/* ---- status -------------------------------------------------------------------------------- */

/* The parent's, each copied before it is looked at: he may be changing it. */
static void parent_warnings(const struct warnings_shared *page, json_t *list)
{
	char text[WARNING_TEXT_SIZE];
	size_t i;

	for (i = 0; i < WARNINGS_MAX; i++) {
		memcpy(text, page->text[i], sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		if (*text)
			json_array_append_new(list, json_string(text));
	}
	if (page->more)
		json_array_append_new(list, json_string("there are more warnings than are listed here"));
}

/* Peers with which nothing is negotiated until somebody mends their key. */
static void barred_peers(struct gateway *g, json_t *list)
{
	char text[IKE_DETAIL_MAX + 64];
	size_t i;

	for (i = 0; i < g->conf->n_peers; i++) {
		const char *name = g->conf->peers[i]->name;
		const struct ike_failure *f = ike_last_failure(g->ike, name);

		if (!f || (f->why != IKE_WHY_NO_KEY && f->why != IKE_WHY_BAD_PEER))
			continue;
		snprintf(text, sizeof(text), "peer %s has no tunnel: %s", name, f->detail);
		json_array_append_new(list, json_string(text));
	}
}

static json_t *warnings_json(struct gateway *g)
{
	json_t *list = json_array();
	char text[160];

	if (g->setup->warnings)
		parent_warnings(g->setup->warnings, list);
	barred_peers(g, list);
	if (g->unknown_spi.count && clock_ms() - g->unknown_spi.last_ms < UNKNOWN_SPI_STANDS_MS) {
		snprintf(text, sizeof(text),
			 "%lu ESP packets came with an SPI that is not ours: a peer still uses an old SA",
			 (unsigned long)g->unknown_spi.count);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *status(struct gateway *g)
{
	json_t *rules = json_array();
	size_t i;

	for (i = 0; i < g->conf->n_rules; i++)
		if (g->conf->rules[i].match->permit)
			json_array_append_new(rules, rule_json(g, &g->conf->rules[i]));
	return json_pack("{s:i,s:s,s:o,s:{s:s,s:I},s:o,s:o,s:o,s:s?,s:s?}", "schema", SCHEMA, "instance",
			 g->setup->instance, "uptime_seconds",
			 num((clock_ms() - g->setup->started_ms) / 1000), "config", "file", g->conf->path,
			 "loaded_unix", (json_int_t)g->loaded_unix, "interfaces", interfaces_json(g, false),
			 "rules", rules, "warnings", warnings_json(g), "crypto", g->setup->crypto,
			 "crypto_note", g->setup->crypto_note);
}

/* ---- show ike -------------------------------------------------------------------------------------------
 */

static json_t *alg(enum conf_transform type, uint16_t id, uint16_t bits)
{
	const char *name = id ? conf_alg_name(type, id, bits) : NULL;

	return name ? json_string(name) : json_null();
}

static const char *nat_word(const struct ike_sa_view *v)
{
	if (v->state == IKE_CONNECTING)
		return "unknown";
	return v->nat_local ? v->nat_remote ? "both" : "local" : v->nat_remote ? "remote" : "none";
}

static void sa_json(void *self, const struct ike_sa_view *v)
{
	uint64_t ours = v->spi_ours, theirs = v->spi_theirs;
	json_t *j = json_object();

	json_object_set_new(j, "peer", v->peer && *v->peer ? json_string(v->peer) : json_null());
	json_object_set_new(j, "state", json_string(v->state_name));
	json_object_set_new(j, "role", json_string(v->initiator ? "initiator" : "responder"));
	json_object_set_new(j, "local", endpoint_json(&v->local));
	json_object_set_new(j, "remote", endpoint_json(&v->remote));
	json_object_set_new(j, "spi_initiator", hex("%016lx", v->initiator ? ours : theirs));
	json_object_set_new(j, "spi_responder", hex("%016lx", v->initiator ? theirs : ours));
	json_object_set_new(j, "encryption", alg(CONF_ENCRYPTION, v->encr_id, v->encr_bits));
	json_object_set_new(j, "integrity", alg(CONF_INTEGRITY, v->integ_id, 0));
	json_object_set_new(j, "prf", alg(CONF_PRF, v->prf_id, 0));
	json_object_set_new(j, "dh", alg(CONF_DH, v->dh_group, 0));
	json_object_set_new(j, "nat", json_string(nat_word(v)));
	json_object_set_new(j, "established_seconds", ago(v->up_ms));
	json_object_set_new(j, "rekey_in_seconds", until(v->rekey_ms));
	json_object_set_new(j, "last_heard_seconds", ago(v->heard_ms));
	json_object_set_new(j, "retransmits", num(v->retransmits));
	json_object_set_new(j, "children", num(v->children));
	json_array_append_new(self, j);
}

static void add_failure(struct gateway *g, json_t *list, const char *peer)
{
	const struct ike_failure *f = ike_last_failure(g->ike, peer);

	if (!f)
		return;
	json_array_append_new(list, json_pack("{s:o,s:s,s:s,s:s,s:o,s:b,s:I}", "peer",
					      *peer ? json_string(peer) : json_null(), "phase",
					      f->exchange ? ike_exchange_name(f->exchange) : "-", "reason",
					      ike_reason_name(f->why), "text",
					      *f->detail ? f->detail : ike_reason_sentence(f->why),
					      "ago_seconds", ago(f->when_ms), "current", f->current, "count",
					      (json_int_t)f->count));
}

static json_t *failures_json(struct gateway *g)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < g->conf->n_peers; i++)
		add_failure(g, list, g->conf->peers[i]->name);
	add_failure(g, list, "");
	return list;
}

static json_t *show_ike(struct gateway *g)
{
	json_t *sas = json_array();

	ike_each_sa(g->ike, sa_json, sas);
	return json_pack("{s:i,s:o,s:o}", "schema", SCHEMA, "ike_sas", sas, "failures", failures_json(g));
}

static json_t *show_errors(struct gateway *g)
{
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "failures", failures_json(g));
}

/* ---- show sa ---------------------------------------------------------------------------------------------
 */

struct sa_list {
	struct gateway *g;
	json_t *list;
};

static json_t *selectors(const struct ike_ts *ts, unsigned n)
{
	json_t *list = json_array();
	char range[RANGE_STRLEN], text[RANGE_STRLEN + 48];
	unsigned i;

	for (i = 0; i < n; i++) {
		range_str(&ts[i].addrs, range);
		if (ts[i].port_min == 0 && ts[i].port_max == UINT16_MAX)
			snprintf(text, sizeof(text), ts[i].proto ? "%s protocol %u" : "%s", range,
				 ts[i].proto);
		else
			snprintf(text, sizeof(text), "%s protocol %u port %u-%u", range, ts[i].proto,
				 ts[i].port_min, ts[i].port_max);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void put_direction(struct sa_list *l, const struct ike_child_view *v, const struct datapath_child *d,
			  bool in)
{
	const struct adit_sa_stats *st = in ? d->in : d->out;
	const struct child_sa *c = v->sa;
	json_t *j;

	if (!st)
		return;
	j = json_pack("{s:s,s:s,s:s,s:o,s:o,s:s,s:s,s:s}", "rule", c->name, "peer", c->peer, "direction",
		      in ? "in" : "out", "spi", hex("0x%08lx", in ? c->spi_in : c->spi_out), "index",
		      num(in ? d->index_in : d->index_out), "suite", datapath_suite_name(d->suite),
		      "encapsulation", c->udp_encap ? "esp-in-udp" : "esp", "state", v->state_name);
	json_object_set_new(j, "local", endpoint_json(&c->local));
	json_object_set_new(j, "remote", endpoint_json(&c->remote));
	json_object_set_new(j, "selectors_local", selectors(c->local_ts, c->n_local));
	json_object_set_new(j, "selectors_remote", selectors(c->remote_ts, c->n_remote));
	json_object_set_new(j, "esn", json_boolean(c->esn));
	json_object_set_new(j, "replay_window", in ? num(c->replay_window) : json_null());
	json_object_set_new(j, "sequence", num(st->sequence));
	json_object_set_new(j, "packets", num(st->packets));
	json_object_set_new(j, "bytes", num(st->octets));
	json_object_set_new(j, "replay_drops", num(st->replay_drops));
	json_object_set_new(j, "integrity_drops", num(st->integrity_drops));
	json_object_set_new(j, "selector_drops", num(st->selector_drops));
	json_object_set_new(j, "other_drops", num(st->other_drops));
	json_object_set_new(j, "age_seconds", ago(v->created_ms));
	json_object_set_new(j, "last_packet_seconds", last_packet(st));
	json_object_set_new(j, "inner_mtu_bytes", num(d->inner_mtu));
	json_object_set_new(j, "tcp_mss_bytes", d->mss4 ? num(d->mss4) : json_null());
	json_object_set_new(j, "rekey_in_seconds", until(v->rekey_ms));
	json_array_append_new(l->list, j);
}

static void child_json(void *self, const struct ike_child_view *v)
{
	struct sa_list *l = self;
	struct datapath_child d;

	if (!datapath_find(l->g->dp, v->sa->spi_in, &d))
		return;
	put_direction(l, v, &d, true);
	put_direction(l, v, &d, false);
}

static json_t *show_sa(struct gateway *g)
{
	struct sa_list l = {.g = g, .list = json_array()};

	ike_each_child(g->ike, child_json, &l);
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "sas", l.list);
}

/* ---- show statistics -------------------------------------------------------------------------------------
 */

static const struct {
	const char *name, *sentence;
} reasons[] = {
#define X(e, name, sentence) [ADIT_##e] = {name, sentence},
	ADIT_REASONS(X)
#undef X
};

static void put_counter(json_t *list, const char *room, const char *name, const char *sentence, uint64_t n)
{
	json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I}", "room", room, "name", name, "sentence",
					      sentence, "count", (json_int_t)n));
}

static json_t *show_statistics(struct gateway *g)
{
	const uint64_t *ike = ike_counters(g->ike);
	json_t *list = json_array();
	unsigned i;

	/* The two lists share their numbers; a reason belongs to the room that leaves by it. */
	for (i = 1; i < ADIT_REASON_COUNT; i++)
		if (i < ADIT_SEALED)
			put_counter(list, "bpf", reasons[i].name, reasons[i].sentence,
				    datapath_reason_bpf(g->dp, i));
		else
			put_counter(list, "worker", reasons[i].name, reasons[i].sentence,
				    datapath_reason_worker(g->dp, i));
	for (i = 1; i < IKE_REASON_COUNT; i++)
		put_counter(list, "ike", ike_reason_name(i), ike_reason_sentence(i), ike[i]);
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "counters", list);
}

/* ---- what is configured
 * ------------------------------------------------------------------------------------ */

static json_t *acl_rule_json(const struct conf_acl_rule *r)
{
	char local[RANGE_STRLEN], remote[RANGE_STRLEN];
	json_t *j;

	range_str(&r->local, local);
	range_str(&r->remote, remote);
	if (r->family == AF_UNSPEC)
		strcpy(local, "any"), strcpy(remote, "any");
	j = json_pack("{s:I,s:s,s:s,s:s}", "number", (json_int_t)r->number, "action",
		      r->permit ? "permit" : "deny", "local", local, "remote", remote);
	json_object_set_new(j, "protocol", r->protocol ? num(r->protocol) : json_string("ip"));
	if (r->local_port[0] != 0 || r->local_port[1] != UINT16_MAX)
		json_object_set_new(j, "local_ports", json_pack("[i,i]", r->local_port[0], r->local_port[1]));
	if (r->remote_port[0] != 0 || r->remote_port[1] != UINT16_MAX)
		json_object_set_new(j, "remote_ports",
				    json_pack("[i,i]", r->remote_port[0], r->remote_port[1]));
	json_object_set_new(j, "line", num(r->loc.line));
	return j;
}

/* Hits of an acl rule over all the policy entries that use it. */
static json_t *acl_hits(struct gateway *g, const struct conf_acl_rule *match)
{
	struct adit_hits hits;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < g->conf->n_rules; i++)
		if (g->conf->rules[i].match == match && datapath_hits(g->dp, g->conf->rules[i].id, &hits))
			sum += hits.packets;
	return num(sum);
}

static json_t *show_acl(struct gateway *g)
{
	json_t *list = json_array(), *rules, *j;
	size_t a, r;

	for (a = 0; a < g->conf->n_acls; a++) {
		rules = json_array();
		for (r = 0; r < g->conf->acls[a]->n_rules; r++) {
			j = acl_rule_json(g->conf->acls[a]->rules[r]);
			json_object_set_new(j, "hits", acl_hits(g, g->conf->acls[a]->rules[r]));
			json_array_append_new(rules, j);
		}
		json_array_append_new(list,
				      json_pack("{s:s,s:o}", "name", g->conf->acls[a]->name, "rules", rules));
	}
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "acls", list);
}

static json_t *show_policy(struct gateway *g)
{
	const struct conf *c = g->conf;
	json_t *list = json_array(), *entries, *where;
	size_t p, e, i;

	for (p = 0; p < c->n_policies; p++) {
		entries = json_array();
		where = json_array();
		for (e = 0; e < c->policies[p]->n_entries; e++) {
			const struct conf_entry *en = c->policies[p]->entries[e];
			json_t *esp = json_array();

			for (i = 0; i < en->n_esp; i++)
				json_array_append_new(esp, json_string(en->esp[i]->name));
			json_array_append_new(
				entries,
				json_pack("{s:I,s:s,s:s,s:o,s:s,s:o}", "number", (json_int_t)en->number,
					  "peer", en->peer->name, "acl", en->acl->name, "esp", esp, "trigger",
					  en->trigger == CONF_ON_START ? "auto" : "traffic", "pfs",
					  en->pfs.n ? alg(CONF_DH, en->pfs.v[0].id, 0) : json_null()));
		}
		for (i = 0; i < c->n_interfaces; i++)
			if (c->interfaces[i]->policy == c->policies[p])
				json_array_append_new(where, json_string(c->interfaces[i]->name));
		json_array_append_new(
			list,
			json_pack("{s:s,s:o,s:s,s:s,s:o}", "name", c->policies[p]->name, "interfaces", where,
				  "deny_action", c->policies[p]->deny_action == CONF_DROP ? "drop" : "bypass",
				  "unmatched", c->policies[p]->unmatched == CONF_DROP ? "drop" : "bypass",
				  "entries", entries));
	}
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "policies", list);
}

/* What keeps it from running now; null when nothing does. */
static json_t *failure_text(const struct ike_failure *f)
{
	return f && f->current ? json_string(f->detail) : json_null();
}

static json_t *show_peer(struct gateway *g)
{
	json_t *list = json_array(), *j;
	char local[300], remote[300];
	size_t i;

	for (i = 0; i < g->conf->n_peers; i++) {
		const struct conf_peer *p = g->conf->peers[i];

		j = json_pack(
			"{s:s,s:i,s:o,s:o,s:s,s:s,s:b,s:i,s:i,s:i}", "name", p->name, "version",
			(int)p->version, "local", p->local_any ? json_string("any") : addr_json(&p->local),
			"remote", p->remote_any ? json_string("any") : addr_json(&p->remote), "local_id",
			conf_id_str(&p->local_id, local, sizeof(local)), "remote_id",
			conf_id_str(&p->remote_id, remote, sizeof(remote)), "nat_traversal", p->nat_traversal,
			"dpd_idle_seconds", (int)p->dpd.idle_s, "dpd_interval_seconds",
			(int)p->dpd.interval_s, "dpd_retries", (int)p->dpd.retries);
		json_object_set_new(j, "failure", failure_text(ike_last_failure(g->ike, p->name)));
		json_array_append_new(list, j);
	}
	return json_pack("{s:i,s:o}", "schema", SCHEMA, "peers", list);
}

/* ---- verbs
 * --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *verb, *object;
	json_t *(*make)(struct gateway *g);
} reports[] = {
	{"status", "",	       status	     },
	{"show",	 "ike",	show_ike	},
	{"show",	 "sa",	       show_sa	      },
	{"show",	 "statistics", show_statistics},
	{"show",	 "interface",  show_interface },
	{"show",	 "acl",	show_acl	},
	{"show",	 "policy",	   show_policy    },
	{"show",	 "peer",	 show_peer	  },
	{"show",	 "errors",	   show_errors    },
};

bool report_warns(const json_t *report)
{
	return json_array_size(json_object_get(report, "warnings")) > 0;
}

json_t *report_make(struct gateway *g, const char *verb, const char *object)
{
	size_t i;

	for (i = 0; i < sizeof(reports) / sizeof(*reports); i++)
		if (strcmp(verb, reports[i].verb) == 0 && strcmp(object, reports[i].object) == 0)
			return reports[i].make(g);
	return NULL;
}
