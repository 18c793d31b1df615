/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Answers include/adit/fib.h: the kernel's next hop for an inner packet that arrives on adit0. */
#ifndef ADIT_BPF_FIB_H
#define ADIT_BPF_FIB_H

#include "parse.h"
#include "tables.h"
#include <adit/fib.h>

static __always_inline void fib_question(struct bpf_fib_lookup *fib, const struct packet *p, __u32 ifindex)
{
	fib->ifindex = ifindex;
	fib->l4_protocol = p->key.protocol;
	if (!p->key.opaque && has_ports(p->key.protocol)) {
		fib->sport = bpf_htons(p->key.local_port);
		fib->dport = bpf_htons(p->key.remote_port);
	}
	if (p->key.family == 4) {
		fib->family = FAMILY_INET;
		fib->tos = p->tos & 0x1c;
		fib->ipv4_src = p->key.local.d[3];
		fib->ipv4_dst = p->key.remote.d[3];
	} else {
		fib->family = FAMILY_INET6;
		fib->flowinfo = bpf_htonl((__u32)p->tos << 20);
		memcpy(fib->ipv6_src, p->key.local.d, 16);
		memcpy(fib->ipv6_dst, p->key.remote.d, 16);
	}
}

static __always_inline int answer_fib(struct xdp_md *ctx, struct packet *p)
{
	const struct adit_host *h = host_facts();
	struct adit_fib_answer answer = {.slot = ADIT_NO_SLOT};
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct bpf_fib_lookup fib = {};
	const struct adit_port *port;
	__u32 ifindex;

	/* Header only: lengths are those of the packet asked about, not of the question. */
	if (!h || parse_link(data, end, p) || parse_ip(ctx, data, end, p, 0))
		return XDP_DROP;
	fib_question(&fib, p, h->internal_ifindex);
	answer.result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	ifindex = fib.ifindex;
	if (answer.result == BPF_FIB_LKUP_RET_SUCCESS) {
		answer.ifindex = ifindex;
		answer.mtu = fib.mtu_result;
		memcpy(answer.smac, fib.smac, 6);
		memcpy(answer.dmac, fib.dmac, 6);
		port = bpf_map_lookup_elem(&ports, &ifindex);
		if (port) {
			answer.vlan = tag_on_wire(port, ifindex) & 0xfff;
			answer.vlan_type = tag_on_wire(port, ifindex) >> 16;
			/* By a policy interface it leaves through the kernel: adit_egress has to see it. */
			if (port->role == ADIT_ROLE_INSIDE && port->flags & ADIT_PORT_FAST_PATH)
				answer.slot = port->slot;
		}
	}
	if (bpf_xdp_adjust_tail(ctx, (int)sizeof(answer) - frame_len(ctx)))
		return XDP_DROP;
	return bpf_xdp_store_bytes(ctx, 0, &answer, sizeof(answer)) ? XDP_DROP : XDP_PASS;
}

#endif
