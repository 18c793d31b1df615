/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages leave here: sealed, stored for repetition, told.  A repeated message is the stored one, octet by
 * octet (RFC 7296 2.1). */
#include "sa.h"

#include <openssl/evp.h>

void send_message(const struct ike *ike, const struct ike_sa *sa, const struct packet *p,
		  const struct path *path)
{
	const struct endpoint *local = path ? &path->local : &sa->local;
	const struct endpoint *remote = path ? &path->remote : &sa->remote;

	if (local->port == 4500) /* NOLINT(clang-analyzer-core.NullDereference): sa or path is there */
		ike->env.send(ike->env.self, local, remote, p->octets, MARKER + p->len);
	else
		ike->env.send(ike->env.self, local, remote, p->octets + MARKER, p->len);
}

/* To a message that no SA stands behind. */
void send_clear(struct ike *ike, const struct msg *m, const struct path *path, const struct chain *c)
{
	struct msg_header h = {
		.spi_i = m->h.spi_i,
		.spi_r = m->h.spi_r,
		.exchange = m->h.exchange,
		.flags = FLAG_RESPONSE | (m->h.flags & FLAG_INITIATOR ? 0 : FLAG_INITIATOR),
		.id = m->h.id,
	};
	uint8_t octets[MARKER + 512] = {0};
	size_t len = msg_finish(&h, c, octets + MARKER, sizeof(octets) - MARKER);
	const struct packet p = {.octets = octets, .len = len};

	if (!len)
		return;
	tell_clear(ike, path, m->h.exchange, m->h.id, c->text);
	send_message(ike, NULL, &p, path);
}

bool may_complain(struct ike *ike)
{
	return within(ike, &ike->complaints);
}

static size_t seal(const struct ike *ike, struct ike_sa *sa, const struct msg_header *h,
		   const struct chain *c, uint8_t *out, size_t size)
{
	uint8_t iv[SK_IV_MAX];
	struct wr w = wr_of(iv, sizeof(iv));

	/* GCM must never see an IV twice: a counter.  CBC's must not be guessed: random. */
	if (encr_is_aead(sa->suite.encr))
		wr_be64(&w, ++sa->sealed);
	else if (ike->env.random(ike->env.self, iv, sizeof(iv)))
		return 0;
	return sk_seal(&sa->suite, &sa->keys.sk[side_ours(sa)], h, c, iv, out, size);
}

static size_t build(const struct ike *ike, struct ike_sa *sa, uint8_t exchange, bool response, uint32_t id,
		    const struct chain *c, uint8_t *out, size_t size)
{
	struct msg_header h = {
		.spi_i = spi_i(sa),
		.spi_r = spi_r(sa),
		.exchange = exchange,
		.flags = (sa->initiator ? FLAG_INITIATOR : 0) | (response ? FLAG_RESPONSE : 0),
		.id = id,
	};

	return exchange == EXCH_INIT ? msg_finish(&h, c, out, size) : seal(ike, sa, &h, c, out, size);
}

void send_reply(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
		const struct chain *c)
{
	uint8_t octets[OUT_MAX + 256], sum[32];
	size_t len = build(ike, sa, m->h.exchange, true, m->h.id, c, octets, sizeof(octets));

	sa->expect_id = m->h.id + 1;
	EVP_Digest(m->octets.p, m->octets.len, sum, NULL, EVP_sha256(), NULL);
	memcpy(sa->replied_to, sum, sizeof(sa->replied_to));
	packet_free(&sa->reply);
	if (!len || packet_store(&sa->reply, octets, len, c->text)) {
		count(ike, IKE_WHY_NOMEM);
		return;
	}
	tell_message(ike, sa, true, m->h.exchange, true, m->h.id, 0, c->text);
	send_message(ike, sa, &sa->reply, path);
}

void resend_reply(struct ike *ike, const struct ike_sa *sa, const struct path *path)
{
	if (!sa->reply.octets)
		return;
	count(ike, IKE_WHY_DUPLICATE);
	if (within(ike, &ike->echoes))
		tell_message(ike, sa, true, sa->reply.octets[MARKER + 18], true, sa->expect_id - 1, 1,
			     sa->reply.text);
	send_message(ike, sa, &sa->reply, path);
}

int send_request(struct ike *ike, struct ike_sa *sa, struct ask *ask)
{
	uint8_t octets[OUT_MAX + 256];
	uint32_t id = ask->task == TASK_INIT ? 0 : sa->next_id;
	size_t len = build(ike, sa, ask->exchange, false, id, &ask->chain, octets, sizeof(octets));

	if (!len || packet_store(&sa->req.packet, octets, len, ask->chain.text)) {
		count(ike, IKE_WHY_NOMEM);
		return -1;
	}
	sa->req.task = ask->task;
	sa->req.exchange = ask->exchange;
	sa->req.id = id;
	sa->req.sent = 0;
	if (ask->task != TASK_INIT) {
		dh_free(sa->offered.dh);
		sa->offered = ask->offered;
		sa->next_id = id + 1;
	}
	resend_request(ike, sa);
	return 0;
}

void resend_request(struct ike *ike, struct ike_sa *sa)
{
	struct request *r = &sa->req;
	const struct ike_peer_conf *conf = &sa->peer->conf;
	uint64_t wait = (uint64_t)ike->limits.retransmit_ms << (r->sent < 16 ? r->sent : 16);

	if (asks_for_life(sa) && conf->dpd.interval_s)
		wait = conf->dpd.interval_s * 1000ull;
	if (r->task == TASK_INIT && sa->hint)
		wait = refused_wait_ms(ike);
	r->next_ms = now(ike) + wait;
	tell_message(ike, sa, true, r->exchange, false, r->id, r->sent, r->packet.text);
	r->sent++;
	send_message(ike, sa, &r->packet, NULL);
}
