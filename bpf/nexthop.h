/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One envelope per outbound SA and CPU, prepared from sa_out and the kernel's routes, at most 100 ms old.
 *
 * The route is asked as the kernel would ask it for a packet that arrives on adit0, because that is where the
 * sealed packet goes when no socket of ours can send it: no neighbour yet, ppp, a port without AF_XDP. */
#ifndef ADIT_BPF_NEXTHOP_H
#define ADIT_BPF_NEXTHOP_H

#include "checksum.h"
#include "flow.h"
#include "packet.h"

#define ENVELOPE_AGE_NS 100000000
#define OUTER_TTL	64

static __always_inline void write_link(struct envelope *e, const __u8 *dmac, const __u8 *smac, __u32 tag)
{
	__be16 type = e->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__be16 *word = (__be16 *)e->link;

	memcpy(e->link, dmac, 6);
	memcpy(e->link + 6, smac, 6);
	e->tagged = tag != TAG_NONE;
	word[6] = e->tagged ? bpf_htons(tag >> 16) : type;
	word[7] = bpf_htons(tag);
	word[8] = type;
}

/* Source address of what adit itself puts on the internal link; octets 2..5 are a policy ifindex elsewhere.
 */
static __always_inline void own_mac(__u8 mac[6])
{
	mac[0] = 0x02;
	mac[1] = 0xad;
	mac[2] = mac[3] = mac[4] = mac[5] = 0;
}

static __always_inline void route_via_kernel(struct envelope *e)
{
	const struct adit_host *h = host_facts();
	__u8 smac[6];

	if (!h || !h->internal_ifindex || h->internal_slot == ADIT_NO_SLOT) {
		e->why = ADIT_DROP_NO_WORKER;
		return;
	}
	own_mac(smac);
	e->slot = h->internal_slot;
	e->via_kernel = 1;
	write_link(e, h->internal_mac, smac, TAG_NONE);
}

/* What of a route's MTU is left for the inner packet. */
static __always_inline __u32 inner_room(const struct envelope *e, __u32 mtu)
{
	__u32 headers = (e->v6 ? 40 : 20) + (e->udp ? 8 : 0) + ESP_HEADER + e->iv_len + e->icv_len;

	if (mtu < headers + 64)
		return 0;
	return ((mtu - headers) & ~((__u32)e->align - 1)) - 2;
}

/* A clamp that lets larger segments through than the packets which fit is none.  0 stays 0: it is off. */
static __always_inline __u16 mss_within(const struct envelope *e, __u16 mss, __u32 ip_header)
{
	__u32 headers = ip_header + TCP_HEADER;

	if (e->inner_mtu <= headers || mss <= e->inner_mtu - headers)
		return mss;
	return e->inner_mtu - headers;
}

static __always_inline void route_envelope(struct xdp_md *ctx, struct envelope *e,
					   const struct adit_sa_out *sa)
{
	const union address *local = (const union address *)&sa->local;
	const union address *remote = (const union address *)&sa->remote;
	const struct adit_host *h = host_facts();
	const struct adit_port *port;
	struct bpf_fib_lookup fib = {};
	__u32 ifindex, room;
	long ret;

	if (!h)
		return;
	fib.ifindex = h->internal_ifindex;
	if (e->v6) {
		fib.family = FAMILY_INET6;
		memcpy(fib.ipv6_src, local->d, 16);
		memcpy(fib.ipv6_dst, remote->d, 16);
	} else {
		fib.family = FAMILY_INET;
		fib.ipv4_src = local->d[3];
		fib.ipv4_dst = remote->d[3];
	}
	fib.l4_protocol = e->udp ? IPPROTO_UDP : IPPROTO_ESP;
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (ret == BPF_FIB_LKUP_RET_BLACKHOLE || ret == BPF_FIB_LKUP_RET_UNREACHABLE ||
	    ret == BPF_FIB_LKUP_RET_PROHIBIT) {
		e->why = ADIT_DROP_NO_ROUTE;
		return;
	}
	if (ret == BPF_FIB_LKUP_RET_SUCCESS) {
		ifindex = fib.ifindex;
		room = inner_room(e, fib.mtu_result);
		if (room && room < e->inner_mtu)
			e->inner_mtu = room;
		port = bpf_map_lookup_elem(&ports, &ifindex);
		if (port && port->role == ADIT_ROLE_OUTSIDE && port->flags & ADIT_PORT_FAST_PATH &&
		    port->slot != ADIT_NO_SLOT) {
			e->slot = port->slot;
			e->via_kernel = 0;
			write_link(e, fib.dmac, fib.smac, tag_on_wire(port, ifindex));
			return;
		}
	}
	route_via_kernel(e);
}

