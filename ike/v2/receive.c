/* SPDX-License-Identifier: BSD-2-Clause */
/* The corridor a datagram walks.  Every door may send it away; none before the authentication changes an SA:
 *	header -> version -> SA -> message id (new | repeated | neither) -> authenticate -> payloads -> row ->
 *commit */
#include "sa.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

static void complain(struct ike *ike, const struct msg *m, const struct path *path, uint16_t notify,
		     const void *data, size_t len)
{
	struct chain c;
	uint8_t buf[64];

	if (!may_complain(ike))
		return;
	chain_begin(&c, buf, sizeof(buf));
	chain_notify(&c, notify, data, len);
	send_clear(ike, m, path, &c);
}

static void run(struct ike *ike, struct ike_sa *sa, const struct step *step, const struct msg *m,
		const struct path *path)
{
	struct outcome out;

	memset(&out, 0, sizeof(out));
	chain_begin(&out.reply, out.buf, sizeof(out.buf));
	out.next = step->then;
	step->run(ike, sa, m, path, &out);
	commit(ike, sa, m, path, &out);
	OPENSSL_cleanse(&out, sizeof(out));
}

/* ---- IKE_SA_INIT --------------------------------------------------------------------------- */

static struct span body(const struct msg *m)
{
	return (struct span){m->octets.p + IKE_HEADER_LEN, m->octets.len - IKE_HEADER_LEN};
}

static void first_request(struct ike *ike, struct msg *m, const struct path *path)
{
	struct ike_sa *sa = sa_half_open(ike, m->h.spi_i, &path->remote);
	const struct step *step;
	int err;

	if (sa && sa->init_theirs.len == m->octets.len &&
	    !memcmp(sa->init_theirs.octets + MARKER, m->octets.p, m->octets.len)) {
		if (sa->expect_id == 1)
			resend_reply(ike, sa, path);
		return;
	}
	cookie_rotate(ike);
	ike->asking_cookies = ike->half_open + 1 >= ike->limits.cookie_above;
	err = msg_parse_chain(m, m->h.next, body(m));
	if (err == -EPROTO)
		complain(ike, m, path, N_UNSUPPORTED_CRITICAL_PAYLOAD, &m->critical, 1);
	step = err ? NULL : step_find(SA_NEW, m);
	if (!step) {
		count(ike, err ? m->why : IKE_WHY_PAYLOADS);
		if (err != -EPROTO)
			complain(ike, m, path, N_INVALID_SYNTAX, NULL, 0);
		return;
	}
	run(ike, NULL, step, m, path);
}

static void first_response(struct ike *ike, struct msg *m, const struct path *path)
{
	struct ike_sa *sa = sa_by_ours(ike, m->h.spi_i);
	const struct step *step;

	if (!sa || sa->state != SA_INIT_SENT || sa->req.task != TASK_INIT || m->h.id)
		return count(ike, IKE_WHY_UNEXPECTED);
	if (!addr_eq(&path->remote.addr, &sa->remote.addr))
		return count(ike, IKE_WHY_UNEXPECTED);
	if (msg_parse_chain(m, m->h.next, body(m)))
		return count(ike, m->why);
	step = step_find(sa->state, m);
	if (!step)
		return count(ike, IKE_WHY_PAYLOADS);
	sa->heard_ms = now(ike);
	tell_message(ike, sa, false, EXCH_INIT, true, 0, 0, m->text);
	run(ike, sa, step, m, path);
	pump(ike, sa);
}

/* ---- protected messages -------------------------------------------------------------------- */

static bool is_repeated(const struct ike_sa *sa, const struct msg *m)
{
	uint8_t sum[32];

	if (m->h.id != sa->expect_id - 1 || !sa->reply.octets)
		return false;
	EVP_Digest(m->octets.p, m->octets.len, sum, NULL, EVP_sha256(), NULL);
	return CRYPTO_memcmp(sum, sa->replied_to, sizeof(sa->replied_to)) == 0;
}

/* Only an authentic and new message gets here.  RFC 7296 2.23: an end that is not behind a NAT follows one
 * that is; the first message on port 4500 moves the SA there with both. */
static void follow(struct ike *ike, struct ike_sa *sa, const struct path *path)
{
	bool moved = sa->remote.port != path->remote.port || !addr_eq(&sa->remote.addr, &path->remote.addr);
	bool floated = sa->state == SA_HALF_OPEN && addr_eq(&sa->remote.addr, &path->remote.addr);

	if (!moved && sa->local.port == path->local.port)
		return;
	if (!sa->nat_remote && !floated)
		return;
	sa->remote = path->remote;
	sa->local.port = path->local.port;
	children_moved(ike, sa);
}

