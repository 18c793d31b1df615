// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors (RFC 4301 6): out into the SA of the packet they quote, in never about a protected one. */
#include "sealed.h"

#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#define ICMPV6 58
#define ESP    50

enum { RULE4 = 3, RULE6 = 4, RULE_OUTER4 = 5, RULE_DNS = 6, RULE_DNS6 = 7 };

#define LAN_OWN4 "10.1.1.1"
#define LAN_OWN6 "2001:db8:11::1"
#define ROUTER4	 "172.16.0.1" /* inside the LAN, covered by no rule */
#define ROUTER6	 "2001:db8:99::1"
#define ABSENT4	 "10.1.1.99"
#define ABSENT6	 "2001:db8:11::99"

/* Where the two families differ. */
static const struct family {
	const char *our, *lan, *own, *absent, *far, *router, *world;
	uint8_t icmp, unreachable, echo;
	uint32_t rule;
} families[] = {
	{OUR4, LAN4, LAN_OWN4, ABSENT4, FAR4, ROUTER4, "203.0.114.7",    IPPROTO_ICMP, 3, 8,	  RULE4},
	{OUR6, LAN6, LAN_OWN6, ABSENT6, FAR6, ROUTER6, "2001:db8:77::7", ICMPV6,	 1, 128, RULE6},
};

#define each_family(v) for (v = families; v < families + 2; v++)

/* ---- packets ------------------------------------------------------------------------------- */

static void quote_udp(struct frame *q, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	frame_eth(q, bed.lan_mac, bed.lan_mac);
	frame_ip(q, src, dst, IPPROTO_UDP);
	frame_udp(q, sport, dport);
	frame_fill(q, 60);
	frame_finish(q);
}

/* octets: of the quote. */
static void error_of(struct frame *f, const char *src, const char *dst, uint8_t type, uint8_t code,
		     const struct frame *q, size_t octets)
{
	frame_eth(f, bed.gateway_mac, bed.wan_mac);
	frame_ip(f, src, dst, strchr(src, ':') ? ICMPV6 : IPPROTO_ICMP);
	frame_icmp(f, type, code);
	frame_octets(f, q->b + q->l3, octets);
	frame_finish(f);
}

static void error(struct frame *f, const char *src, const char *dst, uint8_t type, uint8_t code,
		  const struct frame *q)
{
	error_of(f, src, dst, type, code, q, q->len - q->l3);
}

static void arrive(struct frame *f, const char *src, const char *dst, uint8_t type, uint8_t code,
		   const struct frame *q, size_t octets)
{
	error_of(f, src, dst, type, code, q, octets);
	memcpy(f->b, bed.wan_mac, 6);
	memcpy(f->b + 6, bed.gateway_mac, 6);
}

/* About a datagram from the far side to somewhere in our LAN. */
static void about(struct frame *f, const struct family *v, const char *src, const char *dst)
{
	struct frame q;

	quote_udp(&q, v->far, dst, 1000, 53);
	error(f, src, v->far, v->unreachable, 1, &q);
}

/* As adit_egress leaves it: the policy interface in the source address. */
static void as_taken(struct frame *f)
{
	memcpy(f->b, bed.adit0_mac, 6);
	put16(f->b + 6, 0x02ad);
	put32(f->b + 8, (uint32_t)bed.wan);
}

/* ---- what is expected ---------------------------------------------------------------------- */

static void expect_egress(const struct frame *f, int from, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, f, bed.wan, from, 0);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, verdict);
	if (verdict != TC_PASS)
		return;
	assert_int_equal(r.len, f->len);
	assert_memory_equal(r.b, f->b, f->len);
}

/* Into the internal pair from that source, all else but checksums unchanged. */
static void expect_taken(const struct frame *f, int from, const char *source)
{
	struct adit_addr want = addr_of(source);
	bool v6 = strchr(source, ':');
	struct frame as = *f;
	struct result r;

	memcpy(as.b + 14 + (v6 ? 8 : 12), want.octets + (v6 ? 0 : 12), v6 ? 16 : 4);
	frame_finish(&as);
	as_taken(&as);
	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, f, bed.wan, from, 0);
	expect_reason(ADIT_TO_INTERNAL, 0);
	assert_int_equal(r.verdict, TC_ACT_REDIRECT);
	assert_int_equal(r.len, as.len);
	assert_memory_equal(r.b, as.b, as.len);
}

