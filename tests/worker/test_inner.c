// SPDX-License-Identifier: BSD-2-Clause
#include "help.h"

#include "checksum.h"
#include "selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_ECT, ECT_1, ECT_0, CE, DROP };

/* RFC 6040 figure 4: rows inner, columns outer. */
static const uint8_t decap[4][4] = {
	[NOT_ECT] = {[NOT_ECT] = NOT_ECT, [ECT_0] = NOT_ECT, [ECT_1] = NOT_ECT, [CE] = DROP},
	[ECT_0] = {[NOT_ECT] = ECT_0,   [ECT_0] = ECT_0,   [ECT_1] = ECT_1,	[CE] = CE	 },
	[ECT_1] = {[NOT_ECT] = ECT_1,   [ECT_0] = ECT_1,   [ECT_1] = ECT_1,	[CE] = CE	 },
	[CE] = {[NOT_ECT] = CE,	[ECT_0] = CE,      [ECT_1] = CE,	    [CE] = CE  },
};

static void ecn(void **state)
{
	uint8_t ip[64], was[64];
	uint8_t i, o, dscp = 0xb8;
	struct inner in;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (o = 0; o < 4; o++) {
			packet_v4(ip, 17, 40);
			ip[1] = dscp | i;
			sum_header(ip);
			memcpy(was, ip, 40);
			assert_int_equal(inner_parse(ip, 40, &in), 0);
			assert_int_equal(inner_decap_ecn(&in, 0x54 | o), decap[i][o] == DROP ? -EBADMSG : 0);
			assert_int_equal(ip[1], dscp | (decap[i][o] == DROP ? i : decap[i][o]));
			assert_true(sums_right(ip, 40));
			assert_memory_equal(ip + 12, was + 12, 28);

			packet_v6(ip, 17, 60);
			ip[0] = (uint8_t)(0x60 | dscp >> 4);
			ip[1] = (uint8_t)((dscp & 0xf) << 4 | i << 4 | 5);
			memcpy(was, ip, 60);
			assert_int_equal(inner_parse(ip, 60, &in), 0);
			assert_int_equal(inner_decap_ecn(&in, o), decap[i][o] == DROP ? -EBADMSG : 0);
			if (decap[i][o] != DROP)
				was[1] = (uint8_t)((was[1] & 0xcf) | decap[i][o] << 4);
			assert_memory_equal(ip, was, 60);
		}
	}
}

/* Both families, both protocols, all lengths: an unfinished sum becomes right, a right one stays. */
static void checksums(void **state)
{
	static const uint8_t protocols[] = {6, 17};
	uint8_t ip[1600], right[1600];
	struct inner in;
	uint32_t len, p, v;

	(void)state;
	for (v = 4; v <= 6; v += 2) {
		for (p = 0; p < 2; p++) {
			for (len = 60; len <= 1500; len += len < 200 ? 1 : 37) {
				if (v == 4)
					packet_v4(ip, protocols[p], len);
				else
					packet_v6(ip, protocols[p], len);
				assert_true(sums_right(ip, len));
				memcpy(right, ip, len);
				assert_int_equal(inner_parse(ip, len, &in), 0);
				assert_false(inner_finish_checksum(&in));
				assert_memory_equal(ip, right, len);

				unfinish(ip, len);
				assert_true(inner_finish_checksum(&in));
				assert_memory_equal(ip, right, len);
			}
		}
	}
}

static void checksums_left_alone(void **state)
{
	uint8_t ip[200], was[200];
	struct inner in;

	(void)state;
	/* UDP over IPv4 without a checksum */
	packet_v4(ip, 17, 100);
	put16(ip + 26, 0);
	memcpy(was, ip, 100);
	assert_int_equal(inner_parse(ip, 100, &in), 0);
	assert_false(inner_finish_checksum(&in));
	assert_memory_equal(ip, was, 100);

	/* a first fragment: the sum covers what is not here */
	packet_v4(ip, 17, 100);
	unfinish(ip, 100);
	put16(ip + 6, 0x2000);
	sum_header(ip);
	memcpy(was, ip, 100);
	assert_int_equal(inner_parse(ip, 100, &in), 0);
	assert_false(inner_finish_checksum(&in));
	assert_memory_equal(ip, was, 100);

	/* too short for a TCP header */
	packet_v4(ip, 6, 36);
	assert_int_equal(inner_parse(ip, 36, &in), 0);
	assert_false(inner_finish_checksum(&in));
}

