// SPDX-License-Identifier: BSD-2-Clause
#include "help.h"

#include "engine.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

static uint8_t digit(char c)
{
	return (uint8_t)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

size_t unhex(const char *text, uint8_t *ret)
{
	size_t n = 0;

	for (; *text; text++) {
		if (isspace((unsigned char)*text))
			continue;
		ret[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text++;
	}
	return n;
}

struct adit_addr addr_v4(const char *text)
{
	struct adit_addr a = {
		.octets = {[10] = 0xff, [11] = 0xff}
	    };

	assert_int_equal(inet_pton(AF_INET, text, a.octets + 12), 1);
	return a;
}

struct adit_addr addr_v6(const char *text)
{
	struct adit_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, a.octets), 1);
	return a;
}

struct adit_msg_sa_add sa_message(enum adit_direction direction, uint32_t suite, bool esn)
{
	struct adit_msg_sa_add m = {
		.type = ADIT_MSG_SA_ADD,
		.index = direction == ADIT_OUT ? 1 : 2,
		.spi = TEST_SPI,
		.rule = 7,
		.direction = direction,
		.suite = (uint8_t)suite,
		.esn = esn,
		.locals = 2,
		.remotes = 2,
		.replay_window = 1024,
		.inner_mtu = 1400,
	};
	uint32_t i;

	for (i = 0; i < sizeof(m.key); i++)
		m.key[i] = (uint8_t)(i * 7 + 1);
	for (i = 0; i < sizeof(m.salt); i++)
		m.salt[i] = (uint8_t)(0xa0 + i);
	for (i = 0; i < sizeof(m.integrity_key); i++)
		m.integrity_key[i] = (uint8_t)(i * 3 + 5);
	for (i = 0; i < 2; i++) {
		memset(&m.local_ts[i].max, 0xff, sizeof(m.local_ts[i].max));
		m.local_ts[i].port_max = 0xffff;
		m.local_ts[i].family = i ? 6 : 4;
		m.remote_ts[i] = m.local_ts[i];
	}
	return m;
}

/* One octet pair after the other: nothing in common with checksum.c. */
static uint32_t slow_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t l4_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? (ip[0] & 15) * 4u : 40;
}

static uint32_t protocol_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[9] : ip[6];
}

static uint32_t pseudo(const uint8_t *ip, uint32_t len)
{
	uint32_t sum = len - l4_of(ip) + protocol_of(ip);

	return ip[0] >> 4 == 4 ? slow_sum(ip + 12, 8, sum) : slow_sum(ip + 8, 32, sum);
}

static uint8_t *sum_field(uint8_t *ip)
{
	return ip + l4_of(ip) + (protocol_of(ip) == 6 ? 16 : 6);
}

uint16_t sum_l4(const uint8_t *ip, uint32_t len)
{
	return (uint16_t)~slow_sum(ip + l4_of(ip), len - l4_of(ip), pseudo(ip, len));
}

void store_sum(uint8_t *ip, uint32_t len)
{
	uint16_t sum;

	put16(sum_field(ip), 0);
	sum = sum_l4(ip, len);
	put16(sum_field(ip), sum ? sum : 0xffff);
}

void unfinish(uint8_t *ip, uint32_t len)
{
	put16(sum_field(ip), pseudo(ip, len));
}

bool sums_right(const uint8_t *ip, uint32_t len)
{
	if (ip[0] >> 4 == 4 && slow_sum(ip, l4_of(ip), 0) != 0xffff)
		return false;
	return slow_sum(ip + l4_of(ip), len - l4_of(ip), pseudo(ip, len)) == 0xffff;
}

void sum_header(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~slow_sum(ip, l4_of(ip), 0));
}

static void fill_l4(uint8_t *ip, uint8_t protocol, uint32_t len)
{
	uint8_t *l4 = ip + l4_of(ip);
	uint32_t n = len - l4_of(ip), i;

	for (i = 0; i < n; i++)
		l4[i] = (uint8_t)(i * 31 + len);
	if (n >= 4) {
		put16(l4, 4660);
		put16(l4 + 2, 22136);
	}
	if (protocol == 17 && n >= 8) {
		put16(l4 + 4, n);
		store_sum(ip, len);
	}
	if (protocol == 6 && n >= 20) {
		l4[12] = 0x50;
		l4[13] = 0x10;
		store_sum(ip, len);
	}
}

