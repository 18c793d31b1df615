// SPDX-License-Identifier: BSD-2-Clause
/* adit_internal: the ICMP that tells a sender what fits. */
#include "bed.h"

#include <linux/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#define RULE4  1
#define RULE6  2
#define ICMPV6 58

static void start(struct frame *f)
{
	uint8_t src[6] = {0x02, 0xad};

	put32(src + 2, (uint32_t)bed.wan);
	frame_eth(f, bed.adit0_mac, src);
}

/* An IP packet of len octets, DF set. */
static void packet(struct frame *f, const char *src, const char *dst, uint8_t protocol, uint8_t type,
		   size_t len)
{
	start(f);
	frame_ip(f, src, dst, protocol);
	if (f->b[14] >> 4 == 4)
		f->b[20] = 0x40;
	if (protocol == IPPROTO_UDP)
		frame_udp(f, 1000, 53);
	else
		frame_icmp(f, type, 0);
	frame_fill(f, len - (f->len - 14));
	frame_finish(f);
}

static struct result internal(const struct frame *f)
{
	reasons_mark();
	return bed_xdp(bed.skel->progs.adit_internal, f, bed.adit1);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(RULE4, ADIT_PROTECT, "10.1.1.0/24", "0.0.0.0/0", 0),
		rule_of(RULE6, ADIT_PROTECT, "2001:db8:11::/64", "::/0", 0),
	};
	struct adit_sa_out sa4, sa6;

	if (bed_reset(state))
		return 0;
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR6, PEER6);
	bed_rules(rules, 2);
	bed_sa(RULE4, &sa4);
	bed_sa(RULE6, &sa6);
	usleep(120000); /* a fresh window of the rate limit */
	return 0;
}

/* The note is checked and taken off: what stays is the frame. */
static void expect_sent_to_kernel(struct result *r)
{
	struct adit_note note = result_note(r);
	size_t len;
	const uint8_t *frame = result_frame(r, &len);

	expect_reason(ADIT_TOO_BIG_TOLD, 0);
	assert_int_equal(r->verdict, XDP_REDIRECT);
	assert_int_equal(note.magic, ADIT_NOTE_MAGIC);
	assert_int_equal(note.kind, ADIT_NOTE_SEND);
	assert_int_equal(note.seal.slot, SLOT_INTERNAL);
	memmove(r->b, frame, len);
	r->len = len;
}

/* RFC 1191 4, RFC 792, RFC 1812 4.3.2: all of it, octet by octet. */
static void expect_told_v4(const struct frame *f, const char *source, uint16_t mtu)
{
	struct adit_addr src = addr_of(source);
	struct result r = internal(f);
	const uint8_t *ip;
	size_t quoted;

	expect_sent_to_kernel(&r);
	ip = r.b + 14;
	assert_memory_equal(r.b, bed.adit0_mac, 6);
	assert_memory_equal(r.b + 6, "\x02\xad\0\0\0\0", 6);
	assert_int_equal(get16(r.b + 12), 0x0800);
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(get16(ip + 2), r.len - 14);
	assert_int_equal(get16(ip + 6) & 0x3fff, 0);
	assert_true(ip[8] > 1);
	assert_int_equal(ip[9], 1);
	assert_true(ip_sum_right(ip));
	assert_memory_equal(ip + 12, src.octets + 12, 4);
	assert_memory_equal(ip + 16, f->b + 14 + 12, 4);
	assert_int_equal(ip[20], 3);
	assert_int_equal(ip[21], 4);
	assert_true(l4_sum_right(ip, r.len - 14));
	assert_int_equal(get16(ip + 24), 0);
	assert_int_equal(get16(ip + 26), mtu);
	quoted = r.len - 14 - 28;
	assert_in_range(quoted, (f->b[14] & 15) * 4 + 8, 576 - 28);
	assert_memory_equal(ip + 28, f->b + 14, quoted);
}

/* RFC 4443 3.2. */
static void expect_told_v6(const struct frame *f, const char *source, uint32_t mtu)
{
	struct adit_addr src = addr_of(source);
	struct result r = internal(f);
	const uint8_t *ip;
	size_t quoted;

	expect_sent_to_kernel(&r);
	ip = r.b + 14;
	assert_memory_equal(r.b, bed.adit0_mac, 6);
	assert_int_equal(get16(r.b + 12), 0x86dd);
	assert_int_equal(ip[0] >> 4, 6);
	assert_int_equal(get16(ip + 4), r.len - 14 - 40);
	assert_int_equal(ip[6], ICMPV6);
	assert_true(ip[7] > 1);
	assert_memory_equal(ip + 8, src.octets, 16);
	assert_memory_equal(ip + 24, f->b + 14 + 8, 16);
	assert_int_equal(ip[40], 2);
	assert_int_equal(ip[41], 0);
	assert_true(l4_sum_right(ip, r.len - 14));
	assert_int_equal(get32(ip + 44), mtu);
	quoted = r.len - 14 - 48;
	assert_in_range(quoted, 48, 1280 - 48);
	assert_memory_equal(ip + 48, f->b + 14, quoted);
}