/* A sum that comes out as zero is sent as 0xffff by UDP, which knows zero as "none" (RFC 768). */
static void udp_zero(void **state)
{
	uint8_t ip[64];
	struct inner in;
	uint32_t i;

	(void)state;
	packet_v4(ip, 17, 40);
	for (i = 0; i < 65536; i++) {
		put16(ip + 38, i);
		put16(ip + 26, 0);
		if (sum_l4(ip, 40) == 0)
			break;
	}
	assert_int_not_equal(i, 65536);
	unfinish(ip, 40);
	assert_int_equal(inner_parse(ip, 40, &in), 0);
	assert_true(inner_finish_checksum(&in));
	assert_int_equal(get16(ip + 26), 0xffff);
}

static void incremental_update(void **state)
{
	uint8_t ip[64];
	uint32_t i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		uint16_t was, is = (uint16_t)rnd(), sum;

		packet_v4(ip, 17, 40);
		put16(ip + 4, rnd());
		sum_header(ip);
		memcpy(&sum, ip + 10, 2);
		memcpy(&was, ip + 4, 2);
		sum = checksum_replace(sum, was, is);
		memcpy(ip + 4, &is, 2);
		memcpy(ip + 10, &sum, 2);
		assert_int_equal(sum_fold(sum_octets(ip, 20, 0)), 0xffff);
	}
}

static uint32_t syn(uint8_t *ip, int family, const char *options_hex, uint8_t flags)
{
	uint32_t l3 = family == 4 ? 20 : 40, len = l3 + 20, n;
	uint8_t options[40];

	n = (uint32_t)unhex(options_hex, options);
	len += (n + 3) & ~3u;
	if (family == 4)
		packet_v4(ip, 6, len);
	else
		packet_v6(ip, 6, len);
	memset(ip + l3 + 20, 0, len - l3 - 20);
	memcpy(ip + l3 + 20, options, n);
	ip[l3 + 12] = (uint8_t)((len - l3) / 4 << 4);
	ip[l3 + 13] = flags;
	store_sum(ip, len);
	return len;
}

static void mss(void **state)
{
	static const struct {
		const char *options;
		uint8_t flags;
		uint16_t clamp;
		bool lowered;
		const char *after;
	} t[] = {
		{"020405b4",			     0x02, 1300, true,  "02040514"			 },
		{"020405b4",			     0x12, 1300, true,  "02040514"			 }, /* SYN ACK */
		{"020405b4",			     0x10, 1300, false, NULL				    }, /* no SYN */
		{"020405b4",			     0x02, 0,    false, NULL				 }, /* clamp off */
		{"02040500",			     0x02, 1300, false, NULL				    }, /* never raised */
		{"01020405b4",		       0x02, 1300, true,	 "0102040514"			     }, /* at an odd offset */
		{"0402080a0000000100000000020405b4", 0x02, 1300, true,  "0402080a000000010000000002040514"},
		{"0101010101020405b4",	       0x02, 536,  true,
		 "01010101010204"
		 "0218"										   },
		{"",				 0x02, 1300, false, NULL				    },
		{"00020405b4",		       0x02, 1300, false, NULL			      }, /* behind the end */
		{"02030505",			     0x02, 1300, false, NULL				    }, /* a wrong length */
		{"0201",			     0x02, 1300, false, NULL				}, /* shorter than itself */
		{"0800",			     0x02, 1300, false, NULL				}, /* a loop, were it believed */
		{"08ff",			     0x02, 1300, false, NULL				}, /* out of the header */
		{"010102",			   0x02, 1300, false, NULL				  }, /* kind, and no length */
	};
	uint8_t ip[200], was[200];
	struct inner in;
	uint32_t len, v;
	size_t i;

	(void)state;
	for (v = 4; v <= 6; v += 2) {
		for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			len = syn(ip, (int)v, t[i].options, t[i].flags);
			memcpy(was, ip, len);
			assert_int_equal(inner_parse(ip, len, &in), 0);
			assert_int_equal(inner_clamp_mss(&in, t[i].clamp), t[i].lowered);
			assert_true(sums_right(ip, len));
			if (t[i].lowered)
				syn(was, (int)v, t[i].after, t[i].flags);
			assert_memory_equal(ip, was, len);
		}
	}
	/* a data offset beyond the packet */
	len = syn(ip, 4, "020405b4", 0x02);
	ip[32] = 0xf0;
	assert_int_equal(inner_parse(ip, len, &in), 0);
	assert_false(inner_clamp_mss(&in, 1300));
}