uint32_t packet_v4(uint8_t *ip, uint8_t protocol, uint32_t len)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, len);
	put16(ip + 4, 0x1234);
	ip[8] = 63;
	ip[9] = protocol;
	inet_pton(AF_INET, "10.1.1.2", ip + 12);
	inet_pton(AF_INET, "10.1.2.2", ip + 16);
	sum_header(ip);
	fill_l4(ip, protocol, len);
	return len;
}

uint32_t packet_v6(uint8_t *ip, uint8_t protocol, uint32_t len)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, len - 40);
	ip[6] = protocol;
	ip[7] = 63;
	inet_pton(AF_INET6, "fd00:1:1::2", ip + 8);
	inet_pton(AF_INET6, "fd00:1:2::2", ip + 24);
	fill_l4(ip, protocol, len);
	return len;
}

static uint32_t outer_v4(uint8_t *ip, bool udp, uint32_t total)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, total);
	put16(ip + 4, 100);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = udp ? 17 : 50;
	inet_pton(AF_INET, "192.0.2.1", ip + 12);
	inet_pton(AF_INET, "198.51.100.1", ip + 16);
	sum_header(ip);
	return 20;
}

static uint32_t outer_v6(uint8_t *ip, bool udp, uint32_t total)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, total - 40);
	ip[6] = udp ? 17 : 50;
	ip[7] = 64;
	inet_pton(AF_INET6, "2001:db8:a::1", ip + 8);
	inet_pton(AF_INET6, "2001:db8:b::1", ip + 24);
	return 40;
}

struct frame seal_frame(uint8_t *chunk, const struct crypt *c, uint32_t id, int outer, bool udp,
			const uint8_t *inner, uint32_t inner_len)
{
	struct frame f = {.data = chunk + 256, .room = 2048 - 256};
	uint32_t ip_len = outer == 4 ? 20 : 40, esp_off = 14 + ip_len + (udp ? 8 : 0);
	uint32_t total = esp_off - 14 + esp_sealed_len(c, inner_len);
	struct adit_note note = {
		.magic = ADIT_NOTE_MAGIC,
		.kind = ADIT_NOTE_SEAL,
		.flags = (uint8_t)((inner[0] >> 4 == 6 ? ADIT_NOTE_INNER_V6 : 0) |
				   (udp && outer == 6 ? ADIT_NOTE_UDP_SUM : 0)),
		.id = id,
		.seal = {.slot = 1,
			 .l3_off = 14,
			 .esp_off = (uint16_t)esp_off,
			 .inner_len = (uint16_t)inner_len},
	};

	memcpy(f.data - sizeof(note), &note, sizeof(note));
	memcpy(f.data, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	put16(f.data + 12, outer == 4 ? 0x0800 : 0x86dd);
	if (outer == 4)
		outer_v4(f.data + 14, udp, total);
	else
		outer_v6(f.data + 14, udp, total);
	if (udp) {
		put16(f.data + esp_off - 8, 4500);
		put16(f.data + esp_off - 6, 4500);
		put16(f.data + esp_off - 4, total - ip_len);
		put16(f.data + esp_off - 2, 0);
	}
	put32(f.data + esp_off, TEST_SPI);
	memset(f.data + esp_off + 4, 0, 4u + c->iv_len);
	memcpy(f.data + esp_off + 8 + c->iv_len, inner, inner_len);
	f.len = esp_off + 8 + c->iv_len + inner_len;
	return f;
}

void turn_round(struct frame *f, uint32_t id, uint8_t tos)
{
	struct adit_note note = {
		.magic = ADIT_NOTE_MAGIC,
		.kind = ADIT_NOTE_OPEN,
		.id = id,
		.open = {.tos = tos},
	};

	frame_skip(f, frame_note(f).seal.esp_off);
	memcpy(f->data - sizeof(note), &note, sizeof(note));
}

static uint64_t state = 88172645463325252ull;

uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

uint32_t rnd_below(uint32_t n)
{
	return rnd() % n;
}
