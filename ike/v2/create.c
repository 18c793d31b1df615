/* SPDX-License-Identifier: BSD-2-Clause */
/* CREATE_CHILD_SA for children: a further one, or one that follows another (RFC 7296 1.3, 2.8). */
#include "sa.h"

int ask_child(const struct ike *ike, const struct ike_sa *sa, const struct slot *slot,
	      const struct child *old, struct ask *ask)
{
	/* A rekey keeps the group that is in use, if there was one. */
	uint16_t group = old && old->dh ? old->dh : slot->conf.pfs_group;
	uint8_t spi[4];
	struct wr w = wr_of(spi, sizeof(spi));

	(void)sa;
	ask->task = old ? TASK_REKEY_CHILD : TASK_NEW_CHILD;
	ask->exchange = EXCH_CHILD;
	if (old) {
		wr_be32(&w, old->sa.spi_in);
		chain_notify_spi(&ask->chain, N_REKEY_SA, PROTO_ESP, spi, sizeof(spi));
	}
	if (nonce_new(ike, &ask->offered.nonce))
		return -1;
	if (group && dh_new(group, ike->env.random, ike->env.self, &ask->offered.dh))
		return -1;
	if (child_offer(ike, slot, old, group, ask))
		return -1;
	child_offer_write(slot, ask);
	return ask->chain.w.bad ? -1 : 0;
}

static void say_no(struct outcome *out, uint16_t notify)
{
	chain_notify(&out->reply, notify, NULL, 0);
}

void answer_busy(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	(void)ike;
	(void)sa;
	(void)m;
	(void)path;
	say_no(out, N_TEMPORARY_FAILURE);
}

/* The child a REKEY_SA names, by the SPI its sender receives on (RFC 7296 1.3.3).  false: it was answered. */
static bool find_old(const struct ike_sa *sa, const struct msg_notify *rekey, const struct child **old,
		     struct outcome *out)
{
	struct rd r = rd_of(rekey->spi.p, rekey->spi.len);
	uint32_t spi = rd_be32(&r);

	*old = r.bad ? NULL : child_by_out(sa, spi);
	if (!*old) {
		chain_notify_spi(&out->reply, N_CHILD_SA_NOT_FOUND, PROTO_ESP, rekey->spi.p,
				 rekey->spi.len == 4 ? 4 : 0);
		return false;
	}
	/* On its way out, or replaced already: a second replacement would be one too many. */
	if ((*old)->state != CHILD_UP || (*old)->want_delete || (*old)->successor) {
		say_no(out, N_TEMPORARY_FAILURE);
		return false;
	}
	return true;
}

static enum ike_reason finish(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
			      const struct suite *suite, struct outcome *out)
{
	struct key_input in = {.ni = m->nonce};
	uint8_t secret[DH_MAX];
	struct nonce ni, nr;
	struct dh *dh = NULL;
	enum ike_reason why = IKE_WHY_NONE;
	size_t len;

	if (nonce_new(ike, &nr))
		return IKE_WHY_NOMEM;
	in.nr = nonce_span(&nr);
	if (suite->dh) {
		if (dh_new(suite->dh, ike->env.random, ike->env.self, &dh))
			return IKE_WHY_NOMEM;
		if (dh_shared(dh, m->ke.pub, secret, &len))
			why = IKE_WHY_KE_VALUE;
		else
			in.secret = (struct span){secret, len};
	}
	if (!why && child_keys(sa, suite, &in, false, &out->child.sa))
		why = IKE_WHY_CRYPTO;
	if (!why)
		child_answer_write(out, suite, &nr, dh);
	nonce_set(&ni, m->nonce);
	out->child.low = nonce_low(&ni, &nr);
	explicit_bzero(secret, sizeof(secret));
	dh_free(dh);
	return why;
}

void answer_child(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		  const struct path *path, struct outcome *out)
{
	const struct msg_notify *rekey = msg_notify(m, N_REKEY_SA);
	const struct child *old = NULL;
	struct suite suite;
	uint16_t notify;

	(void)path;
	/* RFC 7296 2.25.2: no new children while the IKE SA itself is being replaced. */
	if (sa->req.task == TASK_REKEY_IKE || sa->rival)
		return say_no(out, N_TEMPORARY_FAILURE);
	if (rekey && !find_old(sa, rekey, &old, out))
		return;
	out->child_mark = chain_mark(&out->reply);
	if (child_answer(ike, sa, sa->peer, m, old, true, out, &suite, &notify))
		return say_no(out, notify);
	if (suite.dh && (!(m->have & MSG_BIT(PL_KE)) || m->ke.group != suite.dh)) {
		uint8_t group[2] = {suite.dh >> 8, suite.dh};

		chain_notify(&out->reply, N_INVALID_KE_PAYLOAD, group, sizeof(group));
		refuse(out, IKE_WHY_INVALID_KE, "ours %s, theirs %s", ike_transform_name(TR_DH, suite.dh),
		       ike_transform_name(TR_DH, m->ke.group));
	} else {
		out->why = finish(ike, sa, m, &suite, out);
		if (out->why)
			say_no(out, N_INVALID_SYNTAX);
	}
	if (out->why) {
		ike->env.free_spi(ike->env.self, out->child.sa.spi_in);
		out->child.present = false;
		return;
	}
	/* A replacement carries our traffic when the peer is known to have it. */
	out->child.install_out = !old;
}

