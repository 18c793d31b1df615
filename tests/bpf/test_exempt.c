// SPDX-License-Identifier: BSD-2-Clause
/* What meets no rule, and what does: one table of destinations, both families, both directions, all three programs
 * that ask.  The rules would protect everything. */
#include "bed.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <linux/pkt_cls.h>
#include <cmocka.h>

#define ICMPV6 58

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_PROTECT, "0.0.0.0/0", "0.0.0.0/0", 0),
		rule_of(2, ADIT_PROTECT, "::/0", "::/0", 0),
	};

	if (!bed_reset(state))
		bed_rules(rules, 2);
	return 0;
}

static const struct {
	const char *dst;
	bool exempt;
} destinations[] = {
	/* groups of the interface and of the link, whatever the flags; link-local unicast */
	{"ff01::1",		    true },
	{"ff11::1",		    true },
	{"ff31:40:2001:db8::1",	true },
	{"ff02::1",		    true },
	{"ff02::1:2",	      true },
	{"ff02::16",	     true },
	{"ff12::4242",	       true },
	{"ff32::8000:1",	 true },
	{"ff72:140:2001:db8::1", true },
	{"fff2::1",		    true },
	{"fe80::1",		    true },
	{"febf:ffff::1",	 true },
 /* groups that are forwarded: realm, admin, site, organisation, global; SSM, prefix-based, embedded RP */
	{"ff00::1",		    false},
	{"ff03::1",		    false},
	{"ff04::1",		    false},
	{"ff05::1:3",	      false},
	{"ff08::1",		    false},
	{"ff0e::101",	      false},
	{"ff0f::1",		    false},
	{"ff15::1",		    false},
	{"ff18::1",		    false},
	{"ff1e::1",		    false},
	{"ff35::1",		    false},
	{"ff3e::8000:1",	 false},
	{"ff7e:140:2001:db8::1", false},
	{"fffe::1",		    false},
 /* near misses */
	{"fec0::1",		    false},
	{"fe00::1",		    false},
	{"fe7f:ffff::1",	 false},
	{"fd00::ff02:1",	 false},
	{"2001:db8:1::fe",	   false},
	{"::1:ff02",	     false},
 /* IPv4 */
	{"224.0.0.0",	      true },
	{"224.0.0.1",	      true },
	{"224.0.0.5",	      true },
	{"224.0.0.18",	       true },
	{"224.0.0.251",		true },
	{"224.0.0.255",		true },
	{"255.255.255.255",	    true },
	{"224.0.1.0",	      false},
	{"224.0.1.129",		false},
	{"224.1.0.5",	      false},
	{"225.0.0.5",	      false},
	{"232.1.1.1",	      false},
	{"233.252.0.1",		false},
	{"239.255.255.250",	    false},
	{"239.1.1.1",	      false},
	{"240.0.0.1",	      false},
	{"255.255.255.254",	    false},
	{"192.0.2.255",		false}, /* directed broadcasts: ours, and another's */
	{"10.1.2.255",	       false},
	{"169.254.1.1",		false}, /* Linux forwards it */
	{"169.254.255.255",	    false},
	{"223.255.255.255",	    false},
};

#define DESTINATIONS (sizeof(destinations) / sizeof(destinations[0]))

/* Whoever sends it: a host behind us, we, a neighbour, the far network. */
static const char *const sources4[] = {"10.1.1.5", "192.0.2.1", "0.0.0.0", "10.1.2.9", "169.254.7.7"};
static const char *const sources6[] = {"2001:db8:11::5", "2001:db8:1::1", "fe80::7", "2001:db8:22::9", "::"};

static const char *const *sources_of(const char *dst)
{
	return strchr(dst, ':') ? sources6 : sources4;
}

static void datagram(struct frame *f, const char *src, const char *dst)
{
	frame_eth(f, bed.wan_mac, bed.gateway_mac);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 5353, 5353);
	frame_fill(f, 40);
	frame_finish(f);
}

static void discovery(struct frame *f, const char *src, const char *dst, uint8_t type)
{
	frame_eth(f, bed.wan_mac, bed.gateway_mac);
	frame_ip(f, src, dst, ICMPV6);
	frame_icmp(f, type, 0);
	frame_fill(f, 24);
	f->b[21] = 255;
	frame_finish(f);
}

static void expect_that(const char *what, enum adit_reason why)
{
	if (reason_count(why) - bed.before[why] != 1)
		print_error("wrong for: %s\n", what);
	expect_reason(why, 0);
}

