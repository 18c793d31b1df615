// SPDX-License-Identifier: BSD-2-Clause
#include "fragment.h"

#include "checksum.h"

#define IPV4_MIN    20
#define IPV6_LEN    40
#define UDP_LEN	    8
#define MORE	    0x2000
#define DONT	    0x4000
#define OFFSET	    0x1fff
#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_COPY 0x80
#define ID_STEP	    0x1357 /* away from the identifications that BPF gives the packets around */

static void sum_v4(uint8_t *ip, uint32_t ihl)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = (uint16_t)~sum_fold(sum_octets(ip, ihl, 0));
	memcpy(ip + 10, &sum, 2);
}

/* RFC 791 3.1: only options marked so are copied into later fragments. */
static uint32_t later_header(const uint8_t *ip, uint32_t ihl, uint8_t *to)
{
	uint32_t at = IPV4_MIN, len = IPV4_MIN, n;

	memcpy(to, ip, IPV4_MIN);
	while (at < ihl && ip[at] != OPTION_END) {
		n = ip[at] == OPTION_NOP ? 1 : at + 1 < ihl ? ip[at + 1] : 0;
		if (n == 0 || at + n > ihl || (n == 1 && ip[at] != OPTION_NOP))
			break;
		if (ip[at] & OPTION_COPY) {
			memcpy(to + len, ip + at, n);
			len += n;
		}
		at += n;
	}
	while (len & 3)
		to[len++] = OPTION_END;
	to[0] = (uint8_t)(0x40 | len / 4);
	return len;
}

static void finish_inner(uint8_t *ip, uint32_t ihl, uint32_t len, uint32_t offset)
{
	put16(ip + 2, len);
	put16(ip + 6, offset);
	sum_v4(ip, ihl);
}

/* The envelope that BPF wrote counts the whole packet; make it count this piece. */
static void resize_envelope(const struct crypt *c, struct fragment *p, uint32_t number)
{
	uint8_t *ip = p->frame.data + p->note.seal.l3_off;
	uint32_t before_esp = p->note.seal.esp_off - p->note.seal.l3_off;
	uint32_t total = before_esp + esp_sealed_len(c, p->note.seal.inner_len);
	uint32_t header = ip[0] >> 4 == 4 ? IPV4_MIN : IPV6_LEN;

	if (before_esp == header + UDP_LEN)
		put16(ip + header + 4, total - header);
	if (header == IPV6_LEN) {
		put16(ip + 4, total - IPV6_LEN);
		return;
	}
	put16(ip + 2, total);
	put16(ip + 4, get16(ip + 4) + number * ID_STEP);
	sum_v4(ip, IPV4_MIN);
}

enum adit_reason fragment_cut(const struct sa *sa, const struct frame *f, const struct adit_note *note,
			      const struct io *io, void *io_self, struct fragment ret[FRAGMENTS_MAX],
			      uint32_t *n)
{
	uint32_t inner_off = note->seal.esp_off + ESP_HEADER_LEN + sa->crypt.iv_len;
	uint32_t len = note->seal.inner_len, ihl, field, base, first, at, i, count = 1;
	uint8_t *ip = f->data + inner_off, header[60];
	uint32_t header_len, most;

	ihl = (ip[0] & 15) * 4u;
	field = get16(ip + 6);
	if (ip[0] >> 4 != 4 || field & DONT || len <= ihl || sa->inner_mtu < ihl + 8u)
		return ADIT_DROP_TOO_BIG;
	header_len = later_header(ip, ihl, header);
	first = (sa->inner_mtu - ihl) & ~7u;
	most = (sa->inner_mtu - header_len) & ~7u;
	base = field & OFFSET;

	/* The later ones first: sealing writes right behind the first piece, where their data stands. */
	for (at = first; ihl + at < len; at += most, count++) {
		uint32_t left = len - ihl - at, take = left < most ? left : most;
		struct fragment *p = &ret[count];
		bool more = left > most || field & MORE;

		if (count == FRAGMENTS_MAX || !io->get(io_self, &p->frame))
			goto none;
		if (p->frame.room < inner_off + header_len + take) {
			io->drop(io_self, &p->frame, 1);
			goto none;
		}
		memcpy(p->frame.data, f->data, inner_off);
		memcpy(p->frame.data + inner_off, header, header_len);
		memcpy(p->frame.data + inner_off + header_len, ip + ihl + at, take);
		finish_inner(p->frame.data + inner_off, header_len, header_len + take,
			     ((base + at / 8) & OFFSET) | (more ? MORE : 0));
		p->frame.len = inner_off + header_len + take;
		p->note = *note;
		p->note.seal.inner_len = (uint16_t)(header_len + take);
		resize_envelope(&sa->crypt, p, count);
	}

	ret[0].frame = *f;
	ret[0].note = *note;
	if (count > 1) {
		finish_inner(ip, ihl, ihl + first, base | MORE);
		ret[0].note.seal.inner_len = (uint16_t)(ihl + first);
		ret[0].frame.len = inner_off + ihl + first;
		resize_envelope(&sa->crypt, &ret[0], 0);
	}
	*n = count;
	return ADIT_FRAGMENTED;
none:
	for (i = 1; i < count; i++)
		io->drop(io_self, &ret[i].frame, 1);
	return ADIT_DROP_NO_FRAME;
}
