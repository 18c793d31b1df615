/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs of ike.h that are not a message and not the clock. */
#include "sa.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t or_else(uint32_t v, uint32_t otherwise)
{
	return v ? v : otherwise;
}

int ike_new(const struct ike_env *env, const struct ike_limits *limits, struct ike **ret)
{
	struct ike *ike = calloc(1, sizeof(*ike));

	if (!ike)
		return -ENOMEM;
	ike->env = *env;
	if (limits)
		ike->limits = *limits;
	ike->limits.half_open = or_else(ike->limits.half_open, 1000);
	ike->limits.half_open_per_source = or_else(ike->limits.half_open_per_source, 16);
	ike->limits.cookie_above = or_else(ike->limits.cookie_above, 30);
	ike->limits.sas = or_else(ike->limits.sas, 20000);
	ike->limits.half_open_s = or_else(ike->limits.half_open_s, 30);
	ike->limits.retransmit_ms = or_else(ike->limits.retransmit_ms, 1000);
	ike->limits.retransmits = or_else(ike->limits.retransmits, 5);
	if (env->random(env->self, ike->secret, sizeof(ike->secret))) {
		ike_free(ike);
		return -EIO;
	}
	*ret = ike;
	return 0;
}

static void peer_free(struct peer *p)
{
	if (!p)
		return;
	OPENSSL_cleanse(&p->conf, sizeof(p->conf));
	free(p->slots);
	free(p);
}

static void free_list(struct peer *p)
{
	struct peer *next;

	for (; p; p = next) {
		next = p->next;
		peer_free(p);
	}
}

void ike_free(struct ike *ike)
{
	if (!ike)
		return;
	while (ike->sas)
		sa_free(ike, ike->sas);
	free_list(ike->peers);
	free_list(ike->removed);
	OPENSSL_cleanse(ike, sizeof(*ike));
	free(ike);
}

/* ---- configuration ------------------------------------------------------------------------- */

static struct peer *peer_named(const struct ike *ike, const char *name)
{
	struct peer *p = ike->peers;

	while (p && strcmp(p->conf.name, name))
		p = p->next;
	return p;
}

static int known_transform(const struct ike_transform *t, bool ike)
{
	switch (t->type) {
	case TR_ENCR:
		return encr_key_size(t->id, t->key_bits) && (!ike || encr_for_ike(t->id));
	case TR_PRF:
		return ike && prf_size(t->id);
	case TR_INTEG:
		return integ_key_size(t->id) && (!ike || integ_for_ike(t->id));
	case TR_DH:
		return ike && dh_size(t->id);
	}
	return 0;
}

/* AEAD ciphers alone, or others with integrity: RFC 7296 3.3 wants the two kinds in separate proposals.  prf
 * and group with IKE. */
static bool complete(const struct ike_proposal *p, bool ike)
{
	bool have[TR_ESN + 1] = {false}, cbc = false, aead = false;
	unsigned i;

	for (i = 0; i < p->n && i < IKE_MAX_TRANSFORMS; i++) {
		have[p->t[i].type] = true;
		if (p->t[i].type == TR_ENCR) {
			bool a = p->t[i].id == ENCR_AES_GCM_16 || p->t[i].id == ENCR_CHACHA20;

			aead |= a;
			cbc |= !a;
		}
	}
	return aead != cbc && cbc == have[TR_INTEG] && (!ike || (have[TR_PRF] && have[TR_DH]));
}