static void expect_internal(struct frame *f, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	as_taken(f);
	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_internal, f, bed.adit1);
	assert_int_equal(r.verdict, verdict);
	expect_reason(why, 0);
}

static void expect_sealed_by(struct frame *f, const struct adit_sa_out *sa)
{
	struct sealed_want want;
	struct result r;

	as_taken(f);
	want = sealed_by_wan(sa, f);
	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_internal, f, bed.adit1);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	expect_sealed(&r, &want);
}

/* Arriving on the policy interface, by XDP and where that cannot run. */
static void expect_arrival(const struct frame *f, enum adit_reason why)
{
	bool pass = why < ADIT_TO_WORKER_SEAL; /* reasons.h lists those first */
	struct result r;

	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_outside, f, bed.wan);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, pass ? XDP_PASS : XDP_DROP);
	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_ingress, f, bed.wan, 0, 0);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, pass ? TC_PASS : TC_ACT_SHOT);
}

static struct adit_rule port_rule(uint32_t id, const char *local, const char *remote)
{
	struct adit_rule r = rule_of(id, ADIT_PROTECT, local, remote, IPPROTO_UDP);

	r.local_port_min = r.local_port_max = 53;
	return r;
}

static void own_addresses(const char *v4, const char *v6)
{
	struct adit_own own = {0};

	if (v4)
		own.v4 = addr_of(v4);
	if (v6)
		own.v6 = addr_of(v6);
	bpf_map_update_elem(bpf_map__fd(bed.skel->maps.own_addresses), &bed.lan, &own, BPF_ANY);
}

static struct adit_sa_out sa4, sa6;

static int fixture(void **state)
{
	struct adit_own_esp_key pair = {.local = addr_of(OUR4), .remote = addr_of(PEER4)};
	struct adit_own_esp own = {.peer = "peer"};
	struct adit_rule rules[] = {
		rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.77/32", 0),
		rule_of(2, ADIT_DISCARD, "192.0.2.1/32", "10.1.2.78/32", 0),
		rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(RULE6, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
		rule_of(RULE_OUTER4, ADIT_PROTECT, "192.0.2.1/32", "198.51.100.0/24", 0),
		port_rule(RULE_DNS, "10.3.1.0/24", "10.3.2.0/24"),
		port_rule(RULE_DNS6, "2001:db8:31::/64", "2001:db8:32::/64"),
		rule_of(8, ADIT_BYPASS, "10.3.1.0/24", "10.3.2.0/24", 0),
	};

	if (bed_reset(state))
		return 0;
	bed_rules(rules, sizeof(rules) / sizeof(rules[0]));
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR6, PEER6);
	bed_sa(RULE4, &sa4);
	bed_sa(RULE6, &sa6);
	own_addresses(LAN_OWN4, LAN_OWN6);
	bpf_map_update_elem(bpf_map__fd(bed.skel->maps.own_esp), &pair, &own, BPF_ANY);
	return 0;
}

/* ---- leaving ------------------------------------------------------------------------------- */

static void the_gateways_own(void **state)
{
	static const uint8_t types4[] = {3, 4, 5, 11, 12}, types6[] = {1, 2, 3, 4, 100, 127};
	const struct family *v;
	struct frame f, q;
	size_t i;

	bed_needed(state);
	each_family(v)
	{
		about(&f, v, v->our, v->absent);
		expect_taken(&f, 0, v->own);
		expect_taken(&f, 0, v->own); /* cached */
		quote_udp(&q, v->far, v->lan, 1000, 53);
		for (i = 0; i < (v->icmp == ICMPV6 ? sizeof(types6) : sizeof(types4)); i++) {
			error(&f, v->our, v->far, v->icmp == ICMPV6 ? types6[i] : types4[i], 0, &q);
			expect_taken(&f, 0, v->own);
		}
		/* what is no error is not judged by what it carries */
		error(&f, v->our, v->far, v->echo, 0, &q);
		expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
		error(&f, v->our, v->far, v->icmp == ICMPV6 ? 128 : 0, 0, &q);
		expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
	}
}

