/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Lowers the MSS of a TCP SYN to what fits the tunnel; never raises it, never adds one. */
#ifndef ADIT_BPF_MSS_H
#define ADIT_BPF_MSS_H

#include "checksum.h"
#include "packet.h"
#include "reason.h"

#define TCP_CHECK   16
#define OPTIONS_MAX 40
#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_MSS  2

struct option_walk {
	__u8 octets[64]; /* the header's options; a power of two so that an index can be masked */
	__u32 len;
	__u32 at;
	__u32 mss_at; /* of the value, 0 = none */
};

static long option_step(__u32 i, void *ctx)
{
	struct option_walk *w = ctx;
	__u32 kind, len;

	if (w->at + 1 >= w->len)
		return 1;
	kind = w->octets[w->at & 63];
	len = w->octets[(w->at + 1) & 63];
	if (kind == OPTION_END)
		return 1;
	if (kind == OPTION_NOP) {
		w->at++;
		return 0;
	}
	if (len < 2 || w->at + len > w->len)
		return 1;
	if (kind == OPTION_MSS) {
		if (len == 4)
			w->mss_at = w->at + 2;
		return 1;
	}
	w->at += len;
	return 0;
}

/* An unfinished checksum covers the pseudo header only (CHECKSUM_PARTIAL): what stands in the segment is
 * added by whoever finishes it, so it must not be touched here. */
static __always_inline bool is_unfinished(const struct packet *p, __u16 check)
{
	__u32 segment = p->l3 + p->len - p->l4;
	__u64 sum = bpf_htons(IPPROTO_TCP) + bpf_htonl(segment);
	__u32 i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		if (p->key.family == 4 && i < 3)
			continue;
		sum += (__u64)p->key.local.d[i] + p->key.remote.d[i];
	}
	return csum_fold(sum) == check;
}

__noinline int clamp_mss(struct xdp_md *ctx, const struct packet *p, __u32 most)
{
	struct option_walk w = {};
	__u16 check, was, now, from, to;
	__u8 offset;
	__u32 len, at;

	if (!p || !most)
		return 0;
	if (bpf_xdp_load_bytes(ctx, p->l4 + 12, &offset, 1))
		return 0;
	len = (offset >> 4) * 4;
	if (len <= TCP_HEADER || p->l4 + len > p->l3 + p->len)
		return 0;
	len -= TCP_HEADER;
	if (len > OPTIONS_MAX || bpf_xdp_load_bytes(ctx, p->l4 + TCP_HEADER, w.octets, len))
		return 0;
	w.len = len;
	bpf_loop(OPTIONS_MAX, option_step, &w, 0);
	if (!w.mss_at)
		return 0;
	at = p->l4 + TCP_HEADER + w.mss_at;
	if (bpf_xdp_load_bytes(ctx, at, &was, 2) || bpf_ntohs(was) <= most)
		return 0;
	if (bpf_xdp_load_bytes(ctx, p->l4 + TCP_CHECK, &check, 2))
		return 0;
	now = bpf_htons(most);
	if (bpf_xdp_store_bytes(ctx, at, &now, 2))
		return 0;
	count(ADIT_MSS_CLAMPED);
	if (is_unfinished(p, check))
		return 0;
	/* Behind a single NOP the value lies across two words of the sum: each octet counts on the other
	 * side. */
	from = w.mss_at & 1 ? __builtin_bswap16(was) : was;
	to = w.mss_at & 1 ? __builtin_bswap16(now) : now;
	check = csum_replace(check, from, to);
	bpf_xdp_store_bytes(ctx, p->l4 + TCP_CHECK, &check, 2);
	return 0;
}

#endif
