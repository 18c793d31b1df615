// SPDX-License-Identifier: BSD-2-Clause
/* adit_internal: the far end of the internal pair, where the envelope is written for everything that comes
 * through the kernel. */
#include "sealed.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#define RULE4 1
#define RULE6 2

static struct adit_sa_out sa4, sa6;

static struct result internal(const struct frame *f)
{
	return bed_xdp(bed.skel->progs.adit_internal, f, bed.adit1);
}

/* As adit_egress leaves it: the policy interface in the source address. */
static void start(struct frame *f)
{
	uint8_t src[6] = {0x02, 0xad};

	put32(src + 2, (uint32_t)bed.wan);
	frame_eth(f, bed.adit0_mac, src);
}

static void udp(struct frame *f, const char *src, const char *dst, uint16_t dport, size_t len)
{
	start(f);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 1000, dport);
	frame_fill(f, len);
	frame_finish(f);
}

static void expect(const struct frame *f, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = internal(f);
	assert_int_equal(r.verdict, verdict);
	expect_reason(why, 0);
}

static void expect_seal(const struct frame *f, const struct sealed_want *want)
{
	struct result r;

	reasons_mark();
	r = internal(f);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	expect_sealed(&r, want);
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

/* Both outer families around both inner ones, with and without UDP. */
static void seals_every_family(void **state)
{
	static const char *const outer[][2] = {
		{OUR4, PEER4},
		       {OUR6, PEER6}
	    };
	static const char *const inner[][2] = {
		{LAN4, FAR4},
		      {LAN6, FAR6}
	  };
	struct sealed_want want;
	struct adit_sa_out sa;
	struct frame f;
	int o, i, u;

	bed_needed(state);
	for (o = 0; o < 2; o++)
		for (i = 0; i < 2; i++)
			for (u = 0; u < 2; u++) {
				sa = sa_of(3, outer[o][0], outer[o][1]);
				sa.udp_encap = (uint8_t)u;
				sa.local_port = 4500;
				sa.remote_port = 61234;
				bed_sa(i ? RULE6 : RULE4, &sa);
				udp(&f, inner[i][0], inner[i][1], 53, 100);
				want = sealed_by_wan(&sa, &f);
				expect_seal(&f, &want);
				expect_seal(&f, &want); /* cached */
			}
}

/* Every residue of the padding; and with a limit that is too high, the route's 1500 octets count. */
static void counts_padding(void **state)
{
	static const struct {
		uint8_t iv, icv, align;
		size_t most; /* 1500 - 20 - 8 - IV - ICV, down to the boundary, less the trailer */
	} suites[] = {
		{8,  16, 4,  1446},
		  {16, 16, 16, 1438},
		      {16, 32, 16, 1422}
	};
	struct sealed_want want;
	struct frame f;
	size_t s, n;

	bed_needed(state);
	for (s = 0; s < 3; s++) {
		sa4.iv_len = suites[s].iv;
		sa4.icv_len = suites[s].icv;
		sa4.align = suites[s].align;
		sa4.inner_mtu = 9000;
		bed_sa(RULE4, &sa4);
		for (n = 0; n < 36; n++) {
			udp(&f, LAN4, FAR4, 53, n);
			want = sealed_by_wan(&sa4, &f);
			expect_seal(&f, &want);
		}
		for (n = suites[s].most - 20; n < suites[s].most + 20; n++) {
			udp(&f, LAN4, FAR4, 53, n - 28);
			want = sealed_by_wan(&sa4, &f);
			if (n > suites[s].most)
				want.flags |= ADIT_NOTE_FRAGMENT;
			expect_seal(&f, &want);
		}
	}
}

/* However large the SA and the route say: one chunk holds 1700 octets of outer packet. */
static void fits_a_frame(void **state)
{
	static const struct {
		const char *local, *remote;
		uint8_t udp;
		size_t most; /* 1700 - outer IP - UDP - 8 - IV - ICV, down to the boundary, less the trailer */
	} t[] = {
		{OUR4, "192.0.2.77",     0, 1646},
		{OUR4, "192.0.2.77",     1, 1638},
		{OUR6, "2001:db8:1::77", 0, 1626},
	};
	struct sealed_want want;
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		/* no neighbour yet, so no route to say less */
		sa4 = sa_of(3, t[i].local, t[i].remote);
		sa4.udp_encap = t[i].udp;
		sa4.inner_mtu = 9000;
		bed_sa(RULE4, &sa4);
		udp(&f, LAN4, FAR4, 53, t[i].most - 28);
		want = sealed_by_kernel(&sa4, &f);
		expect_seal(&f, &want);
		udp(&f, LAN4, FAR4, 53, t[i].most - 27);
		want = sealed_by_kernel(&sa4, &f);
		want.flags |= ADIT_NOTE_FRAGMENT;
		expect_seal(&f, &want);
	}
}

