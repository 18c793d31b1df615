/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at the engine without touching it. */
#include "sa.h"

static const struct {
	enum ike_state state;
	const char *name;
} states[] = {
	[SA_NEW] = {IKE_CONNECTING, "new"	 },
	[SA_INIT_SENT] = {IKE_CONNECTING, "init-sent"},
	[SA_HALF_OPEN] = {IKE_HALF_OPEN,	 "half-open"},
	[SA_AUTH_SENT] = {IKE_CONNECTING, "auth-sent"},
	[SA_UP] = {IKE_UP,	   "up"       },
	[SA_REKEYED] = {IKE_REKEYED,    "rekeyed"  },
	[SA_CLOSING] = {IKE_CLOSING,    "closing"  },
	[SA_GONE] = {IKE_CLOSING,	  "gone"	},
};

void ike_each_sa(const struct ike *ike, void (*each)(void *self, const struct ike_sa_view *sa), void *self)
{
	const struct ike_sa *sa;

	for (sa = ike->sas; sa; sa = sa->next) {
		struct ike_sa_view v = {
			.peer = sa->peer->conf.name,
			.state = states[sa->state].state,
			.state_name = states[sa->state].name,
			.initiator = sa->initiator,
			.spi_ours = sa->spi_ours,
			.spi_theirs = sa->spi_theirs,
			.local = sa->local,
			.remote = sa->remote,
			.nat_local = sa->nat_local,
			.nat_remote = sa->nat_remote,
			.encr_id = sa->suite.encr,
			.encr_bits = sa->suite.encr_bits,
			.integ_id = sa->suite.integ,
			.prf_id = sa->suite.prf,
			.dh_group = sa->suite.dh,
			.remote_id = sa->remote_id.type ? &sa->remote_id : NULL,
			.created_ms = sa->born_ms,
			.up_ms = sa->up_ms,
			.heard_ms = sa->heard_ms,
			.rekey_ms = sa->rekey_ms == UINT64_MAX ? 0 : sa->rekey_ms,
			.retransmits = sa->req.task && sa->req.sent ? sa->req.sent - 1 : 0,
			.children = sa->n_children,
		};

		if (sa->state != SA_GONE)
			each(self, &v);
	}
}

static const char *child_state_name(const struct child *c)
{
	if (c->delete_sent || c->want_delete)
		return "deleting";
	if (c->state == CHILD_REKEYED)
		return "rekeyed";
	return c->want_rekey ? "rekeying" : "up";
}

void ike_each_child(const struct ike *ike, void (*each)(void *self, const struct ike_child_view *child),
		    void *self)
{
	const struct ike_sa *sa;
	const struct child *c;

	for (sa = ike->sas; sa; sa = sa->next)
		for (c = sa->children; c; c = c->next) {
			const struct ike_child_view v = {
				.sa = &c->sa,
				.state_name = sa->req.task == TASK_REKEY_CHILD &&
							      sa->offered.old_spi_in == c->sa.spi_in
						      ? "rekeying"
						      : child_state_name(c),
				.in_installed = c->in_installed,
				.out_installed = c->out_installed,
				.created_ms = c->born_ms,
				.rekey_ms = c->rekey_ms == UINT64_MAX ? 0 : c->rekey_ms,
				.expire_ms = c->expire_ms == UINT64_MAX ? 0 : c->expire_ms,
			};

			each(self, &v);
		}
}

const struct ike_failure *ike_last_failure(const struct ike *ike, const char *peer)
{
	const struct peer *p;

	if (!peer[0])
		return ike->nobody_failed ? &ike->nobody : NULL;
	for (p = ike->peers; p; p = p->next)
		if (!strcmp(p->conf.name, peer))
			return p->failed ? &p->failure : NULL;
	return NULL;
}

void ike_count(struct ike *ike, enum ike_reason why)
{
	count(ike, why);
}

const uint64_t *ike_counters(const struct ike *ike)
{
	return ike->counters;
}

void ike_totals(const struct ike *ike, struct ike_totals *ret)
{
	ret->sas = ike->n_sas;
	ret->half_open = ike->half_open;
	ret->children = ike->n_children;
	ret->asking_cookies = ike->asking_cookies;
}