static void ttl(void **state)
{
	uint8_t ip[64];
	struct inner in;

	(void)state;
	packet_v4(ip, 17, 40);
	assert_int_equal(inner_parse(ip, 40, &in), 0);
	assert_true(inner_decrement_ttl(&in));
	assert_int_equal(ip[8], 62);
	assert_true(sums_right(ip, 40));
	ip[8] = 1;
	sum_header(ip);
	assert_false(inner_decrement_ttl(&in));
	assert_int_equal(ip[8], 1);

	packet_v6(ip, 17, 60);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_true(inner_decrement_ttl(&in));
	assert_int_equal(ip[7], 62);
	ip[7] = 0;
	assert_false(inner_decrement_ttl(&in));
}

static void parse_v4(void **state)
{
	uint8_t ip[128];
	struct inner in;
	uint32_t n;

	(void)state;
	packet_v4(ip, 17, 60);
	assert_int_equal(inner_parse(ip, 100, &in), 0);
	assert_int_equal(in.len, 60);
	assert_int_equal(in.protocol, 17);
	assert_true(in.has_ports);
	assert_int_equal(in.src_port, 4660);
	assert_int_equal(in.dst_port, 22136);
	assert_false(in.fragment || in.options);
	for (n = 0; n < 60; n++)
		assert_int_equal(inner_parse(ip, n, &in), -EBADMSG);

	ip[10] ^= 1; /* header checksum */
	assert_int_equal(inner_parse(ip, 60, &in), -EBADMSG);

	packet_v4(ip, 17, 60);
	ip[0] = 0x44;
	sum_header(ip);
	assert_int_equal(inner_parse(ip, 60, &in), -EBADMSG);
	ip[0] = 0x55;
	assert_int_equal(inner_parse(ip, 60, &in), -EBADMSG);

	packet_v4(ip, 17, 23); /* no room for ports */
	assert_int_equal(inner_parse(ip, 23, &in), -EBADMSG);
	packet_v4(ip, 47, 20); /* GRE has none */
	assert_int_equal(inner_parse(ip, 20, &in), 0);
	assert_false(in.has_ports);

	packet_v4(ip, 1, 28); /* ICMP: type and code */
	ip[20] = 8;
	ip[21] = 3;
	assert_int_equal(inner_parse(ip, 28, &in), 0);
	assert_int_equal(in.src_port, 0x0803);
	assert_int_equal(in.dst_port, 0x0803);

	packet_v4(ip, 17, 60);
	put16(ip + 6, 0x0001); /* later fragment */
	sum_header(ip);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_true(in.fragment);
	assert_false(in.has_ports);
	put16(ip + 6, 0x2000); /* first */
	sum_header(ip);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_true(in.fragment && in.has_ports);
}

/* next: the chain's first header; ext: headers in hex; then 8 octets of UDP. */
static uint32_t v6_with(uint8_t *ip, uint8_t next, const char *ext)
{
	uint8_t headers[512];
	uint32_t n = (uint32_t)unhex(ext, headers);

	packet_v6(ip, 17, 48 + n);
	memmove(ip + 40 + n, ip + 40, 8);
	memcpy(ip + 40, headers, n);
	ip[6] = next;
	return 48 + n;
}

