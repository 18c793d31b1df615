/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE_SA_INIT, both ends.  Nothing here is authenticated: a response that does not fit is noted and ignored,
 * a better one may follow (RFC 7296 2.4, 2.21.1). */
#include "sa.h"

#include <openssl/crypto.h>

int ask_init(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	const struct path path = {sa->local, sa->remote};
	struct proposals ours;

	ask->task = TASK_INIT;
	ask->exchange = EXCH_INIT;
	if (sa->cookie_len)
		chain_notify(&ask->chain, N_COOKIE, sa->cookie, sa->cookie_len);
	proposals_ike(&sa->peer->conf, &ours);
	proposals_write(&ask->chain, &ours, NULL, 0);
	chain_ke(&ask->chain, dh_group(sa->offered.dh), dh_public(sa->offered.dh).p,
		 dh_public(sa->offered.dh).len);
	chain_add(&ask->chain, PL_NONCE, sa->ni.b, sa->ni.len);
	nat_write(ike, &ask->chain, sa->peer, sa->spi_ours, 0, &path);
	return ask->chain.w.bad ? -1 : 0;
}

/* Keys from both public values; shared by IKE_SA_INIT and the rekey of an IKE SA. */
static enum ike_reason derive(const struct dh *dh, struct span pub, struct new_ike *n, uint64_t i, uint64_t r)
{
	struct key_input in = {.ni = nonce_span(&n->ni), .nr = nonce_span(&n->nr), .spi_i = i, .spi_r = r};
	uint8_t secret[DH_MAX];
	size_t len;
	int err;

	if (dh_shared(dh, pub, secret, &len))
		return IKE_WHY_KE_VALUE;
	in.secret = (struct span){secret, len};
	err = keys_derive(&n->suite, &in, 0, (struct span){0}, &n->keys);
	OPENSSL_cleanse(secret, sizeof(secret));
	return err ? IKE_WHY_CRYPTO : IKE_WHY_NONE;
}

static void ask_cookie(const struct ike *ike, const struct msg *m, const struct path *path,
		       struct outcome *out)
{
	uint8_t cookie[33];

	cookie_make(ike, ike->secret_version, m, &path->remote.addr, cookie);
	chain_notify(&out->reply, N_COOKIE, cookie, sizeof(cookie));
}

static void refuse_group(struct outcome *out, uint16_t wanted, uint16_t got)
{
	uint8_t group[2] = {wanted >> 8, wanted};

	chain_notify(&out->reply, N_INVALID_KE_PAYLOAD, group, sizeof(group));
	refuse(out, IKE_WHY_INVALID_KE, "ours %s, theirs %s: asked to try again",
	       ike_transform_name(TR_DH, wanted), ike_transform_name(TR_DH, got));
}

/* Why a stranger's first message is turned away before anything is spent on it. */
static enum ike_reason too_many(const struct ike *ike, const struct path *path)
{
	if (ike->n_sas >= ike->limits.sas)
		return IKE_WHY_SA_LIMIT;
	if (ike->half_open >= ike->limits.half_open)
		return IKE_WHY_HALF_OPEN;
	if (half_open_from(ike, &path->remote.addr) >= ike->limits.half_open_per_source)
		return IKE_WHY_HALF_OPEN_SOURCE;
	return IKE_WHY_NONE;
}

