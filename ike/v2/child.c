/* SPDX-License-Identifier: BSD-2-Clause */
/* What IKE_AUTH and CREATE_CHILD_SA share: offering a child, answering an offer, taking the answer. */
#include "sa.h"

#include <errno.h>

static void texts(const struct ike_ts *local, unsigned n_local, const struct ike_ts *remote,
		  unsigned n_remote, char a[TS_TEXT_MAX], char b[TS_TEXT_MAX])
{
	ts_text(local, n_local, a);
	ts_text(remote, n_remote, b);
}

/* RFC 7296 2.9: the triggering packet goes first; a rekey offers what is in use, not what is configured. */
static void offer_selectors(const struct slot *slot, const struct child *old, struct offered *o)
{
	const struct ike_selector *p = &slot->packet;
	struct ike_ts src, dst;

	if (old) {
		o->n_local = old->sa.n_local;
		o->n_remote = old->sa.n_remote;
		memcpy(o->local, old->sa.local_ts, sizeof(old->sa.local_ts));
		memcpy(o->remote, old->sa.remote_ts, sizeof(old->sa.remote_ts));
		return;
	}
	if (slot->have_packet) {
		src = ts_of_host(&p->src, p->proto, p->sport);
		dst = ts_of_host(&p->dst, p->proto, p->dport);
		if (ts_list_contains(slot->conf.local, slot->conf.n_local, &src, 1) &&
		    ts_list_contains(slot->conf.remote, slot->conf.n_remote, &dst, 1)) {
			o->local[o->n_local++] = src;
			o->remote[o->n_remote++] = dst;
		}
	}
	memcpy(o->local + o->n_local, slot->conf.local, slot->conf.n_local * sizeof(o->local[0]));
	memcpy(o->remote + o->n_remote, slot->conf.remote, slot->conf.n_remote * sizeof(o->remote[0]));
	o->n_local += slot->conf.n_local;
	o->n_remote += slot->conf.n_remote;
}

int child_offer(const struct ike *ike, const struct slot *slot, const struct child *old, uint16_t dh,
		struct ask *ask)
{
	struct offered *o = &ask->offered;

	o->rule = slot->conf.rule;
	o->old_spi_in = old ? old->sa.spi_in : 0;
	o->dh_group = dh;
	offer_selectors(slot, old, o);
	o->spi_in = ike->env.alloc_spi(ike->env.self);
	return o->spi_in ? 0 : -ENOSPC;
}

void child_offer_write(const struct slot *slot, struct ask *ask)
{
	const struct offered *o = &ask->offered;
	struct proposals ours;
	uint8_t spi[4];
	struct wr w = wr_of(spi, sizeof(spi));

	wr_be32(&w, o->spi_in);
	proposals_child(&slot->conf, o->dh_group, &ours);
	proposals_write(&ask->chain, &ours, spi, sizeof(spi));
	if (o->nonce.len)
		chain_add(&ask->chain, PL_NONCE, o->nonce.b, o->nonce.len);
	if (o->dh)
		chain_ke(&ask->chain, o->dh_group, dh_public(o->dh).p, dh_public(o->dh).len);
	ts_write(&ask->chain, PL_TSI, o->local, o->n_local);
	ts_write(&ask->chain, PL_TSR, o->remote, o->n_remote);
}

static void describe(struct child_sa *c, const struct slot *slot, const struct suite *s)
{
	c->rule = slot->conf.rule;
	memcpy(c->name, slot->conf.name, sizeof(c->name));
	c->protocol = PROTO_ESP;
	c->encr_id = s->encr;
	c->encr_bits = s->encr_bits;
	c->integ_id = s->integ;
	c->esn = s->esn;
	c->replay_window = slot->conf.replay_window;
	c->lifetime_s = slot->conf.lifetime_s;
}

static uint32_t spi_of(struct span s)
{
	struct rd r = rd_of(s.p, s.len);

	return rd_be32(&r);
}

/* How well a configured child fits the offer; 0: not at all. */
static int fit(const struct slot *slot, const struct ts_list *tsi, const struct ts_list *tsr,
	       struct child_sa *c)
{
	const struct ike_child_conf *conf = &slot->conf;

	c->n_remote = ts_narrow(tsi, conf->remote, conf->n_remote, c->remote_ts, IKE_MAX_TS);
	c->n_local = ts_narrow(tsr, conf->local, conf->n_local, c->local_ts, IKE_MAX_TS);
	if (!c->n_remote || !c->n_local)
		return 0;
	if (ts_list_equal(c->remote_ts, c->n_remote, conf->remote, conf->n_remote) &&
	    ts_list_equal(c->local_ts, c->n_local, conf->local, conf->n_local))
		return 3;
	/* RFC 7296 2.9: the first of each list is the packet they want to send. */
	if (tsi->n && tsr->n && ts_list_contains(c->remote_ts, c->n_remote, tsi->ts, 1) &&
	    ts_list_contains(c->local_ts, c->n_local, tsr->ts, 1))
		return 2;
	return 1;
}