static void tells_v4(void **state)
{
	struct frame f;

	bed_needed(state);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1431);
	expect_told_v4(&f, OUR4, 1430);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1500);
	expect_told_v4(&f, OUR4, 1430);
	packet(&f, LAN4, FAR4, 1, 8, 1500); /* an echo request may be told of */
	expect_told_v4(&f, OUR4, 1430);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1430);
	assert_int_equal(internal(&f).verdict, XDP_REDIRECT);
	expect_reason(ADIT_TO_WORKER_SEAL, 0);
	/* options are part of what is quoted */
	start(&f);
	frame_ip(&f, LAN4, FAR4, IPPROTO_UDP);
	f.b[14] = 0x4f;
	f.b[20] = 0x40;
	frame_fill(&f, 40);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 1400);
	frame_finish(&f);
	expect_told_v4(&f, OUR4, 1430);
	/* a first fragment, and link padding behind it */
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1496);
	f.b[20] = 0x60;
	frame_fix_ip(&f);
	frame_pad(&f, 4);
	expect_told_v4(&f, OUR4, 1430);
}

static void tells_v6(void **state)
{
	struct frame f;

	bed_needed(state);
	packet(&f, LAN6, FAR6, IPPROTO_UDP, 0, 1415);
	expect_told_v6(&f, OUR6, 1414);
	packet(&f, LAN6, FAR6, IPPROTO_UDP, 0, 1500);
	expect_told_v6(&f, OUR6, 1414);
	packet(&f, LAN6, FAR6, ICMPV6, 128, 1500);
	expect_told_v6(&f, OUR6, 1414);
}

/* Families differ: we have no outer address to speak from, so the far end's stands for it. */
static void tells_across_families(void **state)
{
	struct adit_sa_out sa4, sa6;
	struct frame f;

	bed_needed(state);
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR6, PEER6);
	bed_sa(RULE4, &sa6);
	bed_sa(RULE6, &sa4);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1500);
	expect_told_v4(&f, FAR4, 1414);
	packet(&f, LAN6, FAR6, IPPROTO_UDP, 0, 1500);
	expect_told_v6(&f, FAR6, 1430);
}

/* RFC 8201 4: nobody is told of less than 1280. */
static void tells_no_v6_sender_less_than_1280(void **state)
{
	struct adit_sa_out sa;
	struct frame f;

	bed_needed(state);
	sa = sa_of(5, OUR6, PEER6);
	sa.inner_mtu = 1200;
	bed_sa(RULE6, &sa);
	packet(&f, LAN6, FAR6, IPPROTO_UDP, 0, 1281);
	expect_told_v6(&f, OUR6, 1280);
}

static void stays_silent(void **state)
{
	static const uint8_t errors4[] = {3, 4, 5, 11, 12};
	struct frame f;
	size_t i;

	bed_needed(state);
	for (i = 0; i < sizeof(errors4); i++) {
		packet(&f, LAN4, FAR4, 1, errors4[i], 1500);
		assert_int_equal(internal(&f).verdict, XDP_DROP);
		expect_reason(ADIT_DROP_TOO_BIG, 0);
	}
	packet(&f, LAN6, FAR6, ICMPV6, 1, 1500);
	assert_int_equal(internal(&f).verdict, XDP_DROP);
	expect_reason(ADIT_DROP_TOO_BIG, 0);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1500); /* later fragment */
	put16(f.b + 20, 0x4010);
	frame_fix_ip(&f);
	assert_int_equal(internal(&f).verdict, XDP_DROP);
	expect_reason(ADIT_DROP_TOO_BIG, 0);
	packet(&f, LAN4, "239.1.1.1", IPPROTO_UDP, 0, 1500);
	assert_int_equal(internal(&f).verdict, XDP_DROP);
	expect_reason(ADIT_DROP_TOO_BIG, 0);
}

static void tells_so_often_and_no_more(void **state)
{
	uint64_t told;
	struct frame f;
	int i;

	bed_needed(state);
	packet(&f, LAN4, FAR4, IPPROTO_UDP, 0, 1500);
	reasons_mark();
	for (i = 0; i < 600; i++)
		bed_xdp(bed.skel->progs.adit_internal, &f, bed.adit1);
	told = reason_count(ADIT_TOO_BIG_TOLD) - bed.before[ADIT_TOO_BIG_TOLD];
	assert_in_range(told, 100, 599); /* 100 a window and CPU; the loop may see some windows */
	assert_int_equal(told + reason_count(ADIT_DROP_TOO_BIG) - bed.before[ADIT_DROP_TOO_BIG], 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tells_v4, fixture),
		cmocka_unit_test_setup(tells_v6, fixture),
		cmocka_unit_test_setup(tells_across_families, fixture),
		cmocka_unit_test_setup(tells_no_v6_sender_less_than_1280, fixture),
		cmocka_unit_test_setup(stays_silent, fixture),
		cmocka_unit_test_setup(tells_so_often_and_no_more, fixture),
	};

	return cmocka_run_group_tests_name("too_big", tests, bed_open, bed_close);
}
