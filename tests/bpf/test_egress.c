// SPDX-License-Identifier: BSD-2-Clause
/* adit_egress: what leaves a policy interface through the kernel. */
#include "egress.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <cmocka.h>

#define ICMPV6 58

static struct result leaving(const struct frame *f)
{
	return bed_tc(bed.skel->progs.adit_egress, f, bed.wan, 0, 0);
}

static void tcp(struct frame *f, const char *src, const char *dst, uint16_t sport, uint16_t dport, size_t len)
{
	start(f);
	frame_ip(f, src, dst, IPPROTO_TCP);
	frame_tcp(f, sport, dport, 0x10, NULL, 0);
	frame_fill(f, len);
	frame_finish(f);
}

static void icmp(struct frame *f, const char *src, const char *dst, uint8_t type, uint8_t code)
{
	start(f);
	frame_ip(f, src, dst, strchr(src, ':') ? ICMPV6 : IPPROTO_ICMP);
	frame_icmp(f, type, code);
	frame_fill(f, 24);
	frame_finish(f);
}

static void expect(const struct frame *f, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = leaving(f);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, verdict);
	if (verdict == TC_PASS) {
		assert_int_equal(r.len, f->len);
		assert_memory_equal(r.b, f->b, f->len);
	}
}

/* Into the internal pair, with the policy interface in the source address and nothing else changed. */
static void expect_internal(const struct frame *f, const struct result *r)
{
	assert_int_equal(r->verdict, TC_ACT_REDIRECT);
	assert_int_equal(r->len, f->len);
	assert_memory_equal(r->b, bed.adit0_mac, 6);
	assert_int_equal(get16(r->b + 6), 0x02ad);
	assert_int_equal(get32(r->b + 8), bed.wan);
	assert_memory_equal(r->b + 12, f->b + 12, f->len - 12);
}

static void expect_protected(const struct frame *f)
{
	struct result r;

	reasons_mark();
	r = leaving(f);
	expect_reason(ADIT_TO_INTERNAL, 0);
	expect_internal(f, &r);
}

static struct adit_rule with_ports(struct adit_rule r, uint16_t lmin, uint16_t lmax, uint16_t rmin,
				   uint16_t rmax)
{
	r.local_port_min = lmin;
	r.local_port_max = lmax;
	r.remote_port_min = rmin;
	r.remote_port_max = rmax;
	return r;
}

static void first_rule_decides(void **state)
{
	struct adit_rule swapped[] = {
		rule_of(3, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.77/32", 0),
	};
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 1000, 53);
	expect_protected(&f);
	expect_protected(&f);
	udp(&f, LAN4, "10.1.2.77", 1000, 53);
	expect(&f, TC_PASS, ADIT_PASS_RULE);
	udp(&f, LAN4, "10.1.2.78", 1000, 53);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULE);
	udp(&f, LAN4, "10.1.3.1", 1000, 53);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, "10.1.4.1", FAR4, 1000, 53);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, LAN6, FAR6, 1000, 53);
	expect_protected(&f);
	udp(&f, LAN6, "2001:db8:23::1", 1000, 53);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, LAN4, "10.1.2.77", 1000, 53);
	bed_rules(swapped, 2);
	expect_protected(&f);
}

/* 1000 rules that do not match in front of the one that does. */
#define MANY (ADIT_RULES_MAX - 4) /* bed_rules has four of its own */