/* What the SA would not carry may not be the source. */
static void a_source_that_fits(void **state)
{
	static const char *const others[][2] = {
		{NULL,	       NULL		   },
		{"172.16.0.9", "2001:db8:99::9"},
	};
	struct adit_rule narrow[] = {
		rule_of(RULE4, ADIT_PROTECT, "10.1.1.96/28", "10.1.2.0/24", 0),
		rule_of(RULE6, ADIT_PROTECT, "2001:db8:11::90/124", "2001:db8:22::/64", 0),
	};
	const struct family *v;
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < 2; i++) {
		own_addresses(others[i][0], others[i][1]);
		each_family(v)
		{
			about(&f, v, v->our, v->absent);
			expect_taken(&f, 0, v->absent);
			about(&f, v, v->our, v->lan);
			expect_taken(&f, 0, v->lan);
		}
	}
	own_addresses(LAN_OWN4, LAN_OWN6);
	sa4.local_ts[0].min = addr_of("10.1.1.90"); /* the peer narrowed it, and ours is outside */
	sa4.local_ts[0].max = addr_of("10.1.1.110");
	bed_sa(RULE4, &sa4);
	about(&f, &families[0], OUR4, ABSENT4);
	expect_taken(&f, 0, ABSENT4);
	bed_rules(narrow, 2);
	each_family(v)
	{
		about(&f, v, v->our, v->absent);
		expect_taken(&f, 0, v->absent);
	}
}

/* One that a router in the LAN made keeps its source, which RFC 4301 6.2 lets the other end accept for its quote. */
static void somebody_elses(void **state)
{
	const struct family *v;
	struct frame f;

	bed_needed(state);
	each_family(v)
	{
		about(&f, v, v->router, v->absent);
		expect_taken(&f, bed.lan, v->router);
		about(&f, v, v->lan, v->absent);
		expect_taken(&f, bed.lan, v->lan);
		/* out of adit0 comes what others sent, and what adit_internal tells a sender */
		about(&f, v, v->router, v->absent);
		expect_taken(&f, bed.adit0, v->router);
		about(&f, v, v->our, v->absent);
		expect_taken(&f, bed.adit0, v->own);
	}
}

/* A rule for DNS alone: errors about DNS go with it, and an address of its side is good enough. */
static void rules_with_ports(void **state)
{
	static const struct {
		const char *local, *remote, *our;
		uint8_t icmp;
	} t[] = {
		{"10.3.1.5",	     "10.3.2.9",	 OUR4, 3},
		{"2001:db8:31::5", "2001:db8:32::9", OUR6, 1},
	};
	struct frame f, q;
	size_t i;

	bed_needed(state);
	for (i = 0; i < 2; i++) {
		quote_udp(&q, t[i].remote, t[i].local, 1000, 53);
		error(&f, t[i].our, t[i].remote, t[i].icmp, 3, &q);
		expect_taken(&f, 0, t[i].local);
		error(&f, t[i].local, t[i].remote, t[i].icmp, 3, &q);
		expect_taken(&f, 0, t[i].local);
		quote_udp(&q, t[i].remote, t[i].local, 53, 1000);
		error(&f, t[i].our, t[i].remote, t[i].icmp, 3, &q);
		expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
		/* ports that are not in the quote could be those */
		quote_udp(&q, t[i].remote, t[i].local, 53, 1000);
		error_of(&f, t[i].our, t[i].remote, t[i].icmp, 3, &q, (i ? 40 : 20) + 3);
		expect_taken(&f, 0, t[i].local);
	}
	/* a deny rule lets the error itself pass, but not what it quotes */
	quote_udp(&q, "10.3.2.9", "10.3.1.5", 1000, 53);
	error(&f, "10.3.1.5", "10.3.2.9", 3, 3, &q);
	expect_taken(&f, bed.lan, "10.3.1.5");
	quote_udp(&q, "10.3.2.9", "10.3.1.5", 1000, 54);
	error(&f, "10.3.1.5", "10.3.2.9", 3, 3, &q);
	expect_egress(&f, bed.lan, TC_PASS, ADIT_PASS_RULE);
}

