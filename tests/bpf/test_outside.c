// SPDX-License-Identifier: BSD-2-Clause
/* adit_outside: what arrives on a policy interface. */
#include "bed.h"

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#define SPI	  0x11223344u
#define SA_INDEX  17
#define ESP_PROTO 50

static const uint8_t remote_mac[6] = {2, 0, 0, 0, 0, 0xfe};

static struct result outside(const struct frame *f)
{
	return bed_xdp(bed.skel->progs.adit_outside, f, bed.wan);
}

static void start(struct frame *f, uint16_t vlan)
{
	frame_eth(f, bed.wan_mac, remote_mac);
	if (vlan)
		frame_vlan(f, vlan);
}

static void esp(struct frame *f, const char *src, const char *dst, uint32_t spi, size_t len)
{
	start(f, 0);
	frame_ip(f, src, dst, ESP_PROTO);
	frame_be32(f, spi);
	frame_fill(f, len - 4);
	frame_finish(f);
}

static void udp(struct frame *f, const char *src, const char *dst, uint16_t dport, const void *payload,
		size_t len)
{
	start(f, 0);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 31000, dport);
	frame_octets(f, payload, len);
	frame_finish(f);
}

static void esp_in_udp(struct frame *f, const char *src, const char *dst, uint32_t spi, size_t len)
{
	start(f, 0);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 31000, 4500);
	frame_be32(f, spi);
	frame_fill(f, len - 4);
	frame_finish(f);
}

static void expect(const struct frame *f, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = outside(f);
	assert_int_equal(r.verdict, verdict);
	expect_reason(why, 0);
	if (verdict != XDP_PASS)
		return;
	assert_int_equal(r.len, f->len);
	assert_memory_equal(r.b, f->b, f->len);
}

/* The frame must now be ESP alone, the note in front of it. */
static void expect_open(const struct frame *f, size_t esp_at, size_t esp_len, const char *peer, uint16_t port,
			uint8_t tos)
{
	struct adit_addr from = addr_of(peer);
	struct adit_note note;
	struct result r;
	const uint8_t *out;
	size_t len;

	reasons_mark();
	r = outside(f);
	assert_int_equal(r.verdict, XDP_REDIRECT);
	expect_reason(ADIT_TO_WORKER_OPEN, 0);
	note = result_note(&r);
	assert_int_equal(note.kind, ADIT_NOTE_OPEN);
	assert_int_equal(note.id, SA_INDEX);
	assert_int_equal(note.open.peer_port, port);
	assert_int_equal(note.open.tos, tos);
	assert_memory_equal(&note.open.peer, &from, 16);
	out = result_frame(&r, &len);
	assert_int_equal(len, esp_len);
	assert_memory_equal(out, f->b + esp_at, esp_len);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.77/32", 0),
		rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(3, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
		rule_of(4, ADIT_PROTECT, "192.0.2.1/32", "198.51.100.0/24", 0),
	};

	if (bed_reset(state))
		return 0;
	bed_rules(rules, 4);
	bed_sa_in(SPI, SA_INDEX, OUR4);
	bed_sa_in(SPI + 1, SA_INDEX, OUR6);
	return 0;
}

static void opens_esp(void **state)
{
	struct frame f;

	bed_needed(state);
	esp(&f, PEER4, OUR4, SPI, 24);
	expect_open(&f, 34, 24, PEER4, 0, 0);
	esp(&f, PEER4, OUR4, SPI, 1480);
	f.b[15] = 0xb9;
	frame_fix_ip(&f);
	expect_open(&f, 34, 1480, PEER4, 0, 0xb9);
	esp(&f, PEER6, OUR6, SPI + 1, 60);
	f.b[14] = 0x6b;
	f.b[15] = 0x90;
	expect_open(&f, 54, 60, PEER6, 0, 0xb9);
	esp_in_udp(&f, PEER4, OUR4, SPI, 64);
	expect_open(&f, 42, 64, PEER4, 31000, 0);
	esp_in_udp(&f, PEER6, OUR6, SPI + 1, 64);
	expect_open(&f, 62, 64, PEER6, 31000, 0);
}

