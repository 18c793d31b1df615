/* SPDX-License-Identifier: BSD-2-Clause */
/* What time alone brings about. */
#include "sa.h"

#include <stdio.h>

/* 80 to 90 percent of a lifetime, so that two ends with equal lifetimes rarely rekey at once. */
uint64_t soft_ms(const struct ike *ike, uint64_t from_ms, uint32_t lifetime_s)
{
	uint16_t dice = 0;

	if (!lifetime_s)
		return UINT64_MAX;
	(void)ike->env.random(ike->env.self, &dice, sizeof(dice));
	return from_ms + lifetime_s * 900ull - lifetime_s * 100ull * dice / 65536;
}

static void least(uint64_t *at, uint64_t t)
{
	if (t < *at)
		*at = t;
}

static bool checks_liveness(const struct ike_sa *sa)
{
	return sa->state == SA_UP && sa->peer->conf.dpd.idle_s && sa->req.task == TASK_NONE &&
	       !sa->want_alive;
}

uint64_t sa_due(const struct ike *ike, const struct ike_sa *sa)
{
	uint64_t due = sa->req.task == TASK_NONE ? UINT64_MAX : sa->req.next_ms;
	const struct child *c;

	(void)ike;
	least(&due, sa->give_up_ms);
	if (sa->state == SA_GONE)
		return due;
	least(&due, sa->keepalive_ms);
	if (sa->state == SA_UP) {
		least(&due, sa->rekey_ms);
		least(&due, sa->expire_ms);
	}
	if (sa->want_delete && sa->req.task == TASK_NONE && sa->state == SA_UP)
		least(&due, sa->delete_ms);
	if (checks_liveness(sa))
		least(&due, sa->heard_ms + sa->peer->conf.dpd.idle_s * 1000ull);
	for (c = sa->children; c; c = c->next) {
		if (c->state == CHILD_UP && !c->want_rekey && !c->want_delete)
			least(&due, c->rekey_ms);
		least(&due, c->out_ms);
		if (!c->want_delete && !c->delete_sent) {
			least(&due, c->reap_ms);
			least(&due, c->expire_ms);
		}
	}
	return due;
}

static void gave_up(struct ike *ike, struct ike_sa *sa)
{
	enum ike_reason why = sa->state == SA_UP ? IKE_WHY_DPD : sa->hint ? sa->hint : IKE_WHY_TIMEOUT;
	char detail[IKE_DETAIL_MAX], at[ADDR_STRLEN];

	/* It goes anyway; that the peer is silent changes nothing. */
	if (sa->state == SA_CLOSING || sa->state == SA_REKEYED)
		return sa_end(ike, sa, sa->state == SA_CLOSING ? sa->why : IKE_WHY_REKEYED);
	snprintf(detail, sizeof(detail), "%s sent %u times to %s, no answer%s",
		 ike_exchange_name(sa->req.exchange), sa->req.sent, endpoint_str(&sa->remote, at),
		 sa->hint ? " that can be used" : "");
	/* What the peer said in clear is worth more than the silence after it. */
	if (sa_connecting(sa)) {
		if (!sa->hint || !sa->peer->failure.current)
			note_failure(ike, sa->peer, sa, sa->req.exchange, why, detail);
	} else {
		tell_failure(ike, sa->peer, sa, sa->req.exchange, 0, why, detail);
	}
	sa_end(ike, sa, why);
}

static void request_tick(struct ike *ike, struct ike_sa *sa)
{
	unsigned most = asks_for_life(sa) && sa->peer->conf.dpd.retries ? sa->peer->conf.dpd.retries
									: ike->limits.retransmits;

	/* Refused in clear: there is a deadline instead. */
	if (sa->req.sent > most && !(sa->req.task == TASK_INIT && sa->hint))
		gave_up(ike, sa);
	else
		resend_request(ike, sa);
}

