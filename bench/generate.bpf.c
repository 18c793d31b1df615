// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Runs once for every frame of a BPF_PROG_TEST_RUN with live frames and sends it out of one device. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include "generate.h"
#include "pool.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} device SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, sizeof(struct pool_slot));
	__uint(max_entries, 1);
} pool SEC(".maps");

const volatile __u8 headers[GEN_HEADERS];
const volatile __u32 slot_octets = 64;
const volatile __u64 burst_ns; /* time for GEN_BURST frames, 0 for as fast as it goes */

__u64 sent;
__u64 due_ns;

#define SPIN_MOST   (1 << 19) /* clock reads: some 15 ms, a burst at 4000 frames a second */
#define BEHIND_MOST 1000000   /* later than this and the lost time is given up, not caught up with */

static long spin(__u32 i, void *ctx)
{
	return bpf_ktime_get_ns() >= due_ns;
}

/* The kernel hands frames on in batches of GEN_BURST, so a finer pace would only cost clock reads. */
static __always_inline void pace(void)
{
	__u64 now;

	if (!burst_ns || sent % GEN_BURST)
		return;
	now = bpf_ktime_get_ns();
	due_ns += burst_ns;
	if (now > due_ns + BEHIND_MOST)
		due_ns = now;
	else if (now < due_ns)
		bpf_loop(SPIN_MOST, spin, 0, 0);
}

/* A page comes back as its last reader left it, so whatever a gateway rewrites is written again. */
SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	int i;

	if (data + GEN_HEADERS > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	pace();
	for (i = 0; i < GEN_HEADERS; i++)
		data[i] = headers[i];
	sent++;
	return bpf_redirect_map(&device, 0, XDP_ABORTED);
}

/* Frames sealed by a real peer, each sent once: a receiver that refuses replays takes them all. */
SEC("xdp")
int bench_replay(struct xdp_md *ctx)
{
	__u32 len, index = sent;
	struct pool_slot *slot = bpf_map_lookup_elem(&pool, &index);
	__u8 *data;
	int i;

	if (!slot)
		return XDP_ABORTED;
	len = slot->len;
	if (len < sizeof(struct ethhdr) || len > slot_octets)
		return XDP_ABORTED;
	pace();
	if (bpf_xdp_adjust_tail(ctx, (int)len - GEN_INPUT) || bpf_xdp_store_bytes(ctx, 0, slot + 1, len))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if (data + 2 * ETH_ALEN > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (i = 0; i < 2 * ETH_ALEN; i++) /* captured on another wire: only the MAC addresses differ */
		data[i] = headers[i];
	sent++;
	return bpf_redirect_map(&device, 0, XDP_ABORTED);
}

char _license[] SEC("license") = "Dual BSD/GPL";