/* Padding of short Ethernet frames, and octets that the UDP length leaves out, are not ESP. */
static void opens_exact_lengths(void **state)
{
	struct frame f;

	bed_needed(state);
	esp(&f, PEER4, OUR4, SPI, 24);
	frame_pad(&f, 18);
	expect_open(&f, 34, 24, PEER4, 0, 0);
	esp_in_udp(&f, PEER4, OUR4, SPI, 40);
	put16(f.b + 38, 8 + 36);
	expect_open(&f, 42, 36, PEER4, 31000, 0);
}

static void opens_options_and_tags(void **state)
{
	struct frame f;

	bed_needed(state);
	start(&f, 0);
	frame_ip(&f, PEER4, OUR4, ESP_PROTO);
	f.b[14] = 0x47;
	frame_octets(&f, "\1\1\1\1\1\1\1\0", 8);
	frame_be32(&f, SPI);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect_open(&f, 42, 32, PEER4, 0, 0);

	start(&f, 7);
	frame_ip(&f, PEER4, OUR4, ESP_PROTO);
	frame_be32(&f, SPI);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect_open(&f, 38, 32, PEER4, 0, 0);
	/* priority tag in front of the VLAN's */
	start(&f, 0);
	frame_vlan(&f, 0);
	frame_vlan(&f, 7);
	frame_ip(&f, PEER4, OUR4, ESP_PROTO);
	frame_be32(&f, SPI);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect_open(&f, 42, 32, PEER4, 0, 0);
	/* a tag that is no port of ours, and two of them */
	start(&f, 8);
	frame_ip(&f, PEER4, OUR4, ESP_PROTO);
	frame_be32(&f, SPI);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
	put16(f.b + 14, 7);
	start(&f, 7);
	frame_vlan(&f, 9);
	frame_ip(&f, PEER4, OUR4, ESP_PROTO);
	frame_be32(&f, SPI);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);

	/* IPv6: hop-by-hop and destination options in front of ESP */
	start(&f, 0);
	frame_ip(&f, PEER6, OUR6, 0);
	frame_octets(&f, "\x3c\0\1\4\0\0\0\0", 8);
	frame_octets(&f, "\x32\1\1\4\0\0\0\0\1\4\0\0\0\0\0\0", 16);
	frame_be32(&f, SPI + 1);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect_open(&f, 14 + 40 + 24, 32, PEER6, 0, 0);
}

static void passes_ike(void **state)
{
	struct frame f;

	bed_needed(state);
	udp(&f, "203.0.113.7", OUR4, 500, "0123456789", 10);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	udp(&f, PEER6, OUR6, 500, "0123456789", 10);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	udp(&f, PEER4, OUR4, 4500, "\0\0\0\0abcdefgh", 12);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	udp(&f, PEER4, OUR4, 4500, "\0\0\0\0", 4);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	/* a rule covers peer and us; IKE still comes in, other UDP does not */
	udp(&f, PEER4, OUR4, 53, "x", 1);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	/* port 500 is no way around the policy for a host behind us */
	udp(&f, FAR4, LAN4, 500, "x", 1);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	udp(&f, FAR4, LAN4, 4500, "\0\0\0\0x", 5);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
}

static void takes_keepalives(void **state)
{
	struct frame f;

	bed_needed(state);
	udp(&f, PEER4, OUR4, 4500, "\xff", 1);
	frame_pad(&f, 17);
	expect(&f, XDP_DROP, ADIT_DROP_KEEPALIVE);
	udp(&f, PEER6, OUR6, 4500, "\xff", 1);
	expect(&f, XDP_DROP, ADIT_DROP_KEEPALIVE);
	udp(&f, PEER4, OUR4, 4500, "\xfe", 1);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	udp(&f, PEER4, OUR4, 4500, "\xff\xff", 2);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	udp(&f, PEER4, OUR4, 4500, "", 0);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	/* somebody else's, on its way through */
	udp(&f, "203.0.113.7", LAN4, 4500, "\xff", 1);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
}

static int one_event(void *ctx, void *data, size_t len)
{
	assert_int_equal(len, sizeof(struct adit_event));
	memcpy(ctx, data, len);
	return 0;
}