static void parse_v6(void **state)
{
	static const struct {
		uint8_t next;
		const char *ext;
		int err;
		uint8_t protocol;
		bool ports, fragment, options;
	} t[] = {
		{17, "",				 0,	    17, true,  false, false},
		{0,  "1100000000000000",			0,	   17, true,  false, true },
		{60, "1100000000000000",		 0,	    17, true,  false, false},
		{60, "11010000000000000000000000000000", 0,	    17, true,  false, false},
		{0,
		 "2b00000000000000"
		 "3c00000000000000"
		 "1100000000000000",		     0,	    17, true,  false, true },
		{44, "1100000100000001",		 0,	    17, true,  true,  false}, /* first fragment */
		{44, "1100000900000001",		 0,	    17, false, true,  false}, /* later */
		{44, "1100fff800000001",		 0,	    17, false, true,  false},
		{51,
		 "1101000000000000"
		 "00000000",			     0,	    17, true,  false, false}, /* AH counts in fours */
		{60, "11ff000000000000",		 -EBADMSG, 0,  false, false, false},
		{60,
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "1100000000000000",		     0,	    17, true,  false, false},
		{60,
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "3c00000000000000"
		 "1100000000000000",		     -EBADMSG, 0,  false, false, false},
	};
	uint8_t ip[256];
	struct inner in;
	uint32_t len, n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		len = v6_with(ip, t[i].next, t[i].ext);
		assert_int_equal(inner_parse(ip, len, &in), t[i].err);
		if (t[i].err)
			continue;
		assert_int_equal(in.protocol, t[i].protocol);
		assert_int_equal(in.has_ports, t[i].ports);
		assert_int_equal(in.fragment, t[i].fragment);
		assert_int_equal(in.options, t[i].options);
		if (in.has_ports)
			assert_int_equal(in.dst_port, 22136);
		for (n = 0; n < len; n++)
			assert_int_equal(inner_parse(ip, n, &in), -EBADMSG);
	}
}

/* Whatever stands there: no read beyond len (ASan watches) and a result that is consistent. */
static void noise(void **state)
{
	uint32_t i, n, len;
	struct inner in;
	uint8_t *ip;

	(void)state;
	for (i = 0; i < 200000; i++) {
		len = rnd_below(120);
		ip = malloc(len ? len : 1);
		for (n = 0; n < len; n++)
			ip[n] = (uint8_t)rnd();
		if (len > 20 && rnd_below(2)) {
			ip[0] = 0x60;
			ip[4] = 0;
			ip[5] = (uint8_t)(len > 40 ? len - 40 : 0);
			ip[6] = (uint8_t[]){0, 43, 44, 51, 60, 6, 17, 58}[rnd_below(8)];
			if (len > 41)
				ip[40] = (uint8_t[]){0, 43, 44, 51, 60, 6, 17, 58}[rnd_below(8)];
		} else if (len > 20) {
			ip[0] = (uint8_t)(0x45 + rnd_below(3));
			put16(ip + 2, len);
			if (len >= (ip[0] & 15) * 4u)
				sum_header(ip);
		}
		if (inner_parse(ip, len, &in) == 0) {
			assert_true(in.len <= len && in.l4_off <= in.len);
			inner_finish_checksum(&in);
			inner_clamp_mss(&in, 100);
			inner_decrement_ttl(&in);
			inner_decap_ecn(&in, (uint8_t)rnd());
		}
		free(ip);
	}
}

static struct adit_selector side_v4(const char *min, const char *max, uint8_t protocol, uint16_t from,
				    uint16_t to)
{
	return (struct adit_selector){.min = addr_v4(min),
				      .max = addr_v4(max),
				      .port_min = from,
				      .port_max = to,
				      .protocol = protocol,
				      .family = 4};
}

static struct adit_selector side_v6(const char *min, const char *max)
{
	return (struct adit_selector){
		.min = addr_v6(min), .max = addr_v6(max), .port_max = 65535, .family = 6};
}

