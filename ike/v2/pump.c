/* SPDX-License-Identifier: BSD-2-Clause */
/* Which request comes next.  Wishes stand on the things themselves (an SA wants to go, a child wants a
 * successor, a rule wants a child), the window is one message (RFC 7296 2.3): when it is free the most urgent
 * wish goes. */
#include "sa.h"

#include <openssl/crypto.h>

static void ask_with(struct ike *ike, struct ike_sa *sa, asker *ask_for)
{
	struct ask ask = {0};

	chain_begin(&ask.chain, ask.buf, sizeof(ask.buf));
	if (ask_for(ike, sa, &ask) == 0 && send_request(ike, sa, &ask) == 0)
		return;
	dh_free(ask.offered.dh);
	if (ask.offered.spi_in)
		ike->env.free_spi(ike->env.self, ask.offered.spi_in);
	/* No memory, no randomness or no SPI: not a state to stay in. */
	tell_failure(ike, sa->peer, sa, 0, 0, IKE_WHY_NOMEM, NULL);
	sa_end(ike, sa, IKE_WHY_NOMEM);
}

static void ask_for_child(struct ike *ike, struct ike_sa *sa, struct slot *slot, struct child *old)
{
	struct ask ask = {0};

	chain_begin(&ask.chain, ask.buf, sizeof(ask.buf));
	if (old)
		old->want_rekey = false;
	else
		slot->wanted = false;
	if (ask_child(ike, sa, slot, old, &ask) == 0 && send_request(ike, sa, &ask) == 0)
		return;
	dh_free(ask.offered.dh);
	if (ask.offered.spi_in)
		ike->env.free_spi(ike->env.self, ask.offered.spi_in);
	count(ike, IKE_WHY_NOMEM);
	if (old)
		old->rekey_ms = now(ike) + REKEY_AGAIN_MS;
	else
		slot_failed(ike, sa->peer, sa, slot->conf.rule, IKE_WHY_NOMEM);
}

static bool delete_children(struct ike *ike, struct ike_sa *sa)
{
	struct child *c;
	unsigned n = 0;

	for (c = sa->children; c; c = c->next)
		n += c->want_delete;
	if (!n)
		return false;
	ask_with(ike, sa, ask_delete_children);
	if (sa->req.task != TASK_DELETE_CHILDREN)
		return true;
	/* The same ones, in the same order, that ask_delete_children took. */
	for (c = sa->children, n = 0; c && n < DELETE_BATCH; c = c->next)
		if (c->want_delete) {
			c->want_delete = false;
			c->delete_sent = true;
			c->state = CHILD_DELETING;
			n++;
		}
	return true;
}

static bool rekey_child(struct ike *ike, struct ike_sa *sa)
{
	struct child *c;

	for (c = sa->children; c; c = c->next) {
		struct slot *slot = slot_by_rule(sa->peer, c->sa.rule);

		if (!c->want_rekey || c->state != CHILD_UP || !slot)
			continue;
		ask_for_child(ike, sa, slot, c);
		return true;
	}
	return false;
}

static bool newest_up(const struct ike_sa *sa)
{
	const struct ike_sa *other;

	for (other = sa->peer->sas; other; other = other->next_of_peer)
		if (other->state == SA_UP && !other->want_delete && other->up_seq > sa->up_seq)
			return false;
	return true;
}

static bool new_child(struct ike *ike, struct ike_sa *sa)
{
	unsigned i;

	for (i = 0; i < sa->peer->conf.n_children; i++) {
		struct slot *slot = &sa->peer->slots[i];

		if (!slot->wanted || slot->not_before_ms > now(ike))
			continue;
		if (slot_busy(sa->peer, slot->conf.rule)) {
			slot->wanted = false;
			continue;
		}
		if (!newest_up(sa))
			return false;
		ask_for_child(ike, sa, slot, NULL);
		return sa->req.task != TASK_NONE;
	}
	return false;
}

static void pump_up(struct ike *ike, struct ike_sa *sa)
{
	if (sa->want_delete && sa->delete_ms <= now(ike)) {
		sa->state = SA_CLOSING;
		ask_with(ike, sa, ask_delete_ike);
	} else if (delete_children(ike, sa)) {
		return;
	} else if (sa->want_delete || sa->rival) {
		/* On its way out: nothing new. */
	} else if (rekey_child(ike, sa) || new_child(ike, sa)) {
		return;
	} else if (sa->want_rekey) {
		sa->want_rekey = false;
		ask_with(ike, sa, ask_rekey);
		return;
	}
	if (sa->req.task == TASK_NONE && sa->want_alive && sa->state == SA_UP) {
		sa->want_alive = false;
		ask_with(ike, sa, ask_alive);
	}
}