static void refuses_unknown_spi(void **state)
{
	struct adit_addr us = addr_of(OUR4), peer = addr_of(PEER4);
	struct adit_event event = {0};
	struct ring_buffer *rb;
	struct frame f;
	int i, n;

	bed_needed(state);
	rb = ring_buffer__new(bpf_map__fd(bed.skel->maps.events), one_event, &event, NULL);
	assert_non_null(rb);
	for (i = 0; i < 5; i++) {
		esp_in_udp(&f, PEER4, OUR4, 0xdeadbeef, 64);
		expect(&f, XDP_DROP, ADIT_DROP_UNKNOWN_SPI);
	}
	n = ring_buffer__consume(rb);
	assert_in_range(n, 1, 2); /* limited; two when a window ended meanwhile */
	assert_int_equal(event.kind, ADIT_EVENT_UNKNOWN_SPI);
	assert_int_equal(event.spi, 0xdeadbeef);
	assert_memory_equal(&event.src, &peer, 16);
	assert_memory_equal(&event.dst, &us, 16);
	assert_int_equal(event.src_port, 31000);
	assert_int_equal(event.dst_port, 4500);
	assert_int_equal(event.ifindex, bed.wan);
	ring_buffer__free(rb);
	esp(&f, PEER6, OUR6, 0xdeadbeef, 64);
	expect(&f, XDP_DROP, ADIT_DROP_UNKNOWN_SPI);
	/* our SPI, but of the SA of another of our addresses */
	esp(&f, PEER6, OUR6, SPI, 64);
	expect(&f, XDP_DROP, ADIT_DROP_UNKNOWN_SPI);
	/* RFC 4303 2.1: SPI 1..255 are reserved, 0 is nobody's */
	esp(&f, PEER4, OUR4, 0, 64);
	expect(&f, XDP_DROP, ADIT_DROP_UNKNOWN_SPI);
}

static void passes_transit_esp(void **state)
{
	struct frame f;

	bed_needed(state);
	esp(&f, "203.0.113.7", LAN4, SPI, 64); /* same SPI as ours by chance */
	expect(&f, XDP_PASS, ADIT_PASS_TRANSIT_ESP);
	esp_in_udp(&f, "203.0.113.7", LAN4, 0xdeadbeef, 64);
	expect(&f, XDP_PASS, ADIT_PASS_TRANSIT_ESP);
	esp(&f, PEER6, LAN6, SPI + 1, 64);
	expect(&f, XDP_PASS, ADIT_PASS_TRANSIT_ESP);
}

/* What only looks like ESP is clear text like any other when it is for a host that policy protects. */
static void rechecks_transit_esp(void **state)
{
	struct frame f;

	bed_needed(state);
	esp_in_udp(&f, FAR4, LAN4, 0xdeadbeef, 64);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	esp_in_udp(&f, FAR6, LAN6, 0xdeadbeef, 64);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	esp(&f, FAR4, LAN4, SPI, 64);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	put16(f.b + 20, 0x2000); /* in pieces too */
	frame_fix_ip(&f);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	put16(f.b + 20, 0x00b9);
	frame_fix_ip(&f);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	/* a rule covers peer and us; ESP for us is never clear text, whole or not */
	esp(&f, PEER4, OUR4, 0xdeadbeef, 64);
	expect(&f, XDP_DROP, ADIT_DROP_UNKNOWN_SPI);
	put16(f.b + 20, 0x00b9);
	frame_fix_ip(&f);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
}

static void refuses_bad_lengths(void **state)
{
	struct frame f;
	size_t n;

	bed_needed(state);
	for (n = 8; n < 24; n += 4) {
		esp(&f, PEER4, OUR4, SPI, n);
		expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	}
	esp(&f, PEER4, OUR4, SPI, 4);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	for (n = 25; n < 28; n++) {
		esp(&f, PEER4, OUR4, SPI, n);
		expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	}
	esp(&f, PEER4, OUR4, SPI, 32); /* header length 4 words */
	f.b[14] = 0x44;
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	esp(&f, PEER4, OUR4, SPI, 32); /* version */
	f.b[14] = 0x65;
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	esp(&f, PEER4, OUR4, SPI, 32); /* total length below the header's, and above the frame's */
	put16(f.b + 16, 19);
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	put16(f.b + 16, 53);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	put16(f.b + 16, 65535);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	esp(&f, PEER6, OUR6, SPI + 1, 32);
	put16(f.b + 18, 33);
	expect(&f, XDP_DROP, ADIT_DROP_RUNT);
	esp_in_udp(&f, PEER4, OUR4, SPI, 64); /* UDP lengths */
	put16(f.b + 38, 73);
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	put16(f.b + 38, 7);
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
	put16(f.b + 38, 0);
	expect(&f, XDP_DROP, ADIT_DROP_MALFORMED);
}

