// SPDX-License-Identifier: BSD-2-Clause
/* adit_egress on real devices: sockets, a real TC filter, a tun device, the internal pair. */
#include "egress.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

/* Real devices speak on their own (MLD, router solicitations), so only the reason in question is looked at.
 */
static void expect_among_noise(enum adit_reason why, uint64_t n)
{
	assert_int_equal(reason_count(why) - bed.before[why], n);
}

static void attach_egress(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(bed.skel->progs.adit_egress));

	bpf_tc_hook_create(&hook);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static void detach_egress(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	bpf_tc_hook_destroy(&hook);
}

static struct sockaddr_in address4(const char *text, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, text, &a.sin_addr);
	return a;
}

static void send_to(int fd, const char *dst, uint16_t port, size_t len)
{
	static const char octets[4000];
	struct sockaddr_in to = address4(dst, port);

	assert_int_equal(sendto(fd, octets, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

/* A real socket of the daemon, a real tc filter: IKE leaves although a rule covers it, other datagrams do
 * not. */
static void lets_own_ike_out(void **state)
{
	socklen_t len = sizeof(uint64_t);
	struct adit_host host;
	uint64_t cookie = 0;
	int ike, other;

	bed_needed(state);
	attach_egress(bed.wan);
	ike = socket(AF_INET, SOCK_DGRAM, 0);
	other = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(getsockopt(ike, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	host = bed_host_get();
	host.ike_cookies[3] = cookie;
	bed_host(&host);
	reasons_mark();
	send_to(ike, PEER4, 500, 3);
	expect_among_noise(ADIT_PASS_IKE, 1);
	expect_among_noise(ADIT_TO_INTERNAL, 0);
	send_to(other, PEER4, 500, 3);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	/* fragments of an IKE message are IKE */
	send_to(ike, PEER4, 500, 3000);
	expect_among_noise(ADIT_PASS_IKE, 4);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	close(ike);
	close(other);
	detach_egress(bed.wan);
}

static int open_tun(const char *name)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &req)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Frames of an interface: ETH_P_IP for what arrives, ETH_P_ALL for what leaves too; nothing for a second is an
 * error. */
static int listen_on(int ifindex, uint16_t protocol)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};
	struct timeval wait = {.tv_sec = 1};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(protocol));

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A device without Ethernet: its packets get a header on the way into the internal pair. */
static void takes_packets_of_tun(void **state)
{
	struct adit_rule rule = rule_of(1, ADIT_PROTECT, "10.8.0.0/24", "10.9.0.0/24", 0);
	struct adit_port port = {.name = "tun0",
				 .role = ADIT_ROLE_OUTSIDE,
				 .policy = POLICY_WAN,
				 .flags = ADIT_PORT_NO_ETHERNET,
				 .slot = ADIT_NO_SLOT};
	int tun, out, far, ifindex;
	struct sockaddr_in any;
	uint8_t b[256];
	ssize_t n;

	bed_needed(state);
	tun = open_tun("tun0");
	if (tun < 0) {
		printf("needs: /dev/net/tun\n");
		skip();
	}
	bed_run("ip link set tun0 up; ip addr add 10.8.0.1/24 dev tun0; ip route add 10.9.0.0/24 dev tun0");
	ifindex = (int)if_nametoindex("tun0");
	bed_rules(&rule, 1);
	bed_port(ifindex, &port);
	attach_egress(ifindex);
	far = listen_on(bed.adit1, ETH_P_IP);
	out = socket(AF_INET, SOCK_DGRAM, 0);
	any = address4("10.8.0.1", 0);
	assert_int_equal(bind(out, (struct sockaddr *)&any, sizeof(any)), 0);
	reasons_mark();
	send_to(out, "10.9.0.9", 53, 100);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	n = recv(far, b, sizeof(b), 0);
	assert_int_equal(n, 14 + 20 + 8 + 100);
	assert_memory_equal(b, bed.adit0_mac, 6);
	assert_int_equal(get16(b + 6), 0x02ad);
	assert_int_equal(get32(b + 8), ifindex);
	assert_int_equal(get16(b + 12), 0x0800);
	assert_int_equal(get32(b + 14 + 16), 0x0a090009);
	assert_true(ip_sum_right(b + 14));
	/* what no rule protects leaves as it is */
	send_to(out, "10.8.0.9", 53, 100);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	assert_true(reason_count(ADIT_PASS_CLEAR) > bed.before[ADIT_PASS_CLEAR]);
	close(out);
	close(far);
	detach_egress(ifindex);
	close(tun);
}

/* On its way to adit_egress every frame of wan0 gets a tag beside it, as from a VLAN device above. */
static int attach_tagger(uint16_t id)
{
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(ETH_P_8021Q)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,	      .dst_reg = BPF_REG_3, .imm = id},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,			      .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT	   },
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = bed.wan, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = 1);

	opts.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "tagger", "GPL", insns,
				     sizeof(insns) / sizeof(insns[0]), NULL);
	assert_true(opts.prog_fd >= 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	return opts.prog_fd;
}

