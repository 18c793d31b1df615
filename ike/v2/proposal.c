/* SPDX-License-Identifier: BSD-2-Clause */
#include "proposal.h"

#include <errno.h>
#include <stdio.h>

#define MAX_OFFERS     64  /* proposals of a peer that we look at */
#define MAX_TRANSFORMS 128 /* of one of them */

static const struct {
	uint8_t type;
	uint16_t id;
	const char *name;
} names[] = {
	{TR_ENCR,  ENCR_3DES,	     "3des"		   },
	{TR_ENCR,  ENCR_AES_CBC,	"aes-cbc"		 },
	{TR_ENCR,  ENCR_AES_CTR,	"aes-ctr"		 },
	{TR_ENCR,  ENCR_AES_GCM_16,  "aes-gcm-16"       },
	{TR_ENCR,  ENCR_CHACHA20,	 "chacha20-poly1305"},
	{TR_ENCR,  11,		      "null"		    },
	{TR_ENCR,  18,		      "aes-gcm-8"	 },
	{TR_ENCR,  19,		      "aes-gcm-12"	  },
	{TR_PRF,	 1,		    "prf-md5"	     },
	{TR_PRF,	 PRF_HMAC_SHA1,	"prf-sha1"	  },
	{TR_PRF,	 PRF_HMAC_SHA256,  "prf-sha256"	      },
	{TR_PRF,	 PRF_HMAC_SHA384,  "prf-sha384"	      },
	{TR_PRF,	 PRF_HMAC_SHA512,  "prf-sha512"	      },
	{TR_INTEG, INTEG_NONE,       "none"	     },
	{TR_INTEG, 1,		      "md5-96"	      },
	{TR_INTEG, INTEG_SHA1_96,	  "sha1-96"	   },
	{TR_INTEG, INTEG_SHA256_128, "sha256-128"	 },
	{TR_INTEG, INTEG_SHA384_192, "sha384-192"	 },
	{TR_INTEG, INTEG_SHA512_256, "sha512-256"	 },
	{TR_DH,	DH_NONE,		 "none"	       },
	{TR_DH,	2,		   "modp-1024"	      },
	{TR_DH,	5,		   "modp-1536"	      },
	{TR_DH,	DH_MODP2048,	     "modp-2048"	},
	{TR_DH,	15,		    "modp-3072"	       },
	{TR_DH,	16,		    "modp-4096"	       },
	{TR_DH,	DH_ECP256,	   "ecp-256"	    },
	{TR_DH,	DH_ECP384,	   "ecp-384"	    },
	{TR_DH,	21,		    "ecp-521"	     },
	{TR_DH,	DH_X25519,	   "x25519"	   },
	{TR_DH,	32,		    "x448"		  },
	{TR_ESN,	 0,		    "no-esn"	    },
	{TR_ESN,	 1,		    "esn"		 },
};

const char *ike_transform_name(uint8_t type, uint16_t id)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type && names[i].id == id)
			return names[i].name;
	return "?";
}

struct offer {
	uint8_t number, protocol;
	struct span spi;
	bool alien; /* has a transform type we do not know: cannot be accepted (RFC 7296 3.3.6) */
	unsigned n;
	struct ike_transform t[MAX_TRANSFORMS];
};

/* RFC 7296 3.3.5.  A transform with an attribute we do not know is one we cannot choose: *known is false. */
static int parse_attributes(struct rd r, uint16_t *key_bits, bool *known)
{
	while (r.left && !r.bad) {
		uint16_t type = rd_be16(&r), value = rd_be16(&r);

		if (type & 0x8000) {
			if ((type & 0x7fff) == 14 && !*key_bits)
				*key_bits = value;
			else
				*known = false;
			continue;
		}
		rd_take(&r, value);
		*known = false;
	}
	return r.bad ? -EBADMSG : 0;
}

static int parse_transform(struct rd *r, struct offer *o, bool last)
{
	uint8_t more = rd_u8(r);
	struct ike_transform t = {0};
	bool known = true;
	struct rd body;
	uint16_t len;

	rd_take(r, 1);
	len = rd_be16(r);
	if (len < 8)
		return -EBADMSG;
	body = rd_sub(r, len - 4);
	t.type = rd_u8(&body);
	rd_take(&body, 1);
	t.id = rd_be16(&body);
	if (body.bad || more != (last ? 0 : 3))
		return -EBADMSG;
	if (parse_attributes(body, &t.key_bits, &known))
		return -EBADMSG;
	if (t.type < TR_ENCR || t.type > TR_ESN)
		o->alien = true;
	else if (known)
		o->t[o->n++] = t;
	return 0;
}

