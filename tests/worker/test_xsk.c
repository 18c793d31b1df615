// SPDX-License-Identifier: BSD-2-Clause
/* AF_XDP for real: sockets on veth pairs in a network namespace of our own. */
#include "help.h"

#include "io.h"
#include "worker.h"
#include "xsk.h"
#include "xsk_io.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAMES 4096
#define MANY   3000

static bool ready;

static int setup(void **state)
{
	(void)state;
	ready = geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
		system("ip link add va type veth peer name vb && ip link add vc type veth peer name vd &&"
		       "for i in va vb vc vd; do ip link set $i addrgenmode none && ip link set $i up; "
		       "done") == 0;
	return 0;
}

static void need_net(void)
{
	if (!ready) {
		print_message("needs: root and veth\n");
		skip();
	}
}

static int open_on(struct xsk_pool *pool, const char *name, uint32_t slot, bool rx, struct xsk_port **ret)
{
	return xsk_port_open(pool, name, if_nametoindex(name), slot, 1, rx, ret);
}

static void opening(void **state)
{
	struct xsk_pool *pool = NULL;
	struct xsk_port *a = NULL, *b = NULL;
	int round;

	(void)state;
	need_net();
	assert_int_equal(xsk_pool_open(XSK_COPY, 1000, &pool), -EINVAL);
	xsk_pool_close(NULL);
	xsk_port_close(NULL);

	/* veth cannot do zero-copy; the pool is as good as new afterwards */
	assert_int_equal(xsk_pool_open(XSK_ZERO_COPY, FRAMES, &pool), 0);
	assert_int_equal(open_on(pool, "va", 0, true, &a), -EOPNOTSUPP);
	assert_int_equal(open_on(pool, "vc", 0, true, &a), -EOPNOTSUPP);
	xsk_pool_close(pool);

	/* again and again: the kernel gives a queue back with a delay, which is waited for */
	for (round = 0; round < 3; round++) {
		assert_int_equal(xsk_pool_open(XSK_COPY, FRAMES, &pool), 0);
		assert_int_equal(open_on(pool, "va", 2, true, &a), 0);
		assert_int_equal(open_on(pool, "vc", 3, false, &b), 0);
		assert_false(xsk_port_zero_copy(a));
		assert_int_equal(xsk_port_slot(b), 3);
		assert_int_equal(xsk_port_queues(a), 1);
		assert_true(xsk_port_fd(a, 0) >= 0);
		assert_int_equal(xsk_port_fd(a, 1), -ENOENT);
		xsk_port_close(b);
		xsk_port_close(a);
		xsk_pool_close(pool);
	}
	assert_int_equal(xsk_pool_open(XSK_COPY, FRAMES, &pool), 0);
	assert_int_equal(xsk_port_open(pool, "nothere", 999, 0, 1, true, &a), -ENODEV);
	assert_int_equal(xsk_port_open(pool, "va", 1, 0, 0, true, &a), -EINVAL);
	assert_int_equal(xsk_port_open(pool, "va", 1, ADIT_PORTS_MAX, 1, true, &a), -EINVAL);
	xsk_pool_close(pool);
}