static void leaves_fragments_to_the_kernel(void **state)
{
	struct frame f;

	bed_needed(state);
	esp(&f, PEER4, OUR4, SPI, 64);
	put16(f.b + 20, 0x2000);
	frame_fix_ip(&f);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	put16(f.b + 20, 0x00b9);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	esp_in_udp(&f, PEER4, OUR4, SPI, 64);
	put16(f.b + 20, 0x2000);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	put16(f.b + 20, 0x00b9);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	/* clear text does not become harmless by being cut in pieces */
	udp(&f, FAR4, LAN4, 53, "hello world", 11);
	put16(f.b + 20, 0x2000);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	put16(f.b + 20, 0x0001);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	udp(&f, "203.0.113.7", LAN4, 53, "hello world", 11);
	put16(f.b + 20, 0x2000);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	/* IPv6, an atomic fragment included (RFC 6946) */
	start(&f, 0);
	frame_ip(&f, PEER6, OUR6, 44);
	frame_octets(&f, "\x32\0\0\0\0\0\0\1", 8);
	frame_be32(&f, SPI + 1);
	frame_fill(&f, 28);
	frame_finish(&f);
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
	f.b[56] = 0x10;
	expect(&f, XDP_PASS, ADIT_PASS_FRAGMENT);
}

static void rechecks_clear_text(void **state)
{
	static const struct {
		const char *src, *dst;
		enum adit_reason why;
	} t[] = {
		{FAR4,	       LAN4,	     ADIT_DROP_FRONT_RECHECK},
		{"10.1.2.77",      LAN4,	    ADIT_PASS_RULE	  }, /* an earlier rule lets it pass */
		{"10.1.3.1",	     LAN4,	   ADIT_PASS_CLEAR	  },
		{FAR4,	       "10.1.9.9", ADIT_PASS_CLEAR	  },
		{FAR6,	       LAN6,	     ADIT_DROP_FRONT_RECHECK},
		{"2001:db8:23::1", LAN6,	 ADIT_PASS_CLEAR	},
		{LAN4,	       FAR4,	     ADIT_PASS_CLEAR	    }, /* our own rule the wrong way round */
	};
	struct frame f;
	size_t i;
	int again;

	bed_needed(state);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (again = 0; again < 2; again++) {
			udp(&f, t[i].src, t[i].dst, 53, "hello", 5);
			expect(&f, t[i].why == ADIT_DROP_FRONT_RECHECK ? XDP_DROP : XDP_PASS, t[i].why);
		}
}

/* RFC 4301 5.2 step 3: "drop" means what comes in as well. */
static void discards_what_comes_in(void **state)
{
	static const char *const families[][3] = {
		{FAR4, LAN4, "10.1.9.9"      },
		  {FAR6, LAN6, "2001:db8:99::9"}
	};
	struct adit_rule rules[] = {
		rule_of(1, ADIT_DISCARD, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(2, ADIT_DISCARD, "2001:db8:11::/64", "2001:db8:22::/64", 0),
	};
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < 2; i++) {
		bed.rest = ADIT_REST_BYPASS;
		bed_rules(rules, 2);
		udp(&f, families[i][0], families[i][1], 53, "hello", 5);
		expect(&f, XDP_DROP, ADIT_DROP_RULE);
		udp(&f, families[i][0], families[i][2], 53, "hello", 5);
		expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
		bed.rest = ADIT_REST_DISCARD;
		bed_rules(rules, 2);
		expect(&f, XDP_DROP, ADIT_DROP_UNMATCHED);
	}
	/* IKE to us needs no rule (RFC 4301 4.4.1); through us it does */
	udp(&f, PEER4, OUR4, 500, "0123456789", 10);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	udp(&f, PEER4, LAN4, 500, "0123456789", 10);
	expect(&f, XDP_DROP, ADIT_DROP_UNMATCHED);
}

