// SPDX-License-Identifier: BSD-2-Clause
/* adit_inside: the fast path from an inside port. */
#include "sealed.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#define RULE4 1
#define RULE6 2

static const uint8_t host_mac[6] = {2, 0, 0, 0, 1, 5};
static struct adit_sa_out sa4, sa6;

static void start(struct frame *f)
{
	frame_eth(f, bed.lan_mac, host_mac);
}

static void udp(struct frame *f, const char *src, const char *dst, size_t len)
{
	start(f);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 1000, 53);
	frame_fill(f, len);
	frame_finish(f);
}

static void expect_pass(const struct frame *f, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_inside, f, bed.lan);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, XDP_PASS);
	assert_int_equal(r.meta, 0);
	assert_int_equal(r.len, f->len);
	assert_memory_equal(r.b, f->b, f->len);
}

/* The packet inside has one hop less and is otherwise the one sent. */
static void expect_seal(const struct frame *sent, const struct adit_sa_out *sa)
{
	struct frame f = *sent;
	struct sealed_want want = sealed_by_wan(sa, &f);
	struct result r;

	if (f.b[f.l3] >> 4 == 4) {
		f.b[f.l3 + 8]--;
		frame_fix_ip(&f);
	} else {
		f.b[f.l3 + 7]--;
	}
	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_inside, sent, bed.lan);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	expect_sealed(&r, &want);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(RULE6, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
	};

	if (bed_reset(state))
		return 0;
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR6, PEER6);
	bed_rules(rules, 2);
	bed_sa(RULE4, &sa4);
	bed_sa(RULE6, &sa6);
	return 0;
}

static void seals(void **state)
{
	struct frame f;
	int ttl;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 100);
	expect_seal(&f, &sa4);
	expect_seal(&f, &sa4);
	udp(&f, LAN6, FAR6, 100);
	expect_seal(&f, &sa6);
	expect_seal(&f, &sa6);
	udp(&f, LAN4, FAR4, 0); /* a short frame, padded to 60 */
	frame_pad(&f, 18);
	expect_seal(&f, &sa4);
	udp(&f, LAN4, FAR4, sa4.inner_mtu - 28u);
	expect_seal(&f, &sa4);
	for (ttl = 2; ttl < 256; ttl++) {
		udp(&f, LAN4, FAR4, 4);
		f.b[22] = (uint8_t)ttl;
		frame_fix_ip(&f);
		expect_seal(&f, &sa4);
	}
	/* a VLAN of this port that is an inside port itself */
	bed_port_tagged(bed.lan, ETH_P_8021Q, 7);
	udp(&f, LAN4, FAR4, 100);
	expect_seal(&f, &sa4);
}

static void clamps_mss(void **state)
{
	struct frame f, want_inner;
	struct sealed_want want;
	struct result r;

	bed_needed(state);
	sa4.mss4 = 1300;
	bed_sa(RULE4, &sa4);
	start(&f);
	frame_ip(&f, LAN4, FAR4, IPPROTO_TCP);
	frame_tcp(&f, 1, 2, 2, "\2\4\5\xb4", 4);
	frame_finish(&f);
	want_inner = f;
	put16(want_inner.b + f.l4 + 22, 1300);
	want_inner.b[22]--;
	frame_finish(&want_inner);
	want = sealed_by_wan(&sa4, &want_inner);
	r = bed_xdp(bed.skel->progs.adit_inside, &f, bed.lan);
	expect_reason(ADIT_TO_WORKER_SEAL, ADIT_MSS_CLAMPED);
	expect_sealed(&r, &want);
}

static void leaves_to_the_kernel_what_needs_it(void **state)
{
	struct frame f;

	bed_needed(state);
	start(&f);
	put16(f.b + 12, 0x0806);
	frame_fill(&f, 28);
	expect_pass(&f, ADIT_PASS_NOT_IP);
	udp(&f, LAN4, FAR4, 100); /* fragments */
	put16(f.b + 20, 0x2000);
	frame_fix_ip(&f);
	expect_pass(&f, ADIT_PASS_GENERAL);
	put16(f.b + 20, 0x0001);
	frame_fix_ip(&f);
	expect_pass(&f, ADIT_PASS_GENERAL);
	start(&f);
	frame_ip(&f, LAN6, FAR6, 44);
	frame_octets(&f, "\x11\0\0\0\0\0\0\1", 8);
	frame_udp(&f, 1, 2);
	frame_finish(&f);
	expect_pass(&f, ADIT_PASS_GENERAL);
	start(&f); /* options */
	frame_ip(&f, LAN4, FAR4, IPPROTO_UDP);
	f.b[14] = 0x46;
	frame_octets(&f, "\1\1\1\0", 4);
	frame_udp(&f, 1, 2);
	frame_finish(&f);
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, FAR4, 100); /* hop limits */
	f.b[22] = 1;
	frame_fix_ip(&f);
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN6, FAR6, 100);
	f.b[21] = 1;
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, "239.0.0.1", 100); /* groups and link-local */
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, "255.255.255.255", 100);
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, "fe80::1", FAR6, 100);
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, FAR4, sa4.inner_mtu - 27u); /* sizes */
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, FAR4, 1700);
	expect_pass(&f, ADIT_PASS_GENERAL);
	udp(&f, LAN4, FAR4, 100); /* not for our address on the link */
	f.b[5] ^= 1;
	expect_pass(&f, ADIT_PASS_GENERAL);
	/* to ourselves, to another host on this side, by no policy interface, unmatched */
	udp(&f, LAN4, "10.1.1.1", 100);
	expect_pass(&f, ADIT_PASS_CLEAR);
	udp(&f, LAN4, "10.1.1.7", 100);
	expect_pass(&f, ADIT_PASS_CLEAR);
	udp(&f, LAN4, "203.0.113.1", 100);
	expect_pass(&f, ADIT_PASS_CLEAR);
	udp(&f, LAN4, "10.1.3.1", 100);
	expect_pass(&f, ADIT_PASS_CLEAR);
}