/* A clamp follows what fits: here the wire's 1500 octets, whatever the SA was told. */
static void clamps_to_what_fits(void **state)
{
	struct result r;
	struct frame f;
	const uint8_t *b;
	size_t len;
	int v6;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++) {
		sa4.inner_mtu = 9000;
		sa4.mss4 = 8960;
		sa4.mss6 = 8940;
		bed_sa(v6 ? RULE6 : RULE4, &sa4);
		start(&f);
		frame_ip(&f, v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4, IPPROTO_TCP);
		frame_tcp(&f, 1, 2, 2, "\2\4\x23\x00", 4);
		frame_finish(&f);
		reasons_mark();
		r = internal(&f);
		expect_reason(ADIT_TO_WORKER_SEAL, ADIT_MSS_CLAMPED);
		b = result_frame(&r, &len) + result_note(&r).seal.esp_off + 8 + sa4.iv_len;
		assert_int_equal(get16(b + (v6 ? 40 : 20) + 22), v6 ? 1446 - 60 : 1446 - 40);
		assert_true(l4_sum_right(b, f.len - 14));
	}
}

static void copies_tos_and_df(void **state)
{
	static const struct {
		uint8_t mode;
		bool inner, outer;
	} t[] = {
		{ADIT_DF_COPY,  false, false},
		      {ADIT_DF_COPY,  true,  true },
		     {ADIT_DF_SET,   false, true },
		{ADIT_DF_SET,   true,  true },
		      {ADIT_DF_CLEAR, false, false},
		     {ADIT_DF_CLEAR, true,  false}
	 };
	uint16_t id, last = 0;
	struct sealed_want want;
	struct result r;
	struct frame f;
	size_t i, len;
	int tos;

	bed_needed(state);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		sa4.df = t[i].mode;
		bed_sa(RULE4, &sa4);
		udp(&f, LAN4, FAR4, 53, 10);
		put16(f.b + 20, t[i].inner ? 0x4000 : 0);
		frame_fix_ip(&f);
		want = sealed_by_wan(&sa4, &f);
		assert_int_equal(want.df, t[i].outer);
		expect_seal(&f, &want);
	}
	/* without DF every packet has its own identification */
	for (i = 0; i < 3; i++) {
		r = internal(&f);
		id = get16(result_frame(&r, &len) + 18);
		assert_true(id != last);
		last = id;
	}
	for (tos = 0; tos < 256; tos += 5) {
		udp(&f, LAN4, FAR4, 53, 10);
		f.b[15] = (uint8_t)tos;
		frame_fix_ip(&f);
		want = sealed_by_wan(&sa4, &f);
		expect_seal(&f, &want);
		udp(&f, LAN6, FAR6, 53, 10);
		put16(f.b + 14, (uint16_t)(0x6000 | tos << 4));
		want = sealed_by_wan(&sa6, &f);
		expect_seal(&f, &want);
	}
}

