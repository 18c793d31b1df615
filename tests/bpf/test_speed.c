// SPDX-License-Identifier: BSD-2-Clause
/* What a packet costs in the programs, printed; the limits are generous, they only catch an accident.
 *
 * Neither a test run with repeat nor one with live frames restores the octets that these programs change, so
 * every frame is a run of its own and the kernel's statistics (BPF_ENABLE_STATS) time the program alone. What
 * an empty program is said to cost, which is two readings of the clock, is subtracted.  The system call in
 * between makes caches colder than they are under load.
 */
#include "bed.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#define RUNS	 20000
#define LIMIT_NS 5000 /* under ASan, beside other work */
#define SPI	 0x11223344u

static double cost_ns(int fd, const struct frame *f, int ifindex)
{
	struct xdp_md in = {.data_end = (uint32_t)f->len, .ingress_ifindex = (uint32_t)ifindex};
	struct bpf_prog_info before = {0}, after = {0};
	uint32_t len = sizeof(before);
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME), i;
	uint8_t out[4096];

	assert_true(stats >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &before, &len), 0);
	for (i = 0; i < RUNS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
			    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &in,
			    .ctx_size_in = sizeof(in));

		assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	}
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &after, &len), 0);
	close(stats);
	assert_true(after.run_cnt - before.run_cnt >= RUNS);
	return (double)(after.run_time_ns - before.run_time_ns) / (double)(after.run_cnt - before.run_cnt);
}

static void measure(const char *what, struct bpf_program *prog, const struct frame *f, int ifindex,
		    enum adit_reason why)
{
	double best = 1e9, empty = 1e9, ns;
	int i;

	for (i = 0; i < 3; i++) {
		ns = cost_ns(bed.empty, f, ifindex);
		if (ns < empty)
			empty = ns;
		reasons_mark();
		ns = cost_ns(bpf_program__fd(prog), f, ifindex);
		if (ns < best)
			best = ns;
	}
	assert_true(reason_count(why) - bed.before[why] >= RUNS * 9 / 10);
	printf("# %-44s %4.0f ns\n", what, best - empty);
	assert_true(best - empty < LIMIT_NS);
}

static void packet(struct frame *f, const uint8_t dst[6], const uint8_t src[6], const char *from,
		   const char *to, size_t len)
{
	frame_eth(f, dst, src);
	frame_ip(f, from, to, IPPROTO_UDP);
	frame_udp(f, 1000, 53);
	frame_fill(f, len - f->len);
	frame_finish(f);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
				    rule_of(2, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0)};
	struct adit_sa_out sa4, sa6;

	if (bed_reset(state))
		return 0;
	sa4 = sa_of(3, OUR4, PEER4);
	sa6 = sa_of(5, OUR6, PEER6);
	bed_rules(rules, 2);
	bed_sa(1, &sa4);
	bed_sa(2, &sa6);
	bed_sa_in(SPI, 17, OUR4);
	return 0;
}

static void costs(void **state)
{
	static const uint8_t host_mac[6] = {2, 0, 0, 0, 1, 5};
	uint8_t policy[6] = {0x02, 0xad};
	struct frame f;

	bed_needed(state);
	put32(policy + 2, (uint32_t)bed.wan);
	packet(&f, bed.lan_mac, host_mac, LAN4, FAR4, 64);
	measure("inside, IPv4 64 octets, to the worker", bed.skel->progs.adit_inside, &f, bed.lan,
		ADIT_TO_WORKER_SEAL);
	packet(&f, bed.lan_mac, host_mac, LAN4, FAR4, 1400);
	measure("inside, IPv4 1400 octets, to the worker", bed.skel->progs.adit_inside, &f, bed.lan,
		ADIT_TO_WORKER_SEAL);
	packet(&f, bed.lan_mac, host_mac, LAN6, FAR6, 74);
	measure("inside, IPv6 74 octets, to the worker", bed.skel->progs.adit_inside, &f, bed.lan,
		ADIT_TO_WORKER_SEAL);
	packet(&f, bed.adit0_mac, policy, LAN4, FAR4, 64);
	measure("internal, IPv4 64 octets, to the worker", bed.skel->progs.adit_internal, &f, bed.adit1,
		ADIT_TO_WORKER_SEAL);
	frame_eth(&f, bed.wan_mac, bed.gateway_mac);
	frame_ip(&f, PEER4, OUR4, 50);
	frame_be32(&f, SPI);
	frame_fill(&f, 60);
	frame_finish(&f);
	measure("outside, ESP, to the worker", bed.skel->progs.adit_outside, &f, bed.wan,
		ADIT_TO_WORKER_OPEN);
	packet(&f, bed.wan_mac, bed.gateway_mac, FAR4, LAN4, 64);
	measure("outside, clear text that is dropped", bed.skel->progs.adit_outside, &f, bed.wan,
		ADIT_DROP_FRONT_RECHECK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(costs, fixture)};

	return cmocka_run_group_tests_name("speed", tests, bed_open, bed_close);
}