static void expect_untagged(int far, const struct frame *f)
{
	uint8_t b[256];

	assert_int_equal(recv(far, b, sizeof(b), 0), f->len);
	assert_memory_equal(b, bed.adit0_mac, 6);
	assert_int_equal(get32(b + 8), bed.wan);
	assert_memory_equal(b + 12, f->b + 12, f->len - 12);
}

/* The same on a real device: tags in the frame and beside it. */
static void takes_tags_off(void **state)
{
	struct frame f, own;
	int out, far, tagger;

	bed_needed(state);
	bed_port_tagged(bed.wan, ETH_P_8021Q, 7);
	attach_egress(bed.wan);
	far = listen_on(bed.adit1, ETH_P_IP);
	out = listen_on(bed.wan, 0); /* sends what the frame says that it is */
	udp(&f, LAN4, FAR4, 1000, 53);
	own = tagged(&f, (uint16_t[]){7}, 1);
	reasons_mark();
	assert_int_equal(send(out, own.b, own.len, 0), own.len);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	expect_untagged(far, &f);
	/* a priority tag, alone and around the device's own */
	tagger = attach_tagger(0);
	assert_int_equal(send(out, f.b, f.len, 0), f.len);
	expect_among_noise(ADIT_TO_INTERNAL, 2);
	expect_untagged(far, &f);
	assert_int_equal(send(out, own.b, own.len, 0), own.len);
	expect_among_noise(ADIT_TO_INTERNAL, 3);
	expect_untagged(far, &f);
	close(tagger);
	detach_egress(bed.wan);
	/* of a VLAN device above, whatever the number */
	attach_egress(bed.wan);
	tagger = attach_tagger(7);
	assert_int_equal(send(out, f.b, f.len, 0), f.len);
	expect_among_noise(ADIT_TO_INTERNAL, 3);
	assert_true(reason_count(ADIT_PASS_NOT_IP) > bed.before[ADIT_PASS_NOT_IP]);
	close(tagger);
	close(out);
	close(far);
	detach_egress(bed.wan);
}

/* The next frame of len octets that leaves by a device. */
static void catch_leaving(int fd, struct frame *f, size_t len)
{
	struct sockaddr_ll from;
	socklen_t size;
	ssize_t n;

	memset(f, 0, sizeof(*f));
	do {
		size = sizeof(from);
		n = recvfrom(fd, f->b, sizeof(f->b), 0, (struct sockaddr *)&from, &size);
		assert_true(n > 0);
	} while (from.sll_pkttype != PACKET_OUTGOING || (size_t)n != len);
	f->len = len;
}

/* The whole way of a packet that is too big: socket, egress, internal pair, and our ICMP back to the socket.
 * The test is the worker in between, which sends as it is what BPF made.
 */
static void tells_a_local_sender(void **state)
{
	struct adit_rule rule = rule_of(1, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0);
	struct adit_sa_out sa;
	int out, near, far, how = IP_PMTUDISC_DO, mtu = 0, i;
	struct sockaddr_in at;
	socklen_t len = sizeof(mtu);
	struct result told;
	const uint8_t *icmp;
	struct frame f;
	size_t icmp_len;

	bed_needed(state);
	sa = sa_of(3, OUR4, PEER4);
	bed_rules(&rule, 1);
	bed_sa(1, &sa);
	/* the message's source is our own address, like that of every sealed packet which enters by adit0 */
	bed_run("echo 1 > /proc/sys/net/ipv4/conf/adit0/accept_local; ethtool -K adit0 tx off >/dev/null");
	attach_egress(bed.wan);
	near = listen_on(bed.adit0, ETH_P_ALL);
	far = listen_on(bed.adit1, ETH_P_IP);
	out = socket(AF_INET, SOCK_DGRAM, 0);
	at = address4("10.1.1.1", 0);
	assert_int_equal(bind(out, (struct sockaddr *)&at, sizeof(at)), 0);
	at = address4(FAR4, 53);
	assert_int_equal(connect(out, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(setsockopt(out, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how)), 0);
	reasons_mark();
	send_to(out, FAR4, 53, 1450);
	expect_among_noise(ADIT_TO_INTERNAL, 1);
	catch_leaving(near, &f, 14 + 28 + 1450);
	told = bed_xdp(bed.skel->progs.adit_internal, &f, bed.adit1);
	expect_among_noise(ADIT_TOO_BIG_TOLD, 1);
	assert_int_equal(result_note(&told).kind, ADIT_NOTE_SEND);
	icmp = result_frame(&told, &icmp_len);
	assert_int_equal(send(far, icmp, icmp_len, 0), icmp_len);
	for (i = 0; i < 100 && mtu != 1430; i++) {
		usleep(10000);
		assert_int_equal(getsockopt(out, IPPROTO_IP, IP_MTU, &mtu, &len), 0);
	}
	assert_int_equal(mtu, 1430);
	close(out);
	close(near);
	close(far);
	detach_egress(bed.wan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lets_own_ike_out, fixture),
		cmocka_unit_test_setup(takes_packets_of_tun, fixture),
		cmocka_unit_test_setup(takes_tags_off, fixture),
		cmocka_unit_test_setup(tells_a_local_sender, fixture),
	};

	return cmocka_run_group_tests_name("egress_live", tests, bed_open, bed_close);
}