static void holds_without_sa(void **state)
{
	struct adit_note note;
	struct result r;
	const uint8_t *b;
	struct frame f;
	size_t len;

	bed_needed(state);
	bed_sa(RULE4, NULL);
	bed_sa(RULE6, NULL);
	udp(&f, LAN4, FAR4, 53, 10);
	r = internal(&f);
	expect_reason(ADIT_TO_WORKER_HOLD, 0);
	assert_int_equal(r.verdict, XDP_REDIRECT);
	note = result_note(&r);
	assert_int_equal(note.kind, ADIT_NOTE_HOLD);
	assert_int_equal(note.id, RULE4);
	assert_int_equal(note.hold.l3_off, 14);
	assert_int_equal(note.hold.family, 4);
	b = result_frame(&r, &len);
	assert_int_equal(len, f.len);
	assert_memory_equal(b, f.b, f.len);
	udp(&f, LAN6, FAR6, 53, 10);
	r = internal(&f);
	note = result_note(&r);
	assert_int_equal(note.id, RULE6);
	assert_int_equal(note.hold.family, 6);
	/* the SA comes: the same flow is sealed at once */
	bed_sa(RULE6, &sa6);
	reasons_mark();
	r = internal(&f);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
}

static void fails_closed(void **state)
{
	struct adit_host host;
	struct adit_port port;
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 53, 10);
	bed_socket(SLOT_INTERNAL, false);
	expect(&f, XDP_DROP, ADIT_DROP_NO_WORKER);
	bed_sa(RULE4, NULL);
	expect(&f, XDP_DROP, ADIT_DROP_NO_WORKER);
	bed_socket(SLOT_INTERNAL, true);
	bed_sa(RULE4, &sa4);
	/* not protected, no policy interface named, not IP */
	udp(&f, LAN4, "10.1.3.1", 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NOT_PROTECTED);
	udp(&f, LAN4, FAR4, 53, 10);
	f.b[7] = 0xae;
	expect(&f, XDP_DROP, ADIT_DROP_NOT_PROTECTED);
	udp(&f, LAN4, FAR4, 53, 10);
	f.b[11]++;
	expect(&f, XDP_DROP, ADIT_DROP_NOT_PROTECTED);
	udp(&f, LAN4, FAR4, 53, 10);
	put16(f.b + 12, 0x0806);
	expect(&f, XDP_DROP, ADIT_DROP_NOT_PROTECTED);
	/* no way to the peer, and no way back into the kernel when the port has no socket */
	udp(&f, LAN4, FAR4, 53, 10);
	sa4.remote = addr_of("203.0.113.9");
	bed_sa(RULE4, &sa4);
	expect(&f, XDP_DROP, ADIT_DROP_NO_ROUTE);
	sa4.remote = addr_of(PEER4);
	bed_sa(RULE4, &sa4);
	port = bed_port_get(bed.wan);
	port.slot = ADIT_NO_SLOT;
	bed_port(bed.wan, &port);
	host = bed_host_get();
	host.internal_ifindex = 0;
	bed_host(&host);
	expect(&f, XDP_DROP, ADIT_DROP_NO_WORKER);
}

static void waits_for_all_rules(void **state)
{
	struct adit_rule rule = rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct frame f;

	bed_needed(state);
	bed_rules(&rule, 1);
	bed_rule_row(0, NULL);
	udp(&f, LAN4, FAR4, 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_RULES_CHANGE);
	bed_rule_row(0, &rule);
	expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
}

static void goes_by_the_kernel_where_no_socket_is(void **state)
{
	struct adit_port port;
	struct sealed_want want;
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 53, 10);
	want = sealed_by_kernel(&sa4, &f);
	port = bed_port_get(bed.wan);
	port.flags = 0;
	bed_port(bed.wan, &port);
	bed_generation();
	expect_seal(&f, &want);
	port.flags = ADIT_PORT_FAST_PATH;
	port.slot = ADIT_NO_SLOT;
	bed_port(bed.wan, &port);
	bed_generation();
	expect_seal(&f, &want);
	/* no neighbour yet: the kernel asks for it */
	port.slot = SLOT_WAN;
	bed_port(bed.wan, &port);
	sa4.remote = addr_of("192.0.2.77");
	bed_sa(RULE4, &sa4);
	want = sealed_by_kernel(&sa4, &f);
	expect_seal(&f, &want);
	/* and once it has it, the next envelope knows (no new generation) */
	bed_run("ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev wan0 nud permanent");
	usleep(150000);
	want = sealed_by_wan(&sa4, &f);
	want.dmac[5] = 0x77;
	expect_seal(&f, &want);
	bed_run("ip neigh del 192.0.2.77 dev wan0");
}