static const struct slot *pick_slot(const struct peer *peer, const struct ts_list *tsi,
				    const struct ts_list *tsr, const struct child *old, struct child_sa *c)
{
	const struct slot *best = NULL;
	int best_fit = 0, f;
	unsigned i;

	for (i = 0; i < peer->conf.n_children; i++) {
		const struct slot *slot = &peer->slots[i];
		struct child_sa tried = *c;

		if (old && slot->conf.rule != old->sa.rule)
			continue;
		f = fit(slot, tsi, tsr, &tried);
		if (f > best_fit) {
			best = slot;
			best_fit = f;
			*c = tried;
		}
	}
	return best;
}

static void refuse_ts(const struct peer *peer, const struct ts_list *tsi, const struct ts_list *tsr,
		      struct outcome *out)
{
	char a[TS_TEXT_MAX], b[TS_TEXT_MAX], c[TS_TEXT_MAX], d[TS_TEXT_MAX];
	const struct ike_child_conf *conf = peer->conf.n_children ? &peer->slots[0].conf : NULL;

	texts(tsr->ts, tsr->n, tsi->ts, tsi->n, c, d);
	if (!conf) {
		refuse(out, IKE_WHY_TS, "no child is configured; theirs local %s, remote %s", c, d);
		return;
	}
	texts(conf->local, conf->n_local, conf->remote, conf->n_remote, a, b);
	refuse(out, IKE_WHY_TS, "ours local %.90s, remote %.90s%s; theirs %.90s, %.90s", a, b,
	       peer->conf.n_children > 1 ? " (and others)" : "", c, d);
}

int child_answer(const struct ike *ike, const struct ike_sa *sa, const struct peer *peer, const struct msg *m,
		 const struct child *old, bool own_exchange, struct outcome *out, struct suite *suite,
		 uint16_t *notify)
{
	char ours_text[PROPOSAL_TEXT_MAX], theirs_text[PROPOSAL_TEXT_MAX];
	struct child_sa *c = &out->child.sa;
	struct ts_list tsi, tsr;
	const struct slot *slot;
	struct proposals ours;
	struct span spi;
	int err;

	if (ts_parse(m->tsi, &tsi) || ts_parse(m->tsr, &tsr)) {
		*notify = N_INVALID_SYNTAX;
		refuse(out, IKE_WHY_MALFORMED, "traffic selectors");
		return -EBADMSG;
	}
	slot = pick_slot(peer, &tsi, &tsr, old, c);
	if (!slot) {
		*notify = N_TS_UNACCEPTABLE;
		refuse_ts(peer, &tsi, &tsr, out);
		return -ENOENT;
	}
	proposals_child(&slot->conf, own_exchange ? slot->conf.pfs_group : DH_NONE, &ours);
	err = proposal_select(m->sa, &ours, 4, suite, &spi);
	if (err || spi_of(spi) < 256) {
		proposals_text(&ours, ours_text);
		proposal_offer_text(m->sa, theirs_text);
		*notify = err == -ENOENT ? N_NO_PROPOSAL_CHOSEN : N_INVALID_SYNTAX;
		refuse(out, err == -ENOENT ? IKE_WHY_PROPOSAL_CHILD : IKE_WHY_MALFORMED, "ours %s; theirs %s",
		       ours_text, theirs_text);
		return -ENOENT;
	}
	*notify = N_NO_ADDITIONAL_SAS;
	if (sa->n_children >= MAX_SA_CHILDREN) {
		refuse(out, IKE_WHY_SA_LIMIT, "%s", "");
		return -ENOSPC;
	}
	c->spi_in = ike->env.alloc_spi(ike->env.self);
	if (!c->spi_in) {
		refuse(out, IKE_WHY_SA_LIMIT, "no free SPI");
		return -ENOSPC;
	}
	c->spi_out = spi_of(spi);
	c->replaces_spi_in = old ? old->sa.spi_in : 0;
	describe(c, slot, suite);
	out->child.dh = suite->dh;
	out->child.present = true;
	return 0;
}

void child_answer_write(struct outcome *out, const struct suite *suite, const struct nonce *nonce,
			const struct dh *dh)
{
	const struct child_sa *c = &out->child.sa;
	uint8_t spi[4];
	struct wr w = wr_of(spi, sizeof(spi));

	wr_be32(&w, c->spi_in);
	proposal_write_chosen(&out->reply, suite, spi, sizeof(spi));
	if (nonce)
		chain_add(&out->reply, PL_NONCE, nonce->b, nonce->len);
	if (dh)
		chain_ke(&out->reply, dh_group(dh), dh_public(dh).p, dh_public(dh).len);
	ts_write(&out->reply, PL_TSI, c->remote_ts, c->n_remote);
	ts_write(&out->reply, PL_TSR, c->local_ts, c->n_local);
}

