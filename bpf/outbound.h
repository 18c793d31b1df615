/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The two places where inner packets enter XDP: an inside port (fast path) and the internal port (general).
 */
#ifndef ADIT_BPF_OUTBOUND_H
#define ADIT_BPF_OUTBOUND_H

#include "envelope.h"
#include "fib.h"
#include "icmp.h"
#include "icmp_error.h"
#include "mss.h"
#include "outside.h"
#include "parse.h"

#define ROUTE_AGE_NS  200000000
#define FAST_LEN_MAX  1600 /* larger ones are generic-mode super packets, which are not one packet */
#define MTU_UNLIMITED 0

static __always_inline void clamp_syn(struct xdp_md *ctx, const struct packet *p, const struct envelope *e)
{
	if (p->tcp_flags & TCP_SYN && p->fragment == FRAGMENT_NONE)
		clamp_mss(ctx, p, p->key.family == 6 ? e->mss6 : e->mss4);
}

/* The policy interface is in the frame's source address: the TC program wrote it there. */
static __always_inline __u32 policy_ifindex(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;
	const __u8 *m;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	m = eth->h_source;
	if (m[0] != 0x02 || m[1] != 0xad)
		return 0;
	return (__u32)m[2] << 24 | (__u32)m[3] << 16 | (__u32)m[4] << 8 | m[5];
}

static __always_inline __u32 hold(struct xdp_md *ctx, const struct packet *p, __u32 rule)
{
	struct adit_note *note;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return ADIT_DROP_NO_ROOM;
	note = (void *)(long)ctx->data_meta;
	if ((void *)(note + 1) > (void *)(long)ctx->data)
		return ADIT_DROP_NO_ROOM;
	note->magic = ADIT_NOTE_MAGIC;
	note->kind = ADIT_NOTE_HOLD;
	note->flags = 0;
	note->id = rule;
	note->hold.l3_off = p->l3;
	note->hold.family = p->key.family;
	__builtin_memset(note->hold.pad, 0, sizeof(note->hold.pad));
	return ADIT_TO_WORKER_HOLD;
}

/* The frame is an answer that the kernel shall deliver.  Through the worker and not by XDP_TX, because that
 * wakes the near end only if it has an XDP program, which would cost every packet that is delivered there. */
static __always_inline __u32 to_kernel(struct xdp_md *ctx, __u32 slot, __u32 why)
{
	struct adit_note *note;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return ADIT_DROP_NO_ROOM;
	note = (void *)(long)ctx->data_meta;
	if ((void *)(note + 1) > (void *)(long)ctx->data)
		return ADIT_DROP_NO_ROOM;
	__builtin_memset(note, 0, sizeof(*note));
	note->magic = ADIT_NOTE_MAGIC;
	note->kind = ADIT_NOTE_SEND;
	note->seal.slot = slot;
	return why;
}

/* What does not fit.  IPv4 without DF is fragmented by the worker before it is sealed.  IPv6 of up to 1280
 * octets must get through whatever the tunnel is made of (RFC 8200 5), so there the kernel fragments the
 * envelope. */
static __always_inline __u32 fit(struct xdp_md *ctx, const struct packet *p, const struct envelope *e,
				 __u32 *how)
{
	if (p->len <= e->inner_mtu)
		return 0;
	if (p->key.family == 4 && !p->df) {
		*how |= ADIT_NOTE_FRAGMENT;
		return 0;
	}
	if (p->key.family == 6 && p->len <= MTU6_LEAST) {
		*how |= SEAL_VIA_KERNEL;
		return e->v6 ? ADIT_DROP_TOO_BIG : 0;
	}
	return tell_too_big(ctx, p, e);
}

static __always_inline __u32 take_internal(struct xdp_md *ctx, struct packet *p, __u32 *socket)
{
	const struct adit_host *h = host_facts();
	const struct adit_port *port;
	const struct flow_key *key;
	struct envelope *e;
	struct flow *f;
	__u32 why, ifindex, how = 0;

	p->key.ifindex = ifindex = policy_ifindex(ctx);
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port || !port->policy || !h)
		return ADIT_DROP_NOT_PROTECTED;
	p->key.policy = port->policy;
	why = parse_frame(ctx, p, 0);
	if (why)
		return why == ADIT_PASS_NOT_IP ? ADIT_DROP_NOT_PROTECTED : why;
	p->key.kind = FLOW_OUT;
	key = selectors_of(ctx, p, &why);
	if (!key)
		return why;
	f = flow_verdict(key);
	if (f && f->action == SPD_UNSURE)
		return ADIT_DROP_RULES_CHANGE;
	if (!f || f->action != ADIT_PROTECT)
		return ADIT_DROP_NOT_PROTECTED;
	*socket = socket_index(h->internal_slot, ctx->rx_queue_index);
	if (h->internal_slot == ADIT_NO_SLOT || !worker_listens(*socket))
		return ADIT_DROP_NO_WORKER;
	count_hit(f->rule, p->len);
	if (!f->sa)
		return hold(ctx, p, f->rule);
	if (f->narrowed)
		return ADIT_DROP_NARROWED;
	e = envelope_for(ctx, f);
	if (!e)
		return ADIT_DROP_NO_SA;
	if (e->why)
		return e->why;
	why = fit(ctx, p, e, &how);
	if (why)
		return why == ADIT_TOO_BIG_TOLD ? to_kernel(ctx, h->internal_slot, why) : why;
	clamp_syn(ctx, p, e);
	return seal(ctx, e, p, f->sa, how);
}