static void child_tick(struct ike *ike, struct ike_sa *sa, struct child *c, uint64_t t)
{
	if (c->out_ms <= t)
		child_out(ike, sa, c);
	if (c->reap_ms <= t)
		child_delete(c, c->state == CHILD_REKEYED ? IKE_WHY_REKEYED : IKE_WHY_REDUNDANT);
	if (c->expire_ms <= t)
		child_delete(c, IKE_WHY_LIFETIME);
	if (c->rekey_ms <= t && c->state == CHILD_UP && !c->want_delete) {
		c->want_rekey = true;
		c->rekey_ms = UINT64_MAX;
	}
}

/* Every child of the redundant SA must have a twin that stays. */
static bool still_redundant(const struct ike_sa *sa)
{
	const struct ike_sa *other;
	const struct child *c, *twin;
	bool found;

	for (c = sa->children; c; c = c->next) {
		found = false;
		for (other = sa->peer->sas; other; other = other->next_of_peer)
			if (other != sa && other->state == SA_UP && !other->want_delete)
				for (twin = other->children; twin; twin = twin->next)
					found |= twin->sa.rule == c->sa.rule && twin->state == CHILD_UP &&
						 !twin->want_delete;
		if (!found && c->state == CHILD_UP)
			return false;
	}
	return true;
}

static void up_tick(struct ike_sa *sa, uint64_t t)
{
	if (sa->want_delete && sa->why == IKE_WHY_REDUNDANT && sa->delete_ms <= t && !still_redundant(sa)) {
		sa->want_delete = false;
		sa->delete_ms = UINT64_MAX;
	}
	if (sa->rekey_ms <= t) {
		sa->want_rekey = true;
		sa->rekey_ms = UINT64_MAX;
	}
	if (sa->expire_ms <= t) {
		sa->want_delete = true;
		sa->why = IKE_WHY_LIFETIME;
		sa->delete_ms = t;
		sa->expire_ms = UINT64_MAX;
		sa->give_up_ms = t + LINGER_MS;
	}
	if (checks_liveness(sa) && sa->heard_ms + sa->peer->conf.dpd.idle_s * 1000ull <= t)
		sa->want_alive = true;
}

static void sa_tick(struct ike *ike, struct ike_sa *sa, uint64_t t)
{
	struct child *c;

	if (sa->state == SA_GONE)
		return;
	if (sa->give_up_ms <= t && sa->state == SA_INIT_SENT && sa->hint)
		return gave_up(ike, sa);
	if (sa->give_up_ms <= t) {
		enum ike_reason why = sa->state == SA_HALF_OPEN ? IKE_WHY_HALF_OPEN_TIMEOUT
				      : sa->state == SA_REKEYED ? IKE_WHY_REKEYED
				      : sa->want_delete		? sa->why
								: IKE_WHY_TIMEOUT;

		return sa_end(ike, sa, why);
	}
	if (sa->req.task != TASK_NONE && sa->req.next_ms <= t)
		request_tick(ike, sa);
	if (sa->state == SA_GONE)
		return;
	if (sa->keepalive_ms <= t) {
		static const uint8_t keepalive = 0xff;

		ike->env.send(ike->env.self, &sa->local, &sa->remote, &keepalive, 1);
		sa->keepalive_ms = t + KEEPALIVE_MS;
	}
	for (c = sa->children; c; c = c->next)
		child_tick(ike, sa, c, t);
	if (sa->state == SA_UP)
		up_tick(sa, t);
	pump(ike, sa);
}

void ike_tick(struct ike *ike)
{
	uint64_t t = now(ike);
	struct ike_sa *sa;

	for (sa = ike->sas; sa; sa = sa->next)
		if (sa_due(ike, sa) <= t)
			sa_tick(ike, sa, t);
	pump_peers(ike);
	sweep(ike);
}

uint64_t ike_next_ms(const struct ike *ike)
{
	uint64_t due = UINT64_MAX;
	const struct ike_sa *sa;
	const struct peer *p;
	unsigned i;

	for (sa = ike->sas; sa; sa = sa->next)
		least(&due, sa_due(ike, sa));
	for (p = ike->stopping || !ike->wishing ? NULL : ike->peers; p; p = p->next)
		for (i = 0; i < p->conf.n_children; i++)
			if (p->slots[i].wanted && p->slots[i].not_before_ms > now(ike))
				least(&due, p->slots[i].not_before_ms);
	return due;
}
