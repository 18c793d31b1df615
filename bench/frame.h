/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which frames are the benchmark's own: what the generator sends, and what a gateway makes of it. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum frame_kind { FRAME_OTHER, FRAME_CLEAR, FRAME_ESP };

#define PORT_DISCARD 9
#define PORT_NATT    4500

static __always_inline enum frame_kind frame_kind(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 *marker = (void *)(udp + 1);

	if ((void *)(marker + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return FRAME_OTHER;
	if (ip->protocol == IPPROTO_ESP)
		return FRAME_ESP;
	if (ip->protocol != IPPROTO_UDP)
		return FRAME_OTHER;
	if (udp->dest == bpf_htons(PORT_DISCARD))
		return FRAME_CLEAR;
	/* RFC 3948 2.2: four zero octets mean IKE. */
	return udp->dest == bpf_htons(PORT_NATT) && *marker ? FRAME_ESP : FRAME_OTHER;
}

#endif