void pump(struct ike *ike, struct ike_sa *sa)
{
	if (sa->req.task != TASK_NONE)
		return;
	switch (sa->state) {
	case SA_INIT_SENT:
		ask_with(ike, sa, ask_init);
		break;
	case SA_AUTH_SENT:
		ask_with(ike, sa, ask_auth);
		break;
	case SA_UP:
		pump_up(ike, sa);
		break;
	case SA_CLOSING:
		ask_with(ike, sa, sa->auth_failed ? ask_auth_failed : ask_delete_ike);
		break;
	case SA_NEW:
	case SA_HALF_OPEN:
	case SA_REKEYED:
	case SA_GONE:
		break;
	}
}

/* ---- wishes of peers that have no SA ------------------------------------------------------- */

static bool source_of(const struct ike *ike, const struct peer *p, struct path *path)
{
	path->local.addr = p->conf.local_addr;
	if (addr_is_unspecified(&p->conf.local_addr) && ike->env.route)
		ike->env.route(ike->env.self, &p->conf.remote_addr, &path->local.addr);
	path->local.port = 500;
	path->remote.addr = p->conf.remote_addr;
	path->remote.port = p->conf.remote_port ? p->conf.remote_port : 500;
	/* Straight to 4500 when the peer is configured so. */
	if (path->remote.port != 500)
		path->local.port = 4500;
	return !addr_is_unspecified(&path->local.addr) && !addr_is_unspecified(&path->remote.addr);
}

static void start(struct ike *ike, struct peer *peer, struct slot *slot, const struct path *path)
{
	struct proposals ours;
	struct ike_sa *sa;
	uint64_t spi;

	if (ike->n_sas >= ike->limits.sas) {
		count(ike, IKE_WHY_SA_LIMIT);
		return slot_failed(ike, peer, NULL, slot->conf.rule, IKE_WHY_SA_LIMIT);
	}
	sa = fresh_spi(ike, &spi) ? NULL : sa_new(ike, spi, 0, peer);
	if (!sa) {
		count(ike, IKE_WHY_NOMEM);
		return slot_failed(ike, peer, NULL, slot->conf.rule, IKE_WHY_NOMEM);
	}
	sa->initiator = true;
	sa->local = path->local;
	sa->remote = path->remote;
	sa->offered.rule = slot->conf.rule;
	sa->state = SA_INIT_SENT;
	slot->wanted = false;
	proposals_ike(&peer->conf, &ours);
	if (nonce_new(ike, &sa->ni) ||
	    dh_new(proposals_first_dh(&ours), ike->env.random, ike->env.self, &sa->offered.dh)) {
		note_failure(ike, peer, sa, EXCH_INIT, IKE_WHY_CRYPTO, NULL);
		return sa_end(ike, sa, IKE_WHY_CRYPTO);
	}
	pump(ike, sa);
}

static struct ike_sa *usable(const struct peer *peer, bool *connecting)
{
	struct ike_sa *sa, *up = NULL;

	*connecting = false;
	for (sa = peer->sas; sa; sa = sa->next_of_peer) {
		if (sa->state == SA_INIT_SENT || sa->state == SA_AUTH_SENT)
			*connecting = true;
		else if (sa->state == SA_UP && !sa->want_delete && (!up || sa->up_seq > up->up_seq))
			up = sa;
	}
	return up;
}

static void pump_slot(struct ike *ike, struct peer *peer, struct slot *slot)
{
	struct path path;
	bool connecting;
	struct ike_sa *up = usable(peer, &connecting);

	/* One SA serves all children of a peer: what is connecting takes this one along. */
	if (peer->barred)
		slot->wanted = false;
	else if (up)
		pump(ike, up);
	else if (connecting)
		return;
	else if (slot_busy(peer, slot->conf.rule))
		slot->wanted = false;
	else if (source_of(ike, peer, &path))
		start(ike, peer, slot, &path);
}

void pump_peers(struct ike *ike)
{
	struct peer *peer;
	unsigned i;

	if (!ike->wishing || ike->stopping)
		return;
	ike->wishing = false;
	for (peer = ike->peers; peer; peer = peer->next)
		for (i = 0; i < peer->conf.n_children; i++) {
			struct slot *slot = &peer->slots[i];

			if (slot->wanted && slot->not_before_ms <= now(ike))
				pump_slot(ike, peer, slot);
			ike->wishing |= slot->wanted;
		}
}