static void tags_for_vlans(void **state)
{
	static const uint16_t types[] = {ETH_P_8021Q, ETH_P_8021AD};
	struct sealed_want want;
	struct adit_port port;
	struct frame f;
	size_t i;

	bed_needed(state);
	sa6.udp_encap = 1;
	for (i = 0; i < 2; i++) {
		bed_port_tagged(bed.wan, types[i], 7);
		bed_sa(RULE6, &sa6);
		udp(&f, LAN4, FAR4, 53, 100);
		want = sealed_by_wan(&sa4, &f);
		want.vlan_type = types[i];
		want.vlan = 7;
		expect_seal(&f, &want);
		udp(&f, LAN6, FAR6, 53, 100);
		want = sealed_by_wan(&sa6, &f);
		want.vlan_type = types[i];
		want.vlan = 7;
		expect_seal(&f, &want);
	}
	/* with sockets of its own: it writes the tag itself */
	port = bed_port_get(bed.wan);
	port.lower_ifindex = (uint32_t)bed.wan;
	bed_port(bed.wan, &port);
	bed_generation();
	want.vlan = 0;
	expect_seal(&f, &want);
}

static void marks_what_is_to_be_fragmented(void **state)
{
	struct sealed_want want;
	struct frame f;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 53, sa4.inner_mtu - 28u);
	want = sealed_by_wan(&sa4, &f);
	expect_seal(&f, &want);
	udp(&f, LAN4, FAR4, 53, sa4.inner_mtu - 27u);
	want = sealed_by_wan(&sa4, &f);
	want.flags |= ADIT_NOTE_FRAGMENT;
	expect_seal(&f, &want);
}

/* RFC 8200 5: 1280 octets get through a tunnel that has less. */
static void small_v6_passes_small_tunnels(void **state)
{
	struct adit_sa_out sa;
	struct sealed_want want;
	struct frame f;

	bed_needed(state);
	sa = sa_of(5, OUR4, PEER4);
	sa.inner_mtu = 1200;
	bed_sa(RULE6, &sa);
	udp(&f, LAN6, FAR6, 53, 1200 - 48);
	want = sealed_by_wan(&sa, &f);
	expect_seal(&f, &want);
	udp(&f, LAN6, FAR6, 53, 1280 - 48);
	want = sealed_by_kernel(&sa, &f);
	want.df = false;
	expect_seal(&f, &want);
	sa6.inner_mtu = 1200;
	bed_sa(RULE6, &sa6);
	expect(&f, XDP_DROP, ADIT_DROP_TOO_BIG);
}