static void expect_out(const char *what, const struct frame *f, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_egress, f, bed.wan, 0, 0);
	expect_that(what, why);
	assert_int_equal(r.verdict, why == ADIT_TO_INTERNAL	 ? TC_ACT_REDIRECT
				    : why == ADIT_DROP_UNMATCHED ? TC_ACT_SHOT
								 : TC_PASS);
}

/* By Ethernet and by a device without. */
static void expect_in(const char *what, const struct frame *f, enum adit_reason why)
{
	bool pass = why < ADIT_TO_WORKER_SEAL;
	struct result r;

	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_outside, f, bed.wan);
	expect_that(what, why);
	assert_int_equal(r.verdict, pass ? XDP_PASS : XDP_DROP);
	r = bed_tc(bed.skel->progs.adit_ingress, f, bed.wan, 0, 0);
	expect_that(what, why);
	assert_int_equal(r.verdict, pass ? TC_PASS : TC_ACT_SHOT);
}

static void each_destination_by_the_table(void **state)
{
	struct frame f;
	size_t i, k;

	bed_needed(state);
	for (i = 0; i < DESTINATIONS; i++)
		for (k = 0; k < 5; k++) {
			datagram(&f, sources_of(destinations[i].dst)[k], destinations[i].dst);
			expect_out(destinations[i].dst, &f,
				   destinations[i].exempt ? ADIT_PASS_LINK_LOCAL : ADIT_TO_INTERNAL);
			expect_in(destinations[i].dst, &f,
				  destinations[i].exempt ? ADIT_PASS_LINK_LOCAL : ADIT_DROP_FRONT_RECHECK);
		}
}

/* "unmatched drop" is a rule like the others. */
static void unmatched_is_asked_too(void **state)
{
	struct frame f;
	size_t i;

	bed_needed(state);
	bed.rest = ADIT_REST_DISCARD;
	bed_rules(NULL, 0);
	for (i = 0; i < DESTINATIONS; i++) {
		datagram(&f, sources_of(destinations[i].dst)[1], destinations[i].dst);
		expect_out(destinations[i].dst, &f,
			   destinations[i].exempt ? ADIT_PASS_LINK_LOCAL : ADIT_DROP_UNMATCHED);
		expect_in(destinations[i].dst, &f,
			  destinations[i].exempt ? ADIT_PASS_LINK_LOCAL : ADIT_DROP_UNMATCHED);
	}
}

/* Inside, a group is never on the fast path: the kernel decides where it goes. */
static void groups_go_by_the_kernel(void **state)
{
	struct adit_sa_out sa = sa_of(3, OUR4, PEER4);
	struct frame f;
	size_t i;

	bed_needed(state);
	bed_sa(1, &sa);
	bed_sa(2, &sa);
	for (i = 0; i < DESTINATIONS; i++) {
		const char *dst = destinations[i].dst;

		if (strncmp(dst, "ff", 2) && strncmp(dst, "22", 2) && strncmp(dst, "23", 2))
			continue;
		if (!strncmp(dst, "223", 3))
			continue;
		datagram(&f, sources_of(dst)[0], dst);
		memcpy(f.b, bed.lan_mac, 6);
		reasons_mark();
		assert_int_equal(bed_xdp(bed.skel->progs.adit_inside, &f, bed.lan).verdict, XDP_PASS);
		expect_that(dst, ADIT_PASS_GENERAL);
	}
}

/* OUR6 and the router are on the link of wan0; FAR6 is behind that router and LAN6 on another link. */
static void discovery_on_its_own_link_only(void **state)
{
	static const struct {
		const char *src, *dst;
		bool out, in; /* exempt? */
	} t[] = {
		{OUR6,	       "ff02::1:ff00:fe", true,	true },
		{"fe80::1",	    "ff02::1",	       true,  true },
		{"fe80::1",	    "fe80::2",	       true,  true },
		{"::",	       "ff02::1:ff00:1",	 true,  true },
		{OUR6,	       "2001:db8:1::fe",	 true,  false}, /* a neighbour there, not us */
		{OUR6,	       "2001:db8:1::77",	 true,  false},
		{"fe80::1",	    "2001:db8:1::fe",  true,  true },
		{"fe80::1",	    "2001:db8:1::77",  true,  true }, /* Linux forwards nothing from there */
		{"2001:db8:1::fe", OUR6,		 false, true },
		{"fe80::fe",	     OUR6,		   false, true },
		{OUR6,	       FAR6,		     false, false},
		{LAN6,	       FAR6,		     false, false},
		{FAR6,	       LAN6,		     false, false},
		{"fe80::1",	    FAR6,		  false, true },
		{OUR6,	       "ff05::1",	  false, false},
		{OUR6,	       "ff0e::1",	  false, false},
	};
	struct frame f;
	size_t i;
	int type;

	bed_needed(state);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (type = 133; type <= 137; type++) {
			discovery(&f, t[i].src, t[i].dst, (uint8_t)type);
			expect_out(t[i].dst, &f, t[i].out ? ADIT_PASS_DISCOVERY : ADIT_TO_INTERNAL);
			expect_in(t[i].dst, &f, t[i].in ? ADIT_PASS_DISCOVERY : ADIT_DROP_FRONT_RECHECK);
		}
}