/* An ifindex that nobody wrote a row for is a bond's member, or an interface that comes back: not "no rule". */
static void drops_what_no_row_knows(void **state)
{
	struct adit_port port;
	struct frame f;

	bed_needed(state);
	port = bed_port_get(bed.wan);
	bpf_map_delete_elem(bpf_map__fd(bed.skel->maps.ports), &bed.wan);
	udp(&f, "10.1.3.1", LAN4, 53, "hello", 5);
	expect(&f, XDP_DROP, ADIT_DROP_NO_POLICY);
	port.policy = 1; /* one that has no rows */
	bed_port(bed.wan, &port);
	expect(&f, XDP_DROP, ADIT_DROP_NO_POLICY);
	port.policy = 0; /* below a VLAN device of ours, or a VLAN beside it */
	port.role = ADIT_ROLE_CARRIER;
	bed_port(bed.wan, &port);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
}

static void recheck_follows_the_policy(void **state)
{
	struct adit_rule rule = rule_of(9, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct adit_rule any[] = {rule_of(1, ADIT_PROTECT, "0.0.0.0/0", "0.0.0.0/0", 0),
				  rule_of(2, ADIT_PROTECT, "::/0", "::/0", 0)};
	struct frame f;

	bed_needed(state);
	udp(&f, FAR4, LAN4, 53, "hello", 5);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	bed_rules(&rule, 1);
	expect(&f, XDP_PASS, ADIT_PASS_RULE);
	rule.action = ADIT_PROTECT;
	rule.policy = POLICY_VLAN;
	bed_rules(&rule, 1);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
	rule.policy = POLICY_WAN;
	bed_rules(&rule, 1);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);

	/* what keeps the link alive passes under any policy */
	bed_rules(any, 2);
	udp(&f, FAR4, LAN4, 53, "hello", 5);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	udp(&f, "192.0.2.7", "224.0.0.5", 53, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, "0.0.0.0", "255.255.255.255", 67, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, "fe80::1", "fe80::2", 547, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_LINK_LOCAL);
	start(&f, 0);
	frame_ip(&f, "2001:db8:1::fe", OUR6, IPPROTO_ICMPV6);
	frame_icmp(&f, 136, 0);
	frame_fill(&f, 24);
	f.b[21] = 255;
	frame_finish(&f);
	expect(&f, XDP_PASS, ADIT_PASS_DISCOVERY);
	f.b[21] = 64; /* RFC 4861 7.1: from behind a router it is a lie */
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
}

/* Linux forwards from and to 169.254/16 as from and to any other network, and adit_egress protects it. */
static void rechecks_link_local_v4(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "0.0.0.0/0", 0),
		rule_of(2, ADIT_PROTECT, "169.254.0.0/16", "10.1.2.0/24", 0),
	};
	struct frame f;

	bed_needed(state);
	udp(&f, "169.254.7.7", LAN4, 53, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
	bed_rules(rules, 2);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	udp(&f, FAR4, "169.254.7.7", 53, "hello", 5);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	udp(&f, "169.254.7.7", "224.0.0.251", 5353, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_LINK_LOCAL);
}

/* Rules that are being exchanged let nothing in either, but what is for us whatever they say. */
static void waits_for_all_rules(void **state)
{
	struct adit_rule rule = rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct frame f;

	bed_needed(state);
	bed_rules(&rule, 1);
	bed_rule_row(0, NULL);
	udp(&f, PEER4, OUR4, 500, "0123456789", 10);
	expect(&f, XDP_PASS, ADIT_PASS_IKE);
	udp(&f, FAR4, LAN4, 500, "0123456789", 10);
	expect(&f, XDP_DROP, ADIT_DROP_RULES_CHANGE);
	udp(&f, FAR4, LAN4, 53, "hello", 5);
	expect(&f, XDP_DROP, ADIT_DROP_RULES_CHANGE);
	put16(f.b + 20, 0x2000);
	frame_fix_ip(&f);
	expect(&f, XDP_DROP, ADIT_DROP_RULES_CHANGE);
	esp_in_udp(&f, FAR4, LAN4, 0xdeadbeef, 64);
	expect(&f, XDP_DROP, ADIT_DROP_RULES_CHANGE);
	bed_rule_row(0, &rule);
	expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
}