/* All frames of queue 0 to the socket at that key. */
static int attach_redirect(const char *name, int map, int key)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
		{.code = 0	  },
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,				      .dst_reg = 2, .imm = key},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,			      .dst_reg = 3, .imm = XDP_DROP},
		{.code = BPF_JMP | BPF_CALL,.imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT				   },
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "GPL", insns, 6, NULL);

	return prog < 0 ? prog : bpf_xdp_attach((int)if_nametoindex(name), prog, 1u << 2, NULL);
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct timeval patience = {.tv_usec = 200000};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), size = 64 << 20;

	assert_true(fd >= 0);
	sll.sll_ifindex = (int)if_nametoindex(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

struct bench {
	struct worker_setup setup;
	struct xsk_io *x;
	const struct io *io;
};

static void bench_open(struct bench *b, uint32_t pools)
{
	uint32_t i;

	memset(b, 0, sizeof(*b));
	b->io = &xsk_io_row;
	for (i = 0; i < pools; i++)
		assert_int_equal(xsk_pool_open(XSK_COPY, FRAMES, &b->setup.pools[i]), 0);
	b->setup.n_pools = pools;
	assert_int_equal(open_on(b->setup.pools[0], "va", 2, true, &b->setup.ports[0].xsk), 0);
	assert_int_equal(open_on(b->setup.pools[pools - 1], "vc", 3, false, &b->setup.ports[1].xsk), 0);
	b->setup.n_ports = 2;
	assert_int_equal(xsk_io_new(&b->setup, &b->x), 0);
}

static void bench_close(struct bench *b)
{
	xsk_io_free(b->x);
	xsk_port_close(b->setup.ports[0].xsk);
	xsk_port_close(b->setup.ports[1].xsk);
	xsk_pool_close(b->setup.pools[0]);
	xsk_pool_close(b->setup.pools[1]);
}

/* Frames from vb come in at va, go out at vc and arrive at vd, in order, whole, and every chunk comes home.
 */
static void forward(uint32_t pools)
{
	int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 16, NULL), from, to, fd;
	uint8_t octets[1500], got[2048];
	uint32_t sent = 0, seen = 0, i, n, key = 3;
	struct frame in[BATCH];
	struct bench b;

	bench_open(&b, pools);
	fd = xsk_port_fd(b.setup.ports[0].xsk, 0);
	assert_int_equal(bpf_map_update_elem(map, &key, &fd, 0), 0);
	assert_int_equal(attach_redirect("va", map, 3), 0);
	from = packet_socket("vb");
	to = packet_socket("vd");
	assert_int_equal(xsk_io_frames(b.x), pools * FRAMES);
	assert_int_equal(b.io->sources(b.x), 1);

	memset(octets, 0xff, 12);
	put16(octets + 12, 0x88b5);
	for (i = 14; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	while (seen < MANY) {
		/* veth's ring has 256 places */
		for (n = 0; n < 64 && sent < MANY; n++, sent++) {
			put32(octets + 14, sent);
			assert_true(send(from, octets, 60 + sent % 1400, 0) > 0);
		}
		b.io->wait(b.x, &to, 1, 100);
		n = b.io->recv(b.x, 0, in, BATCH);
		for (i = 0; i < n; i++) {
			assert_int_equal(get32(in[i].data + 14), seen + i);
			assert_int_equal(in[i].len, 60 + (seen + i) % 1400);
			in[i].data[20] = 0x77;
		}
		assert_int_equal(b.io->send(b.x, 3, in, n), n);
		b.io->kick(b.x);
		for (i = 0; i < n; i++, seen++) {
			assert_int_equal(recv(to, got, sizeof(got), 0), 60 + seen % 1400);
			assert_int_equal(get32(got + 14), seen);
			assert_int_equal(got[20], 0x77);
		}
		assert_int_equal(xsk_io_frames(b.x), pools * FRAMES);
	}
	bpf_xdp_detach((int)if_nametoindex("va"), 1u << 2, NULL);
	close(from);
	close(to);
	close(map);
	bench_close(&b);
}

static void forwards(void **state)
{
	(void)state;
	need_net();
	forward(1);
}

/* As between a zero-copy pool and a copy pool: the frame changes over. */
static void forwards_between_pools(void **state)
{
	(void)state;
	need_net();
	forward(2);
}

/* More than the pool has and more than the ring takes, to a port and to none: nothing is lost, nothing hangs.
 */
static void runs_dry(void **state)
{
	struct frame f[BATCH];
	uint32_t n = 0, round, all = 0;
	struct bench b;

	(void)state;
	need_net();
	bench_open(&b, 1);
	for (round = 0; round < 200; round++) {
		for (n = 0; n < BATCH && b.io->get(b.x, &f[n]); n++) {
			memset(f[n].data, 0xff, 60);
			f[n].len = 60;
		}
		all += n;
		if (round % 3 == 0)
			b.io->drop(b.x, f, n);
		else if (round % 3 == 1)
			assert_int_equal(b.io->send(b.x, 9, f, n), -ENODEV);
		else
			assert_true(b.io->send(b.x, 3, f, n) <= (int)n);
		if (round % 7 == 0)
			b.io->kick(b.x);
		assert_int_equal(xsk_io_frames(b.x), FRAMES);
	}
	assert_true(all > 2 * FRAMES);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(forwards),
		cmocka_unit_test(forwards_between_pools),
		cmocka_unit_test(runs_dry),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