/* Where would the kernel send this?  f->fib_ifindex says: 0 unless it is a plain forward. */
__noinline int ask_route(struct xdp_md *ctx, const struct packet *p, struct flow *f)
{
	struct bpf_fib_lookup fib = {};
	long ret;

	if (!p || !f)
		return 0;
	fib_question(&fib, p, p->key.ifindex);
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	f->fib_ifindex = 0;
	f->fib_mtu = MTU_UNLIMITED;
	if (ret == BPF_FIB_LKUP_RET_SUCCESS)
		f->fib_mtu = fib.mtu_result;
	if (ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH)
		f->fib_ifindex = fib.ifindex;
	return 0;
}

/* Renews what an inside flow knows of its port and its route, and of the SPD when either changed. */
static __always_inline void inside_learn(struct xdp_md *ctx, const struct packet *p, struct flow *f)
{
	__u32 ifindex = p->key.ifindex, was = f->fib_ifindex;
	const struct adit_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	bool fresh = f->fib_ns == 0;

	f->fib_ns = bpf_ktime_get_coarse_ns();
	f->slot = ADIT_NO_SLOT;
	f->fib_ifindex = 0;
	if (port && port->role == ADIT_ROLE_INSIDE && port->flags & ADIT_PORT_FAST_PATH) {
		f->slot = port->slot;
		memcpy(f->mac, port->mac, 6);
		ask_route(ctx, p, f);
	}
	ifindex = f->fib_ifindex;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port || !port->policy) {
		f->fib_ifindex = 0;
		f->action = 0;
		f->rule = 0;
		f->sa = 0;
		f->narrowed = 0;
	} else if (fresh || f->fib_ifindex != was) {
		flow_classify(f, &p->key, port->policy);
	}
}

static __always_inline struct flow *inside_flow(struct xdp_md *ctx, const struct packet *p)
{
	__u64 generation = policy_generation();
	__u32 place = flow_place(&p->key);
	struct flow *f = bpf_map_lookup_elem(&flows, &place);

	if (!f)
		return NULL;
	if (!flow_is(f, &p->key) || f->generation != generation) {
		f->key = p->key;
		f->generation = generation;
		f->fib_ns = 0;
	}
	if (!f->fib_ns || bpf_ktime_get_coarse_ns() - f->fib_ns > ROUTE_AGE_NS)
		inside_learn(ctx, p, f);
	return f;
}

static __always_inline bool addressed_to(struct xdp_md *ctx, const __u8 mac[6])
{
	void *data = (void *)(long)ctx->data;
	const __u16 *is = data;
	const __u16 *want = (const __u16 *)mac;

	if (data + 6 > (void *)(long)ctx->data_end)
		return false;
	return is[0] == want[0] && is[1] == want[1] && is[2] == want[2];
}

/* What needs the kernel's eye whatever the policy says. */
static __always_inline bool is_plain(const struct packet *p)
{
	if (p->fragment || p->options || p->ttl <= 1 || p->len > FAST_LEN_MAX ||
	    p->key.opaque & OPAQUE_PROTOCOL)
		return false;
	if (p->key.family == 6)
		return !is_v6_group(&p->key.remote) && !is_v6_link_local(&p->key.remote) &&
		       !is_v6_link_local(&p->key.local);
	return !is_v4_group(&p->key.remote) && !is_v4_link_local(&p->key.remote) &&
	       !is_v4_link_local(&p->key.local);
}

static __always_inline bool age_ttl(struct xdp_md *ctx, const struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct ipv6hdr *v6 = data + (p->l3 & 0x1f);
	struct iphdr *v4 = data + (p->l3 & 0x1f);

	if (p->key.family == 6) {
		if ((void *)(v6 + 1) > end)
			return false;
		v6->hop_limit--;
		return true;
	}
	if ((void *)(v4 + 1) > end)
		return false;
	v4->check =
		csum_replace(v4->check, bpf_htons((__u16)v4->ttl << 8), bpf_htons((__u16)(v4->ttl - 1) << 8));
	v4->ttl--;
	return true;
}

/* Nothing is changed before it is certain that the worker takes the frame: what passes, passes as it came. */
static __always_inline __u32 take_inside(struct xdp_md *ctx, struct packet *p, __u32 *socket)
{
	struct envelope *e;
	struct flow *f;
	__u32 why;

	why = parse_frame(ctx, p, 0);
	if (why)
		return why == ADIT_PASS_NOT_IP ? why : ADIT_PASS_GENERAL;
	p->key.kind = FLOW_INSIDE;
	p->key.ifindex = logical_ifindex(ctx, p);
	if (!p->key.ifindex)
		return ADIT_PASS_NO_FAST_PATH;
	if (!is_plain(p))
		return ADIT_PASS_GENERAL;
	f = inside_flow(ctx, p);
	if (!f || f->slot == ADIT_NO_SLOT)
		return ADIT_PASS_NO_FAST_PATH;
	if (f->action == SPD_UNSURE)
		return ADIT_PASS_GENERAL;
	if (f->action != ADIT_PROTECT)
		return ADIT_PASS_CLEAR;
	if (!f->sa || f->narrowed || !addressed_to(ctx, f->mac))
		return ADIT_PASS_GENERAL;
	if (f->fib_mtu != MTU_UNLIMITED && p->len > f->fib_mtu)
		return ADIT_PASS_GENERAL;
	*socket = socket_index(f->slot, ctx->rx_queue_index);
	if (!worker_listens(*socket))
		return ADIT_PASS_GENERAL;
	e = envelope_for(ctx, f);
	if (!e || e->why || p->len > e->inner_mtu)
		return ADIT_PASS_GENERAL;
	count_hit(f->rule, p->len);
	clamp_syn(ctx, p, e);
	if (!age_ttl(ctx, p))
		return ADIT_DROP_RUNT;
	return seal(ctx, e, p, f->sa, 0);
}

#endif
