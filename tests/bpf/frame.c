// SPDX-License-Identifier: BSD-2-Clause
#include "frame.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)(v >> 16));
	put16(b + 2, (uint16_t)v);
}

void frame_octets(struct frame *f, const void *octets, size_t len)
{
	if (f->len + len > sizeof(f->b))
		abort();
	if (len)
		memcpy(f->b + f->len, octets, len);
	f->len += len;
}

void frame_be32(struct frame *f, uint32_t value)
{
	uint8_t b[4];

	put32(b, value);
	frame_octets(f, b, 4);
}

static void be16(struct frame *f, uint16_t value)
{
	uint8_t b[2];

	put16(b, value);
	frame_octets(f, b, 2);
}

void frame_fill(struct frame *f, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		frame_octets(f, &(uint8_t){(uint8_t)(i * 7 + 1)}, 1);
}

void frame_eth(struct frame *f, const uint8_t dst[6], const uint8_t src[6])
{
	memset(f, 0, sizeof(*f));
	frame_octets(f, dst, 6);
	frame_octets(f, src, 6);
	be16(f, 0);
}

void frame_tag(struct frame *f, uint16_t type, uint16_t id)
{
	put16(f->b + f->len - 2, type);
	be16(f, id);
	be16(f, 0);
}

void frame_vlan(struct frame *f, uint16_t id)
{
	frame_tag(f, 0x8100, id);
}

void frame_ip(struct frame *f, const char *src, const char *dst, uint8_t protocol)
{
	uint8_t a[16];
	bool v6 = strchr(src, ':');

	f->l3 = f->len;
	if (f->len)
		put16(f->b + f->len - 2, v6 ? 0x86dd : 0x0800);
	if (v6) {
		frame_be32(f, 0x60000000);
		be16(f, 0);
		frame_octets(f, (uint8_t[]){protocol, 64}, 2);
		inet_pton(AF_INET6, src, a);
		frame_octets(f, a, 16);
		inet_pton(AF_INET6, dst, a);
		frame_octets(f, a, 16);
	} else {
		frame_be32(f, 0x45000000);
		frame_be32(f, 0x12340000);
		frame_octets(f, (uint8_t[]){64, protocol, 0, 0}, 4);
		inet_pton(AF_INET, src, a);
		frame_octets(f, a, 4);
		inet_pton(AF_INET, dst, a);
		frame_octets(f, a, 4);
	}
}

void frame_udp(struct frame *f, uint16_t sport, uint16_t dport)
{
	f->l4 = f->len;
	be16(f, sport);
	be16(f, dport);
	frame_be32(f, 0);
}

void frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint8_t flags, const void *options,
	       size_t len)
{
	f->l4 = f->len;
	be16(f, sport);
	be16(f, dport);
	frame_be32(f, 0x01020304);
	frame_be32(f, 0);
	frame_octets(f, (uint8_t[]){(uint8_t)((5 + (len + 3) / 4) << 4), flags, 0xff, 0xff}, 4);
	frame_be32(f, 0);
	frame_octets(f, options, len);
	frame_octets(f, "\0\0\0", (4 - len % 4) % 4);
}

void frame_icmp(struct frame *f, uint8_t type, uint8_t code)
{
	f->l4 = f->len;
	frame_octets(f, (uint8_t[]){type, code, 0, 0, 0, 1, 0, 1}, 8);
}

uint16_t sum_of(const uint8_t *b, size_t len, uint32_t start)
{
	uint32_t sum = start;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Sum of the pseudo header, not folded. */
static uint32_t pseudo(const uint8_t *ip, uint8_t protocol, size_t l4_len)
{
	uint32_t sum = protocol + (uint32_t)l4_len;
	size_t i, from = ip[0] >> 4 == 4 ? 12 : 8, n = ip[0] >> 4 == 4 ? 8 : 32;

	for (i = 0; i < n; i += 2)
		sum += get16(ip + from + i);
	return sum;
}

bool ip_sum_right(const uint8_t *ip)
{
	return sum_of(ip, (size_t)(ip[0] & 15) * 4, 0) == 0;
}

bool l4_sum_right(const uint8_t *ip, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	size_t header = v4 ? (size_t)(ip[0] & 15) * 4 : 40;
	uint8_t protocol = v4 ? ip[9] : ip[6];

	return sum_of(ip + header, len - header, protocol == 1 ? 0 : pseudo(ip, protocol, len - header)) == 0;
}

void frame_fix_ip(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;

	put16(ip + 10, 0);
	put16(ip + 10, sum_of(ip, (size_t)(ip[0] & 15) * 4, 0));
}

void frame_finish(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;
	bool v4 = ip[0] >> 4 == 4;
	size_t len = f->len - f->l3, l4_len = f->len - f->l4;
	uint8_t protocol = v4 ? ip[9] : ip[6], *l4 = f->b + f->l4;
	size_t at = protocol == 6 ? 16 : protocol == 17 ? 6 : 2;

	f->end = f->len;
	if (v4) {
		put16(ip + 2, (uint16_t)len);
		frame_fix_ip(f);
	} else {
		put16(ip + 4, (uint16_t)(len - 40));
	}
	if (!f->l4 || (protocol != 1 && protocol != 6 && protocol != 17 && protocol != 58))
		return;
	if (protocol == 17)
		put16(l4 + 4, (uint16_t)l4_len);
	put16(l4 + at, 0);
	put16(l4 + at, sum_of(l4, l4_len, protocol == 1 ? 0 : pseudo(ip, protocol, l4_len)));
}

void frame_pad(struct frame *f, size_t len)
{
	f->end = f->len;
	while (len--)
		frame_octets(f, "\xee", 1);
}