static void finds_the_last_of_many(void **state)
{
	static struct adit_rule rules[MANY];
	char prefix[32];
	struct frame f;
	uint32_t i;

	bed_needed(state);
	for (i = 0; i < MANY; i++) {
		snprintf(prefix, sizeof(prefix), "172.16.%u.%u/32", i / 256, i % 256);
		rules[i] = rule_of(i + 1, ADIT_DISCARD, "10.1.1.0/24", prefix, 0);
	}
	rules[MANY - 1].action = ADIT_PROTECT;
	bed_rules(rules, MANY);
	udp(&f, LAN4, "172.16.3.251", 1, 2);
	expect_protected(&f);
	udp(&f, LAN4, "172.16.3.250", 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULE);
	udp(&f, LAN4, "172.16.4.0", 1, 2);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

static void matches_protocols_and_ports(void **state)
{
	struct adit_rule tcp80 = with_ports(
		rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", IPPROTO_TCP), 0, 65535, 80, 90);
	struct adit_rule from =
		with_ports(rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0), 7000, 7000, 0, 65535);
	struct adit_rule echo =
		with_ports(rule_of(3, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", IPPROTO_ICMP), 0, 65535,
			   0x0800, 0x08ff);
	struct adit_rule rules[] = {tcp80, from, echo};
	struct frame f;

	bed_needed(state);
	bed_rules(rules, 3);
	tcp(&f, LAN4, FAR4, 1000, 80, 10);
	expect_protected(&f);
	tcp(&f, LAN4, FAR4, 1000, 90, 10);
	expect_protected(&f);
	tcp(&f, LAN4, FAR4, 1000, 79, 10);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	tcp(&f, LAN4, FAR4, 1000, 91, 10);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, LAN4, FAR4, 1000, 80);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, LAN4, FAR4, 7000, 1);
	expect_protected(&f);
	tcp(&f, LAN4, FAR4, 7000, 1, 10);
	expect_protected(&f);
	icmp(&f, LAN4, FAR4, 8, 0);
	expect_protected(&f);
	icmp(&f, LAN4, FAR4, 0, 0);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	/* GRE has no ports, so no rule for ports means it */
	start(&f);
	frame_ip(&f, LAN4, FAR4, IPPROTO_GRE);
	frame_be32(&f, 0x00000800);
	frame_fill(&f, 30);
	frame_finish(&f);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

/* RFC 4301 7: what cannot be seen must not be a way out. */
static void covers_what_cannot_be_seen(void **state)
{
	struct adit_rule rules[] = {
		with_ports(rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.0/24", IPPROTO_UDP), 0, 65535, 9,
			   9),
		with_ports(rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", IPPROTO_UDP), 0, 65535, 53,
			   53),
		with_ports(rule_of(3, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", IPPROTO_UDP), 0,
			   65535, 53, 53),
	};
	struct frame f;
	int i;

	bed_needed(state);
	bed_rules(rules, 3);
	udp(&f, LAN4, FAR4, 1, 54);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	udp(&f, LAN4, FAR4, 1, 9);
	expect(&f, TC_PASS, ADIT_PASS_RULE);
	/* a later fragment; the rule that lets port 9 pass does not mean it */
	udp(&f, LAN4, FAR4, 1, 9);
	put16(f.b + 20, 0x0004);
	frame_fix_ip(&f);
	expect_protected(&f);
	/* a first one shows its ports */
	put16(f.b + 20, 0x2000);
	frame_fix_ip(&f);
	expect(&f, TC_PASS, ADIT_PASS_RULE);
	/* cut before the ports */
	udp(&f, LAN4, FAR4, 1, 54);
	f.len = 34 + 3;
	put16(f.b + 16, 23);
	frame_fix_ip(&f);
	expect_protected(&f);
	/* of another protocol */
	tcp(&f, LAN4, FAR4, 1, 53, 10);
	put16(f.b + 20, 0x0004);
	frame_fix_ip(&f);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	/* IPv6: behind more extension headers than we follow, or in a later fragment that starts with one */
	start(&f);
	frame_ip(&f, LAN6, FAR6, 60);
	for (i = 0; i < 9; i++)
		frame_octets(&f, i == 8 ? "\x06\0\1\4\0\0\0\0" : "\x3c\0\1\4\0\0\0\0", 8);
	frame_tcp(&f, 1, 2, 0x10, NULL, 0);
	frame_finish(&f);
	expect_protected(&f);
	start(&f);
	frame_ip(&f, LAN6, FAR6, 44);
	frame_octets(&f, "\x3c\0\0\x10\0\0\0\1", 8);
	frame_fill(&f, 24);
	frame_finish(&f);
	expect_protected(&f);
	/* two headers in front of the ports, which are then seen */
	start(&f);
	frame_ip(&f, LAN6, FAR6, 0);
	frame_octets(&f, "\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0", 16);
	frame_udp(&f, 1, 53);
	frame_finish(&f);
	expect_protected(&f);
	put16(f.b + 14 + 40 + 16 + 2, 54);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

static void leaves_the_link_alone(void **state)
{
	struct adit_rule rules[] = {rule_of(1, ADIT_PROTECT, "2001:db8::/32", "::/0", 0),
				    rule_of(2, ADIT_PROTECT, "0.0.0.0/0", "224.0.0.18/32", 0)};
	struct frame f;

	bed_needed(state);
	bed.rest = ADIT_REST_DISCARD;
	bed_rules(rules, 2);
	start(&f);
	put16(f.b + 12, 0x0806);
	frame_fill(&f, 28);
	expect(&f, TC_PASS, ADIT_PASS_NOT_IP);
	icmp(&f, OUR6, "2001:db8:1::fe", 135, 0);
	f.b[21] = 255;
	expect(&f, TC_PASS, ADIT_PASS_DISCOVERY);
	f.b[21] = 64;
	expect_protected(&f);
	udp(&f, "2001:db8::1", "ff02::1:2", 546, 547);
	expect(&f, TC_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, "2001:db8::1", "fe80::1", 546, 547);
	expect(&f, TC_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, "0.0.0.0", "255.255.255.255", 68, 67);
	expect(&f, TC_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, OUR4, "224.0.0.5", 1, 2);
	expect(&f, TC_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, OUR4, "224.0.0.18", 1, 2);
	expect(&f, TC_PASS, ADIT_PASS_LINK_LOCAL);
	udp(&f, OUR4, "203.0.113.1", 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_UNMATCHED);
	bed.rest = ADIT_REST_BYPASS;
	bed_rules(rules, 2);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

static void own_esp(const char *local, const char *remote, uint32_t spi, uint16_t remote_port)
{
	struct adit_own_esp_key key = {.local = addr_of(local), .remote = addr_of(remote), .spi = spi};
	struct adit_own_esp own = {.remote_port = remote_port, .peer = "peer"};
	int fd = bpf_map__fd(bed.skel->maps.own_esp);

	assert_int_equal(bpf_map_update_elem(fd, &key, &own, BPF_ANY), 0);
	key.spi = 0;
	assert_int_equal(bpf_map_update_elem(fd, &key, &own, BPF_ANY), 0);
}

enum piece { WHOLE, FIRST, LATER };

/* ESP, in UDP when there are ports; of a datagram that the kernel took apart one piece. */
static void esp(struct frame *f, const char *src, const char *dst, uint32_t spi, uint16_t sport,
		uint16_t dport, enum piece piece)
{
	uint8_t protocol = sport ? IPPROTO_UDP : IPPROTO_ESP;
	bool v6 = strchr(src, ':');

	start(f);
	frame_ip(f, src, dst, v6 && piece != WHOLE ? IPPROTO_FRAGMENT : protocol);
	if (v6 && piece != WHOLE) {
		frame_octets(f, (uint8_t[]){protocol, 0, 0, piece == FIRST ? 1 : 0x80, 0, 0, 0, 7}, 8);
	}
	if (sport)
		frame_udp(f, sport, dport);
	frame_be32(f, spi);
	frame_fill(f, 60);
	frame_finish(f);
	if (!v6 && piece != WHOLE) {
		put16(f->b + 20, piece == FIRST ? 0x2000 : 0x0010);
		frame_fix_ip(f);
	}
}

static void expect_from(const struct frame *f, int from, bool own)
{
	struct result r;

	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, f, bed.wan, from, 0);
	expect_reason(own ? ADIT_PASS_OWN_ESP : ADIT_TO_INTERNAL, 0);
	assert_int_equal(r.verdict, own ? TC_PASS : TC_ACT_REDIRECT);
}

#define SPI 0xc0ffee01

/* Rules 5 and 6 protect everything between the gateways; own ESP is what came back on adit0 and is of an SA between
 * these addresses.  One thing wrong, and it meets the rules. */
static void lets_own_esp_out(void **state)
{
	static const struct {
		const char *src, *dst;
		uint32_t spi;
		uint16_t sport, dport;
		bool own;
	} t[] = {
		{OUR4, PEER4,	      SPI,	   0,    0,	 true },
		{OUR6, PEER6,	      SPI,	   0,    0,	 true },
		{OUR4, "198.51.100.7",   SPI + 1, 4500, 61000, true },
		{OUR4, "198.51.100.7",   SPI + 1, 1024, 61000, true }, /* a NAT of our own chose the port */
		{OUR6, "2001:db8:ff::7", SPI + 1, 4500, 4500,  true },
		{OUR4, PEER4,	      SPI + 2, 0,	  0,     false}, /* an SPI of nobody */
		{OUR4, PEER4,	      SPI + 1, 0,	  0,     false}, /* of another peer */
		{OUR4, PEER4,	      0,	 0,    0,     false},
		{OUR6, PEER6,	      0,	 0,    0,     false},
		{OUR4, PEER4,	      SPI,	   4500, 4500,  false}, /* that SA is not in UDP */
		{OUR6, PEER6,	      SPI,	   4500, 4500,  false},
		{OUR4, "198.51.100.7",   SPI + 1, 0,	   0,     false}, /* and this one is */
		{OUR4, "198.51.100.7",   SPI + 1, 4500, 61001, false},
		{OUR4, "198.51.100.7",   0,	  4500, 61000, false}, /* the marker of IKE */
		{OUR4, "198.51.100.2",   SPI,	    0,    0,	  false}, /* no peer */
		{OUR6, "2001:db8:ff::2", SPI,     0,	 0,	    false},
		{LAN4, FAR4,	     SPI,	  0,    0,	false},
		{LAN6, FAR6,	     SPI,	  4500, 4500,  false},
	};
	struct frame f;
	size_t i;

	bed_needed(state);
	own_esp(OUR4, PEER4, SPI, 0);
	own_esp(OUR6, PEER6, SPI, 0);
	own_esp(OUR4, "198.51.100.7", SPI + 1, 61000);
	own_esp(OUR6, "2001:db8:ff::7", SPI + 1, 4500);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		esp(&f, t[i].src, t[i].dst, t[i].spi, t[i].sport, t[i].dport, WHOLE);
		expect_from(&f, bed.adit0, t[i].own);
		expect_from(&f, bed.lan, false); /* a host behind us */
		expect_from(&f, 0, false);	 /* a process here */
		esp(&f, t[i].src, t[i].dst, t[i].spi, t[i].sport, t[i].dport, FIRST);
		expect_from(&f, bed.adit0, t[i].own);
		expect_from(&f, bed.lan, false);
		expect_from(&f, 0, false);
	}
}

/* A later fragment shows addresses and where it came from, no more. */
static void lets_pieces_of_own_esp_out(void **state)
{
	static const struct {
		const char *src, *dst;
		bool own;
	} t[] = {
		{OUR4, PEER4,	      true },
		       {OUR6, PEER6,	     true },
		{OUR4, "198.51.100.2",   false},
		       {OUR6, "2001:db8:ff::2", false},
		{LAN4, FAR4,	     false},
		       {LAN6, FAR6,		    false},
	};
	struct frame f;
	size_t i;
	int udp;

	bed_needed(state);
	own_esp(OUR4, PEER4, SPI, 0);
	own_esp(OUR6, PEER6, SPI, 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (udp = 0; udp < 2; udp++) {
			esp(&f, t[i].src, t[i].dst, SPI, udp ? 4500 : 0, 4500, LATER);
			expect_from(&f, bed.adit0, t[i].own);
			expect_from(&f, bed.lan, false);
			expect_from(&f, 0, false);
		}
	/* another protocol between the same addresses */
	start(&f);
	frame_ip(&f, OUR4, PEER4, IPPROTO_TCP);
	frame_be32(&f, SPI);
	frame_be32(&f, SPI);
	frame_fill(&f, 40);
	frame_finish(&f);
	expect_from(&f, bed.adit0, false);
	put16(f.b + 20, 0x0010);
	frame_fix_ip(&f);
	expect_from(&f, bed.adit0, false);
}

/* Without an internal pair nothing can have come from it: ingress_ifindex 0 is a process here. */
static void knows_no_own_esp_without_the_pair(void **state)
{
	struct adit_host host;
	struct result r;
	struct frame f;

	bed_needed(state);
	own_esp(OUR4, PEER4, SPI, 0);
	host = bed_host_get();
	host.internal_ifindex = 0;
	bed_host(&host);
	esp(&f, OUR4, PEER4, SPI, 0, 0, WHOLE);
	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, &f, bed.wan, 0, 0);
	expect_reason(ADIT_DROP_NO_WORKER, 0);
	assert_int_equal(r.verdict, TC_ACT_SHOT);
}

static void fails_closed(void **state)
{
	struct adit_host host;
	struct adit_port port;
	struct frame f;

	bed_needed(state);
	port = bed_port_get(bed.wan);
	host = bed_host_get();
	host.internal_ifindex = 0;
	bed_host(&host);
	udp(&f, LAN4, FAR4, 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_NO_WORKER);
	/* no SA, no worker: all the same, it is protected */
	host.internal_ifindex = (uint32_t)bed.adit0;
	bed_host(&host);
	bed_socket(SLOT_INTERNAL, false);
	expect_protected(&f);
	/* Nobody knows which rules hold on this interface: even what none of them means stays. */
	udp(&f, LAN4, "203.0.113.1", 1, 2);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	bpf_map_delete_elem(bpf_map__fd(bed.skel->maps.ports), &bed.wan);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_NO_POLICY);
	port.policy = 1; /* one that has no rows */
	bed_port(bed.wan, &port);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_NO_POLICY);
}

