// SPDX-License-Identifier: BSD-2-Clause
/* What only shows when all objects are known.  Nothing here changes what was written; it sorts rules and
 * entries by their numbers and fills in the remote identity. */
#include "parse.h"
#include "rules.h"

#include <adit/exempt.h>
#include <adit/maps.h>
#include <stdlib.h>
#include <string.h>

static void check_interface(struct parse *p, struct conf_interface *ifc)
{
	bool inside = ifc->role == CONF_INSIDE;
	size_t i;

	if (!inside && !ifc->at.policy.line)
		diag_error(p->diag, ifc->loc,
			   "interface \"%s\" lacks a policy: add \"policy NAME\", or \"role inside\"",
			   ifc->name);
	if (inside && ifc->at.policy.line)
		diag_error(p->diag, ifc->at.policy,
			   "interface \"%s\" is inside (%u:%u): a policy belongs onto the outside interface",
			   ifc->name, ifc->at.role.line, ifc->at.role.col);
	for (i = 0; i < keys_n; i++) {
		const struct conf_loc *at = (const struct conf_loc *)((char *)ifc + keys[i].at);
		unsigned wrong = inside ? KEY_OUTSIDE : KEY_INSIDE;

		if (keys[i].block != BLOCK_INTERFACE || !(keys[i].flags & wrong))
			continue;
		if (at->line && keys[i].target != BLOCK_POLICY)
			diag_warn(p->diag, *at, "%s means nothing on an %s interface", keys[i].name,
				  inside ? "inside" : "outside");
	}
}

/* ---- proposals ----------------------------------------------------------------------------- */

static bool is_aead(struct conf_alg a)
{
	return a.id == 20;
}

/* RFC 7296 3.3: an AEAD cipher brings its own integrity, and a proposal holds one sort of cipher. */
static void check_ciphers(struct parse *p, const char *kind, const char *name,
			  const struct conf_algs *encryption, struct conf_loc at,
			  struct conf_loc integrity_at)
{
	unsigned i, aead = 0;

	if (!encryption->n)
		return; /* complained about already */
	for (i = 0; i < encryption->n; i++)
		aead += is_aead(encryption->v[i]);
	if (aead && aead < encryption->n)
		diag_error(p->diag, at,
			   "%s \"%s\" mixes GCM and CBC ciphers: write two proposals and name both where "
			   "they are used",
			   kind, name);
	else if (aead && integrity_at.line)
		diag_error(p->diag, integrity_at,
			   "%s \"%s\": GCM guards integrity itself, so integrity has to go", kind, name);
	else if (!aead && !integrity_at.line)
		diag_error(p->diag, at,
			   "%s \"%s\": CBC ciphers need integrity, for instance \"integrity sha256\"", kind,
			   name);
}

/* The datapath has a suite for every pair of a cipher and an integrity: see suite.h. */
static void check_esp(struct parse *p, const struct conf_esp_proposal *e)
{
	if (e->lifetime_bytes)
		diag_warn(p->diag, e->at.lifetime_bytes,
			  "lifetime-bytes is not acted on yet: age alone replaces the SA");
	check_ciphers(p, "esp-proposal", e->name, &e->encryption, e->at.encryption, e->at.integrity);
}

/* ---- peers --------------------------------------------------------------------------------- */

