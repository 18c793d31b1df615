/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The one way out: count the reason, and say what it means to the kernel.  Counting may fail, the verdict
 * stays. */
#ifndef ADIT_BPF_REASON_H
#define ADIT_BPF_REASON_H

#include "tables.h"

static __always_inline void count(__u32 why)
{
	__u64 *n = bpf_map_lookup_elem(&reasons_bpf, &why);

	if (n)
		(*n)++;
}

static __always_inline void count_hit(__u32 rule, __u32 octets)
{
	struct adit_hits *h = bpf_map_lookup_elem(&rule_hits, &rule);

	if (h) {
		h->packets++;
		h->octets += octets;
	}
}

/* reasons.h lists what is left to the kernel first. */
static __always_inline bool is_pass(__u32 why)
{
	return why && why < ADIT_TO_WORKER_SEAL;
}

static __always_inline int leave_xdp(__u32 why)
{
	count(why);
	return is_pass(why) ? XDP_PASS : XDP_DROP;
}

/* What we let pass is the next program's business, if there is one: at tcx and in clsact alike TC_ACT_OK would
 * end the list before it.  At the end of the list the packet passes. */
static __always_inline int leave_tc(__u32 why)
{
	count(why);
	return is_pass(why) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

#define NO_SOCKET 0xffffffff

static __always_inline bool worker_listens(__u32 index)
{
	return bpf_map_lookup_elem(&xsks, &index) != NULL;
}

/* Where the worker's socket of a port and queue would be in xsks; worker_listens() says whether it is there.  A
 * queue beyond those (ethtool -L) has none. */
static __always_inline __u32 socket_index(__u32 slot, __u32 queue)
{
	return queue < ADIT_QUEUES_MAX ? slot * ADIT_QUEUES_MAX + queue : NO_SOCKET;
}

/* To the worker.  XDP_DROP is what happens when its socket went since worker_listens() was asked. */
static __always_inline int leave_to_worker(__u32 why, __u32 index)
{
	count(why);
	return bpf_redirect_map(&xsks, index, XDP_DROP);
}

#endif