/* Options, extension headers, fragments: what hides the ports of a quote does not hide whose it is. */
static void quotes_of_every_shape(void **state)
{
	static const uint8_t options[] = {0x94, 4, 0, 0}, hop[] = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0},
			     later[] = {IPPROTO_UDP, 0, 0x05, 0xa8, 0, 0, 0, 1};
	struct frame f, q;

	bed_needed(state);
	quote_udp(&q, "10.3.2.9", "10.3.1.5", 1000, 53);
	memmove(q.b + 14 + 24, q.b + 14 + 20, q.len - 14 - 20);
	memcpy(q.b + 14 + 20, options, 4);
	q.b[14] = 0x46;
	q.len += 4;
	error(&f, OUR4, "10.3.2.9", 3, 3, &q);
	expect_taken(&f, 0, "10.3.1.5");
	put16(q.b + 14 + 24 + 2, 54);
	error(&f, OUR4, "10.3.2.9", 3, 3, &q);
	expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
	put16(q.b + 14 + 6, 185); /* not its first octets */
	error(&f, OUR4, "10.3.2.9", 3, 3, &q);
	expect_taken(&f, 0, "10.3.1.5");

	frame_eth(&q, bed.lan_mac, bed.lan_mac);
	frame_ip(&q, "2001:db8:32::9", "2001:db8:31::5", 0);
	frame_octets(&q, hop, sizeof(hop));
	frame_udp(&q, 1000, 53);
	error(&f, OUR6, "2001:db8:32::9", 1, 4, &q);
	put16(f.b + f.l3 + 48 + 4, 16); /* the quote's payload length */
	frame_finish(&f);
	expect_taken(&f, 0, "2001:db8:31::5");
	put16(f.b + f.len - 6, 54);
	frame_finish(&f);
	expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
	frame_eth(&q, bed.lan_mac, bed.lan_mac);
	frame_ip(&q, "2001:db8:32::9", "2001:db8:31::5", 44);
	frame_octets(&q, later, sizeof(later));
	frame_fill(&q, 60);
	put16(q.b + 14 + 4, 68);
	error(&f, OUR6, "2001:db8:32::9", 1, 4, &q);
	expect_taken(&f, 0, "2001:db8:31::5");
}

static void what_goes_nowhere(void **state)
{
	const struct family *v;
	struct frame f, q;
	size_t header;

	bed_needed(state);
	/* nor does an exemption for link-local destinations let a quote out */
	quote_udp(&q, FAR6, LAN6, 1000, 53);
	error(&f, OUR6, "fe80::9", 1, 1, &q);
	expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_CLEAR);
	each_family(v)
	{
		header = v->icmp == ICMPV6 ? 40 : 20;
		/* about a packet that leaves protected, and to somebody who did not send it */
		quote_udp(&q, v->lan, v->far, 1000, 53);
		error(&f, v->our, v->far, v->unreachable, 1, &q);
		expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_CLEAR);
		quote_udp(&q, v->far, v->lan, 1000, 53);
		error(&f, v->our, v->world, v->unreachable, 1, &q);
		expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_CLEAR);
		expect_egress(&f, bed.lan, TC_ACT_SHOT, ADIT_DROP_ICMP_CLEAR);
		/* a quote that is none */
		error_of(&f, v->our, v->far, v->unreachable, 1, &q, header - 1);
		expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_QUOTE);
		error_of(&f, v->our, v->far, v->unreachable, 1, &q, 0);
		expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_QUOTE);
		q.b[14] ^= 0x20; /* the other version, or none */
		error(&f, v->our, v->far, v->unreachable, 1, &q);
		expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_QUOTE);
		/* with an address of its own in the rule it needs no quote to go where it must */
		error(&f, v->lan, v->far, v->unreachable, 1, &q);
		expect_taken(&f, bed.lan, v->lan);
	}
	quote_udp(&q, FAR4, LAN4, 1000, 53);
	q.b[14] = 0x44;
	error(&f, OUR4, FAR4, 3, 1, &q);
	expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_ICMP_QUOTE);
	/* a rule that discards it stands */
	quote_udp(&q, "10.1.2.78", LAN4, 1000, 53);
	error(&f, OUR4, "10.1.2.78", 3, 1, &q);
	expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_RULE);
}

