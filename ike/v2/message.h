/* SPDX-License-Identifier: BSD-2-Clause */
/* IKEv2 messages: octets to views and back (RFC 7296 section 3).
 *
 * Parsing copies nothing: every span points into the caller's buffer.  It happens in two steps, because
 * what lies inside the Encrypted payload is only parsed after it authenticated:
 *	msg_parse_header, msg_parse_chain(first payload), [open the SK payload], msg_parse_chain(inner chain)
 */
#ifndef ADIT_IKE_V2_MESSAGE_H
#define ADIT_IKE_V2_MESSAGE_H

#include "buf.h"
#include "iana.h"
#include "ike.h"

#define MSG_MAX_PAYLOADS 64
#define MSG_MAX_NOTIFIES 32
#define MSG_MAX_DELETES	 8
#define MSG_TEXT_MAX	 256

struct msg_header {
	uint64_t spi_i, spi_r;
	uint8_t next, version, exchange, flags;
	uint32_t id, len;
};

struct msg_notify {
	uint16_t type;
	uint8_t protocol;
	struct span spi, data;
};

struct msg_delete {
	uint8_t protocol, spi_size;
	uint16_t count;
	struct span spis;
};

struct msg_auth {
	uint8_t method;
	struct span data;
};

struct msg {
	struct msg_header h;
	struct span octets; /* the whole message */
	uint32_t have;	    /* one MSG_BIT per known payload type seen */
	unsigned count;

	struct span sa, tsi, tsr, nonce; /* bodies, parsed by proposal.c and ts.c */
	struct {
		uint16_t group;
		struct span pub;
	} ke;
	struct {
		uint8_t type;
		struct span data, body; /* body: type, reserved, data as it is signed */
	} idi, idr;
	struct msg_auth auth;
	struct msg_notify notify[MSG_MAX_NOTIFIES];
	unsigned n_notify;
	struct msg_delete del[MSG_MAX_DELETES];
	unsigned n_del;

	struct span sk;		 /* body of the Encrypted payload: IV .. ICV */
	uint8_t sk_next;	 /* first payload inside */
	uint8_t critical;	 /* the unknown critical payload that made the parse fail with -EPROTO */
	enum ike_reason why;	 /* what was wrong when a parse failed */
	char text[MSG_TEXT_MAX]; /* payload list for events */
};

#define MSG_BIT(type) (1u << ((type)-PL_SA))

/* 28 octets and a length that is the datagram's; -EBADMSG. */
int msg_parse_header(const void *octets, size_t len, struct msg *ret);
/* The chain that begins with a payload of type first.  -EBADMSG: malformed; -EPROTO: ret->critical. */
int msg_parse_chain(struct msg *m, uint8_t first, struct span chain);

const struct msg_notify *msg_notify(const struct msg *m, uint16_t type);
/* The first notify that reports an error, NULL. */
const struct msg_notify *msg_error(const struct msg *m);
static inline bool msg_is_response(const struct msg *m)
{
	return m->h.flags & FLAG_RESPONSE;
}
const char *msg_notify_name(uint16_t type); /* NULL when it has none */

/* A chain of payloads being written.  The type of the first and the octets; header and encryption follow in
 * sk_seal or msg_finish. */
struct chain {
	struct wr w;
	uint8_t first;
	size_t last; /* where the payload that awaits its successor has its "next" octet */
	size_t open; /* start of the payload being written */
	char text[MSG_TEXT_MAX];
};

void chain_begin(struct chain *c, void *buf, size_t size);
void chain_open(struct chain *c, uint8_t type);
void chain_close(struct chain *c);
void chain_add(struct chain *c, uint8_t type, const void *body, size_t len);
void chain_notify(struct chain *c, uint16_t type, const void *data, size_t len);
void chain_notify_spi(struct chain *c, uint16_t type, uint8_t protocol, const void *spi, uint8_t spi_len);
void chain_ke(struct chain *c, uint16_t group, const void *pub, size_t len);

/* Cut back to what stood at a mark: to take back what was promised when the datapath refuses. */
struct chain_mark {
	size_t len, last;
	size_t text;
};
struct chain_mark chain_mark(const struct chain *c);
void chain_cut(struct chain *c, struct chain_mark mark);

/* Header and chain in the clear; the length, 0 when it did not fit. */
size_t msg_finish(const struct msg_header *h, const struct chain *c, uint8_t *out, size_t size);
/* The header with its length field still zero. */
void msg_put_header(struct wr *w, const struct msg_header *h);

#endif
