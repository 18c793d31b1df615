/* SPDX-License-Identifier: BSD-2-Clause */
#include "message.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	const char *name;
	bool once; /* a second one is malformed */
} payloads[] = {
	[PL_SA - PL_SA] = {"SA",	 true },
	     [PL_KE - PL_SA] = {"KE",      true },
	[PL_IDI - PL_SA] = {"IDi",	   true },
	     [PL_IDR - PL_SA] = {"IDr",	true },
	[PL_CERT - PL_SA] = {"CERT",    false},
	     [PL_CERTREQ - PL_SA] = {"CERTREQ", false},
	[PL_AUTH - PL_SA] = {"AUTH",    true },
	     [PL_NONCE - PL_SA] = {"No",	 true },
	[PL_NOTIFY - PL_SA] = {"N",	    false},
	     [PL_DELETE - PL_SA] = {"D",	 false},
	[PL_VENDOR - PL_SA] = {"V",	    false},
	     [PL_TSI - PL_SA] = {"TSi",	true },
	[PL_TSR - PL_SA] = {"TSr",	   true },
	     [PL_SK - PL_SA] = {"SK",      true },
	[PL_CP - PL_SA] = {"CP",	 false},
	     [PL_EAP - PL_SA] = {"EAP",	true },
};

const char *msg_notify_name(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{N_UNSUPPORTED_CRITICAL_PAYLOAD,	 "UNSUPPORTED_CRITICAL_PAYLOAD"   },
		{N_INVALID_IKE_SPI,		    "INVALID_IKE_SPI"		     },
		{N_INVALID_MAJOR_VERSION,	  "INVALID_MAJOR_VERSION"		 },
		{N_INVALID_SYNTAX,		   "INVALID_SYNTAX"		   },
		{N_INVALID_MESSAGE_ID,	       "INVALID_MESSAGE_ID"		   },
		{N_INVALID_SPI,			"INVALID_SPI"		     },
		{N_NO_PROPOSAL_CHOSEN,	       "NO_PROPOSAL_CHOSEN"		   },
		{N_INVALID_KE_PAYLOAD,	       "INVALID_KE_PAYLOAD"		   },
		{N_AUTHENTICATION_FAILED,	  "AUTHENTICATION_FAILED"		 },
		{N_SINGLE_PAIR_REQUIRED,		 "SINGLE_PAIR_REQUIRED"	       },
		{N_NO_ADDITIONAL_SAS,	      "NO_ADDITIONAL_SAS"		 },
		{N_INTERNAL_ADDRESS_FAILURE,	     "INTERNAL_ADDRESS_FAILURE"       },
		{N_FAILED_CP_REQUIRED,	       "FAILED_CP_REQUIRED"		   },
		{N_TS_UNACCEPTABLE,		    "TS_UNACCEPTABLE"		     },
		{N_INVALID_SELECTORS,	      "INVALID_SELECTORS"		 },
		{N_TEMPORARY_FAILURE,	      "TEMPORARY_FAILURE"		 },
		{N_CHILD_SA_NOT_FOUND,	       "CHILD_SA_NOT_FOUND"		   },
		{N_INITIAL_CONTACT,		    "INITIAL_CONTACT"		     },
		{N_SET_WINDOW_SIZE,		    "SET_WINDOW_SIZE"		     },
		{N_NAT_SOURCE,		       "NAT_DETECTION_SOURCE_IP"	},
		{N_NAT_DESTINATION,		    "NAT_DETECTION_DESTINATION_IP"	  },
		{N_COOKIE,			   "COOKIE"			   },
		{N_USE_TRANSPORT_MODE,	       "USE_TRANSPORT_MODE"		   },
		{N_REKEY_SA,			     "REKEY_SA"		       },
		{N_ESP_TFC_PADDING_NOT_SUPPORTED, "ESP_TFC_PADDING_NOT_SUPPORTED"	 },
		{16396,			   "MOBIKE_SUPPORTED"		  },
		{16397,			   "ADDITIONAL_IP4_ADDRESS"		},
		{16398,			   "ADDITIONAL_IP6_ADDRESS"		},
		{16399,			   "NO_ADDITIONAL_ADDRESSES"	 },
		{16404,			   "MULTIPLE_AUTH_SUPPORTED"	 },
		{16406,			   "REDIRECT_SUPPORTED"		    },
		{16417,			   "EAP_ONLY_AUTHENTICATION"	 },
		{16418,			   "CHILDLESS_IKEV2_SUPPORTED"	   },
		{16420,			   "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"},
		{16430,			   "IKEV2_FRAGMENTATION_SUPPORTED"  },
		{16431,			   "SIGNATURE_HASH_ALGORITHMS"	   },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return NULL;
}