static void selectors(void **state)
{
	struct adit_msg_sa_add m = {.locals = 2, .remotes = 2};
	struct selectors s;
	uint8_t ip[128];
	struct inner in;

	(void)state;
	m.remote_ts[0] = side_v4("10.1.1.0", "10.1.1.255", 0, 0, 65535);
	m.remote_ts[1] = side_v6("fd00:1:1::", "fd00:1:1::ff");
	m.local_ts[0] = side_v4("10.1.2.0", "10.1.2.255", 17, 22136, 22136);
	m.local_ts[1] = side_v6("fd00:1:2::", "fd00:1:2::2");
	assert_int_equal(selectors_set(&s, &m), 0);

	packet_v4(ip, 17, 60);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_true(selectors_admit(&s, &in));
	ip[15]++; /* 10.1.1.3 */
	assert_true(selectors_admit(&s, &in));
	ip[14]++; /* 10.1.2.3: not remote */
	assert_false(selectors_admit(&s, &in));

	packet_v4(ip, 17, 60);
	put16(ip + 22, 22137);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_false(selectors_admit(&s, &in));
	put16(ip + 6, 5); /* a later fragment has no port to be wrong */
	sum_header(ip);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_true(selectors_admit(&s, &in));
	ip[9] = 6; /* but a protocol */
	sum_header(ip);
	assert_int_equal(inner_parse(ip, 60, &in), 0);
	assert_false(selectors_admit(&s, &in));

	packet_v6(ip, 6, 80);
	assert_int_equal(inner_parse(ip, 80, &in), 0);
	assert_true(selectors_admit(&s, &in));
	ip[39] = 3; /* fd00:1:2::3 is one too many */
	assert_false(selectors_admit(&s, &in));

	s.locals = 0; /* fail closed */
	ip[39] = 2;
	assert_false(selectors_admit(&s, &in));
	m.remotes = ADIT_WORKER_TS_MAX + 1;
	assert_int_equal(selectors_set(&s, &m), -EINVAL);
}

/* Family is part of a selector: a range of IPv6 addresses that spans the mapped ones admits no IPv4 for that, and an
 * IPv4 one no IPv6 packet with mapped addresses. */
static void families(void **state)
{
	static const struct {
		const char *min, *max;
		bool v6; /* admits an IPv6 packet, mapped addresses in it and all */
	} t[] = {
		{"::",	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true }, /* ::/0 */
		{"::",	       "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",	true }, /* /8 */
		{"::",	       "::ffff:ffff:ffff:ffff",			true }, /* /64 */
		{"::",	       "::1:ffff:ffff:ffff",			     true }, /* /79 */
		{"::",	       "::ffff:ffff:ffff",			   true }, /* /80: ends on a mapped address */
		{"::",	       "::7fff:ffff:ffff",			   false}, /* /81: ends before them */
		{"::fffe:ffff:ffff", "::1:0:0:0",				  true }, /* a range around them */
		{"::ffff:10.0.0.0",  "::ffff:10.255.255.255",		     true },
	};
	struct adit_msg_sa_add m = {.locals = 1, .remotes = 1};
	uint8_t v4[128], v6[128];
	struct inner in4, in6;
	struct selectors s;
	size_t i;

	(void)state;
	packet_v4(v4, 17, 60);
	assert_int_equal(inner_parse(v4, 60, &in4), 0);
	packet_v6(v6, 17, 60);
	memcpy(v6 + 8, addr_v4("10.1.1.2").octets, 16);
	memcpy(v6 + 24, addr_v4("10.1.2.2").octets, 16);
	assert_int_equal(inner_parse(v6, 60, &in6), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		m.remote_ts[0] = m.local_ts[0] = side_v6(t[i].min, t[i].max);
		assert_int_equal(selectors_set(&s, &m), 0);
		assert_false(selectors_admit(&s, &in4));
		assert_int_equal(selectors_admit(&s, &in6), t[i].v6);
	}
	m.remote_ts[0] = m.local_ts[0] = side_v4("0.0.0.0", "255.255.255.255", 0, 0, 65535);
	assert_int_equal(selectors_set(&s, &m), 0);
	assert_true(selectors_admit(&s, &in4));
	assert_false(selectors_admit(&s, &in6));
	m.local_ts[0].family = 0; /* forgotten: fail closed */
	assert_int_equal(selectors_set(&s, &m), 0);
	assert_false(selectors_admit(&s, &in4));
}

/* ---- ICMP errors --------------------------------------------------------------------------- */

/* The quote: from our side (10.1.2.2, fd00:1:2::2) to the other, n octets of it. */
static uint32_t quote_of(uint8_t *q, int family, uint8_t protocol, uint32_t n)
{
	uint8_t address[16];

	if (family == 4) {
		packet_v4(q, protocol, 200);
		memcpy(address, q + 12, 4);
		memcpy(q + 12, q + 16, 4);
		memcpy(q + 16, address, 4);
	} else {
		packet_v6(q, protocol, 200);
		memcpy(address, q + 8, 16);
		memcpy(q + 8, q + 24, 16);
		memcpy(q + 24, address, 16);
	}
	return n;
}