static void takes_gso_trains(void **state)
{
	struct result r;
	struct frame f;

	bed_needed(state);
	tcp(&f, LAN4, FAR4, 1000, 80, 2800);
	r = bed_tc(bed.skel->progs.adit_egress, &f, bed.wan, 0, 1400);
	expect_reason(ADIT_TO_INTERNAL, 0);
	expect_internal(&f, &r);
	tcp(&f, LAN6, FAR6, 1000, 80, 2800);
	/* IPv6 with payload length 0: BIG TCP */
	put16(f.b + 18, 0);
	r = bed_tc(bed.skel->progs.adit_egress, &f, bed.wan, 0, 1400);
	expect_reason(ADIT_TO_INTERNAL, 0);
	expect_internal(&f, &r);
}

static void expect_size(const struct frame *f, uint32_t gso_size, bool fits)
{
	struct result r;

	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, f, bed.wan, 0, gso_size);
	expect_reason(fits ? ADIT_TO_INTERNAL : ADIT_DROP_TOO_BIG, 0);
	if (fits)
		expect_internal(f, &r);
	else
		assert_int_equal(r.verdict, TC_ACT_SHOT);
}

static void datagram(struct frame *f, const char *src, const char *dst, size_t len)
{
	start(f);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 1000, 53);
	frame_fill(f, len - (f->len - 14));
	frame_finish(f);
}

