/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE_AUTH with a pre-shared key, both ends (RFC 7296 1.2, 2.15, 2.21.2). */
#include "sa.h"

#include <errno.h>
#include <openssl/crypto.h>

static size_t put_id(uint8_t body[IKE_MAX_ID + 4], const struct ike_id *id)
{
	struct wr w = wr_of(body, IKE_MAX_ID + 4);

	wr_u8(&w, id->type);
	wr_be(&w, 0, 3);
	wr_put(&w, id->data, id->len);
	return w.len;
}

/* AUTH of one side.  The initiator signs its own first message and Nr, the responder its own and Ni.  Without a
 * key nobody proves anything. */
static int auth_of(const struct ike_sa *sa, const struct peer *peer, enum side side, struct span id_body,
		   uint8_t ret[PRF_MAX])
{
	const struct packet *p = side == side_ours(sa) ? &sa->init_ours : &sa->init_theirs;
	const struct span psk = {peer->conf.psk, peer->conf.psk_len};
	const struct nonce *nonce = side == SIDE_I ? &sa->nr : &sa->ni;

	if (!psk.len)
		return -EINVAL;
	return auth_psk(sa->suite.prf, psk, sa->keys.p[side], (struct span){p->octets + MARKER, p->len},
			nonce_span(nonce), id_body, ret);
}

static int put_auth(struct chain *c, const struct ike_sa *sa, const struct peer *peer, struct span id_body)
{
	uint8_t sum[PRF_MAX];

	if (auth_of(sa, peer, side_ours(sa), id_body, sum))
		return -1;
	chain_open(c, PL_AUTH);
	wr_u8(&c->w, AUTH_SHARED_KEY);
	wr_be(&c->w, 0, 3);
	wr_put(&c->w, sum, prf_size(sa->suite.prf));
	chain_close(c);
	return 0;
}

/* The one proof of identity there is: method, length and value, or no. */
static bool proved(const struct ike_sa *sa, const struct peer *peer, const struct msg_auth *auth,
		   struct span id_body)
{
	enum side theirs = side_ours(sa) == SIDE_I ? SIDE_R : SIDE_I;
	uint8_t want[PRF_MAX];

	return auth->method == AUTH_SHARED_KEY && !auth_of(sa, peer, theirs, id_body, want) &&
	       auth->data.len == prf_size(sa->suite.prf) &&
	       !CRYPTO_memcmp(auth->data.p, want, auth->data.len);
}

static bool first_contact(const struct ike_sa *sa)
{
	const struct ike_sa *other;

	for (other = sa->peer->sas; other; other = other->next_of_peer)
		if (other != sa && other->state >= SA_UP && other->state < SA_GONE)
			return false;
	return true;
}

int ask_auth(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	const struct peer *peer = sa->peer;
	struct slot *slot = slot_by_rule(peer, sa->offered.rule);
	struct ike_id id = local_id_of(peer, &sa->local.addr);
	uint8_t body[IKE_MAX_ID + 4];
	size_t len = put_id(body, &id);

	if (!slot)
		return -1;
	ask->task = TASK_AUTH;
	ask->exchange = EXCH_AUTH;
	chain_add(&ask->chain, PL_IDI, body, len);
	if (first_contact(sa))
		chain_notify(&ask->chain, N_INITIAL_CONTACT, NULL, 0);
	if (put_auth(&ask->chain, sa, peer, (struct span){body, len}))
		return -1;
	if (peer->conf.remote_id.type != ID_ANY) {
		len = put_id(body, &peer->conf.remote_id);
		chain_add(&ask->chain, PL_IDR, body, len);
	}
	if (child_offer(ike, slot, NULL, DH_NONE, ask))
		return -1;
	child_offer_write(slot, ask);
	return ask->chain.w.bad ? -1 : 0;
}

static void set_id(struct ike_id *id, uint8_t type, struct span data)
{
	id->type = type;
	id->len = data.len <= IKE_MAX_ID ? data.len : 0;
	memcpy(id->data, data.p, id->len);
}

static void refuse_auth(struct outcome *out)
{
	chain_notify(&out->reply, N_AUTHENTICATION_FAILED, NULL, 0);
	out->drop_ike = true;
	out->drop_why = out->why;
}