static void what_is_nobodys_secret(void **state)
{
	const struct family *v;
	struct frame f, q;

	bed_needed(state);
	each_family(v)
	{
		quote_udp(&q, v->world, v->our, 1000, 53);
		error(&f, v->our, v->world, v->unreachable, 3, &q);
		expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
		quote_udp(&q, v->world, v->router, 1000, 53);
		error(&f, v->router, v->world, v->unreachable, 3, &q);
		expect_egress(&f, bed.lan, TC_PASS, ADIT_PASS_CLEAR);
	}
	quote_udp(&q, "10.1.2.77", LAN4, 1000, 53); /* a deny rule lets this flow pass in clear */
	error(&f, OUR4, "10.1.2.77", 3, 1, &q);
	expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
}

/* A gateway with one interface: hosts of the protected side are on the policy interface's wire, in clear. */
static void a_gateway_with_one_interface(void **state)
{
	const struct family *v;
	struct frame f, q;

	bed_needed(state);
	each_family(v)
	{
		/* their own packets, which did not fit or went nowhere, are told to them */
		quote_udp(&q, v->lan, v->far, 1000, 53);
		error(&f, v->our, v->lan, v->unreachable, 1, &q);
		expect_egress(&f, 0, TC_PASS, ADIT_PASS_CLEAR);
		expect_egress(&f, bed.adit0, TC_PASS, ADIT_PASS_CLEAR);
		/* what they have to say of the far side's comes in, and is protected by their address alone */
		quote_udp(&q, v->far, v->lan, 1000, 53);
		arrive(&f, v->lan, v->far, v->unreachable, 3, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_PASS_CLEAR);
		error(&f, v->lan, v->far, v->unreachable, 3, &q);
		expect_taken(&f, bed.wan, v->lan);
		/* a stranger's comes in for the same reason, and does not get into the SA for its quote */
		arrive(&f, v->world, v->far, v->unreachable, 3, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_PASS_CLEAR);
		error(&f, v->world, v->far, v->unreachable, 3, &q);
		expect_egress(&f, bed.wan, TC_ACT_SHOT, ADIT_DROP_ICMP_FORGED);
	}
}

static void unmatched_drop_comes_after_the_quote(void **state)
{
	struct adit_rule rule = rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct frame f, q;

	bed_needed(state);
	bed.rest = ADIT_REST_DISCARD;
	bed_rules(&rule, 1);
	about(&f, &families[0], OUR4, ABSENT4);
	expect_taken(&f, 0, LAN_OWN4);
	quote_udp(&q, "203.0.114.7", OUR4, 1000, 53);
	error(&f, OUR4, "203.0.114.7", 3, 3, &q);
	expect_egress(&f, 0, TC_ACT_SHOT, ADIT_DROP_UNMATCHED);
	bed.rest = ADIT_REST_BYPASS;
}

/* ---- the far end of the pair --------------------------------------------------------------- */

static void the_far_end_finds_that_sa(void **state)
{
	const struct family *v;
	struct frame f, q;

	bed_needed(state);
	each_family(v)
	{
		about(&f, v, v->router, v->absent);
		expect_sealed_by(&f, v->icmp == ICMPV6 ? &sa6 : &sa4);
		expect_sealed_by(&f, v->icmp == ICMPV6 ? &sa6 : &sa4);
		bed_sa(v->rule, NULL);
		about(&f, v, v->router, v->absent);
		expect_internal(&f, XDP_REDIRECT, ADIT_TO_WORKER_HOLD);
		quote_udp(&q, v->world, v->router, 1000, 53);
		error(&f, v->router, v->world, v->unreachable, 3, &q);
		expect_internal(&f, XDP_DROP, ADIT_DROP_NOT_PROTECTED);
		quote_udp(&q, v->lan, v->far, 1000, 53);
		error(&f, v->router, v->far, v->unreachable, 3, &q);
		expect_internal(&f, XDP_DROP, ADIT_DROP_ICMP_CLEAR);
		error_of(&f, v->router, v->far, v->unreachable, 3, &q, 10);
		expect_internal(&f, XDP_DROP, ADIT_DROP_ICMP_QUOTE);
	}
}