/* What the internal pair would lose without a word is counted; of a GSO train one segment with its headers. */
static void drops_what_the_pair_cannot_carry(void **state)
{
	struct frame f;

	bed_needed(state);
	datagram(&f, LAN4, FAR4, ADIT_FRAME_MTU_MAX);
	expect_size(&f, 0, true);
	f = tagged(&f, (uint16_t[]){0}, 1); /* a tag is none of the packet */
	expect(&f, TC_ACT_REDIRECT, ADIT_TO_INTERNAL);
	datagram(&f, LAN4, FAR4, ADIT_FRAME_MTU_MAX + 1);
	expect_size(&f, 0, false);
	f.b[20] = 0x40;
	frame_fix_ip(&f);
	expect_size(&f, 0, false);
	datagram(&f, LAN6, FAR6, ADIT_FRAME_MTU_MAX);
	expect_size(&f, 0, true);
	datagram(&f, LAN6, FAR6, ADIT_FRAME_MTU_MAX + 1);
	expect_size(&f, 0, false);
	datagram(&f, LAN4, FAR4, 3000);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 28, true);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 27, false);
	tcp(&f, LAN4, FAR4, 1000, 80, 2800);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 40, true);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 39, false);
	tcp(&f, LAN6, FAR6, 1000, 80, 2800);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 60, true);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 59, false);
	/* with options: timestamps */
	start(&f);
	frame_ip(&f, LAN4, FAR4, IPPROTO_TCP);
	frame_tcp(&f, 1000, 80, 0x10, "\1\1\10\12\0\0\0\1\0\0\0\2", 12);
	frame_fill(&f, 2800);
	frame_finish(&f);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 52, true);
	expect_size(&f, ADIT_FRAME_MTU_MAX - 51, false);
	/* what is not protected leaves whatever its size */
	datagram(&f, LAN4, "10.1.3.1", 3000);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