/* Family is part of a selector: ::/0 spans the mapped addresses and is none of theirs. */
static void carries_no_other_family(void **state)
{
	struct frame f;

	bed_needed(state);
	sa4.local_ts[0] = sa4.local_ts[1];
	sa4.remote_ts[0] = sa4.remote_ts[1];
	sa4.locals = sa4.remotes = 1;
	memset(&sa4.local_ts[0].min, 0, 16);
	bed_sa(RULE4, &sa4);
	udp(&f, LAN4, FAR4, 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	sa6.locals = sa6.remotes = 1; /* the first of them: IPv4, whatever its ends */
	bed_sa(RULE6, &sa6);
	udp(&f, LAN6, FAR6, 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
}

static void obeys_narrowed_selectors(void **state)
{
	struct frame f;

	bed_needed(state);
	sa4.locals = 2;
	sa4.remotes = 1;
	sa4.local_ts[0] = (struct adit_selector){
		.min = addr_of("10.1.1.1"), .max = addr_of("10.1.1.4"), .port_max = 65535, .family = 4};
	sa4.local_ts[1] = (struct adit_selector){
		.min = addr_of("10.1.1.6"), .max = addr_of("10.1.1.8"), .port_max = 65535, .family = 4};
	sa4.remote_ts[0] = (struct adit_selector){.min = addr_of("10.1.2.0"),
						  .max = addr_of("10.1.2.255"),
						  .port_min = 53,
						  .port_max = 60,
						  .protocol = IPPROTO_UDP,
						  .family = 4};
	bed_sa(RULE4, &sa4);
	udp(&f, "10.1.1.4", FAR4, 53, 10);
	expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
	udp(&f, "10.1.1.5", FAR4, 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	udp(&f, "10.1.1.6", FAR4, 60, 10);
	expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
	udp(&f, "10.1.1.9", FAR4, 53, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	udp(&f, "10.1.1.6", FAR4, 61, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	udp(&f, "10.1.1.6", FAR4, 52, 10);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	start(&f);
	frame_ip(&f, "10.1.1.6", FAR4, IPPROTO_ICMP);
	frame_icmp(&f, 8, 0);
	frame_finish(&f);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
	/* a later fragment shows no port: covered as long as the rest is */
	udp(&f, "10.1.1.6", FAR4, 61, 10);
	put16(f.b + 20, 0x0010);
	frame_fix_ip(&f);
	expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
	sa4.locals = 0;
	bed_sa(RULE4, &sa4);
	expect(&f, XDP_DROP, ADIT_DROP_NARROWED);
}

static void counts_hits(void **state)
{
	struct adit_hits hits[256] = {0};
	uint32_t id = RULE4;
	uint64_t packets = 0, octets = 0;
	struct frame f;
	int i;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 53, 72);
	for (i = 0; i < 3; i++)
		expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(bed.skel->maps.rule_hits), &id, hits), 0);
	for (i = 0; i < 256; i++) {
		packets += hits[i].packets;
		octets += hits[i].octets;
	}
	assert_int_equal(packets, 3);
	assert_int_equal(octets, 300);
}

static void survives_truncation(void **state)
{
	struct frame whole, f;
	size_t n;
	int v6;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++) {
		udp(&whole, v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4, 53, 30);
		for (n = 14; n < whole.len; n++) {
			f = whole;
			f.len = n;
			expect(&f, XDP_DROP, ADIT_DROP_RUNT);
		}
		/* the same with honest lengths: sealed as it is, ports or not */
		for (n = v6 ? 54 : 34; n < whole.len; n++) {
			f = whole;
			f.len = n;
			put16(f.b + (v6 ? 18 : 16), (uint16_t)(v6 ? n - 54 : n - 14));
			expect(&f, XDP_REDIRECT, ADIT_TO_WORKER_SEAL);
		}
	}
}

/* An SA whose shape is nonsense must not become an envelope. */
static void refuses_a_senseless_sa(void **state)
{
	static const uint8_t shapes[][2] = {
		{0, 8},
		{3, 8},
		{4, 7}
	      };
	struct frame f;
	size_t i;

	bed_needed(state);
	udp(&f, LAN4, FAR4, 53, 10);
	for (i = 0; i < 3; i++) {
		sa4.align = shapes[i][0];
		sa4.iv_len = shapes[i][1];
		bed_sa(RULE4, &sa4);
		expect(&f, XDP_DROP, ADIT_DROP_NO_SA);
		expect(&f, XDP_DROP, ADIT_DROP_NO_SA);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(seals_every_family, fixture),
		cmocka_unit_test_setup(counts_padding, fixture),
		cmocka_unit_test_setup(fits_a_frame, fixture),
		cmocka_unit_test_setup(clamps_to_what_fits, fixture),
		cmocka_unit_test_setup(copies_tos_and_df, fixture),
		cmocka_unit_test_setup(holds_without_sa, fixture),
		cmocka_unit_test_setup(fails_closed, fixture),
		cmocka_unit_test_setup(waits_for_all_rules, fixture),
		cmocka_unit_test_setup(goes_by_the_kernel_where_no_socket_is, fixture),
		cmocka_unit_test_setup(tags_for_vlans, fixture),
		cmocka_unit_test_setup(marks_what_is_to_be_fragmented, fixture),
		cmocka_unit_test_setup(small_v6_passes_small_tunnels, fixture),
		cmocka_unit_test_setup(carries_no_other_family, fixture),
		cmocka_unit_test_setup(obeys_narrowed_selectors, fixture),
		cmocka_unit_test_setup(counts_hits, fixture),
		cmocka_unit_test_setup(survives_truncation, fixture),
		cmocka_unit_test_setup(refuses_a_senseless_sa, fixture),
	};

	return cmocka_run_group_tests_name("internal", tests, bed_open, bed_close);
}