static int check_proposals(const struct ike_proposal *p, unsigned n, bool ike, const char *who,
			   char detail[IKE_DETAIL_MAX])
{
	const unsigned most = ike ? IKE_MAX_TRANSFORMS : IKE_MAX_TRANSFORMS - 3; /* room for D-H and ESN */
	unsigned i, j;

	if (!n || n > IKE_MAX_PROPOSALS) {
		snprintf(detail, IKE_DETAIL_MAX, "%s: needs 1 to %d %s proposals", who, IKE_MAX_PROPOSALS,
			 ike ? "IKE" : "ESP");
		return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		if (p[i].n > most) {
			snprintf(detail, IKE_DETAIL_MAX, "%s: more than %u transforms in a proposal", who,
				 most);
			return -EINVAL;
		}
		for (j = 0; j < p[i].n; j++)
			if (!known_transform(&p[i].t[j], ike)) {
				snprintf(detail, IKE_DETAIL_MAX,
					 "%s: %s (type %u, id %u, %u bits) cannot be used for %s", who,
					 ike_transform_name(p[i].t[j].type, p[i].t[j].id), p[i].t[j].type,
					 p[i].t[j].id, p[i].t[j].key_bits, ike ? "IKE" : "ESP");
				return -EINVAL;
			}
		if (!complete(&p[i], ike)) {
			snprintf(detail, IKE_DETAIL_MAX,
				 "%s: %s proposal %u lacks a kind of transform, or mixes AEAD with others",
				 who, ike ? "IKE" : "ESP", i + 1);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_name(const struct ike_peer_conf *conf, char detail[IKE_DETAIL_MAX])
{
	if (!conf->name[0] || !memchr(conf->name, '\0', sizeof(conf->name)) ||
	    conf->n_children > IKE_MAX_CHILDREN) {
		snprintf(detail, IKE_DETAIL_MAX, "a peer needs a name and at most %d children",
			 IKE_MAX_CHILDREN);
		return -EINVAL;
	}
	return 0;
}

static int check(const struct ike_peer_conf *conf, char detail[IKE_DETAIL_MAX])
{
	unsigned i;
	int err;

	detail[0] = '\0';
	err = check_name(conf, detail);
	if (err)
		return err;
	if (!conf->psk_len || conf->psk_len > IKE_MAX_PSK) {
		snprintf(detail, IKE_DETAIL_MAX, "%s: needs a pre-shared key of 1 to %d octets", conf->name,
			 IKE_MAX_PSK);
		return -EINVAL;
	}
	err = check_proposals(conf->ike, conf->n_ike, true, conf->name, detail);
	for (i = 0; !err && i < conf->n_children; i++) {
		const struct ike_child_conf *c = &conf->children[i];

		err = check_proposals(c->esp, c->n_esp, false, c->name, detail);
		if (!err &&
		    (!c->n_local || !c->n_remote || c->n_local > IKE_MAX_TS || c->n_remote > IKE_MAX_TS ||
		     c->n_esn > 2 || (c->pfs_group && !dh_size(c->pfs_group)))) {
			snprintf(detail, IKE_DETAIL_MAX, "%s: selectors, ESN list or PFS group", c->name);
			err = -EINVAL;
		}
	}
	return err;
}

/* Does anything differ that an established IKE SA rests on? */
static bool same_base(const struct ike_peer_conf *a, const struct ike_peer_conf *b)
{
	return addr_eq(&a->local_addr, &b->local_addr) && addr_eq(&a->remote_addr, &b->remote_addr) &&
	       a->remote_port == b->remote_port && !memcmp(&a->local_id, &b->local_id, sizeof(a->local_id)) &&
	       !memcmp(&a->remote_id, &b->remote_id, sizeof(a->remote_id)) && a->psk_len == b->psk_len &&
	       !CRYPTO_memcmp(a->psk, b->psk, a->psk_len) && a->n_ike == b->n_ike &&
	       !memcmp(a->ike, b->ike, a->n_ike * sizeof(a->ike[0])) &&
	       a->nat_traversal == b->nat_traversal && a->force_encap == b->force_encap;
}

static void close_sa(struct ike *ike, struct ike_sa *sa, enum ike_reason why)
{
	if (sa->state == SA_INIT_SENT || sa->state == SA_HALF_OPEN) {
		sa_end(ike, sa, why);
	} else if (sa->state != SA_GONE && sa->state != SA_CLOSING) {
		sa->want_delete = true;
		sa->why = why;
		sa->delete_ms = now(ike);
		/* Whatever is outstanding may take its time, the end may not. */
		sa->give_up_ms = now(ike) + LINGER_MS;
		if (sa->state == SA_REKEYED)
			sa_end(ike, sa, why);
		else
			pump(ike, sa);
	}
}

static void close_all(struct ike *ike, const struct peer *peer, enum ike_reason why)
{
	struct ike_sa *sa;

	for (sa = ike->sas; sa; sa = sa->next)
		if (!peer || sa->peer == peer)
			close_sa(ike, sa, why);
}

static void delete_rule(struct ike *ike, const struct peer *peer, uint32_t rule, enum ike_reason why)
{
	struct ike_sa *sa;
	struct child *c;

	for (sa = peer->sas; sa; sa = sa->next_of_peer) {
		for (c = sa->children; c; c = c->next)
			if (c->sa.rule == rule)
				child_delete(c, why);
		pump(ike, sa);
	}
}

static int take_children(struct ike *ike, struct peer *p, const struct ike_peer_conf *conf)
{
	struct slot *slots = calloc(conf->n_children ? conf->n_children : 1, sizeof(*slots)), *old = p->slots;
	unsigned n_old = p->conf.n_children, i, j;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < conf->n_children; i++) {
		slots[i].conf = conf->children[i];
		slots[i].conf.name[IKE_NAME_MAX - 1] = '\0';
		slots[i].wanted = conf->children[i].start_auto;
	}
	for (j = 0; j < n_old; j++) {
		bool same = false;

		for (i = 0; i < conf->n_children; i++)
			if (!memcmp(&slots[i].conf, &old[j].conf, sizeof(old[j].conf))) {
				slots[i] = old[j];
				same = true;
			}
		if (!same)
			delete_rule(ike, p, old[j].conf.rule, IKE_WHY_OPERATOR);
	}
	free(old);
	ike->wishing = true;
	p->slots = slots;
	return 0;
}

/* Under its name, in place of what had it. */
static int put_peer(struct ike *ike, const struct ike_peer_conf *conf, enum ike_reason barred,
		    struct peer **ret)
{
	struct peer *p = peer_named(ike, conf->name);

	if (p && (p->barred != barred || !same_base(&p->conf, conf))) {
		ike_peer_remove(ike, conf->name);
		p = NULL;
	}
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		if (take_children(ike, p, conf)) {
			free(p);
			return -ENOMEM;
		}
		p->next = ike->peers;
		ike->peers = p;
	} else if (take_children(ike, p, conf)) {
		return -ENOMEM;
	}
	p->conf = *conf;
	p->conf.children = NULL;
	p->barred = barred;
	*ret = p;
	return 0;
}

int ike_peer_add(struct ike *ike, const struct ike_peer_conf *conf, char detail[IKE_DETAIL_MAX])
{
	struct peer *p;
	int err = check(conf, detail);

	if (!err)
		err = put_peer(ike, conf, IKE_WHY_NONE, &p);
	if (err)
		return err;
	pump_peers(ike);
	sweep(ike);
	return 0;
}

/* Said once, when it begins; what comes of it later does not change the record. */
static void tell_barred(struct ike *ike, struct peer *p, enum ike_reason why, const char *detail)
{
	p->barred = IKE_WHY_NONE;
	p->failure = (struct ike_failure){0};
	count(ike, why);
	note_failure(ike, p, NULL, 0, why, detail);
	tell_given_up(ike, p, NULL, 0, why);
	p->barred = why;
}

int ike_peer_bar(struct ike *ike, const struct ike_peer_conf *conf, enum ike_reason why, const char *detail)
{
	struct ike_peer_conf mute = *conf;
	char ignored[IKE_DETAIL_MAX];
	struct peer *p;
	int err;

	OPENSSL_cleanse(mute.psk, sizeof(mute.psk));
	mute.psk_len = 0;
	/* Its own proposals tell its calls from others'; unusable ones are nobody's. */
	if (check_proposals(conf->ike, conf->n_ike, true, "", ignored))
		mute.n_ike = 0;
	err = check_name(conf, ignored);
	if (!err)
		err = put_peer(ike, &mute, why, &p);
	if (err)
		return err;
	tell_barred(ike, p, why, detail);
	pump_peers(ike);
	sweep(ike);
	return 0;
}

int ike_peer_remove(struct ike *ike, const char *name)
{
	struct peer *p = peer_named(ike, name), **at;
	unsigned i;

	if (!p)
		return -ENOENT;
	for (at = &ike->peers; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	p->next = ike->removed;
	ike->removed = p;
	ike->sweep_ms = 0;
	for (i = 0; i < p->conf.n_children; i++)
		p->slots[i].held = true;
	close_all(ike, p, IKE_WHY_OPERATOR);
	sweep(ike);
	return 0;
}

void ike_peer_clear(struct ike *ike)
{
	while (ike->peers)
		ike_peer_remove(ike, ike->peers->conf.name);
}

/* ---- the operator -------------------------------------------------------------------------- */

int ike_initiate(struct ike *ike, uint32_t rule, const struct ike_selector *packet)
{
	struct peer *p;
	struct slot *slot = NULL;

	for (p = ike->peers; p && !(slot = slot_by_rule(p, rule)); p = p->next)
		;
	if (!slot)
		return -ENOENT;
	if (p->barred)
		return -ENOKEY;
	slot->held = false;
	if (slot_busy(p, rule))
		return 0;
	if (addr_is_unspecified(&p->conf.remote_addr) && !peer_up(p))
		return -EHOSTUNREACH;
	slot->have_packet = packet != NULL;
	if (packet)
		slot->packet = *packet;
	else
		slot->not_before_ms = 0;
	slot->wanted = ike->wishing = true;
	pump_peers(ike);
	sweep(ike);
	return 0;
}

int ike_terminate(struct ike *ike, const char *peer, const char *child)
{
	struct peer *p = peer_named(ike, peer);
	bool found = false;
	unsigned i;

	for (i = 0; p && i < p->conf.n_children; i++) {
		if (child && strcmp(p->slots[i].conf.name, child))
			continue;
		found = true;
		p->slots[i].held = true;
		p->slots[i].wanted = false;
		if (child)
			delete_rule(ike, p, p->slots[i].conf.rule, IKE_WHY_OPERATOR);
	}
	if (!p || (child && !found))
		return -ENOENT;
	if (!child)
		close_all(ike, p, IKE_WHY_OPERATOR);
	sweep(ike);
	return 0;
}

void ike_shutdown(struct ike *ike)
{
	struct ike_sa *sa;

	ike->stopping = true;
	close_all(ike, NULL, IKE_WHY_SHUTDOWN);
	for (sa = ike->sas; sa; sa = sa->next)
		while (sa->children)
			child_end(ike, sa, sa->children, IKE_WHY_SHUTDOWN);
}

/* ---- the datapath -------------------------------------------------------------------------- */

static struct child *child_of(struct ike *ike, uint32_t spi_in, struct ike_sa **ret)
{
	struct child *c = NULL;
	struct ike_sa *sa;

	for (sa = ike->sas; sa && !(c = child_by_in(sa, spi_in)); sa = sa->next)
		;
	*ret = sa;
	return c;
}

/* The worker opened a packet that came from there: authentic, and newer than what it saw before.  Only an end
 * behind a NAT may move (RFC 7296 2.23). */
void ike_peer_moved(struct ike *ike, uint32_t spi_in, const struct endpoint *remote)
{
	struct ike_sa *sa;

	if (!child_of(ike, spi_in, &sa) || !sa->nat_remote || !sa->encap)
		return;
	if (sa->remote.port == remote->port && addr_eq(&sa->remote.addr, &remote->addr))
		return;
	sa->remote = *remote;
	children_moved(ike, sa);
}

void ike_child_expiring(struct ike *ike, uint32_t spi_in)
{
	struct ike_sa *sa;
	struct child *c = child_of(ike, spi_in, &sa);

	if (!c || c->state != CHILD_UP || c->want_delete)
		return;
	c->want_rekey = true;
	c->rekey_ms = UINT64_MAX;
	pump(ike, sa);
	sweep(ike);
}

void ike_child_used(struct ike *ike, uint32_t spi_in)
{
	struct ike_sa *sa;
	struct child *c = child_of(ike, spi_in, &sa);

	if (!c)
		return;
	sa->heard_ms = now(ike);
	if (!c->out_installed && c->out_ms != UINT64_MAX)
		child_out(ike, sa, c);
}

void ike_datapath_lost(struct ike *ike)
{
	struct ike_sa *sa;
	struct child *c;

	for (sa = ike->sas; sa; sa = sa->next) {
		for (c = sa->children; c; c = c->next) {
			if (c->in_installed)
				tell_child(ike, sa, c, IKE_EVENT_CHILD_DOWN, IKE_WHY_DATAPATH);
			c->in_installed = c->out_installed = false;
			child_delete(c, IKE_WHY_DATAPATH);
		}
		pump(ike, sa);
	}
	sweep(ike);
}