static void leaves_to_the_kernel_what_cannot_be_sealed(void **state)
{
	struct adit_port port;
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 100);
	bed_socket(SLOT_LAN, false);
	expect_pass(&f, ADIT_PASS_GENERAL);
	bed_socket(SLOT_LAN, true);
	expect_seal(&f, &sa4);
	bed_sa(RULE4, NULL);
	expect_pass(&f, ADIT_PASS_GENERAL);
	sa4.remote_ts[0].max = addr_of("10.1.2.8");
	bed_sa(RULE4, &sa4);
	expect_pass(&f, ADIT_PASS_GENERAL);
	sa4 = sa_of(3, OUR4, "203.0.113.9");
	bed_sa(RULE4, &sa4);
	expect_pass(&f, ADIT_PASS_GENERAL);
	/* the fast path is switched off: within 200 ms everything goes the general way */
	sa4 = sa_of(3, OUR4, PEER4);
	bed_sa(RULE4, &sa4);
	expect_seal(&f, &sa4);
	port = bed_port_get(bed.lan);
	port.flags = 0;
	bed_port(bed.lan, &port);
	usleep(250000);
	expect_pass(&f, ADIT_PASS_NO_FAST_PATH);
	port.flags = ADIT_PORT_FAST_PATH;
	port.role = ADIT_ROLE_OUTSIDE;
	bed_port(bed.lan, &port);
	bed_generation();
	expect_pass(&f, ADIT_PASS_NO_FAST_PATH);
}

/* After ethtool -L a device may have more queues than there are sockets for: theirs are not the next port's. */
static void stays_off_sockets_of_others(void **state)
{
	struct adit_port port;
	struct result r;
	struct frame f;

	bed_needed(state);
	port = bed_port_get(bed.lan);
	bed_port(bed.many, &port);
	udp(&f, LAN4, FAR4, 100);
	reasons_mark();
	r = bed_xdp_queue(bed.skel->progs.adit_inside, &f, bed.many, 0);
	assert_int_equal(r.verdict, XDP_REDIRECT);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	/* the first queue of SLOT_INTERNAL, by number */
	r = bed_xdp_queue(bed.skel->progs.adit_inside, &f, bed.many, ADIT_QUEUES_MAX);
	assert_int_equal(r.verdict, XDP_PASS);
	expect_reason(ADIT_PASS_GENERAL, 0);
	assert_int_equal(r.len, f.len);
	assert_memory_equal(r.b, f.b, f.len);
}

/* Rules that are being exchanged: the kernel's way, where adit_egress asks them again. */
static void waits_for_all_rules(void **state)
{
	struct adit_rule rule = rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct frame f;

	bed_needed(state);
	bed_rules(&rule, 1);
	bed_rule_row(0, NULL);
	udp(&f, LAN4, FAR4, 100);
	expect_pass(&f, ADIT_PASS_GENERAL);
	bed_rule_row(0, &rule);
	expect_seal(&f, &sa4);
}

/* Routes change without telling us; the flow notices within 200 ms, and finds its rule again when they come
 * back. */
static void follows_the_routes(void **state)
{
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 100);
	expect_seal(&f, &sa4);
	bed_run("ip route add 10.1.2.0/24 dev lan0");
	usleep(250000);
	expect_pass(&f, ADIT_PASS_CLEAR);
	bed_run("ip route del 10.1.2.0/24 dev lan0");
	usleep(250000);
	expect_seal(&f, &sa4);
	bed_run("ip route add 10.1.2.0/24 via 192.0.2.254 mtu lock 600");
	usleep(250000);
	expect_seal(&f, &sa4);
	udp(&f, LAN4, FAR4, 600 - 27);
	expect_pass(&f, ADIT_PASS_GENERAL);
	bed_run("ip route del 10.1.2.0/24");
}

static void survives_truncation(void **state)
{
	struct frame whole, f;
	size_t n;
	int v6;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++) {
		udp(&whole, v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4, 20);
		for (n = 14; n < whole.len; n++) {
			f = whole;
			f.len = n;
			expect_pass(&f, ADIT_PASS_GENERAL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(seals, fixture),
		cmocka_unit_test_setup(clamps_mss, fixture),
		cmocka_unit_test_setup(leaves_to_the_kernel_what_needs_it, fixture),
		cmocka_unit_test_setup(leaves_to_the_kernel_what_cannot_be_sealed, fixture),
		cmocka_unit_test_setup(stays_off_sockets_of_others, fixture),
		cmocka_unit_test_setup(waits_for_all_rules, fixture),
		cmocka_unit_test_setup(follows_the_routes, fixture),
		cmocka_unit_test_setup(survives_truncation, fixture),
	};

	return cmocka_run_group_tests_name("inside", tests, bed_open, bed_close);
}