/* A VLAN device without reorder_hdr writes its tag before its hooks see the frame, and id 0 is a priority, no
 * VLAN.  What is protected is found behind such tags and leaves without them. */
static void looks_behind_its_own_tags(void **state)
{
	static const struct {
		uint16_t ids[2];
		size_t n;
		uint16_t port;
		bool ours;
	} t[] = {
		{{7},      1, 7, true },
		       {{0x6007}, 1, 7, true }, /* with a priority */
		{{0},      1, 7, true },
		       {{0},	     1, 0, true },
		       {{7, 0},	2, 7, true },
		     {{0, 7},   2, 7, true },
		{{7, 7},	 2, 7, false}, /* of a VLAN device above */
		{{7, 8},	 2, 7, false},
		       {{8},	     1, 7, false},
		       {{7},	     1, 0, false},
		     {{0, 7},   2, 0, false},
	};
	struct frame plain[3], f;
	struct result r;
	size_t i, k;

	bed_needed(state);
	udp(&plain[0], LAN4, FAR4, 1000, 53);
	udp(&plain[1], LAN6, FAR6, 1000, 53);
	tcp(&plain[2], LAN4, FAR4, 1000, 80, 2800);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (k = 0; k < 3; k++) {
			bed_port_tagged(bed.wan, ETH_P_8021Q, t[i].port);
			f = tagged(&plain[k], t[i].ids, t[i].n);
			reasons_mark();
			r = bed_tc(bed.skel->progs.adit_egress, &f, bed.wan, 0, k == 2 ? 1400 : 0);
			expect_reason(t[i].ours ? ADIT_TO_INTERNAL : ADIT_PASS_NOT_IP, 0);
			if (t[i].ours) {
				expect_internal(&plain[k], &r);
				continue;
			}
			assert_int_equal(r.verdict, TC_PASS);
			assert_int_equal(r.len, f.len);
			assert_memory_equal(r.b, f.b, f.len);
		}
	/* other verdicts leave the tag where it is; not IP is not IP behind a tag either */
	bed_port_tagged(bed.wan, ETH_P_8021Q, 7);
	udp(&plain[0], LAN4, "10.1.2.77", 1000, 53);
	f = tagged(&plain[0], (uint16_t[]){7}, 1);
	expect(&f, TC_PASS, ADIT_PASS_RULE);
	udp(&plain[0], LAN4, "10.1.2.78", 1000, 53);
	f = tagged(&plain[0], (uint16_t[]){7}, 1);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULE);
	put16(f.b + 16, 0x0806);
	expect(&f, TC_PASS, ADIT_PASS_NOT_IP);
	/* three tags, of which the first two might be ours: nobody knows what is behind */
	f = tagged(&plain[0], (uint16_t[]){0, 7, 0}, 3);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_MALFORMED);
}