/* What only looks like it. */
static void discovery_is_exact(void **state)
{
	static const uint8_t others[] = {1, 3, 128, 129, 130, 132, 138, 143, 147, 255};
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < sizeof(others); i++) {
		discovery(&f, OUR6, "2001:db8:1::fe", others[i]);
		expect_out("another type", &f, ADIT_TO_INTERNAL);
		discovery(&f, "2001:db8:1::fe", OUR6, others[i]);
		expect_in("another type", &f, ADIT_DROP_FRONT_RECHECK);
	}
	discovery(&f, OUR6, "2001:db8:1::fe", 135);
	f.b[21] = 254;
	expect_out("hop limit", &f, ADIT_TO_INTERNAL);
	f.b[21] = 255;
	f.b[55] = 1;
	expect_out("code", &f, ADIT_TO_INTERNAL);
	/* RFC 6980: never in fragments */
	frame_eth(&f, bed.wan_mac, bed.gateway_mac);
	frame_ip(&f, "2001:db8:1::fe", OUR6, 44);
	frame_octets(&f, "\x3a\0\0\1\0\0\0\7", 8);
	frame_icmp(&f, 136, 0);
	frame_fill(&f, 24);
	f.b[21] = 255;
	frame_finish(&f);
	expect_in("a fragment", &f, ADIT_DROP_FRONT_RECHECK);
	/* IPv4 has nothing of the kind */
	frame_eth(&f, bed.wan_mac, bed.gateway_mac);
	frame_ip(&f, OUR4, "192.0.2.254", ICMPV6);
	frame_icmp(&f, 135, 0);
	frame_fill(&f, 24);
	f.b[22] = 255;
	frame_finish(&f);
	expect_out("IPv4", &f, ADIT_TO_INTERNAL);
}

/* What comes for our IKE and ESP comes to an address of ours, never to a group. */
static void ours_is_no_group(void **state)
{
	static const char *const groups[][2] = {
		{PEER4, "239.1.1.1"},
		      {PEER4, "232.1.1.1"},
		    {PEER4, "224.0.1.7"},
		{PEER6, "ff0e::1"	 },
		      {PEER6, "ff05::1"  },
		    {PEER6, "ff3e::1"  }
	      };
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_UDP, IPPROTO_ESP};
	static const uint16_t ports[] = {500, 4500, 0};
	struct frame f;
	size_t i, k;
	int ike;

	bed_needed(state);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (k = 0; k < 3; k++)
			for (ike = 0; ike < 2; ike++) {
				frame_eth(&f, bed.wan_mac, bed.gateway_mac);
				frame_ip(&f, groups[i][0], groups[i][1], protocols[k]);
				if (ports[k])
					frame_udp(&f, ports[k], ports[k]);
				frame_be32(&f, ike ? 0 : 0xc0ffee);
				frame_fill(&f, 60);
				frame_finish(&f);
				expect_in(groups[i][1], &f, ADIT_DROP_FRONT_RECHECK);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_destination_by_the_table, fixture),
		cmocka_unit_test_setup(unmatched_is_asked_too, fixture),
		cmocka_unit_test_setup(groups_go_by_the_kernel, fixture),
		cmocka_unit_test_setup(discovery_on_its_own_link_only, fixture),
		cmocka_unit_test_setup(discovery_is_exact, fixture),
		cmocka_unit_test_setup(ours_is_no_group, fixture),
	};

	return cmocka_run_group_tests_name("exempt", tests, bed_open, bed_close);
}