/* One proposal from r, which holds the rest of the payload. */
static int offer_next(struct rd *r, struct offer *o)
{
	uint8_t more = rd_u8(r), spi_size, count, i;
	struct rd body;
	uint16_t len;

	memset(o, 0, sizeof(*o));
	rd_take(r, 1);
	len = rd_be16(r);
	if (len < 8)
		return -EBADMSG;
	body = rd_sub(r, len - 4);
	o->number = rd_u8(&body);
	o->protocol = rd_u8(&body);
	spi_size = rd_u8(&body);
	count = rd_u8(&body);
	o->spi = rd_take(&body, spi_size);
	if (body.bad || count > MAX_TRANSFORMS || more != (r->left ? 2 : 0))
		return -EBADMSG;
	for (i = 0; i < count; i++)
		if (parse_transform(&body, o, i + 1 == count))
			return -EBADMSG;
	return body.left || body.bad ? -EBADMSG : 0;
}

static bool type_in_offer(const struct offer *o, uint8_t type)
{
	unsigned i;

	for (i = 0; i < o->n; i++)
		if (o->t[i].type == type)
			return true;
	return false;
}

static bool in_offer(const struct offer *o, const struct ike_transform *t)
{
	unsigned i;

	for (i = 0; i < o->n; i++)
		if (o->t[i].type == t->type && o->t[i].id == t->id && o->t[i].key_bits == t->key_bits)
			return true;
	return false;
}

/* Our first transform of the type that they offer too.  A type that neither names, or that one names as
 * "none" and the other leaves out, agrees on 0 (RFC 7296 3.3.3). */
static bool pick(const struct ike_proposal *ours, const struct offer *o, uint8_t type,
		 struct ike_transform *ret)
{
	struct ike_transform none = {.type = type};
	bool we_have = false, they_have = type_in_offer(o, type);
	unsigned i;

	for (i = 0; i < ours->n; i++) {
		if (ours->t[i].type != type)
			continue;
		we_have = true;
		if (in_offer(o, &ours->t[i]) || (!they_have && ours->t[i].id == 0)) {
			*ret = ours->t[i];
			return true;
		}
	}
	*ret = none;
	return !we_have && (!they_have || in_offer(o, &none));
}

static bool pick_all(const struct ike_proposal *ours, const struct offer *o, struct suite *s)
{
	struct ike_transform encr, prf, integ, dh, esn, no_integ = {.type = TR_INTEG};
	bool ike = o->protocol == PROTO_IKE;

	if (!pick(ours, o, TR_ENCR, &encr) || !encr.id)
		return false;
	if (encr_is_aead(encr.id)) {
		if (type_in_offer(o, TR_INTEG) && !in_offer(o, &no_integ))
			return false;
		integ = no_integ;
	} else if (!pick(ours, o, TR_INTEG, &integ) || !integ.id) {
		return false;
	}
	if (!pick(ours, o, TR_PRF, &prf) || ike != (prf.id != 0))
		return false;
	if (!pick(ours, o, TR_DH, &dh) || (ike && !dh.id))
		return false;
	if (!pick(ours, o, TR_ESN, &esn))
		return false;
	*s = (struct suite){
		.protocol = o->protocol,
		.number = o->number,
		.encr = encr.id,
		.encr_bits = encr.key_bits,
		.prf = prf.id,
		.integ = integ.id,
		.dh = dh.id,
		.esn = esn.id == 1,
		.esn_offered = type_in_offer(o, TR_ESN),
	};
	return true;
}

int proposal_select(struct span sa, const struct proposals *ours, size_t spi_len, struct suite *ret,
		    struct span *spi)
{
	struct offer o;
	unsigned i, n;
	bool found = false;

	for (i = 0; i < ours->n; i++) {
		struct rd r = rd_of(sa.p, sa.len);

		for (n = 0; r.left; n++) {
			if (n == MAX_OFFERS || offer_next(&r, &o))
				return -EBADMSG;
			if (found || o.alien || o.protocol != ours->protocol || o.spi.len != spi_len)
				continue;
			if (!pick_all(&ours->p[i], &o, ret))
				continue;
			*spi = o.spi;
			found = true;
		}
		if (!n)
			return -EBADMSG;
		if (found)
			return 0;
	}
	return -ENOENT;
}

int proposal_accepted(struct span sa, const struct proposals *ours, size_t spi_len, struct suite *ret,
		      struct span *spi)
{
	struct rd r = rd_of(sa.p, sa.len);
	unsigned i, j;
	struct offer o;

	if (offer_next(&r, &o) || r.left)
		return -EBADMSG;
	for (i = 0; i < o.n; i++)
		for (j = 0; j < i; j++)
			if (o.t[i].type == o.t[j].type)
				return -EBADMSG;
	if (o.alien || o.protocol != ours->protocol || o.spi.len != spi_len)
		return -ENOENT;
	if (o.number < 1 || o.number > ours->n || !pick_all(&ours->p[o.number - 1], &o, ret))
		return -ENOENT;
	*spi = o.spi;
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void put_transform(struct wr *w, const struct ike_transform *t, bool last)
{
	wr_u8(w, last ? 0 : 3);
	wr_u8(w, 0);
	wr_be16(w, t->key_bits ? 12 : 8);
	wr_u8(w, t->type);
	wr_u8(w, 0);
	wr_be16(w, t->id);
	if (t->key_bits) {
		wr_be16(w, 0x8000 | 14);
		wr_be16(w, t->key_bits);
	}
}

static void put_proposal(struct wr *w, const struct ike_proposal *p, uint8_t number, uint8_t protocol,
			 struct span spi, bool last)
{
	size_t start = w->len;
	unsigned i;