/* The quote's selectors are asked for where the quote decides, also of an SA that is narrower than its rule. */
static void narrowed_by_the_quote(void **state)
{
	struct frame f;

	bed_needed(state);
	sa4.local_ts[0].min = addr_of("10.1.1.0");
	sa4.local_ts[0].max = addr_of("10.1.1.15");
	sa4.local_ts[0].protocol = IPPROTO_UDP;
	sa4.local_ts[0].port_min = sa4.local_ts[0].port_max = 53;
	bed_sa(RULE4, &sa4);
	about(&f, &families[0], ROUTER4, "10.1.1.9");
	expect_sealed_by(&f, &sa4);
	about(&f, &families[0], "10.1.1.200", "10.1.1.9"); /* itself in the rule, but not in the SA */
	expect_sealed_by(&f, &sa4);
	about(&f, &families[0], ROUTER4, ABSENT4);
	expect_internal(&f, XDP_DROP, ADIT_DROP_NARROWED);
	about(&f, &families[0], "10.1.1.9", ABSENT4);
	expect_internal(&f, XDP_DROP, ADIT_DROP_NARROWED);
}

/* RFC 1122 3.2.2: an error about an error is never sent. */
static void too_large_is_not_answered(void **state)
{
	const struct family *v;
	struct frame f, q;

	bed_needed(state);
	sa4.inner_mtu = sa6.inner_mtu = 1300;
	bed_sa(RULE4, &sa4);
	bed_sa(RULE6, &sa6);
	each_family(v)
	{
		frame_eth(&q, bed.lan_mac, bed.lan_mac);
		frame_ip(&q, v->far, v->absent, IPPROTO_UDP);
		frame_udp(&q, 1000, 53);
		frame_fill(&q, 1350);
		frame_finish(&q);
		error(&f, v->router, v->far, v->unreachable, 1, &q);
		if (v->icmp != ICMPV6) {
			put16(f.b + 14 + 6, 0x4000); /* DF */
			frame_fix_ip(&f);
		}
		expect_internal(&f, XDP_DROP, ADIT_DROP_TOO_BIG);
	}
}

/* ---- arriving in clear --------------------------------------------------------------------- */