/* An error to our side by a router over there that no selector knows. */
static uint32_t error_by_router(uint8_t *ip, int family, uint8_t type, const uint8_t *q, uint32_t n)
{
	uint32_t header = family == 4 ? 20 : 40, len = header + 8 + n;

	if (family == 4) {
		packet_v4(ip, 1, len);
		memcpy(ip + 12, "\xac\x10\0\1", 4);
		sum_header(ip);
	} else {
		packet_v6(ip, 58, len);
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	}
	memset(ip + header, 0, 8);
	ip[header] = type;
	memcpy(ip + header + 8, q, n);
	return len;
}

static struct selectors both_lans(uint8_t protocol, uint16_t local_port, uint16_t remote_port)
{
	struct adit_msg_sa_add m = {.locals = 2, .remotes = 2};
	struct selectors s;
	int i;

	m.remote_ts[0] = side_v4("10.1.1.0", "10.1.1.255", protocol, 0, 65535);
	m.remote_ts[1] = side_v6("fd00:1:1::", "fd00:1:1::ff");
	m.local_ts[0] = side_v4("10.1.2.0", "10.1.2.255", protocol, 0, 65535);
	m.local_ts[1] = side_v6("fd00:1:2::", "fd00:1:2::ff");
	for (i = 0; i < 2; i++) {
		m.remote_ts[i].protocol = m.local_ts[i].protocol = protocol;
		if (remote_port)
			m.remote_ts[i].port_min = m.remote_ts[i].port_max = remote_port;
		if (local_port)
			m.local_ts[i].port_min = m.local_ts[i].port_max = local_port;
	}
	assert_int_equal(selectors_set(&s, &m), 0);
	return s;
}

static bool admitted(const struct selectors *s, uint8_t *ip, uint32_t len)
{
	/* exactly as long as it is, for the sanitizer */
	uint8_t *copy = malloc(len);
	struct inner in;
	bool yes;

	assert_non_null(copy);
	memcpy(copy, ip, len);
	assert_int_equal(inner_parse(copy, len, &in), 0);
	yes = selectors_admit(s, &in);
	free(copy);
	return yes;
}

/* RFC 4301 6.2: an error from outside the selectors comes in when what it quotes, turned round, lies inside. */
static void errors_come_in_for_their_quote(void **state)
{
	static const struct {
		int family;
		uint8_t type;
		bool admitted;
	} t[] = {
		{4, 3,   true },
		 {4, 4,	true },
		  {4, 5,	 true },
		  {4, 11,  true },
		   {4, 12,  true },
		{4, 0,   false},
		 {4, 8,	false},
		  {4, 13,  false},
		  {6, 1,	 true },
		   {6, 2,	  true },
		{6, 3,   true },
		 {6, 4,	true },
		  {6, 127, true },
		  {6, 128, false},
		   {6, 129, false},
		{6, 134, false},
		 {6, 137, false},
	};
	struct selectors s = both_lans(0, 0, 0), tcp = both_lans(6, 0, 0);
	uint8_t ip[512], q[256];
	uint32_t len, n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		n = quote_of(q, t[i].family, 6, 64);
		len = error_by_router(ip, t[i].family, t[i].type, q, n);
		assert_int_equal(admitted(&s, ip, len), t[i].admitted);
		/* the SA is for TCP alone, and so is the error: also from within the LAN */
		assert_int_equal(admitted(&tcp, ip, len), t[i].admitted);
		n = quote_of(q, t[i].family, 17, 64);
		len = error_by_router(ip, t[i].family, t[i].type, q, n);
		assert_false(admitted(&tcp, ip, len));
	}
}