	wr_u8(w, last ? 0 : 2);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_u8(w, number);
	wr_u8(w, protocol);
	wr_u8(w, spi.len);
	wr_u8(w, p->n);
	wr_span(w, spi);
	for (i = 0; i < p->n; i++)
		put_transform(w, &p->t[i], i + 1 == p->n);
	wr_fix16(w, start + 2, w->len - start);
}

void proposals_write(struct chain *c, const struct proposals *ours, const void *spi, size_t spi_len)
{
	unsigned i;

	chain_open(c, PL_SA);
	for (i = 0; i < ours->n; i++)
		put_proposal(&c->w, &ours->p[i], i + 1, ours->protocol, (struct span){spi, spi_len},
			     i + 1 == ours->n);
	chain_close(c);
}

static void add(struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t bits)
{
	if (p->n < IKE_MAX_TRANSFORMS)
		p->t[p->n++] = (struct ike_transform){type, id, bits};
}

void proposal_write_chosen(struct chain *c, const struct suite *s, const void *spi, size_t spi_len)
{
	struct ike_proposal p = {0};

	add(&p, TR_ENCR, s->encr, s->encr_bits);
	if (s->prf)
		add(&p, TR_PRF, s->prf, 0);
	if (s->integ)
		add(&p, TR_INTEG, s->integ, 0);
	if (s->dh)
		add(&p, TR_DH, s->dh, 0);
	if (s->esn_offered)
		add(&p, TR_ESN, s->esn, 0);
	chain_open(c, PL_SA);
	put_proposal(&c->w, &p, s->number, s->protocol, (struct span){spi, spi_len}, true);
	chain_close(c);
}

/* ---- lists from the configuration ---------------------------------------------------------- */

void proposals_ike(const struct ike_peer_conf *peer, struct proposals *ret)
{
	ret->protocol = PROTO_IKE;
	ret->n = peer->n_ike;
	memcpy(ret->p, peer->ike, sizeof(ret->p));
}

void proposals_child(const struct ike_child_conf *child, uint16_t dh, struct proposals *ret)
{
	unsigned i, e;

	ret->protocol = PROTO_ESP;
	ret->n = child->n_esp;
	memcpy(ret->p, child->esp, sizeof(ret->p));
	for (i = 0; i < ret->n; i++) {
		if (dh)
			add(&ret->p[i], TR_DH, dh, 0);
		for (e = 0; e < child->n_esn; e++)
			add(&ret->p[i], TR_ESN, child->esn[e], 0);
		if (!child->n_esn)
			add(&ret->p[i], TR_ESN, 0, 0);
	}
}

bool proposals_have_dh(const struct proposals *ours, uint16_t group)
{
	unsigned i, j;

	for (i = 0; i < ours->n; i++)
		for (j = 0; j < ours->p[i].n; j++)
			if (ours->p[i].t[j].type == TR_DH && ours->p[i].t[j].id == group)
				return true;
	return false;
}

uint16_t proposals_first_dh(const struct proposals *ours)
{
	unsigned j;

	for (j = 0; ours->n && j < ours->p[0].n; j++)
		if (ours->p[0].t[j].type == TR_DH)
			return ours->p[0].t[j].id;
	return DH_NONE;
}

/* ---- as text ------------------------------------------------------------------------------- */

static void say(char buf[PROPOSAL_TEXT_MAX], const char *gap, const struct ike_transform *t)
{
	size_t at = strlen(buf), room = PROPOSAL_TEXT_MAX - at;
	const char *name = ike_transform_name(t->type, t->id);
	char number[16];

	if (name[0] == '?') {
		snprintf(number, sizeof(number), "%u:%u", t->type, t->id);
		name = number;
	}
	if (t->key_bits)
		snprintf(buf + at, room, "%s%s-%u", gap, name, t->key_bits);
	else
		snprintf(buf + at, room, "%s%s", gap, name);
}

void proposals_text(const struct proposals *ours, char buf[PROPOSAL_TEXT_MAX])
{
	unsigned i, j;

	buf[0] = '\0';
	for (i = 0; i < ours->n; i++)
		for (j = 0; j < ours->p[i].n; j++)
			say(buf, j ? "/" : i ? ", " : "", &ours->p[i].t[j]);
}

void proposal_offer_text(struct span sa, char buf[PROPOSAL_TEXT_MAX])
{
	struct rd r = rd_of(sa.p, sa.len);
	unsigned n, j;
	struct offer o;

	buf[0] = '\0';
	for (n = 0; r.left && n < MAX_OFFERS && !offer_next(&r, &o); n++)
		for (j = 0; j < o.n; j++)
			say(buf, j ? "/" : n ? ", " : "", &o.t[j]);
}