/* Under our keys, but not to be understood. */
static void unusable(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
		     int err)
{
	static const char *const what = "the peer's message cannot be used";

	count(ike, m->why ? m->why : IKE_WHY_PAYLOADS);
	if (sa_connecting(sa))
		note_failure(ike, sa->peer, sa, m->h.exchange, m->why ? m->why : IKE_WHY_PAYLOADS, what);
	else
		tell_failure(ike, sa->peer, sa, m->h.exchange, 0, m->why ? m->why : IKE_WHY_PAYLOADS, what);
	if (!msg_is_response(m)) {
		if (err == -EPROTO)
			commit_refusal(ike, sa, m, path, N_UNSUPPORTED_CRITICAL_PAYLOAD, &m->critical, 1);
		else
			commit_refusal(ike, sa, m, path, N_INVALID_SYNTAX, NULL, 0);
		return;
	}
	/* RFC 7296 2.21.3 leaves only the end for an answer that makes no sense. */
	sa_end(ike, sa, m->why ? m->why : IKE_WHY_PAYLOADS);
}

static void protected_message(struct ike *ike, struct ike_sa *sa, struct msg *m, const struct path *path)
{
	const enum side theirs = side_ours(sa) == SIDE_I ? SIDE_R : SIDE_I;
	const struct step *step;
	struct span inside;
	int err;

	if (msg_parse_chain(m, m->h.next, body(m)))
		return count(ike, m->why);
	if (m->have != MSG_BIT(PL_SK))
		return count(ike, IKE_WHY_PAYLOADS);
	err = sk_open(&sa->suite, &sa->keys.sk[theirs], m, ike->scratch, &inside);
	if (err == -EACCES)
		return count(ike, IKE_WHY_INTEGRITY);
	m->have = 0;
	m->text[0] = '\0';
	if (!err)
		err = msg_parse_chain(m, m->sk_next, inside);
	else
		m->why = IKE_WHY_MALFORMED;
	if (!err && m->have & MSG_BIT(PL_SK)) {
		m->why = IKE_WHY_PAYLOADS;
		err = -EBADMSG;
	}
	sa->heard_ms = now(ike);
	follow(ike, sa, path);
	tell_message(ike, sa, false, m->h.exchange, msg_is_response(m), m->h.id, 0, m->text);
	step = err ? NULL : step_find(sa->state, m);
	if (step)
		run(ike, sa, step, m, path);
	else
		unusable(ike, sa, m, path, err);
	OPENSSL_cleanse(ike->scratch, inside.len && !err ? inside.len : 0);
	pump(ike, sa);
}

static void known_sa(struct ike *ike, struct ike_sa *sa, struct msg *m, const struct path *path)
{
	bool from_initiator = m->h.flags & FLAG_INITIATOR;

	if (sa->initiator == from_initiator || (sa->initiator ? m->h.spi_r : m->h.spi_i) != sa->spi_theirs)
		return count(ike, IKE_WHY_UNKNOWN_SPI);
	if (!msg_is_response(m)) {
		if (is_repeated(sa, m))
			return resend_reply(ike, sa, path);
		if (m->h.id != sa->expect_id)
			return count(ike, IKE_WHY_MESSAGE_ID);
	} else if (sa->req.task == TASK_NONE || m->h.id != sa->req.id || m->h.exchange != sa->req.exchange) {
		return count(ike, IKE_WHY_UNEXPECTED);
	}
	if (!sa->have_keys || sa->state == SA_GONE)
		return count(ike, IKE_WHY_EXCHANGE);
	if (!msg_is_response(m) && !step_possible(sa->state, m->h.exchange))
		return count(ike, IKE_WHY_EXCHANGE);
	protected_message(ike, sa, m, path);
}

void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *octets, size_t len)
{
	const struct path path = {*local, *remote};
	struct msg m;
	struct ike_sa *sa;

	if (msg_parse_header(octets, len, &m))
		return count(ike, m.why);
	/* RFC 7296 2.5: a higher minor version is ours to read, a higher major one is not. */
	if (m.h.version >> 4 != 2) {
		count(ike, IKE_WHY_VERSION);
		if (m.h.version >> 4 > 2 && !msg_is_response(&m))
			complain(ike, &m, &path, N_INVALID_MAJOR_VERSION, NULL, 0);
		return;
	}
	if (!m.h.spi_i)
		return count(ike, IKE_WHY_MALFORMED);
	if (m.h.exchange < EXCH_INIT || m.h.exchange > EXCH_INFO)
		return count(ike, IKE_WHY_EXCHANGE);
	if (m.h.exchange == EXCH_INIT) {
		if (msg_is_response(&m) && !(m.h.flags & FLAG_INITIATOR))
			first_response(ike, &m, &path);
		else if (!msg_is_response(&m) && m.h.flags & FLAG_INITIATOR && !m.h.id && !m.h.spi_r)
			first_request(ike, &m, &path);
		else
			count(ike, IKE_WHY_MALFORMED);
	} else {
		sa = sa_by_ours(ike, m.h.flags & FLAG_INITIATOR ? m.h.spi_r : m.h.spi_i);
		if (sa) {
			known_sa(ike, sa, &m, &path);
		} else {
			count(ike, IKE_WHY_UNKNOWN_SPI);
			/* RFC 7296 2.21.4: in clear, rarely, and only to a request. */
			if (!msg_is_response(&m))
				complain(ike, &m, &path, N_INVALID_IKE_SPI, NULL, 0);
		}
	}
	pump_peers(ike);
	sweep(ike);
}
