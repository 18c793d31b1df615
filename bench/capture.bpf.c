// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Stores ESP frames in the order in which they arrive; everything else goes on to the kernel. */
#include "frame.h"
#include "pool.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, sizeof(struct pool_slot)); /* the loader makes room for the octets */
	__uint(max_entries, 1);
} pool SEC(".maps");

const volatile __u32 slot_octets = 64;
__u64 captured; /* may exceed the slots: those came too late */

SEC("xdp")
int bench_capture(struct xdp_md *ctx)
{
	__u32 len = ctx->data_end - ctx->data, index;
	struct pool_slot *slot;

	if (frame_kind(ctx) != FRAME_ESP)
		return XDP_PASS;
	if (len < sizeof(struct ethhdr) || len > slot_octets)
		return XDP_DROP;
	index = __sync_fetch_and_add(&captured, 1);
	slot = bpf_map_lookup_elem(&pool, &index);
	if (!slot)
		return XDP_DROP;
	slot->len = bpf_xdp_load_bytes(ctx, 0, slot + 1, len) ? 0 : len;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