static void forged_ones(void **state)
{
	const struct family *v;
	struct frame f, q;

	bed_needed(state);
	each_family(v)
	{
		quote_udp(&q, v->lan, v->far, 1000, 53);
		arrive(&f, v->world, v->lan, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
		arrive(&f, v->world, v->our, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
		arrive(&f, v->world, v->lan, v->unreachable, 4, &q, (v->icmp == ICMPV6 ? 40 : 20) + 8);
		expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
		/* as if the far side's packet had been seen on the way here */
		quote_udp(&q, v->far, v->lan, 1000, 53);
		arrive(&f, v->world, v->lan, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
		arrive(&f, v->world, v->lan, v->unreachable, 4, &q, 12);
		expect_arrival(&f, ADIT_DROP_ICMP_QUOTE);
		/* its own addresses alone would do */
		arrive(&f, v->far, v->lan, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_DROP_FRONT_RECHECK);
	}
	/* the first piece of one */
	quote_udp(&q, LAN4, FAR4, 1000, 53);
	arrive(&f, "203.0.114.7", LAN4, 3, 4, &q, q.len - q.l3);
	put16(f.b + 14 + 6, 0x2000);
	frame_fix_ip(&f);
	expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
	/* from a neighbour's link-local address, for whom policy has no rule */
	quote_udp(&q, LAN6, FAR6, 1000, 53);
	arrive(&f, "fe80::9", OUR6, 2, 0, &q, q.len - q.l3);
	expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
}

static void genuine_ones(void **state)
{
	struct frame f, q;
	const struct family *v;

	bed_needed(state);
	each_family(v)
	{
		quote_udp(&q, v->our, v->world, 1000, 53);
		arrive(&f, v->world, v->our, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_PASS_CLEAR);
		quote_udp(&q, v->router, v->world, 1000, 53);
		arrive(&f, v->world, v->router, v->unreachable, 4, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_PASS_CLEAR);
		arrive(&f, v->world, v->our, v->echo, 0, &q, q.len - q.l3);
		expect_arrival(&f, ADIT_PASS_CLEAR);
	}
}

/* A rule covers our outer addresses, and a router on the way has something to say of our ESP and IKE (path MTU). */
static void about_our_own_esp(void **state)
{
	static const uint16_t ports[] = {500, 4500};
	struct frame f, q;
	size_t i;

	bed_needed(state);
	frame_eth(&q, bed.lan_mac, bed.lan_mac);
	frame_ip(&q, OUR4, PEER4, ESP);
	frame_fill(&q, 40);
	frame_finish(&q);
	arrive(&f, "203.0.114.7", OUR4, 3, 4, &q, 28);
	expect_arrival(&f, ADIT_PASS_OUTER_ERROR);
	for (i = 0; i < 2; i++) {
		quote_udp(&q, OUR4, PEER4, ports[i], 4500);
		arrive(&f, "203.0.114.7", OUR4, 3, 4, &q, 28);
		expect_arrival(&f, ADIT_PASS_OUTER_ERROR);
	}
	quote_udp(&q, OUR4, PEER4, 1000, 4500); /* not ours, hence protected by that rule */
	arrive(&f, "203.0.114.7", OUR4, 3, 4, &q, 28);
	expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
	quote_udp(&q, OUR4, "198.51.100.9", 4500, 4500); /* no peer */
	arrive(&f, "203.0.114.7", OUR4, 3, 4, &q, 28);
	expect_arrival(&f, ADIT_DROP_ICMP_FORGED);
}

/* A path MTU must be learned under a policy that protects, or drops, everything else. */
static void about_our_own_esp_whatever_the_policy(void **state)
{
	struct adit_rule all = rule_of(1, ADIT_PROTECT, "0.0.0.0/0", "0.0.0.0/0", 0);
	struct frame f, q;

	bed_needed(state);
	frame_eth(&q, bed.lan_mac, bed.lan_mac);
	frame_ip(&q, OUR4, PEER4, ESP);
	frame_fill(&q, 40);
	frame_finish(&q);
	arrive(&f, "203.0.114.7", OUR4, 3, 4, &q, 28);
	bed_rules(&all, 1);
	expect_arrival(&f, ADIT_PASS_OUTER_ERROR);
	bed.rest = ADIT_REST_DISCARD;
	bed_rules(NULL, 0);
	expect_arrival(&f, ADIT_PASS_OUTER_ERROR);
	arrive(&f, "203.0.114.7", LAN4, 3, 4, &q, 28); /* nobody in the LAN sent that */
	expect_arrival(&f, ADIT_DROP_UNMATCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_gateways_own, fixture),
		cmocka_unit_test_setup(a_source_that_fits, fixture),
		cmocka_unit_test_setup(somebody_elses, fixture),
		cmocka_unit_test_setup(rules_with_ports, fixture),
		cmocka_unit_test_setup(quotes_of_every_shape, fixture),
		cmocka_unit_test_setup(what_goes_nowhere, fixture),
		cmocka_unit_test_setup(what_is_nobodys_secret, fixture),
		cmocka_unit_test_setup(a_gateway_with_one_interface, fixture),
		cmocka_unit_test_setup(unmatched_drop_comes_after_the_quote, fixture),
		cmocka_unit_test_setup(the_far_end_finds_that_sa, fixture),
		cmocka_unit_test_setup(narrowed_by_the_quote, fixture),
		cmocka_unit_test_setup(too_large_is_not_answered, fixture),
		cmocka_unit_test_setup(forged_ones, fixture),
		cmocka_unit_test_setup(genuine_ones, fixture),
		cmocka_unit_test_setup(about_our_own_esp, fixture),
		cmocka_unit_test_setup(about_our_own_esp_whatever_the_policy, fixture),
	};

	return cmocka_run_group_tests_name("icmp_error", tests, bed_open, bed_close);
}