void answer_auth(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	struct key_input in = {.ni = nonce_span(&sa->ni), .nr = nonce_span(&sa->nr)};
	struct peer *peer = peer_by_id(ike, sa, m);
	struct suite suite;
	char theirs[256], ours[256], want[256];
	uint8_t body[IKE_MAX_ID + 4];
	uint16_t notify;
	struct ike_id id;
	size_t len;

	(void)path;
	if (!peer || m->idi.data.len > IKE_MAX_ID) {
		const struct ike_id *conf = &sa->peer->conf.remote_id;

		id = local_id_of(sa->peer, &sa->local.addr);
		id_text(m->idi.type, m->idi.data, theirs, sizeof(theirs));
		id_text(conf->type, (struct span){conf->data, conf->len}, want, sizeof(want));
		if (m->idr.type && !id_matches(&id, m->idr.type, m->idr.data))
			id_text(m->idr.type, m->idr.data, ours, sizeof(ours));
		else
			ours[0] = '\0';
		refuse(out, IKE_WHY_ID, "ours %s; theirs %s%s%s", want, theirs, ours[0] ? "; asked for " : "",
		       ours);
		return refuse_auth(out);
	}
	out->peer = peer;
	if (peer->barred) {
		refuse(out, peer->barred, "its call is refused: %s", peer->failure.detail);
		return refuse_auth(out);
	}
	if (!proved(sa, peer, &m->auth, m->idi.body)) {
		id_text(m->idi.type, m->idi.data, theirs, sizeof(theirs));
		refuse(out, IKE_WHY_AUTH, "%s did not prove its identity%s", theirs,
		       m->auth.method == AUTH_SHARED_KEY ? ": pre-shared keys differ?"
							 : ": not by pre-shared key");
		return refuse_auth(out);
	}
	set_id(&out->remote_id, m->idi.type, m->idi.data);
	out->initial_contact = msg_notify(m, N_INITIAL_CONTACT);
	id = local_id_of(peer, &sa->local.addr);
	len = put_id(body, &id);
	chain_add(&out->reply, PL_IDR, body, len);
	if (put_auth(&out->reply, sa, peer, (struct span){body, len})) {
		out->drop_ike = true;
		return refuse(out, out->drop_why = IKE_WHY_CRYPTO, "%s", "");
	}
	out->child_mark = chain_mark(&out->reply);
	/* RFC 7296 2.21.2: a child that fails leaves the IKE SA standing. */
	if (child_answer(ike, sa, peer, m, NULL, false, out, &suite, &notify)) {
		chain_notify(&out->reply, notify, NULL, 0);
		return;
	}
	if (child_keys(sa, &suite, &in, false, &out->child.sa)) {
		ike->env.free_spi(ike->env.self, out->child.sa.spi_in);
		out->child.present = false;
		chain_notify(&out->reply, N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return refuse(out, IKE_WHY_CRYPTO, "%s", "");
	}
	out->child.low = nonce_low(&sa->ni, &sa->nr);
	out->child.install_out = true;
	child_answer_write(out, &suite, NULL, NULL);
}

void heard_auth(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		struct outcome *out)
{
	const struct ike_id *conf = &sa->peer->conf.remote_id;
	const struct msg_notify *error = msg_error(m);
	char ours[256], theirs[256];

	(void)path;
	id_text(m->idr.type, m->idr.data, theirs, sizeof(theirs));
	if (!id_matches(conf, m->idr.type, m->idr.data) || m->idr.data.len > IKE_MAX_ID) {
		id_text(conf->type, (struct span){conf->data, conf->len}, ours, sizeof(ours));
		refuse(out, IKE_WHY_ID, "ours %s; theirs %s", ours, theirs);
	} else if (!proved(sa, sa->peer, &m->auth, m->idr.body)) {
		refuse(out, IKE_WHY_AUTH, "%s did not prove its identity%s", theirs,
		       m->auth.method == AUTH_SHARED_KEY ? ": pre-shared keys differ?"
							 : ": not by pre-shared key");
	}
	if (out->why) {
		/* RFC 7296 2.21.2: the responder believes the SA stands; commit tells it. */
		out->next = SA_CLOSING;
		return;
	}
	set_id(&out->remote_id, m->idr.type, m->idr.data);
	if (m->have & MSG_BIT(PL_SA) || !error) {
		child_accept(ike, sa, m, out);
		return;
	}
	heard_child_no(ike, sa, m, path, out);
}

void heard_auth_no(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		   const struct path *path, struct outcome *out)
{
	const struct msg_notify *error = msg_error(m);

	(void)ike;
	(void)path;
	out->drop_ike = true;
	if (error && error->type == N_AUTHENTICATION_FAILED) {
		struct ike_id id = local_id_of(sa->peer, &sa->local.addr);
		char ours[256];

		id_text(id.type, (struct span){id.data, id.len}, ours, sizeof(ours));
		refuse(out, IKE_WHY_AUTH_REMOTE, "the peer refused %s: identity or pre-shared key differ",
		       ours);
	} else {
		refuse(out, IKE_WHY_PEER_ERROR, "the peer answers %s",
		       error && msg_notify_name(error->type) ? msg_notify_name(error->type) : "without AUTH");
	}
	out->drop_why = out->why;
}
