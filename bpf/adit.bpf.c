// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* All programs and maps of the datapath: who handles a frame, and what stands on the envelope.  No key ever
 * comes here.  Floor: Linux 6.1. */
#include "common.h"
#include "tables.h"
#include "outside.h"
#include "outbound.h"
#include "egress.h"
#include "fib.h"

/* Frames from the untrusted side: ESP for us goes to the worker, what should have been ESP goes nowhere. */
SEC("xdp")
int adit_outside(struct xdp_md *ctx)
{
	struct packet p = {};
	__u32 socket = 0, why;

	why = take_outside(ctx, &p, &socket);
	if (why != ADIT_TO_WORKER_OPEN)
		return leave_xdp(why);
	return leave_to_worker(why, socket);
}

/* Frames from an inside port that the kernel would send out protected: enveloped here, past the kernel. */
SEC("xdp")
int adit_inside(struct xdp_md *ctx)
{
	struct packet p = {};
	__u32 socket = 0, why;

	why = take_inside(ctx, &p, &socket);
	if (why != ADIT_TO_WORKER_SEAL)
		return leave_xdp(why);
	return leave_to_worker(why, socket);
}

/* Far end of the internal pair: what adit_egress took from a policy interface. */
SEC("xdp")
int adit_internal(struct xdp_md *ctx)
{
	struct packet p = {};
	__u32 socket = 0, why;

	why = take_internal(ctx, &p, &socket);
	if (why == ADIT_TO_WORKER_SEAL || why == ADIT_TO_WORKER_HOLD || why == ADIT_TOO_BIG_TOLD)
		return leave_to_worker(why, socket);
	return leave_xdp(why);
}

/* Egress of a policy interface: what must be protected leaves by the internal pair instead. */
SEC("tc")
int adit_egress(struct __sk_buff *skb)
{
	struct packet p = {};
	const struct adit_host *h;
	__u32 why;

	why = take_egress(skb, &p);
	h = host_facts();
	if (why != ADIT_TO_INTERNAL || !h)
		return leave_tc(why);
	count(why);
	return bpf_redirect(h->internal_ifindex, 0);
}

/* Ingress of a policy interface that has no Ethernet header and hence no XDP. */
SEC("tc")
int adit_ingress(struct __sk_buff *skb)
{
	struct packet p = {};

	return leave_tc(take_ingress(skb, &p));
}

/* No frames, questions: include/adit/fib.h. */
SEC("xdp")
int adit_fib(struct xdp_md *ctx)
{
	struct packet p = {};

	return answer_fib(ctx, &p);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