void answer_init(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	const struct msg_notify *cookie = msg_notify(m, N_COOKIE);
	char ours_text[PROPOSAL_TEXT_MAX], theirs_text[PROPOSAL_TEXT_MAX];
	struct new_ike *n = &out->ike;
	struct proposals ours;
	struct dh *dh = NULL;
	bool malformed;

	(void)sa;
	out->ignore = true; /* no SA unless all of this holds */
	if (ike->asking_cookies && !cookie)
		return ask_cookie(ike, m, path, out);
	if (ike->asking_cookies && !cookie_good(ike, m, &path->remote.addr, cookie->data)) {
		/* RFC 7296 2.6: as if it had none. */
		ask_cookie(ike, m, path, out);
		return refuse(out, IKE_WHY_COOKIE, "%s", "");
	}
	if (too_many(ike, path))
		return refuse(out, too_many(ike, path), "%s", "");
	out->peer = peer_by_address(ike, path, m->sa, &n->suite, &malformed);
	if (!out->peer) {
		char a[ADDR_STRLEN], b[ADDR_STRLEN];

		chain_notify(&out->reply, N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return refuse(out, IKE_WHY_NO_PEER, "no peer for local %s, remote %s",
			      addr_str(&path->local.addr, a), addr_str(&path->remote.addr, b));
	}
	if (out->peer->barred) {
		chain_notify(&out->reply, N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return refuse(out, out->peer->barred, "its call is refused: %s", out->peer->failure.detail);
	}
	proposals_ike(&out->peer->conf, &ours);
	if (!n->suite.protocol) {
		proposals_text(&ours, ours_text);
		proposal_offer_text(m->sa, theirs_text);
		chain_notify(&out->reply, malformed ? N_INVALID_SYNTAX : N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return refuse(out, malformed ? IKE_WHY_MALFORMED : IKE_WHY_PROPOSAL_IKE, "ours %s; theirs %s",
			      ours_text, theirs_text);
	}
	if (n->suite.dh != m->ke.group)
		return refuse_group(out, n->suite.dh, m->ke.group);

	nonce_set(&n->ni, m->nonce);
	if (nonce_new(ike, &n->nr) || fresh_spi(ike, &n->spi_ours) ||
	    dh_new(n->suite.dh, ike->env.random, ike->env.self, &dh))
		return refuse(out, IKE_WHY_NOMEM, "%s", "");
	n->spi_theirs = m->h.spi_i;
	out->why = derive(dh, m->ke.pub, n, n->spi_theirs, n->spi_ours);
	if (out->why) {
		chain_notify(&out->reply, N_INVALID_SYNTAX, NULL, 0);
	} else {
		proposal_write_chosen(&out->reply, &n->suite, NULL, 0);
		chain_ke(&out->reply, n->suite.dh, dh_public(dh).p, dh_public(dh).len);
		chain_add(&out->reply, PL_NONCE, n->nr.b, n->nr.len);
		if (out->peer->conf.nat_traversal) {
			nat_detect(m, path, out);
			nat_write(ike, &out->reply, out->peer, m->h.spi_i, n->spi_ours, path);
		}
		n->present = true;
		out->ignore = false;
	}
	dh_free(dh);
}

void heard_init(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		struct outcome *out)
{
	char ours_text[PROPOSAL_TEXT_MAX], theirs_text[PROPOSAL_TEXT_MAX];
	struct new_ike *n = &out->ike;
	struct proposals ours;
	struct span spi;

	(void)ike;
	out->ignore = true;
	proposals_ike(&sa->peer->conf, &ours);
	if (!m->h.spi_r)
		return refuse(out, IKE_WHY_MALFORMED, "the response has no responder SPI");
	if (proposal_accepted(m->sa, &ours, 0, &n->suite, &spi)) {
		proposals_text(&ours, ours_text);
		proposal_offer_text(m->sa, theirs_text);
		return refuse(out, IKE_WHY_PROPOSAL_IKE, "ours %s; chosen by the peer %s", ours_text,
			      theirs_text);
	}
	if (n->suite.dh != m->ke.group || m->ke.group != dh_group(sa->offered.dh))
		return refuse(out, IKE_WHY_INVALID_KE, "ours %s, theirs %s",
			      ike_transform_name(TR_DH, dh_group(sa->offered.dh)),
			      ike_transform_name(TR_DH, m->ke.group));
	n->ni = sa->ni;
	nonce_set(&n->nr, m->nonce);
	n->initiator = true;
	n->spi_ours = sa->spi_ours;
	n->spi_theirs = m->h.spi_r;
	out->why = derive(sa->offered.dh, m->ke.pub, n, sa->spi_ours, m->h.spi_r);
	if (out->why)
		return;
	if (sa->peer->conf.nat_traversal)
		nat_detect(m, path, out);
	n->present = true;
	out->ignore = false;
}

/* COOKIE, INVALID_KE_PAYLOAD or an error: the first two are followed (not without end), the last only noted.
 */
void heard_init_no(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		   const struct path *path, struct outcome *out)
{
	const struct msg_notify *cookie = msg_notify(m, N_COOKIE), *ke = msg_notify(m, N_INVALID_KE_PAYLOAD);
	const struct msg_notify *error = msg_error(m);
	enum ike_reason why;
	struct proposals ours;
	uint16_t group;

	(void)ike;
	(void)path;
	out->ignore = true;
	if ((cookie || ke) && sa->init_retries >= MAX_INIT_RETRIES)
		return refuse(out, IKE_WHY_COOKIE_LOOP, "%s", "");
	if (cookie) {
		if (!cookie->data.len || cookie->data.len > COOKIE_MAX)
			return refuse(out, IKE_WHY_COOKIE, "a cookie of %zu octets", cookie->data.len);
		/* A late copy of the answer to our first message. */
		if (cookie->data.len == sa->cookie_len && !memcmp(cookie->data.p, sa->cookie, sa->cookie_len))
			return;
		memcpy(out->cookie, cookie->data.p, cookie->data.len);
		out->cookie_len = cookie->data.len;
		out->ignore = false;
		return;
	}
	if (ke) {
		struct rd r = rd_of(ke->data.p, ke->data.len);

		group = rd_be16(&r);
		proposals_ike(&sa->peer->conf, &ours);
		if (r.bad || group == DH_NONE || !proposals_have_dh(&ours, group)) {
			return refuse(out, IKE_WHY_INVALID_KE, "ours %s; the peer asks for %s",
				      ike_transform_name(TR_DH, dh_group(sa->offered.dh)),
				      ike_transform_name(TR_DH, group));
		}
		if (group == dh_group(sa->offered.dh))
			return;
		out->group = group;
		out->ignore = false;
		return;
	}
	if (!error)
		return;
	why = error->type == N_NO_PROPOSAL_CHOSEN      ? IKE_WHY_PROPOSAL_IKE
	      : error->type == N_INVALID_MAJOR_VERSION ? IKE_WHY_VERSION
						       : IKE_WHY_PEER_ERROR;
	if (why == IKE_WHY_PROPOSAL_IKE) {
		char text[PROPOSAL_TEXT_MAX];

		proposals_ike(&sa->peer->conf, &ours);
		proposals_text(&ours, text);
		return refuse(out, why, "the peer accepts none of ours (%s), or does not know this address",
			      text);
	}
	refuse(out, why, "the peer answers %s",
	       msg_notify_name(error->type) ? msg_notify_name(error->type) : "an unknown error");
}
