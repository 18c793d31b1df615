// SPDX-License-Identifier: BSD-2-Clause
/* The MSS of SYNs on their way into the tunnel. */
#include "sealed.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#define SYN 0x02
#define ACK 0x10

static struct adit_sa_out sa4, sa6;

static void syn(struct frame *f, bool v6, uint8_t flags, const void *options, size_t len)
{
	uint8_t src[6] = {0x02, 0xad};

	put32(src + 2, (uint32_t)bed.wan);
	frame_eth(f, bed.adit0_mac, src);
	frame_ip(f, v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4, IPPROTO_TCP);
	frame_tcp(f, 1000, 80, flags, options, len);
	frame_finish(f);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(2, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
	};

	if (bed_reset(state))
		return 0;
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR4, PEER4);
	sa4.mss4 = sa6.mss4 = 1390;
	sa4.mss6 = sa6.mss6 = 1370;
	bed_rules(rules, 2);
	bed_sa(1, &sa4);
	bed_sa(2, &sa6);
	return 0;
}

/* The inner packet must be the one sent, but for the octets at (offset in the TCP header) that are given, and
 * the checksum must still be right. */
static void expect_clamped(const struct frame *sent, bool v6, size_t at, uint16_t mss)
{
	struct frame f = *sent;
	struct sealed_want want = v6 ? sealed_by_wan(&sa6, &f) : sealed_by_wan(&sa4, &f);
	struct result r;

	put16(f.b + f.l4 + at, mss);
	frame_finish(&f);
	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_internal, sent, bed.adit1);
	expect_reason(ADIT_TO_WORKER_SEAL, ADIT_MSS_CLAMPED);
	expect_sealed(&r, &want);
	assert_true(l4_sum_right(f.b + f.l3, f.len - f.l3));
}

static void expect_untouched(const struct frame *sent, bool v6)
{
	struct sealed_want want = v6 ? sealed_by_wan(&sa6, sent) : sealed_by_wan(&sa4, sent);
	struct result r;

	reasons_mark();
	r = bed_xdp(bed.skel->progs.adit_internal, sent, bed.adit1);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	expect_sealed(&r, &want);
}

static void lowers(void **state)
{
	static const uint8_t linux_syn[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
	static const uint8_t late[] = {4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 2, 4, 0x23, 0x28};
	static const uint8_t odd[] = {1, 2, 4, 5, 0xb4, 1, 1, 0};
	static const uint8_t odd3[] = {3, 3, 7, 2, 4, 0xff, 0xff, 0};
	static const uint8_t full[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
				       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 5, 0xb4};
	struct frame f;
	int v6, flags;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++)
		for (flags = SYN; flags <= (SYN | ACK); flags += ACK) {
			uint16_t mss = v6 ? 1370 : 1390;

			syn(&f, v6, (uint8_t)flags, linux_syn, sizeof(linux_syn));
			expect_clamped(&f, v6, 22, mss);
			syn(&f, v6, (uint8_t)flags, late, sizeof(late));
			expect_clamped(&f, v6, 20 + 14, mss);
			syn(&f, v6, (uint8_t)flags, odd, sizeof(odd));
			expect_clamped(&f, v6, 20 + 3, mss);
			syn(&f, v6, (uint8_t)flags, odd3, sizeof(odd3));
			expect_clamped(&f, v6, 20 + 5, mss);
			syn(&f, v6, (uint8_t)flags, full, sizeof(full));
			expect_clamped(&f, v6, 20 + 38, mss);
		}
}

static void leaves_alone(void **state)
{
	static const uint8_t mss[] = {2, 4, 5, 0xb4}, low[] = {2, 4, 2, 0x18}, equal[] = {2, 4, 5, 0x6e};
	static const uint8_t none[] = {4, 2, 1, 1};
	struct frame f;

	bed_needed(state);
	syn(&f, false, ACK, mss, 4); /* no SYN */
	expect_untouched(&f, false);
	syn(&f, false, SYN, low, 4); /* never raised */
	expect_untouched(&f, false);
	syn(&f, false, SYN, equal, 4);
	expect_untouched(&f, false);
	syn(&f, false, SYN, none, 4); /* never added */
	expect_untouched(&f, false);
	syn(&f, false, SYN, NULL, 0);
	expect_untouched(&f, false);
	syn(&f, false, SYN, mss, 4); /* a later fragment is not a header */
	put16(f.b + 20, 0x0010);
	frame_fix_ip(&f);
	expect_untouched(&f, false);
	sa4.mss4 = 0; /* switched off */
	bed_sa(1, &sa4);
	syn(&f, false, SYN, mss, 4);
	expect_untouched(&f, false);
}

static void survives_bad_options(void **state)
{
	static const struct {
		uint8_t len, octets[8];
	} t[] = {
		{4, {2, 3, 5, 0xb4}		   }, /* wrong length */
		{4, {2, 0, 5, 0xb4}		   }, /* zero length */
		{4, {1, 1, 2, 4}			}, /* cut off */
		{4, {1, 1, 1, 2}			}, /* only the kind */
		{8, {8, 1, 2, 4, 5, 0xb4, 0, 0}  }, /* length 1 */
		{8, {0, 0, 2, 4, 5, 0xb4, 0, 0}  }, /* behind the end */
		{8, {8, 200, 2, 4, 5, 0xb4, 0, 0}}, /* beyond the end */
	};
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		syn(&f, false, SYN, t[i].octets, t[i].len);
		expect_untouched(&f, false);
	}
	/* data offset below 5, and beyond the packet */
	syn(&f, false, SYN, "\2\4\5\xb4", 4);
	f.b[f.l4 + 12] = 0x40;
	expect_untouched(&f, false);
	f.b[f.l4 + 12] = 0xf0;
	expect_untouched(&f, false);
}

/* CHECKSUM_PARTIAL: the field holds the sum of the pseudo header, which the MSS is no part of. */
static void leaves_unfinished_checksums(void **state)
{
	static const uint8_t mss[] = {2, 4, 5, 0xb4};
	struct frame f, want_inner;
	struct sealed_want want;
	struct result r;
	uint32_t sum;
	size_t i, from, n;
	int v6;

	bed_needed(state);
	for (v6 = 0; v6 < 2; v6++) {
		syn(&f, v6, SYN, mss, 4);
		sum = 6 + 24;
		from = f.l3 + (v6 ? 8u : 12u);
		n = v6 ? 32 : 8;
		for (i = 0; i < n; i += 2)
			sum += get16(f.b + from + i);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		put16(f.b + f.l4 + 16, (uint16_t)sum);
		want_inner = f;
		put16(want_inner.b + f.l4 + 22, v6 ? 1370 : 1390);
		want = sealed_by_wan(v6 ? &sa6 : &sa4, &want_inner);
		reasons_mark();
		r = bed_xdp(bed.skel->progs.adit_internal, &f, bed.adit1);
		expect_reason(ADIT_TO_WORKER_SEAL, ADIT_MSS_CLAMPED);
		expect_sealed(&r, &want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lowers, fixture),
		cmocka_unit_test_setup(leaves_alone, fixture),
		cmocka_unit_test_setup(survives_bad_options, fixture),
		cmocka_unit_test_setup(leaves_unfinished_checksums, fixture),
	};

	return cmocka_run_group_tests_name("mss", tests, bed_open, bed_close);
}