static bool same_id(const struct conf_id *a, const struct conf_id *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

static void check_lifetimes(struct parse *p, const struct conf_peer *peer)
{
	unsigned i;

	for (i = 1; i < peer->n_ike && peer->ike[0]; i++)
		if (peer->ike[i] && peer->ike[i]->lifetime_s != peer->ike[0]->lifetime_s)
			diag_warn(p->diag, peer->at.ike,
				  "peer \"%s\": the lifetime is that of the first proposal, \"%s\"; \"%s\" "
				  "differs",
				  peer->name, peer->ike[0]->name, peer->ike[i]->name);
}

static void check_peer(struct parse *p, struct conf_peer *peer)
{
	bool fixed = !peer->local_any && !peer->remote_any && peer->at.local.line && peer->at.remote.line;

	check_lifetimes(p, peer);
	if (p->look_at_keys && peer->at.psk.line && peer->psk_path)
		secret_check(peer, p->diag);
	if (peer->remote_any && !peer->at.remote_id.line)
		diag_error(p->diag, peer->at.remote,
			   "peer \"%s\" calls from anywhere, so say who it must be: \"remote-id fqdn:NAME\"",
			   peer->name);
	if (!peer->remote_any && !peer->at.remote_id.line && !addr_is_unspecified(&peer->remote))
		id_from_addr(&peer->remote, &peer->remote_id);
	if (!fixed || addr_is_unspecified(&peer->local) || addr_is_unspecified(&peer->remote))
		return;
	if (addr_is_v4(&peer->local) != addr_is_v4(&peer->remote))
		diag_error(p->diag, peer->at.remote,
			   "peer \"%s\": local (%u:%u) and remote are of two families", peer->name,
			   peer->at.local.line, peer->at.local.col);
	else if (addr_eq(&peer->local, &peer->remote))
		diag_error(p->diag, peer->at.remote,
			   "peer \"%s\": local (%u:%u) and remote are the same address", peer->name,
			   peer->at.local.line, peer->at.local.col);
}

static int by_address_and_id(const void *a, const void *b)
{
	const struct conf_peer *x = *(const struct conf_peer *const *)a,
			       *y = *(const struct conf_peer *const *)b;
	int order = memcmp(&x->remote, &y->remote, sizeof(x->remote));

	if (!order)
		order = memcmp(&x->local, &y->local, sizeof(x->local));
	if (!order)
		order = memcmp(&x->remote_id,
			       &y->remote_id,	      /* NOLINT(bugprone-suspicious-memory-comparison) */
			       sizeof(x->remote_id)); /* calloc made both: padding is zero */
	if (!order)
		order = x->loc.line < y->loc.line ? -1 : x->loc.line > y->loc.line;
	return order;
}

/* A caller is told apart by the two addresses and by who it says it is. */
static void check_twins(struct parse *p)
{
	size_t i, n = p->conf->n_peers;
	const struct conf_peer **v = parse_alloc(p, (n ? n : 1) * sizeof(*v));

	if (!v)
		return;
	if (n)
		memcpy(v, p->conf->peers, n * sizeof(*v));
	qsort(v, n, sizeof(*v), by_address_and_id);
	for (i = 1; i < n; i++)
		if (v[i]->at.remote.line && v[i - 1]->at.remote.line &&
		    addr_eq(&v[i]->remote, &v[i - 1]->remote) && addr_eq(&v[i]->local, &v[i - 1]->local) &&
		    same_id(&v[i]->remote_id, &v[i - 1]->remote_id))
			diag_warn(p->diag, v[i]->at.remote,
				  "peer \"%s\" cannot be told from peer \"%s\" (%u:%u): same addresses, same "
				  "remote-id",
				  v[i]->name, v[i - 1]->name, v[i - 1]->loc.line, v[i - 1]->loc.col);
	free(v);
}

/* ---- numbered things ----------------------------------------------------------------------- */

static int rule_order(const void *a, const void *b)
{
	const struct conf_acl_rule *x = *(struct conf_acl_rule *const *)a,
				   *y = *(struct conf_acl_rule *const *)b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->loc.line != y->loc.line ? (x->loc.line < y->loc.line ? -1 : 1)
					  : (int)x->loc.col - (int)y->loc.col;
}

static int entry_order(const void *a, const void *b)
{
	const struct conf_entry *x = *(struct conf_entry *const *)a, *y = *(struct conf_entry *const *)b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->loc.line != y->loc.line ? (x->loc.line < y->loc.line ? -1 : 1)
					  : (int)x->loc.col - (int)y->loc.col;
}

static uint32_t first_word(const struct addr *a, int family)
{
	const uint8_t *b = a->b + (family == AF_INET ? 12 : 0);

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Do all its packets go where no rule is asked?  NULL, or where that is. */
static const char *exempt_range(const struct conf_acl_rule *r, const char **why)
{
	static const struct {
		int family;
		uint32_t bits, mask;
		const char *range, *why;
	} rows[] = {
#define X(FAMILY, BITS, MASK, RANGE, WHY) {FAMILY == 4 ? AF_INET : AF_INET6, BITS, MASK, RANGE, WHY},
		ADIT_EXEMPT_DESTINATIONS(X)
#undef X
	};
	uint32_t min = first_word(&r->remote.min, r->family), max = first_word(&r->remote.max, r->family);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		/* Of a mask with a hole in it: what stands in the hole is the same at both ends. */
		uint32_t above = ~((rows[i].mask & -rows[i].mask) - 1);

		if (r->family != rows[i].family || (min & rows[i].mask) != rows[i].bits ||
		    ((min ^ max) & above))
			continue;
		*why = rows[i].why;
		return rows[i].range;
	}
	return NULL;
}

static void check_rule(struct parse *p, const struct conf_acl *acl, const struct conf_acl_rule *r)
{
	const char *why, *range = exempt_range(r, &why);

	if (range && r->permit)
		diag_error(p->diag, r->loc,
			   "rule %u of acl \"%s\" cannot protect: what goes to %s passes in clear without "
			   "being asked: %s",
			   r->number, acl->name, range, why);
	else if (range)
		diag_warn(p->diag, r->loc,
			  "rule %u of acl \"%s\" is never reached: what goes to %s passes without being "
			  "asked: %s",
			  r->number, acl->name, range, why);
}

static void check_acl(struct parse *p, struct conf_acl *acl)
{
	bool permits = false;
	size_t i;

	if (acl->n_rules)
		qsort(acl->rules, acl->n_rules, sizeof(*acl->rules), rule_order);
	for (i = 0; i < acl->n_rules; i++) {
		const struct conf_acl_rule *r = acl->rules[i];

		permits |= r->permit;
		check_rule(p, acl, r);
		if (i && r->number == acl->rules[i - 1]->number)
			diag_error(p->diag, r->loc, "second rule %u in acl \"%s\" (the first is at %u:%u)",
				   r->number, acl->name, acl->rules[i - 1]->loc.line,
				   acl->rules[i - 1]->loc.col);
	}
	if (!permits)
		diag_warn(p->diag, acl->loc, "acl \"%s\" permits nothing, so it protects nothing", acl->name);
}

/* A rule has one lifetime and one width of sequence numbers, whichever proposal the peer takes. */
static void check_agreement(struct parse *p, const struct conf_policy *policy, const struct conf_entry *e)
{
	const struct conf_esp_proposal *first = e->esp[0], *x;
	unsigned i;

	for (i = 1; i < e->n_esp && first; i++) {
		x = e->esp[i];
		if (x &&
		    (x->esn != first->esn || x->lifetime_s != first->lifetime_s ||
		     x->lifetime_bytes != first->lifetime_bytes || x->replay_window != first->replay_window))
			diag_warn(p->diag, e->at.esp,
				  "entry %u of policy \"%s\": lifetime, esn and replay-window are those of "
				  "the first "
				  "proposal, \"%s\"; \"%s\" differs",
				  e->number, policy->name, first->name, x->name);
	}
}

static void check_entry(struct parse *p, const struct conf_policy *policy, const struct conf_entry *e)
{
	if (e->trigger == CONF_ON_START && e->peer && e->peer->remote_any)
		diag_error(p->diag, e->at.trigger,
			   "entry %u of policy \"%s\" cannot connect by itself: peer \"%s\" has remote any "
			   "(%u:%u)",
			   e->number, policy->name, e->peer->name, e->peer->at.remote.line,
			   e->peer->at.remote.col);
}

static void check_policy(struct parse *p, struct conf_policy *policy)
{
	size_t i;

	if (policy->n_entries)
		qsort(policy->entries, policy->n_entries, sizeof(*policy->entries), entry_order);
	else
		diag_warn(p->diag, policy->loc, "policy \"%s\" has no entry, so it protects nothing",
			  policy->name);
	for (i = 0; i < policy->n_entries; i++) {
		const struct conf_entry *e = policy->entries[i];

		check_entry(p, policy, e);
		check_agreement(p, policy, e);
		if (i && e->number == policy->entries[i - 1]->number)
			diag_error(p->diag, e->loc,
				   "second entry %u in policy \"%s\" (the first is at %u:%u)", e->number,
				   policy->name, policy->entries[i - 1]->loc.line,
				   policy->entries[i - 1]->loc.col);
	}
}

/* ---- what there is room for ---------------------------------------------------------------- */

static int by_peer(const void *a, const void *b)
{
	const struct conf_rule *x = *(const struct conf_rule *const *)a,
			       *y = *(const struct conf_rule *const *)b;

	if (x->entry->peer != y->entry->peer)
		return x->entry->peer < y->entry->peer ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void check_children(struct parse *p)
{
	const struct conf *c = p->conf;
	const struct conf_rule **v = parse_alloc(p, (c->n_rules ? c->n_rules : 1) * sizeof(*v));
	size_t i, n = 0, same = 0;

	if (!v)
		return;
	for (i = 0; i < c->n_rules; i++)
		if (c->rules[i].entry->peer && c->rules[i].match->permit)
			v[n++] = &c->rules[i];
	qsort(v, n, sizeof(*v), by_peer);
	for (i = 1; i < n; i++) {
		same = v[i]->entry->peer == v[i - 1]->entry->peer ? same + 1 : 0;
		if (same == CONF_CHILDREN_MAX)
			diag_error(p->diag, v[i]->match->loc,
				   "rule %s: peer \"%s\" has more than %u permit rules with this one",
				   v[i]->name, v[i]->entry->peer->name, CONF_CHILDREN_MAX);
	}
	free(v);
}

static void check_room(struct parse *p)
{
	const struct conf *c = p->conf;
	size_t i, j, rows = 0;

	for (i = 0; i < c->n_policies; i++) {
		const struct conf_policy *policy = c->policies[i];

		for (j = 0; j < policy->n_rules; j++)
			rows += c->rules[policy->first_rule + j].match->family == AF_UNSPEC ? 2 : 1;
		rows += 2; /* what matches none, a row a family */
		if (rows > ADIT_RULES_MAX) {
			diag_error(p->diag, policy->loc,
				   "the rules of all policies are more than the %u that fit, two a policy of "
				   "Adit's own among them",
				   ADIT_RULES_MAX);
			break;
		}
	}
	if (c->n_peers > ADIT_PEERS_MAX)
		diag_error(p->diag, c->peers[ADIT_PEERS_MAX]->loc, "more than the %u peers that fit",
			   ADIT_PEERS_MAX);
	/* One port is the internal pair's. */
	if (c->n_interfaces > ADIT_PORTS_MAX - 1)
		diag_error(p->diag, c->interfaces[ADIT_PORTS_MAX - 1]->loc,
			   "more than the %u interfaces that fit", ADIT_PORTS_MAX - 1);
}

static bool has_policy_interface(const struct conf *c)
{
	size_t i;

	for (i = 0; i < c->n_interfaces; i++)
		if (c->interfaces[i]->policy)
			return true;
	return false;
}

void check_conf(struct parse *p)
{
	struct conf *c = p->conf;
	size_t i;

	for (i = 0; i < c->n_interfaces; i++)
		check_interface(p, c->interfaces[i]);
	for (i = 0; i < c->n_ike_proposals; i++) {
		const struct conf_ike_proposal *k = c->ike_proposals[i];

		check_ciphers(p, "ike-proposal", k->name, &k->encryption, k->at.encryption, k->at.integrity);
	}
	for (i = 0; i < c->n_esp_proposals; i++)
		check_esp(p, c->esp_proposals[i]);
	for (i = 0; i < c->n_peers; i++)
		check_peer(p, c->peers[i]);
	check_twins(p);
	for (i = 0; i < c->n_acls; i++)
		check_acl(p, c->acls[i]);
	for (i = 0; i < c->n_policies; i++)
		check_policy(p, c->policies[i]);
	if (rules_flatten(p)) {
		rules_compare(p);
		check_children(p);
		check_room(p);
	}
	/* An editor that crashed leaves an empty file; that is no order to let everything pass. */
	if (!has_policy_interface(c) && !p->diag->errors)
		diag_error(p->diag, (struct conf_loc){0, 0},
			   "no interface has a policy, so nothing would be protected; who wants that stops "
			   "aditd and "
			   "says aditd --unload");
}