static __always_inline void write_udp_esp(__u8 *at, const struct adit_sa_out *sa, bool udp)
{
	__be16 *port = (__be16 *)at;
	__be32 *esp = (__be32 *)(udp ? at + 8 : at);

	if (udp) {
		port[0] = bpf_htons(sa->local_port);
		port[1] = bpf_htons(sa->remote_port);
		port[2] = 0;
		port[3] = 0; /* RFC 3948 2.1; on IPv6 the worker fills it in */
	}
	esp[0] = bpf_htonl(sa->spi);
	esp[1] = 0;
}

static __always_inline void write_outer_v4(struct envelope *e, const struct adit_sa_out *sa)
{
	const union address *local = (const union address *)&sa->local;
	const union address *remote = (const union address *)&sa->remote;
	struct iphdr *ip = (struct iphdr *)e->outer;
	const __u16 *word = (const __u16 *)e->outer;
	__u32 i, sum = 0;

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = 0;
	ip->id = 0;
	ip->frag_off = 0;
	ip->ttl = OUTER_TTL;
	ip->protocol = e->udp ? IPPROTO_UDP : IPPROTO_ESP;
	ip->check = 0;
	ip->saddr = local->d[3];
	ip->daddr = remote->d[3];
#pragma unroll
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += word[i];
	e->sum = sum;
	write_udp_esp(e->outer + sizeof(*ip), sa, e->udp);
}

static __always_inline void write_outer_v6(struct envelope *e, const struct adit_sa_out *sa)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)e->outer;

	*(__be32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = 0;
	ip->nexthdr = e->udp ? IPPROTO_UDP : IPPROTO_ESP;
	ip->hop_limit = OUTER_TTL;
	memcpy(&ip->saddr, &sa->local, 16);
	memcpy(&ip->daddr, &sa->remote, 16);
	write_udp_esp(e->outer + sizeof(*ip), sa, e->udp);
}

/* Returns the reason that this SA cannot send, or 0. */
__noinline int prepare_envelope(struct xdp_md *ctx, struct envelope *e, __u32 rule)
{
	const struct adit_sa_out *sa = bpf_map_lookup_elem(&sa_out, &rule);
	const union address *local;
	__u32 room;

	if (!e)
		return ADIT_DROP_NO_SA;
	e->why = ADIT_DROP_NO_SA;
	if (!sa || !sa->align || sa->align & (sa->align - 1) || sa->iv_len & 3)
		return e->why;
	e->why = 0;
	local = (const union address *)&sa->local;
	e->v6 = !(local->w[0] == 0 && local->d[2] == bpf_htonl(0xffff));
	e->udp = !!sa->udp_encap;
	e->iv_len = sa->iv_len & 0x1f;
	e->icv_len = sa->icv_len;
	e->align = sa->align;
	e->df = sa->df;
	room = inner_room(e, ADIT_FRAME_MTU_MAX);
	e->inner_mtu = sa->inner_mtu < room ? sa->inner_mtu : room;
	if (e->v6)
		write_outer_v6(e, sa);
	else
		write_outer_v4(e, sa);
	route_envelope(ctx, e, sa);
	e->mss4 = mss_within(e, sa->mss4, sizeof(struct iphdr));
	e->mss6 = mss_within(e, sa->mss6, sizeof(struct ipv6hdr));
	return e->why;
}

/* The envelope of a flow's SA.  The caller has seen that there is one. */
static __always_inline struct envelope *envelope_for(struct xdp_md *ctx, const struct flow *f)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 index = f->sa;
	struct envelope *e = bpf_map_lookup_elem(&nexthops, &index);

	if (!e)
		return NULL;
	if (e->rule == f->rule && e->generation == f->generation && now - e->stamp_ns < ENVELOPE_AGE_NS)
		return e;
	e->rule = f->rule;
	e->generation = f->generation;
	e->stamp_ns = now;
	prepare_envelope(ctx, e, f->rule);
	return e;
}

#endif