static void add_text(char text[MSG_TEXT_MAX], uint8_t type, const uint16_t *notify)
{
	size_t at = strlen(text), room = MSG_TEXT_MAX - at;
	const char *gap = at ? " " : "";

	if (notify && msg_notify_name(*notify))
		snprintf(text + at, room, "%sN(%s)", gap, msg_notify_name(*notify));
	else if (notify)
		snprintf(text + at, room, "%sN(%u)", gap, *notify);
	else if (type >= PL_SA && type <= PL_LAST)
		snprintf(text + at, room, "%s%s", gap, payloads[type - PL_SA].name);
	else
		snprintf(text + at, room, "%s%u", gap, type);
}

static int bad(struct msg *m, enum ike_reason why)
{
	m->why = why;
	return -EBADMSG;
}

int msg_parse_header(const void *octets, size_t len, struct msg *m)
{
	struct rd r = rd_of(octets, len);

	memset(m, 0, sizeof(*m));
	m->octets = (struct span){octets, len};
	m->h.spi_i = rd_be64(&r);
	m->h.spi_r = rd_be64(&r);
	m->h.next = rd_u8(&r);
	m->h.version = rd_u8(&r);
	m->h.exchange = rd_u8(&r);
	m->h.flags = rd_u8(&r);
	m->h.id = rd_be32(&r);
	m->h.len = rd_be32(&r);
	if (r.bad || m->h.len != len || len > IKE_MESSAGE_MAX)
		return bad(m, IKE_WHY_LENGTH);
	return 0;
}

/* RFC 7296 3.10: protocol, SPI size, type, SPI, data. */
static int parse_notify(struct rd r, struct msg *m)
{
	struct msg_notify *n = &m->notify[m->n_notify];
	uint8_t spi_size;

	n->protocol = rd_u8(&r);
	spi_size = rd_u8(&r);
	n->type = rd_be16(&r);
	n->spi = rd_take(&r, spi_size);
	n->data = rd_rest(&r);
	if (r.bad)
		return -EBADMSG;
	add_text(m->text, PL_NOTIFY, &n->type);
	m->n_notify++;
	return 0;
}

/* RFC 7296 3.11: protocol, SPI size, number, SPIs; IKE has none, ESP and AH have four octets. */
static int parse_delete(struct rd r, struct msg *m)
{
	struct msg_delete *d = &m->del[m->n_del];

	d->protocol = rd_u8(&r);
	d->spi_size = rd_u8(&r);
	d->count = rd_be16(&r);
	d->spis = rd_rest(&r);
	if (r.bad || d->spis.len != (size_t)d->spi_size * d->count)
		return -EBADMSG;
	if (d->protocol == PROTO_IKE ? d->spi_size || d->count : d->spi_size != 4)
		return -EBADMSG;
	m->n_del++;
	return 0;
}

static int parse_id(struct rd r, uint8_t *type, struct span *data, struct span *body)
{
	*body = (struct span){r.p, r.left};
	*type = rd_u8(&r);
	rd_take(&r, 3);
	*data = rd_rest(&r);
	return r.bad ? -EBADMSG : 0;
}

static int parse_body(struct msg *m, uint8_t type, struct rd r)
{
	switch (type) {
	case PL_SA:
		m->sa = rd_rest(&r);
		break;
	case PL_KE: /* RFC 7296 3.4: group, two reserved octets, public value */
		m->ke.group = rd_be16(&r);
		rd_take(&r, 2);
		m->ke.pub = rd_rest(&r);
		break;
	case PL_IDI:
		return parse_id(r, &m->idi.type, &m->idi.data, &m->idi.body);
	case PL_IDR:
		return parse_id(r, &m->idr.type, &m->idr.data, &m->idr.body);
	case PL_AUTH:
		m->auth.method = rd_u8(&r);
		rd_take(&r, 3);
		m->auth.data = rd_rest(&r);
		break;
	case PL_NONCE: /* RFC 7296 3.9: 16 to 256 octets */
		m->nonce = rd_rest(&r);
		if (m->nonce.len < 16 || m->nonce.len > 256)
			return -EBADMSG;
		break;
	case PL_NOTIFY:
		if (m->n_notify == MSG_MAX_NOTIFIES)
			return -EBADMSG;
		return parse_notify(r, m);
	case PL_DELETE:
		if (m->n_del == MSG_MAX_DELETES)
			return -EBADMSG;
		return parse_delete(r, m);
	case PL_TSI:
		m->tsi = rd_rest(&r);
		break;
	case PL_TSR:
		m->tsr = rd_rest(&r);
		break;
	case PL_SK:
		m->sk = rd_rest(&r);
		break;
	}
	return r.bad ? -EBADMSG : 0;
}

