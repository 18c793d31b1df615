// SPDX-License-Identifier: BSD-2-Clause
/* adit_ingress: the front recheck of policy interfaces where XDP cannot run. */
#include "bed.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

static void packet(struct frame *f, const char *src, const char *dst, uint8_t protocol, uint16_t dport)
{
	frame_eth(f, bed.wan_mac, bed.gateway_mac);
	frame_ip(f, src, dst, protocol);
	if (protocol == IPPROTO_UDP)
		frame_udp(f, 1000, dport);
	frame_fill(f, 64);
	frame_finish(f);
}

static void expect(const struct frame *f, uint32_t verdict, enum adit_reason why)
{
	struct result r;

	reasons_mark();
	r = bed_tc(bed.skel->progs.adit_ingress, f, bed.wan, 0, 0);
	expect_reason(why, 0);
	assert_int_equal(r.verdict, verdict);
	assert_int_equal(r.len, f->len);
	assert_memory_equal(r.b, f->b, f->len);
}

static int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(2, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
		rule_of(3, ADIT_PROTECT, "192.0.2.1/32", "198.51.100.0/24", 0),
	};

	if (!bed_reset(state))
		bed_rules(rules, 3);
	return 0;
}

static void rechecks(void **state)
{
	struct frame f;

	bed_needed(state);
	packet(&f, FAR4, LAN4, IPPROTO_UDP, 53);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	put16(f.b + 20, 0x0001); /* in pieces too */
	frame_fix_ip(&f);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	packet(&f, FAR6, LAN6, IPPROTO_UDP, 53);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	packet(&f, FAR4, LAN4, IPPROTO_UDP, 500); /* not for us */
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	packet(&f, "10.1.3.1", LAN4, IPPROTO_UDP, 53);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
	packet(&f, PEER4, OUR4, IPPROTO_UDP, 53);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	packet(&f, PEER4, OUR4, IPPROTO_UDP, 500);
	expect(&f, TC_PASS, ADIT_PASS_IKE);
	packet(&f, PEER4, OUR4, 50, 0);
	put16(f.b + 20, 0x0010);
	frame_fix_ip(&f);
	expect(&f, TC_PASS, ADIT_PASS_FRAGMENT);
}

/* Behind extension headers the ports are those of the same sides. */
static void ports_behind_extension_headers(void **state)
{
	static const uint8_t options[] = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};
	struct adit_rule rule = rule_of(1, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", IPPROTO_UDP);
	struct frame f;

	bed_needed(state);
	rule.local_port_min = rule.local_port_max = 53;
	bed_rules(&rule, 1);
	frame_eth(&f, bed.wan_mac, bed.gateway_mac);
	frame_ip(&f, FAR6, LAN6, IPPROTO_DSTOPTS);
	frame_octets(&f, options, sizeof(options));
	frame_udp(&f, 1000, 53);
	frame_finish(&f);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	put16(f.b + f.len - 8, 53);
	put16(f.b + f.len - 6, 1000);
	expect(&f, TC_PASS, ADIT_PASS_CLEAR);
}

static void natt(struct frame *f, const char *src, const char *dst, const void *payload, size_t len)
{
	frame_eth(f, bed.wan_mac, bed.gateway_mac);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, 31000, 4500);
	frame_octets(f, payload, len);
	frame_finish(f);
}

/* No worker has a socket here.  ike has, for both. */
static void leaves_esp_to_the_sockets(void **state)
{
	struct frame f;

	bed_needed(state);
	packet(&f, PEER4, OUR4, 50, 0);
	expect(&f, TC_PASS, ADIT_PASS_SLOW_ESP);
	packet(&f, PEER6, OUR6, 50, 0);
	expect(&f, TC_PASS, ADIT_PASS_SLOW_ESP);
	natt(&f, PEER4, OUR4, "\x11\x22\x33\x44\0\0\0\1", 8);
	expect(&f, TC_PASS, ADIT_PASS_SLOW_ESP);
	natt(&f, PEER6, OUR6, "\x11\x22\x33\x44\0\0\0\1", 8);
	expect(&f, TC_PASS, ADIT_PASS_SLOW_ESP);
	natt(&f, PEER4, OUR4, "\0\0\0\0\1\2\3\4", 8);
	expect(&f, TC_PASS, ADIT_PASS_IKE);
	natt(&f, PEER4, OUR4, "\0\0\0\0", 4);
	expect(&f, TC_PASS, ADIT_PASS_IKE);
	natt(&f, PEER4, OUR4, "\xff", 1); /* keepalive: the daemon knows */
	expect(&f, TC_PASS, ADIT_PASS_IKE);
	/* on its way through: ESP or what looks like it, where policy does not want it protected */
	packet(&f, "203.0.113.7", LAN4, 50, 0);
	expect(&f, TC_PASS, ADIT_PASS_TRANSIT_ESP);
	natt(&f, "203.0.113.7", LAN4, "\x11\x22\x33\x44\0\0\0\1", 8);
	expect(&f, TC_PASS, ADIT_PASS_TRANSIT_ESP);
	packet(&f, FAR4, LAN4, 50, 0);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	natt(&f, FAR4, LAN4, "\x11\x22\x33\x44\0\0\0\1", 8);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
	natt(&f, FAR4, LAN4, "\0\0\0\0\1\2\3\4", 8);
	expect(&f, TC_ACT_SHOT, ADIT_DROP_FRONT_RECHECK);
}

/* On a real device without Ethernet. */
static void rechecks_tun(void **state)
{
	struct adit_rule rule = rule_of(1, ADIT_PROTECT, "10.8.0.0/24", "10.9.0.0/24", 0);
	struct adit_port port = {.name = "tun0",
				 .role = ADIT_ROLE_OUTSIDE,
				 .policy = POLICY_WAN,
				 .flags = ADIT_PORT_NO_ETHERNET,
				 .slot = ADIT_NO_SLOT};
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun0"};
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = 0);
	struct frame f;
	int tun;

	bed_needed(state);
	tun = open("/dev/net/tun", O_RDWR);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &req)) {
		printf("needs: /dev/net/tun\n");
		skip();
	}
	bed_run("ip link set tun0 up; ip addr add 10.8.0.1/24 dev tun0; ip route add 10.9.0.0/24 dev tun0");
	hook.ifindex = (int)if_nametoindex("tun0");
	opts.prog_fd = bpf_program__fd(bed.skel->progs.adit_ingress);
	bed_rules(&rule, 1);
	bed_port(hook.ifindex, &port);
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	reasons_mark();
	packet(&f, "10.9.0.9", "10.8.0.1", IPPROTO_UDP, 53);
	assert_int_equal(write(tun, f.b + 14, f.len - 14), f.len - 14);
	expect_reason(ADIT_DROP_FRONT_RECHECK, 0);
	packet(&f, "10.7.0.9", "10.8.0.1", IPPROTO_UDP, 53);
	assert_int_equal(write(tun, f.b + 14, f.len - 14), f.len - 14);
	expect_reason(ADIT_PASS_CLEAR, 0);
	close(tun);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rechecks, fixture),
		cmocka_unit_test_setup(ports_behind_extension_headers, fixture),
		cmocka_unit_test_setup(leaves_esp_to_the_sockets, fixture),
		cmocka_unit_test_setup(rechecks_tun, fixture),
	};

	return cmocka_run_group_tests_name("ingress", tests, bed_open, bed_close);
}