/* Id 7 of 802.1Q and id 7 of 802.1ad are two VLANs; a priority tag may be of either kind. */
static void tells_kinds_of_tags_apart(void **state)
{
	static const uint16_t types[] = {ETH_P_8021Q, ETH_P_8021AD};
	struct frame plain, f;
	struct result r;
	size_t own, is;

	bed_needed(state);
	udp(&plain, LAN4, FAR4, 1000, 53);
	for (own = 0; own < 2; own++)
		for (is = 0; is < 2; is++) {
			bed_port_tagged(bed.wan, types[own], 7);
			f = tagged(&plain, (uint16_t[]){7}, 1);
			put16(f.b + 12, types[is]);
			if (own == is) {
				reasons_mark();
				r = leaving(&f);
				expect_reason(ADIT_TO_INTERNAL, 0);
				expect_internal(&plain, &r);
			} else {
				expect(&f, TC_PASS, ADIT_PASS_NOT_IP);
			}
			f = tagged(&plain, (uint16_t[]){0, 7}, 2);
			put16(f.b + 12, types[is]);
			put16(f.b + 16, types[own]);
			reasons_mark();
			r = leaving(&f);
			expect_reason(ADIT_TO_INTERNAL, 0);
			expect_internal(&plain, &r);
		}
}