/* octets: written over the quote at off. */
static void errors_about_something_else(void **state)
{
	static const struct {
		int family;
		uint32_t off;
		const char *octets;
		bool admitted;
	} t[] = {
		{4, 0,  "45",			       true },
		{4, 12, "0a010203",			    false}, /* 10.1.2.3 sent it, but 10.1.2.2 is told */
		{4, 12, "0a010102",			    false}, /* as it came from there */
		{4, 16, "0a010104",			    true },
		{4, 16, "0a010304",			    false}, /* to somewhere outside of the SA */
		{4, 0,  "65",			       false}, /* another version */
		{4, 0,  "44",			       false}, /* header too short */
		{4, 0,  "4f",			       true }, /* with 40 octets of options: ports behind them */
		{4, 2,  "0010",			       false}, /* total length shorter than the header */
		{4, 2,  "ffff",			       true }, /* longer than the quote: they all are */
		{4, 6,  "00b9",			       true }, /* a later fragment */
		{4, 10, "dead",				true }, /* checksum of another hop limit */
		{6, 0,  "45",			       false},
		{6, 8,  "fd0000010002000000000000000000ff", false},
		{6, 24, "fd000001000100000000000000000001", true },
		{6, 24, "fd000001000300000000000000000001", false},
		{6, 4,  "ffff",			       true },
		{6, 6,  "2c",			       true }, /* fragment header, made of the UDP one: not the first */
		{6, 6,  "00",			       false}, /* hop-by-hop options that end nowhere */
	};
	struct selectors s = both_lans(0, 0, 0);
	uint8_t ip[512], q[256];
	uint32_t len, n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		n = quote_of(q, t[i].family, 17, 100);
		if (t[i].family == 6)
			q[41] = 0xff; /* the length, should that header be options */
		unhex(t[i].octets, q + t[i].off);
		len = error_by_router(ip, t[i].family, t[i].family == 4 ? 3 : 1, q, n);
		if (admitted(&s, ip, len) != t[i].admitted)
			fail_msg("row %zu", i);
	}
}

/* Header and eight octets at the least; behind them the quote may end where it likes. */
static void cut_quotes(void **state)
{
	struct selectors s = both_lans(17, 4660, 0);
	uint8_t ip[512], q[256], ports[4];
	uint32_t header, n, len;
	int family;

	(void)state;
	for (family = 4; family <= 6; family += 2) {
		header = family == 4 ? 20 : 40;
		quote_of(q, family, 17, 200);
		memcpy(ports, q + header, 4);
		for (n = 0; n <= 200; n++) {
			len = error_by_router(ip, family, family == 4 ? 3 : 1, q, n);
			assert_int_equal(admitted(&s, ip, len), n >= header + 8);
		}
		/* its own ports and not those of the way back */
		memcpy(q + header, ports + 2, 2);
		memcpy(q + header + 2, ports, 2);
		len = error_by_router(ip, family, family == 4 ? 3 : 1, q, 100);
		assert_false(admitted(&s, ip, len));
	}
	/* a packet that was no longer than that */
	quote_of(q, 4, 17, 0);
	put16(q + 2, 24);
	len = error_by_router(ip, 4, 3, q, 24);
	assert_true(admitted(&s, ip, len));
	len = error_by_router(ip, 4, 3, q, 23);
	assert_false(admitted(&s, ip, len));
}

/* Noise in the place of the quote: nothing is read that is not there. */
static void noise_as_quote(void **state)
{
	struct selectors s = both_lans(0, 0, 0);
	uint8_t ip[512], q[256];
	uint32_t i, j, n;
	int family;

	(void)state;
	for (i = 0; i < 20000; i++) {
		family = i & 1 ? 4 : 6;
		n = quote_of(q, family, 17, rnd_below(120));
		for (j = 0; j < 6; j++)
			q[rnd_below(80)] = (uint8_t)rnd();
		admitted(&s, ip, error_by_router(ip, family, family == 4 ? 3 : 1, q, n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_in_for_their_quote),
		cmocka_unit_test(errors_about_something_else),
		cmocka_unit_test(cut_quotes),
		cmocka_unit_test(noise_as_quote),
		cmocka_unit_test(ecn),
		cmocka_unit_test(checksums),
		cmocka_unit_test(checksums_left_alone),
		cmocka_unit_test(udp_zero),
		cmocka_unit_test(incremental_update),
		cmocka_unit_test(mss),
		cmocka_unit_test(ttl),
		cmocka_unit_test(parse_v4),
		cmocka_unit_test(parse_v6),
		cmocka_unit_test(noise),
		cmocka_unit_test(selectors),
		cmocka_unit_test(families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
