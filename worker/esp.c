// SPDX-License-Identifier: BSD-2-Clause
#include "esp.h"

#include "checksum.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define TRAILER	    2 /* pad length, next header */
#define NEXT_V4	    4
#define NEXT_V6	    41
#define NEXT_DUMMY  59 /* RFC 4303 2.6 */
#define PADDING_MAX 255

/* RFC 4303 2.4: 1, 2, 3, ... */
#define P4(n)  (n), (n) + 1, (n) + 2, (n) + 3
#define P16(n) P4(n), P4((n) + 4), P4((n) + 8), P4((n) + 12)
#define P64(n) P16(n), P16((n) + 16), P16((n) + 32), P16((n) + 48)
static const uint8_t padding[PADDING_MAX] = {P64(1),  P64(65), P64(129), P16(193), P16(209), P16(225),
					     P4(241), P4(245), P4(249),	 253,	   254,	     255};

/* RFC 3948 leaves it 0 over IPv4; over IPv6 it must be there (RFC 8200 8.1), and it covers what we encrypted.
 */
static void sum_udp6(struct frame *f, uint32_t l3_off, uint32_t esp_off)
{
	uint8_t *ip = f->data + l3_off, *udp = f->data + esp_off - 8;
	uint32_t len = f->len - (esp_off - 8);
	uint16_t sum;

	memset(udp + 6, 0, 2);
	sum = (uint16_t)~sum_fold(sum_octets(udp, len, sum_pseudo(ip + 8, 32, len, IPPROTO_UDP)));
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, 2);
}

enum adit_reason esp_seal(struct sa *sa, struct frame *f, const struct adit_note *note, uint64_t now_ns)
{
	uint32_t esp_off = note->seal.esp_off, inner_len = note->seal.inner_len;
	struct crypt *c = &sa->crypt;
	uint32_t text_off = esp_off + ESP_HEADER_LEN + c->iv_len;
	uint32_t pad = -(inner_len + TRAILER) & (c->align - 1u);
	uint32_t text_len = inner_len + pad + TRAILER;
	uint32_t len = esp_off + esp_sealed_len(c, inner_len);
	uint8_t *esp = f->data + esp_off, *trailer = f->data + text_off + inner_len;
	uint32_t i;
	uint64_t seq;

	if (note->seal.l3_off + 20u > esp_off || text_off + inner_len > f->len)
		return ADIT_DROP_NO_NOTE;
	if (len > f->room)
		return ADIT_DROP_NO_ROOM;
	if (sa->seq == sa->last)
		return ADIT_DROP_SEQ_EXHAUSTED;

	f->len = len;
	seq = ++sa->seq;
	put32(esp + 4, (uint32_t)seq);
	for (i = 0; i < pad; i++) /* at most 15, mostly 3: a call costs more */
		trailer[i] = (uint8_t)(i + 1);
	trailer[pad] = (uint8_t)pad;
	trailer[pad + 1] = note->flags & ADIT_NOTE_INNER_V6 ? NEXT_V6 : NEXT_V4;
	if (c->engine->iv(c, esp + ESP_HEADER_LEN, seq) ||
	    c->engine->seal(c, esp, text_len, (uint32_t)(seq >> 32)))
		return ADIT_DROP_ENGINE;
	if (note->flags & ADIT_NOTE_UDP_SUM)
		sum_udp6(f, note->seal.l3_off, esp_off);

	sa->stats->packets++;
	sa->stats->octets += inner_len;
	sa->stats->sequence = seq;
	sa->stats->last_ns = now_ns;
	return ADIT_SEALED;
}

static bool padding_right(const uint8_t *p, uint32_t n)
{
	uint32_t i;

	if (n >= 16)
		return memcmp(p, padding, n) == 0;
	for (i = 0; i < n && p[i] == i + 1; i++)
		;
	return i == n;
}

/* From here on the packet is authentic: what is wrong now, the peer itself did. */
static enum adit_reason look_inside(struct sa *sa, struct frame *f, uint32_t text_len, uint8_t outer_tos,
				    struct opened *ret)
{
	const uint8_t *end = f->data + text_len;
	uint8_t next = end[-1], pad = end[-2];
	struct inner *in = &ret->inner;

	if (next == NEXT_DUMMY)
		return ADIT_DUMMY;
	if (pad + TRAILER > (int)text_len || !padding_right(end - TRAILER - pad, pad))
		return ADIT_DROP_PADDING;
	if (inner_parse(f->data, text_len - TRAILER - pad, in) ||
	    next != (in->family == 4 ? NEXT_V4 : NEXT_V6))
		return ADIT_DROP_INNER;
	if (!selectors_admit(&sa->selectors, in))
		return ADIT_DROP_SELECTOR;
	if (inner_decap_ecn(in, outer_tos))
		return ADIT_DROP_ECN;
	inner_clamp_mss(in, in->family == 4 ? sa->mss4 : sa->mss6);
	f->len = in->len;
	return ADIT_REASON_NONE;
}

static void count_drop(struct adit_sa_stats *s, enum adit_reason why)
{
	if (why == ADIT_DROP_REPLAY)
		s->replay_drops++;
	else if (why == ADIT_DROP_INTEGRITY)
		s->integrity_drops++;
	else if (why == ADIT_DROP_SELECTOR)
		s->selector_drops++;
	else if (why != ADIT_DUMMY)
		s->other_drops++;
}

static enum adit_reason open_it(struct sa *sa, struct frame *f, uint8_t outer_tos, uint64_t now_ns,
				struct opened *ret)
{
	struct crypt *c = &sa->crypt;
	uint32_t text_off = ESP_HEADER_LEN + c->iv_len, text_len;
	uint64_t seq;
	int err;

	/* The least is a block of text, or the trailer alone where there are no blocks. */
	if (f->len < text_off + TRAILER + c->icv_len)
		return ADIT_DROP_ESP_LENGTH;
	text_len = f->len - text_off - c->icv_len;
	if (c->align > 4 && text_len & (c->align - 1u))
		return ADIT_DROP_ESP_LENGTH;

	seq = get32(f->data + 4);
	if (c->esn)
		seq = replay_infer(&sa->replay, (uint32_t)seq);
	if (!replay_fresh(&sa->replay, seq))
		return ADIT_DROP_REPLAY;
	err = c->engine->open(c, f->data, text_len, (uint32_t)(seq >> 32));
	if (err)
		return err == -EACCES ? ADIT_DROP_INTEGRITY : ADIT_DROP_ENGINE;

	ret->newest = seq > sa->replay.top;
	if (!replay_mark(&sa->replay, seq))
		return ADIT_DROP_REPLAY;
	sa->stats->sequence = sa->replay.top;
	sa->stats->last_ns = now_ns;
	frame_skip(f, text_off);
	return look_inside(sa, f, text_len, outer_tos, ret);
}

enum adit_reason esp_open(struct sa *sa, struct frame *f, uint8_t outer_tos, uint64_t now_ns,
			  struct opened *ret)
{
	enum adit_reason why = open_it(sa, f, outer_tos, now_ns, ret);

	if (why) {
		count_drop(sa->stats, why);
		return why;
	}
	sa->stats->packets++;
	sa->stats->octets += f->len;
	return ADIT_REASON_NONE;
}