static void follows_the_generation(void **state)
{
	struct adit_rule rule = rule_of(3, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct adit_spd_key key = {.set = 1, .position = 0};
	struct frame f;

	bed_needed(state);
	bed_rules(&rule, 1);
	udp(&f, LAN4, FAR4, 1, 2);
	expect_protected(&f);
	/* written over without a new generation: the flow is remembered as it was */
	rule.action = ADIT_BYPASS;
	bpf_map_update_elem(bpf_map__fd(bed.skel->maps.spd), &key, &rule, BPF_ANY);
	expect_protected(&f);
	bed_generation();
	expect(&f, TC_PASS, ADIT_PASS_RULE);
}

/* A row that is promised and not there: the rules are being exchanged, and which one is gone cannot be known.
 * Nothing passes on such grounds, and nothing is remembered. */
static void waits_for_all_rules(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.77/32", 0),
		rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
	};
	struct frame f;

	bed_needed(state);
	bed_rules(rules, 2);
	bed_rule_row(1, NULL);
	udp(&f, LAN4, FAR4, 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULES_CHANGE);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULES_CHANGE);
	/* decided before the gap, but does it turn back?  That nobody knows. */
	udp(&f, LAN4, "10.1.2.77", 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULES_CHANGE);
	udp(&f, LAN4, FAR4, 1, 2);
	bed_rule_row(1, &rules[1]);
	expect_protected(&f);
	/* the first one gone: what it lets pass is not protected by the second either */
	bed_rules(rules, 2);
	bed_rule_row(0, NULL);
	udp(&f, LAN4, "10.1.2.77", 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_RULES_CHANGE);
	bed_rule_row(0, &rules[0]);
	expect(&f, TC_PASS, ADIT_PASS_RULE);
}

/* Decrypted, and the LAN is not there: the default route leads out again. */
static void does_not_let_turn_back(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_BYPASS, "10.1.2.66/32", "10.1.1.0/24", 0),
		rule_of(2, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(3, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
	};
	struct frame f;

	bed_needed(state);
	bed_rules(rules, 3);
	udp(&f, FAR4, LAN4, 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_TURNED_BACK);
	udp(&f, FAR6, LAN6, 1, 2);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_TURNED_BACK);
	udp(&f, "10.1.2.66", LAN4, 1, 2); /* nor by a rule that would let it pass */
	expect(&f, TC_ACT_SHOT, ADIT_DROP_TURNED_BACK);
	udp(&f, FAR4, "203.0.113.9", 1, 2);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	/* a hub that has both directions protects both */
	rules[0] = rule_of(1, ADIT_PROTECT, "10.1.2.0/24", "10.1.1.0/24", 0);
	bed_rules(rules, 3);
	udp(&f, FAR4, LAN4, 1, 2);
	expect_protected(&f);
}

static void survives_truncation(void **state)
{
	struct frame whole, f;
	struct result r;
	size_t n;
	int v6;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++) {
		udp(&whole, v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4, 1, 2);
		/* shorter than the IP header no test run takes it for an skb */
		for (n = v6 ? 54 : 34; n < whole.len; n++) {
			f = whole;
			f.len = n;
			reasons_mark();
			r = leaving(&f);
			expect_reason(ADIT_TO_INTERNAL, 0);
			expect_internal(&f, &r);
		}
	}
	udp(&f, LAN4, FAR4, 1, 2);
	f.b[14] = 0x44;
	expect(&f, TC_ACT_SHOT, ADIT_DROP_MALFORMED);
	f.b[14] = 0x65;
	expect(&f, TC_ACT_SHOT, ADIT_DROP_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_rule_decides, fixture),
		cmocka_unit_test_setup(finds_the_last_of_many, fixture),
		cmocka_unit_test_setup(matches_protocols_and_ports, fixture),
		cmocka_unit_test_setup(covers_what_cannot_be_seen, fixture),
		cmocka_unit_test_setup(leaves_the_link_alone, fixture),
		cmocka_unit_test_setup(lets_own_esp_out, fixture),
		cmocka_unit_test_setup(lets_pieces_of_own_esp_out, fixture),
		cmocka_unit_test_setup(knows_no_own_esp_without_the_pair, fixture),
		cmocka_unit_test_setup(fails_closed, fixture),
		cmocka_unit_test_setup(takes_gso_trains, fixture),
		cmocka_unit_test_setup(drops_what_the_pair_cannot_carry, fixture),
		cmocka_unit_test_setup(looks_behind_its_own_tags, fixture),
		cmocka_unit_test_setup(tells_kinds_of_tags_apart, fixture),
		cmocka_unit_test_setup(follows_the_generation, fixture),
		cmocka_unit_test_setup(waits_for_all_rules, fixture),
		cmocka_unit_test_setup(does_not_let_turn_back, fixture),
		cmocka_unit_test_setup(survives_truncation, fixture),
	};

	return cmocka_run_group_tests_name("egress", tests, bed_open, bed_close);
}