/* A tagged frame is judged by the rules of the VLAN device. */
static void rechecks_vlans_apart(void **state)
{
	struct adit_rule rule = rule_of(9, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct frame f, tagged;

	bed_needed(state);
	rule.policy = POLICY_VLAN;
	bed_rules(&rule, 1);
	udp(&f, FAR4, LAN4, 53, "hello", 5);
	expect(&f, XDP_PASS, ADIT_PASS_CLEAR);
	start(&tagged, 7);
	frame_octets(&tagged, f.b + 14, f.len - 14);
	put16(tagged.b + 16, 0x0800);
	expect(&tagged, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	put16(tagged.b + 14, 8);
	expect(&tagged, XDP_PASS, ADIT_PASS_CLEAR);
}

/* The VLAN device is 802.1Q 7.  802.1ad 7 is another VLAN, unless it is the device's. */
static void tells_kinds_of_tags_apart(void **state)
{
	static const uint16_t types[] = {ETH_P_8021Q, ETH_P_8021AD};
	struct adit_rule rule = rule_of(9, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct adit_vlan_key key = {.lower_ifindex = (uint32_t)bed.wan};
	int fd = bpf_map__fd(bed.skel->maps.vlan_ports);
	struct frame f, whole;
	size_t own, is;

	bed_needed(state);
	rule.policy = POLICY_VLAN;
	bed_rules(&rule, 1);
	udp(&whole, FAR4, LAN4, 53, "hello", 5);
	for (own = 0; own < 2; own++) {
		key.tag = ADIT_TAG(types[!own], 7);
		bpf_map_delete_elem(fd, &key);
		key.tag = ADIT_TAG(types[own], 7);
		assert_int_equal(bpf_map_update_elem(fd, &key, &bed.vlan, BPF_ANY), 0);
		for (is = 0; is < 2; is++) {
			start(&f, 0);
			frame_tag(&f, types[is], 7);
			frame_octets(&f, whole.b + 14, whole.len - 14);
			put16(f.b + 16, 0x0800);
			expect(&f, own == is ? XDP_DROP : XDP_PASS,
			       own == is ? ADIT_DROP_FRONT_RECHECK : ADIT_PASS_CLEAR);
			/* behind a priority tag of the other kind */
			start(&f, 0);
			frame_tag(&f, types[!is], 0x6000);
			frame_tag(&f, types[is], 7);
			frame_octets(&f, whole.b + 14, whole.len - 14);
			put16(f.b + 20, 0x0800);
			expect(&f, own == is ? XDP_DROP : XDP_PASS,
			       own == is ? ADIT_DROP_FRONT_RECHECK : ADIT_PASS_CLEAR);
		}
	}
}

static void passes_what_is_not_ip(void **state)
{
	struct frame f;

	bed_needed(state);
	start(&f, 0);
	put16(f.b + 12, ETH_P_ARP);
	frame_fill(&f, 28);
	expect(&f, XDP_PASS, ADIT_PASS_NOT_IP);
	start(&f, 7);
	put16(f.b + 16, ETH_P_ARP);
	frame_fill(&f, 28);
	expect(&f, XDP_PASS, ADIT_PASS_NOT_IP);
}

static void drops_without_worker(void **state)
{
	struct adit_port port = bed_port_get(bed.wan);
	struct frame f;

	bed_needed(state);
	esp(&f, PEER4, OUR4, SPI, 64);
	bed_socket(SLOT_WAN, false);
	expect(&f, XDP_DROP, ADIT_DROP_NO_WORKER);
	bed_socket(SLOT_WAN, true);
	port.slot = ADIT_NO_SLOT;
	bed_port(bed.wan, &port);
	expect(&f, XDP_DROP, ADIT_DROP_NO_WORKER);
}

/* After ethtool -L a device may have more queues than there are sockets for: theirs are not the next port's. */
static void stays_off_sockets_of_others(void **state)
{
	struct adit_port port = bed_port_get(bed.wan);
	struct result r;
	struct frame f;

	bed_needed(state);
	bed_port(bed.many, &port);
	esp(&f, PEER4, OUR4, SPI, 64);
	reasons_mark();
	r = bed_xdp_queue(bed.skel->progs.adit_outside, &f, bed.many, 0);
	assert_int_equal(r.verdict, XDP_REDIRECT);
	expect_reason(ADIT_TO_WORKER_OPEN, 0);
	/* the first queue of SLOT_LAN, by number */
	r = bed_xdp_queue(bed.skel->progs.adit_outside, &f, bed.many, ADIT_QUEUES_MAX);
	assert_int_equal(r.verdict, XDP_DROP);
	expect_reason(ADIT_DROP_NO_WORKER, 0);
}

/* Every frame cut at every octet has a verdict; what goes to the worker or on must be whole. */
static void survives_truncation(void **state)
{
	struct frame whole[4], f;
	size_t i, n;

	bed_needed(state);
	esp(&whole[0], PEER4, OUR4, SPI, 64);
	esp_in_udp(&whole[1], PEER6, OUR6, SPI + 1, 64);
	udp(&whole[2], FAR4, LAN4, 53, "hello", 5);
	start(&whole[3], 7);
	frame_ip(&whole[3], PEER6, OUR6, 0);
	frame_octets(&whole[3], "\x3c\0\1\4\0\0\0\0\x32\0\1\4\0\0\0\0", 16);
	frame_be32(&whole[3], SPI + 1);
	frame_fill(&whole[3], 28);
	frame_finish(&whole[3]);
	for (i = 0; i < 4; i++)
		for (n = ETH_HLEN; n < whole[i].len; n++) {
			f = whole[i];
			f.len = n;
			expect(&f, XDP_DROP, ADIT_DROP_RUNT);
		}
}

/* The same with the lengths corrected, so that the parser goes on to the end: no crash, a defined verdict,
 * never open. */
static void survives_honest_truncation(void **state)
{
	struct frame whole, f;
	struct result r;
	size_t n;

	bed_needed(state);
	esp_in_udp(&whole, PEER4, OUR4, SPI, 64);
	for (n = 34; n < whole.len; n++) {
		f = whole;
		f.len = n;
		put16(f.b + 16, (uint16_t)(n - 14));
		r = outside(&f);
		assert_true(r.verdict == XDP_DROP || r.verdict == XDP_PASS);
	}
	start(&whole, 0);
	frame_ip(&whole, FAR6, LAN6, 0);
	for (n = 0; n < 12; n++)
		frame_octets(&whole, n == 11 ? "\x11\0\1\4\0\0\0\0" : "\x3c\0\1\4\0\0\0\0", 8);
	frame_udp(&whole, 1, 2);
	frame_finish(&whole);
	expect(&whole, XDP_DROP,
	       ADIT_DROP_FRONT_RECHECK); /* behind more headers than we follow: still covered */
	for (n = 54; n < whole.len; n++) {
		f = whole;
		f.len = n;
		put16(f.b + 18, (uint16_t)(n - 54));
		expect(&f, XDP_DROP, ADIT_DROP_FRONT_RECHECK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(opens_esp, fixture),
		cmocka_unit_test_setup(opens_exact_lengths, fixture),
		cmocka_unit_test_setup(opens_options_and_tags, fixture),
		cmocka_unit_test_setup(passes_ike, fixture),
		cmocka_unit_test_setup(takes_keepalives, fixture),
		cmocka_unit_test_setup(refuses_unknown_spi, fixture),
		cmocka_unit_test_setup(passes_transit_esp, fixture),
		cmocka_unit_test_setup(rechecks_transit_esp, fixture),
		cmocka_unit_test_setup(refuses_bad_lengths, fixture),
		cmocka_unit_test_setup(leaves_fragments_to_the_kernel, fixture),
		cmocka_unit_test_setup(rechecks_clear_text, fixture),
		cmocka_unit_test_setup(recheck_follows_the_policy, fixture),
		cmocka_unit_test_setup(discards_what_comes_in, fixture),
		cmocka_unit_test_setup(drops_what_no_row_knows, fixture),
		cmocka_unit_test_setup(rechecks_link_local_v4, fixture),
		cmocka_unit_test_setup(waits_for_all_rules, fixture),
		cmocka_unit_test_setup(rechecks_vlans_apart, fixture),
		cmocka_unit_test_setup(tells_kinds_of_tags_apart, fixture),
		cmocka_unit_test_setup(passes_what_is_not_ip, fixture),
		cmocka_unit_test_setup(drops_without_worker, fixture),
		cmocka_unit_test_setup(stays_off_sockets_of_others, fixture),
		cmocka_unit_test_setup(survives_truncation, fixture),
		cmocka_unit_test_setup(survives_honest_truncation, fixture),
	};

	return cmocka_run_group_tests_name("outside", tests, bed_open, bed_close);
}