void heard_child(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	const struct child *theirs = child_rival(sa, sa->offered.old_spi_in);

	(void)path;
	if (!sa->offered.spi_in) {
		out->child_failed = true;
		return refuse(out, IKE_WHY_UNEXPECTED, "a child that was not asked for");
	}
	if (child_accept(ike, sa, m, out))
		return;
	/* RFC 7296 2.8.1: of two replacements the one with the lowest of the four nonces is closed by the end
	 * that created it; the other end's creator closes the old one. */
	if (theirs && nonce_cmp(&out->child.low, &theirs->low) < 0) {
		out->child.deleting = true;
		out->lost_collision = true;
	}
}

static const struct {
	uint16_t notify;
	enum ike_reason why;
} refusals[] = {
	{N_TS_UNACCEPTABLE,	    IKE_WHY_TS	      },
	{N_SINGLE_PAIR_REQUIRED, IKE_WHY_TS		   },
	{N_NO_PROPOSAL_CHOSEN,   IKE_WHY_PROPOSAL_CHILD},
	{N_INVALID_KE_PAYLOAD,   IKE_WHY_INVALID_KE	 },
	{N_NO_ADDITIONAL_SAS,    IKE_WHY_NO_ADDITIONAL },
	{N_TEMPORARY_FAILURE,    IKE_WHY_TEMPORARY     },
	{N_CHILD_SA_NOT_FOUND,   IKE_WHY_CHILD_GONE	 },
};

/* The peer refused the child, or the rekey of the IKE SA. */
void heard_child_no(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		    const struct path *path, struct outcome *out)
{
	const struct msg_notify *error = msg_error(m);
	const struct slot *slot = slot_by_rule(sa->peer, sa->offered.rule);
	char a[TS_TEXT_MAX], b[TS_TEXT_MAX];
	enum ike_reason why = IKE_WHY_PEER_ERROR;
	struct proposals ours;
	size_t i;

	(void)ike;
	(void)path;
	out->child_failed = true;
	if (!error)
		return refuse(out, IKE_WHY_PAYLOADS, "the peer's answer has neither SA nor an error");
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].notify == error->type)
			why = refusals[i].why;
	out->try_later = why == IKE_WHY_TEMPORARY;
	if (why == IKE_WHY_TS) {
		ts_text(sa->offered.local, sa->offered.n_local, a);
		ts_text(sa->offered.remote, sa->offered.n_remote, b);
		refuse(out, why, "ours local %s, remote %s; the peer accepts no part of it", a, b);
	} else if (why == IKE_WHY_PROPOSAL_CHILD && slot && sa->req.task != TASK_REKEY_IKE) {
		proposals_child(&slot->conf, sa->offered.dh_group, &ours);
		proposals_text(&ours, a);
		refuse(out, why, "ours %s; the peer accepts none of it", a);
	} else if (why == IKE_WHY_INVALID_KE) {
		struct rd r = rd_of(error->data.p, error->data.len);
		uint16_t group = rd_be16(&r);

		refuse(out, why, "ours %s; the peer asks for %s",
		       ike_transform_name(TR_DH, sa->offered.dh_group), ike_transform_name(TR_DH, group));
		if (sa->req.task == TASK_REKEY_IKE) {
			proposals_ike(&sa->peer->conf, &ours);
			if (group != sa->offered.dh_group && proposals_have_dh(&ours, group))
				out->child_group = group;
		}
	} else {
		refuse(out, why, "the peer answers %s",
		       msg_notify_name(error->type) ? msg_notify_name(error->type) : "an unknown error");
	}
	if (why == IKE_WHY_CHILD_GONE && sa->offered.old_spi_in &&
	    out->n_drop < sizeof(out->drop) / sizeof(out->drop[0]))
		out->drop[out->n_drop++] = sa->offered.old_spi_in;
}
