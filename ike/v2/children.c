/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to children: into the datapath, out of it, and what their rule wants next. */
#include "sa.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static void place(const struct ike_sa *sa, struct child_sa *c)
{
	c->ike_spi = sa->spi_ours;
	c->local = sa->local;
	c->remote = sa->remote;
	c->udp_encap = sa->encap;
	c->behind_nat = sa->nat_local;
	memcpy(c->peer, sa->peer->conf.name, sizeof(c->peer));
}

/* Inbound first: what the peer sends right after our reply must find it. */
int child_add(struct ike *ike, struct ike_sa *sa, const struct new_child *n, bool by_peer, struct child **ret)
{
	struct child *c = calloc(1, sizeof(*c));
	uint64_t t = now(ike);
	int err = 0;

	if (!c)
		return -1;
	c->sa = n->sa;
	place(sa, &c->sa);
	c->low = n->low;
	c->dh = n->dh;
	c->by_peer = by_peer;
	c->born_ms = t;
	c->rekey_ms = soft_ms(ike, t, c->sa.lifetime_s);
	c->expire_ms = c->sa.lifetime_s ? t + c->sa.lifetime_s * 1000ull : UINT64_MAX;
	c->out_ms = c->reap_ms = UINT64_MAX;
	if (n->sa.in.enc_len) {
		err = ike->env.child_install(ike->env.self, &c->sa, IKE_IN);
		c->in_installed = !err;
	}
	if (err && by_peer) {
		ike->env.free_spi(ike->env.self, c->sa.spi_in);
		OPENSSL_cleanse(c, sizeof(*c));
		free(c);
		return err;
	}
	c->next = sa->children;
	sa->children = c;
	sa->n_children++;
	ike->n_children++;
	if (err)
		child_delete(c, IKE_WHY_INSTALL);
	*ret = c;
	return err;
}

void child_delete(struct child *c, enum ike_reason why)
{
	if (c->want_delete || c->delete_sent)
		return;
	c->want_delete = true;
	c->want_rekey = false;
	c->why = why;
}

void child_out(struct ike *ike, struct ike_sa *sa, struct child *c)
{
	c->out_ms = UINT64_MAX;
	if (!c->in_installed)
		return;
	if (ike->env.child_install(ike->env.self, &c->sa, IKE_OUT)) {
		tell_failure(ike, sa->peer, sa, 0, c->sa.rule, IKE_WHY_INSTALL, NULL);
		child_delete(c, IKE_WHY_INSTALL);
		return;
	}
	c->out_installed = true;
}

/* Another child that can carry the rule's traffic now that one is gone. */
static void hand_over(struct ike *ike, const struct peer *peer, const struct child *gone)
{
	struct ike_sa *sa, *best_sa = NULL;
	struct child *c, *best = NULL;

	for (sa = peer->sas; sa; sa = sa->next_of_peer)
		for (c = sa->children; c; c = c->next)
			if (c != gone && c->sa.rule == gone->sa.rule && c->state == CHILD_UP &&
			    c->in_installed && !c->want_delete && (!best || c->born_ms > best->born_ms)) {
				best = c;
				best_sa = sa;
			}
	/* A successor that already carries needs no second word. */
	if (best && !(best->out_installed && best->sa.spi_in == gone->successor))
		child_out(ike, best_sa, best);
}

/* The peer replaced one of ours and takes the replacement back before it deleted the first: that one is not
 * replaced any more.  Its own turn to be rekeyed has to come again, too. */
static void take_back(const struct ike *ike, struct ike_sa *sa, const struct child *gone)
{
	struct child *c;

	for (c = sa->children; c; c = c->next) {
		if (c->successor != gone->sa.spi_in || c->state != CHILD_REKEYED || c->want_delete)
			continue;
		c->state = CHILD_UP;
		c->successor = 0;
		c->reap_ms = UINT64_MAX;
		c->rekey_ms = now(ike) + REKEY_AGAIN_MS;
	}
}

static bool comes_back(enum ike_reason why)
{
	return why != IKE_WHY_REKEYED && why != IKE_WHY_OPERATOR && why != IKE_WHY_SHUTDOWN &&
	       why != IKE_WHY_REDUNDANT;
}

void child_end(struct ike *ike, struct ike_sa *sa, struct child *c, enum ike_reason why)
{
	bool carried = c->out_installed, known = c->in_installed;
	struct peer *peer = sa->peer;
	uint32_t rule = c->sa.rule;
	struct child **at;

	for (at = &sa->children; *at && *at != c; at = &(*at)->next)
		;
	if (!*at)
		return;
	*at = c->next;
	sa->n_children--;
	ike->n_children--;
	take_back(ike, sa, c);
	/* Outbound first: the rule must not be without one in between. */
	if (carried || c->successor)
		hand_over(ike, peer, c);
	if (known)
		ike->env.child_remove(ike->env.self, &c->sa, why);
	else
		ike->env.free_spi(ike->env.self, c->sa.spi_in);
	if (known)
		tell_child(ike, sa, c, IKE_EVENT_CHILD_DOWN, why);
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
	if (comes_back(why))
		slot_lost(ike, peer, rule);
}

void children_moved(struct ike *ike, struct ike_sa *sa)
{
	struct child *c;

	for (c = sa->children; c; c = c->next) {
		place(sa, &c->sa);
		if (c->in_installed)
			ike->env.child_moved(ike->env.self, &c->sa);
	}
}

void children_to(struct ike_sa *from, struct ike_sa *to)
{
	struct child *c;

	while ((c = from->children)) {
		from->children = c->next;
		c->sa.ike_spi = to->spi_ours;
		c->next = to->children;
		to->children = c;
	}
	to->n_children += from->n_children;
	from->n_children = 0;
}

static uint64_t backoff(unsigned failures)
{
	uint64_t wait = (uint64_t)RETRY_FIRST_MS << (failures < 8 ? failures : 8);

	return wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
}

static void back_off(struct ike *ike, struct slot *slot)
{
	slot->wanted = slot->conf.start_auto && !slot->held;
	ike->wishing = true;
	slot->have_packet = false;
	slot->not_before_ms = now(ike) + backoff(slot->failures++);
}

/* It did not come up.  What is kept up is tried again, slower each time; the rest waits for its trigger. */
void slot_failed(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint32_t rule,
		 enum ike_reason why)
{
	struct slot *slot = slot_by_rule(peer, rule);

	if (slot)
		back_off(ike, slot);
	tell_given_up(ike, peer, sa, rule, why);
}

void attempt_failed(struct ike *ike, const struct ike_sa *sa, uint32_t rule, enum ike_reason why)
{
	struct peer *peer = sa->peer;
	unsigned i;

	/* The peer's own attempt came through meanwhile. */
	if (peer_up(peer)) {
		if (!slot_busy(peer, rule))
			slot_failed(ike, peer, sa, rule, why);
		return;
	}
	for (i = 0; i < peer->conf.n_children; i++) {
		struct slot *slot = &peer->slots[i];

		if (slot->conf.rule == rule || (slot->wanted && slot->not_before_ms <= now(ike)))
			back_off(ike, slot);
	}
	tell_given_up(ike, peer, sa, 0, why);
}

void slot_lost(struct ike *ike, struct peer *peer, uint32_t rule)
{
	struct slot *slot = slot_by_rule(peer, rule);

	if (!slot || !slot->conf.start_auto || slot->held || slot->wanted)
		return;
	slot->wanted = ike->wishing = true;
	slot->not_before_ms = now(ike) + backoff(slot->failures++);
}
