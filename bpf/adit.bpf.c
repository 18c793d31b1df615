// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* All programs and maps of the datapath: who handles a frame, and what stands on the envelope.  No key ever
 * comes here.  Floor: Linux 6.1. */
#include "common.h"
#include "tables.h"
#include "outside.h"

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

/* For an end of a veth pair that must have NAPI and nothing else: XDP_REDIRECT and XDP_TX into a veth need a
 * program on the far side. */
SEC("xdp")
int adit_adopted_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
