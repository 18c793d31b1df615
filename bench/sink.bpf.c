// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Counts and drops the benchmark's own frames; IKE, ARP and the rest go on to the kernel, so that a
 * gateway under measurement can still talk to its peer through the counted interface. */
#include "frame.h"

struct seen {
	__u64 frames, octets;
	__u64 first_ns, last_ns; /* last_ns belongs to frame number `stamped` */
	__u64 stamped;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} counts SEC(".maps");

const volatile bool count_all; /* the forwarder that encrypts leaves nothing to recognise */

SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct seen *seen;

	if (!count_all && frame_kind(ctx) == FRAME_OTHER)
		return XDP_PASS;
	seen = bpf_map_lookup_elem(&counts, &zero);
	if (!seen)
		return XDP_DROP;
	seen->frames++;
	seen->octets += ctx->data_end - ctx->data;
	/* A clock read costs as much as the rest of this program, and it is paid on the core under test. */
	if (seen->frames % 64 == 1) {
		seen->last_ns = bpf_ktime_get_ns();
		seen->stamped = seen->frames;
		if (!seen->first_ns)
			seen->first_ns = seen->last_ns;
	}
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