int msg_parse_chain(struct msg *m, uint8_t first, struct span chain)
{
	struct rd r = rd_of(chain.p, chain.len);
	uint8_t type = first;

	while (type != PL_NONE) {
		uint8_t next = rd_u8(&r), flags = rd_u8(&r);
		uint16_t len = rd_be16(&r);
		struct rd body;

		if (r.bad || len < 4)
			return bad(m, IKE_WHY_LENGTH);
		body = rd_sub(&r, len - 4);
		if (body.bad)
			return bad(m, IKE_WHY_LENGTH);
		if (++m->count > MSG_MAX_PAYLOADS)
			return bad(m, IKE_WHY_PAYLOADS);
		if (type < PL_SA || type > PL_LAST) {
			add_text(m->text, type, NULL);
			/* RFC 7296 2.5: unknown and critical rejects the message, unknown alone is skipped.
			 */
			if (flags & 0x80) {
				m->critical = type;
				m->why = IKE_WHY_CRITICAL;
				return -EPROTO;
			}
			type = next;
			continue;
		}
		if (payloads[type - PL_SA].once && m->have & MSG_BIT(type))
			return bad(m, IKE_WHY_PAYLOADS);
		m->have |= MSG_BIT(type);
		if (type != PL_NOTIFY && type != PL_SK)
			add_text(m->text, type, NULL);
		if (parse_body(m, type, body))
			return bad(m, IKE_WHY_MALFORMED);
		if (type == PL_SK) {
			/* RFC 7296 3.14: it is the last one, its "next" is the first one inside. */
			m->sk_next = next;
			break;
		}
		type = next;
	}
	return r.left ? bad(m, IKE_WHY_LENGTH) : 0;
}

const struct msg_notify *msg_notify(const struct msg *m, uint16_t type)
{
	unsigned i;

	for (i = 0; i < m->n_notify; i++)
		if (m->notify[i].type == type)
			return &m->notify[i];
	return NULL;
}

const struct msg_notify *msg_error(const struct msg *m)
{
	unsigned i;

	for (i = 0; i < m->n_notify; i++)
		if (m->notify[i].type < N_STATUS)
			return &m->notify[i];
	return NULL;
}

/* ---- writing ------------------------------------------------------------------------------- */

void chain_begin(struct chain *c, void *buf, size_t size)
{
	c->w = wr_of(buf, size);
	c->first = PL_NONE;
	c->last = SIZE_MAX;
	c->open = 0;
	c->text[0] = '\0';
}

void chain_open(struct chain *c, uint8_t type)
{
	if (c->last == SIZE_MAX)
		c->first = type;
	else if (!c->w.bad)
		c->w.p[c->last] = type;
	c->last = c->open = c->w.len;
	wr_be32(&c->w, 0);
	if (type != PL_NOTIFY)
		add_text(c->text, type, NULL);
}

void chain_close(struct chain *c)
{
	wr_fix16(&c->w, c->open + 2, c->w.len - c->open);
}

void chain_add(struct chain *c, uint8_t type, const void *body, size_t len)
{
	chain_open(c, type);
	wr_put(&c->w, body, len);
	chain_close(c);
}

static void put_notify(struct chain *c, uint16_t type, uint8_t protocol, struct span spi, struct span data)
{
	chain_open(c, PL_NOTIFY);
	wr_u8(&c->w, protocol);
	wr_u8(&c->w, spi.len);
	wr_be16(&c->w, type);
	wr_span(&c->w, spi);
	wr_span(&c->w, data);
	chain_close(c);
	add_text(c->text, PL_NOTIFY, &type);
}

void chain_notify(struct chain *c, uint16_t type, const void *data, size_t len)
{
	put_notify(c, type, PROTO_NONE, (struct span){0}, (struct span){data, len});
}

void chain_notify_spi(struct chain *c, uint16_t type, uint8_t protocol, const void *spi, uint8_t spi_len)
{
	put_notify(c, type, protocol, (struct span){spi, spi_len}, (struct span){0});
}

void chain_ke(struct chain *c, uint16_t group, const void *pub, size_t len)
{
	chain_open(c, PL_KE);
	wr_be16(&c->w, group);
	wr_be16(&c->w, 0);
	wr_put(&c->w, pub, len);
	chain_close(c);
}

struct chain_mark chain_mark(const struct chain *c)
{
	return (struct chain_mark){c->w.len, c->last, strlen(c->text)};
}

void chain_cut(struct chain *c, struct chain_mark mark)
{
	c->w.len = mark.len;
	c->last = mark.last;
	c->text[mark.text] = '\0';
	if (mark.last == SIZE_MAX)
		c->first = PL_NONE;
	else
		c->w.p[mark.last] = PL_NONE;
}

void msg_put_header(struct wr *w, const struct msg_header *h)
{
	wr_be64(w, h->spi_i);
	wr_be64(w, h->spi_r);
	wr_u8(w, h->next);
	wr_u8(w, IKE_VERSION_2);
	wr_u8(w, h->exchange);
	wr_u8(w, h->flags);
	wr_be32(w, h->id);
	wr_be32(w, 0);
}

size_t msg_finish(const struct msg_header *h, const struct chain *c, uint8_t *out, size_t size)
{
	struct wr w = wr_of(out, size);
	struct msg_header full = *h;

	full.next = c->first;
	msg_put_header(&w, &full);
	wr_put(&w, c->w.p, c->w.len);
	wr_fix16(&w, 24, w.len >> 16);
	wr_fix16(&w, 26, w.len);
	return w.bad || c->w.bad ? 0 : w.len;
}
