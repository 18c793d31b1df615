// SPDX-License-Identifier: BSD-2-Clause
/* The generator: XDP live frames, several million a second from one core.
 *
 * Each call with more than one frame makes the kernel add the program to its XDP dispatcher and take it out
 * again, 24 ms here, unless the program is attached somewhere already.  The anchor is that somewhere: an
 * interface that is down and never sees a packet.
 */
#include "xskfwd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "bench/generate.skel.h"
#include "generate.h"
#include "pool.h"

#define FRAME_MOST   1514
#define PORT_FROM    4000
#define PORT_DISCARD 9
#define CALL_S	     0.1 /* between two looks at the clock and at signals */
#define FASTEST	     20e6

static uint16_t ip_checksum(const struct ip *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void build_headers(const struct options *o, uint8_t headers[GEN_HEADERS])
{
	struct ether_header eth = {.ether_type = htons(ETHERTYPE_IP)};
	struct ip ip = {.ip_v = 4,
			.ip_hl = 5,
			.ip_len = htons(o->size - sizeof(eth)),
			.ip_ttl = 64,
			.ip_p = IPPROTO_UDP,
			.ip_src = o->from,
			.ip_dst = o->to};
	struct udphdr udp = {.source = htons(PORT_FROM),
			     .dest = htons(PORT_DISCARD),
			     .len = htons(o->size - sizeof(eth) - sizeof(ip))};

	memcpy(eth.ether_dhost, o->to_mac, ETH_ALEN);
	memcpy(eth.ether_shost, o->from_mac, ETH_ALEN);
	ip.ip_sum = ip_checksum(&ip);
	memcpy(headers, &eth, sizeof(eth));
	memcpy(headers + sizeof(eth), &ip, sizeof(ip));
	memcpy(headers + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
}

/* The pool's program sends what a capture kept, the other one the same frame again and again. */
static int choose_source(struct generate_bpf *bpf, const struct options *o)
{
	struct bpf_map_info info = {0};
	uint32_t info_len = sizeof(info);
	int fd, err;

	bpf_program__set_autoload(bpf->progs.bench_generate, !o->pool);
	bpf_program__set_autoload(bpf->progs.bench_replay, !!o->pool);
	if (!o->pool)
		return bpf_map__set_autocreate(bpf->maps.pool, false);
	fd = bpf_obj_get(o->pool);
	if (fd < 0)
		return -errno;
	err = bpf_obj_get_info_by_fd(fd, &info, &info_len);
	if (!err)
		err = bpf_map__reuse_fd(bpf->maps.pool, fd);
	close(fd);
	bpf->rodata->slot_octets = info.value_size - sizeof(struct pool_slot);
	return err;
}

static int generator_new(const struct options *o, struct generate_bpf **ret)
{
	uint32_t ifindex = if_nametoindex(o->arg[0]), zero = 0;
	struct generate_bpf *bpf;
	int err;

	if (!ifindex)
		return failed(-errno, "interface", o->arg[0]);
	bpf = generate_bpf__open();
	if (!bpf)
		return failed(-errno, "BPF program", "generate");
	build_headers(o, (uint8_t *)bpf->rodata->headers);
	bpf->rodata->burst_ns = o->rate ? (uint64_t)(GEN_BURST * 1e9 / o->rate) : 0;
	err = choose_source(bpf, o);
	if (!err)
		err = generate_bpf__load(bpf);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(bpf->maps.device), &zero, &ifindex, BPF_ANY);
	if (err) {
		generate_bpf__destroy(bpf);
		return failed(err, "generator", o->arg[0]);
	}
	*ret = bpf;
	return 0;
}

static int send_all(const struct options *o, struct generate_bpf *bpf, int prog)
{
	uint8_t frame[FRAME_MOST] = {0};
	double start = now_s(), rate = o->rate ? o->rate : FASTEST, seconds;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = o->pool ? GEN_INPUT : o->size,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = GEN_BURST);
	uint64_t most = o->pool ? o->frames : UINT64_MAX;
	int err = 0;

	while (!stopped && !err && now_s() - start < o->seconds && bpf->bss->sent < most) {
		uint64_t n = o->rate ? (uint64_t)(rate * CALL_S) : 400000;

		run.repeat = n < most - bpf->bss->sent ? n : most - bpf->bss->sent;
		err = bpf_prog_test_run_opts(prog, &run);
	}
	seconds = now_s() - start;
	printf("{\"sent\": %llu, \"seconds\": %.6f, \"mpps\": %.4f}\n", (unsigned long long)bpf->bss->sent,
	       seconds, bpf->bss->sent / seconds * 1e-6);
	return err == -EINTR ? 0 : err;
}

int run_generator(const struct options *o)
{
	struct bpf_link *link = NULL;
	struct generate_bpf *bpf = NULL;
	struct bpf_program *prog;
	int err = generator_new(o, &bpf);

	if (err)
		return err;
	prog = o->pool ? bpf->progs.bench_replay : bpf->progs.bench_generate;
	if (o->anchor)
		err = attach_xdp(prog, o->anchor, &link);
	if (!err) {
		err = send_all(o, bpf, bpf_program__fd(prog));
		if (err)
			failed(err, "live frames", o->arg[0]);
	}
	bpf_link__destroy(link);
	generate_bpf__destroy(bpf);
	return err;
}
