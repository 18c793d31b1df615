/* SPDX-License-Identifier: BSD-2-Clause */
/* CREATE_CHILD_SA for the IKE SA itself (RFC 7296 1.3.2, 2.8, 2.18). */
#include "sa.h"

#include <openssl/crypto.h>

static void put_spi(uint8_t spi[8], uint64_t v)
{
	struct wr w = wr_of(spi, 8);

	wr_be64(&w, v);
}

static uint64_t get_spi(struct span s)
{
	struct rd r = rd_of(s.p, s.len);

	return rd_be64(&r);
}

int ask_rekey(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	struct offered *o = &ask->offered;
	struct proposals ours;
	uint8_t spi[8];

	ask->task = TASK_REKEY_IKE;
	ask->exchange = EXCH_CHILD;
	o->dh_group = sa->init_group ? sa->init_group : sa->suite.dh;
	if (nonce_new(ike, &o->nonce) || fresh_spi(ike, &o->ike_spi) ||
	    dh_new(o->dh_group, ike->env.random, ike->env.self, &o->dh))
		return -1;
	put_spi(spi, o->ike_spi);
	proposals_ike(&sa->peer->conf, &ours);
	proposals_write(&ask->chain, &ours, spi, sizeof(spi));
	chain_add(&ask->chain, PL_NONCE, o->nonce.b, o->nonce.len);
	chain_ke(&ask->chain, o->dh_group, dh_public(o->dh).p, dh_public(o->dh).len);
	return ask->chain.w.bad ? -1 : 0;
}

static enum ike_reason derive(const struct ike_sa *old, const struct dh *dh, struct span pub,
			      struct new_ike *n)
{
	struct key_input in = {.ni = nonce_span(&n->ni), .nr = nonce_span(&n->nr)};
	uint8_t secret[DH_MAX];
	size_t len;
	int err;

	in.spi_i = n->initiator ? n->spi_ours : n->spi_theirs;
	in.spi_r = n->initiator ? n->spi_theirs : n->spi_ours;
	if (dh_shared(dh, pub, secret, &len))
		return IKE_WHY_KE_VALUE;
	in.secret = (struct span){secret, len};
	err = keys_derive(&n->suite, &in, old->suite.prf,
			  (struct span){old->keys.d, prf_size(old->suite.prf)}, &n->keys);
	OPENSSL_cleanse(secret, sizeof(secret));
	return err ? IKE_WHY_CRYPTO : IKE_WHY_NONE;
}

static bool child_exchange_open(const struct ike_sa *sa)
{
	return sa->req.task == TASK_NEW_CHILD || sa->req.task == TASK_REKEY_CHILD ||
	       sa->req.task == TASK_DELETE_CHILDREN || sa->req.task == TASK_DELETE_IKE;
}

void answer_rekey(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		  const struct path *path, struct outcome *out)
{
	struct new_ike *n = &out->ike;
	struct proposals ours;
	struct dh *dh = NULL;
	uint8_t spi_octets[8];
	struct span spi;
	int err;

	(void)path;
	/* RFC 7296 2.25.1; a second rekey before the first is finished is one too many, and what is about to be
	 * deleted needs none. */
	if (child_exchange_open(sa) || sa->rival || sa->want_delete) {
		chain_notify(&out->reply, N_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	proposals_ike(&sa->peer->conf, &ours);
	err = proposal_select(m->sa, &ours, 8, &n->suite, &spi);
	if (err || !get_spi(spi)) {
		chain_notify(&out->reply, N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return refuse(out, IKE_WHY_PROPOSAL_IKE, "rekey of the IKE SA");
	}
	if (!(m->have & MSG_BIT(PL_KE)) || m->ke.group != n->suite.dh) {
		uint8_t group[2] = {n->suite.dh >> 8, n->suite.dh};

		chain_notify(&out->reply, N_INVALID_KE_PAYLOAD, group, sizeof(group));
		return refuse(out, IKE_WHY_INVALID_KE, "ours %s, theirs %s",
			      ike_transform_name(TR_DH, n->suite.dh), ike_transform_name(TR_DH, m->ke.group));
	}
	n->spi_theirs = get_spi(spi);
	nonce_set(&n->ni, m->nonce);
	if (nonce_new(ike, &n->nr) || fresh_spi(ike, &n->spi_ours) ||
	    dh_new(n->suite.dh, ike->env.random, ike->env.self, &dh)) {
		chain_notify(&out->reply, N_TEMPORARY_FAILURE, NULL, 0);
		return refuse(out, IKE_WHY_NOMEM, "%s", "");
	}
	out->why = derive(sa, dh, m->ke.pub, n);
	if (out->why) {
		chain_notify(&out->reply, N_INVALID_SYNTAX, NULL, 0);
	} else {
		put_spi(spi_octets, n->spi_ours);
		proposal_write_chosen(&out->reply, &n->suite, spi_octets, sizeof(spi_octets));
		chain_add(&out->reply, PL_NONCE, n->nr.b, n->nr.len);
		chain_ke(&out->reply, n->suite.dh, dh_public(dh).p, dh_public(dh).len);
		n->present = true;
		/* Ours is under way too: who wins is known when its answer is here. */
		out->next = sa->req.task == TASK_REKEY_IKE ? SA_UP : SA_REKEYED;
	}
	dh_free(dh);
}

void heard_rekey(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	struct new_ike *n = &out->ike;
	const struct ike_sa *rival = sa->rival ? sa_by_ours(ike, sa->rival) : NULL;
	struct proposals ours;
	struct nonce low;
	struct span spi;

	(void)path;
	proposals_ike(&sa->peer->conf, &ours);
	if (sa->req.task != TASK_REKEY_IKE || proposal_accepted(m->sa, &ours, 8, &n->suite, &spi) ||
	    !get_spi(spi) || n->suite.dh != m->ke.group || m->ke.group != sa->offered.dh_group) {
		out->child_failed = true;
		return refuse(out, IKE_WHY_PROPOSAL_IKE,
			      "the peer's answer to the rekey of the IKE SA does not fit");
	}
	n->initiator = true;
	n->spi_ours = sa->offered.ike_spi;
	n->spi_theirs = get_spi(spi);
	n->ni = sa->offered.nonce;
	nonce_set(&n->nr, m->nonce);
	out->why = derive(sa, sa->offered.dh, m->ke.pub, n);
	if (out->why) {
		out->child_failed = true;
		return;
	}
	n->present = true;
	/* RFC 7296 2.8.2: the same rule of the lowest nonce; the children go to the one that stays. */
	low = nonce_low(&n->ni, &n->nr);
	if (sa->state == SA_REKEYED) {
		out->lost_collision = true;
		out->drop_ike = true;
		out->drop_why = IKE_WHY_REKEYED;
		return;
	}
	out->lost_collision = rival && rival->state == SA_UP && nonce_cmp(&low, &sa->rival_low) < 0;
	out->next = out->lost_collision ? SA_REKEYED : SA_CLOSING;
}