int child_keys(const struct ike_sa *sa, const struct suite *suite, const struct key_input *in, bool initiator,
	       struct child_sa *c)
{
	struct ike_child_keys keys[2];
	int err = keys_child(sa->suite.prf, &sa->keys, suite, in, keys);

	if (!err) {
		c->initiator = initiator;
		c->out = keys[initiator ? SIDE_I : SIDE_R];
		c->in = keys[initiator ? SIDE_R : SIDE_I];
	}
	explicit_bzero(keys, sizeof(keys));
	return err;
}

/* Taken as answered, or -EBADMSG with the reason in out. */
static int take_answer(const struct slot *slot, const struct offered *o, const struct msg *m,
		       struct outcome *out, struct suite *suite)
{
	char a[TS_TEXT_MAX], b[TS_TEXT_MAX], c_text[TS_TEXT_MAX], d[TS_TEXT_MAX];
	struct child_sa *c = &out->child.sa;
	struct ts_list tsi, tsr;
	struct proposals ours;
	struct span spi;

	proposals_child(&slot->conf, o->dh_group, &ours);
	if (proposal_accepted(m->sa, &ours, 4, suite, &spi) || spi_of(spi) < 256) {
		proposals_text(&ours, a);
		proposal_offer_text(m->sa, b);
		refuse(out, IKE_WHY_PROPOSAL_CHILD, "ours %s; chosen by the peer %s", a, b);
		return -EBADMSG;
	}
	c->spi_out = spi_of(spi);
	if (ts_parse(m->tsi, &tsi) || ts_parse(m->tsr, &tsr)) {
		refuse(out, IKE_WHY_MALFORMED, "traffic selectors");
		return -EBADMSG;
	}
	if (!tsi.n || !tsr.n || tsi.n > IKE_MAX_TS || tsr.n > IKE_MAX_TS ||
	    !ts_list_contains(o->local, o->n_local, tsi.ts, tsi.n) ||
	    !ts_list_contains(o->remote, o->n_remote, tsr.ts, tsr.n)) {
		texts(o->local, o->n_local, o->remote, o->n_remote, a, b);
		texts(tsi.ts, tsi.n, tsr.ts, tsr.n, c_text, d);
		refuse(out, IKE_WHY_TS,
		       "ours local %.90s, remote %.90s; answered %.90s, %.90s: not a part of it", a, b,
		       c_text, d);
		return -EBADMSG;
	}
	c->n_local = tsi.n;
	c->n_remote = tsr.n;
	memcpy(c->local_ts, tsi.ts, tsi.n * sizeof(tsi.ts[0]));
	memcpy(c->remote_ts, tsr.ts, tsr.n * sizeof(tsr.ts[0]));
	describe(c, slot, suite);
	return 0;
}

int child_accept(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, struct outcome *out)
{
	const struct slot *slot = slot_by_rule(sa->peer, sa->offered.rule);
	const bool own = sa->offered.nonce.len;
	struct key_input in = {.ni = nonce_span(own ? &sa->offered.nonce : &sa->ni),
			       .nr = own ? m->nonce : nonce_span(&sa->nr)};
	struct nonce ni, nr;
	uint8_t secret[DH_MAX];
	struct suite suite = {0};
	size_t len;
	int err;

	(void)ike;
	out->child.present = true;
	out->child.install_out = true;
	out->child.sa.rule = sa->offered.rule;
	out->child.sa.spi_in = sa->offered.spi_in;
	out->child.sa.replaces_spi_in = sa->offered.old_spi_in;
	out->child.dh = sa->offered.dh_group;
	nonce_set(&ni, in.ni);
	nonce_set(&nr, in.nr);
	out->child.low = nonce_low(&ni, &nr);
	if (!slot) {
		refuse(out, IKE_WHY_OPERATOR, "the child is not configured any more");
		err = -ENOENT;
	} else {
		err = take_answer(slot, &sa->offered, m, out, &suite);
	}
	if (!err && sa->offered.dh_group) {
		err = m->ke.group == sa->offered.dh_group ? dh_shared(sa->offered.dh, m->ke.pub, secret, &len)
							  : -EBADMSG;
		if (err)
			refuse(out, IKE_WHY_KE_VALUE, "%s", "");
		in.secret = (struct span){secret, err ? 0 : len};
	}
	if (!err) {
		err = child_keys(sa, &suite, &in, true, &out->child.sa);
		if (err)
			refuse(out, IKE_WHY_CRYPTO, "%s", "");
	}
	explicit_bzero(secret, sizeof(secret));
	/* The peer has it: one that we cannot use is deleted there. */
	if (err) {
		out->child.deleting = true;
		out->child_failed = true;
	}
	return err;
}
