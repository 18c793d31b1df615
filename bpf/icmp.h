/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Tells the sender that its packet does not fit the tunnel (RFC 1191, RFC 8201, RFC 4301 8.2.1).  The packet
 * becomes the quote in its own error message, which goes back into the kernel on adit0. */
#ifndef ADIT_BPF_ICMP_H
#define ADIT_BPF_ICMP_H

#include "checksum.h"
#include "icmp_error.h"
#include "nexthop.h"
#include "parse.h"

#define TOO_BIG_WINDOW_NS 100000000
#define TOO_BIG_MOST	  100 /* a window and CPU: the kernel's own limit is 1000 a second */
#define QUOTE4		  128 /* RFC 1812 4.3.2.3 wants more than the 8 octets of RFC 792; room for any IP header */
#define QUOTE6		  512  /* what one bpf_csum_diff can sum; RFC 4443 2.4 (c) allows up to 1280 in all */
#define DSCP_CONTROL	  0xc0 /* CS6, as routers send it */

struct icmp_too_big {
	__u8 type, code;
	__u16 check;
	__be32 mtu; /* IPv4: its low half, the high one is zero */
};

struct too_big_v4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct icmp_too_big icmp;
	__u8 quote[QUOTE4];
} __attribute__((packed));

struct too_big_v6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct icmp_too_big icmp;
	__u8 quote[QUOTE6];
} __attribute__((packed));

/* Never about an ICMP error, a later fragment or to a group (RFC 1122 3.2.2, RFC 4443 2.4 (e)). */
static __always_inline bool may_be_told(const struct packet *p)
{
	if (p->fragment == FRAGMENT_LATER || is_icmp_error(p))
		return false;
	if (p->key.family == 4)
		return !is_v4_group(&p->key.remote) && p->key.local.d[3] && !is_v4_group(&p->key.local);
	return !is_v6_group(&p->key.local) && (p->key.local.w[0] | p->key.local.w[1]);
}

static __always_inline void address_back(struct ethhdr *eth, const struct adit_host *h, __u16 type)
{
	memcpy(eth->h_dest, h->internal_mac, 6);
	own_mac(eth->h_source);
	eth->h_proto = bpf_htons(type);
}

/* source: our outer address when it is of this family, else the packet's own destination, for want of one. */
static __always_inline bool write_too_big_v4(struct xdp_md *ctx, const struct packet *p,
					     const struct envelope *e, const struct adit_host *h)
{
	struct too_big_v4 *m = (void *)(long)ctx->data;
	const struct iphdr *outer = (const struct iphdr *)e->outer;
	__s64 sum;

	if ((void *)(m + 1) > (void *)(long)ctx->data_end)
		return false;
	address_back(&m->eth, h, ETH_P_IP);
	m->ip.version = 4;
	m->ip.ihl = 5;
	m->ip.tos = DSCP_CONTROL;
	m->ip.tot_len = bpf_htons(sizeof(*m) - sizeof(m->eth));
	m->ip.id = 0;
	m->ip.frag_off = bpf_htons(IP_DF);
	m->ip.ttl = OUTER_TTL;
	m->ip.protocol = IPPROTO_ICMP;
	m->ip.check = 0;
	m->ip.saddr = e->v6 ? p->key.remote.d[3] : outer->saddr;
	m->ip.daddr = p->key.local.d[3];
	sum = bpf_csum_diff(NULL, 0, (void *)&m->ip, sizeof(m->ip), 0);
	m->ip.check = ~csum_fold(sum);
	m->icmp.type = 3;
	m->icmp.code = 4;
	m->icmp.check = 0;
	m->icmp.mtu = bpf_htonl(e->inner_mtu);
	sum = bpf_csum_diff(NULL, 0, (void *)&m->icmp, sizeof(m->icmp) + QUOTE4, 0);
	m->icmp.check = ~csum_fold(sum);
	return true;
}

static __always_inline bool write_too_big_v6(struct xdp_md *ctx, const struct packet *p,
					     const struct envelope *e, const struct adit_host *h, __u32 mtu)
{
	struct too_big_v6 *m = (void *)(long)ctx->data;
	const struct ipv6hdr *outer = (const struct ipv6hdr *)e->outer;
	__be32 first = bpf_htonl(0x60000000 | DSCP_CONTROL << 20);
	__s64 sum;

	if ((void *)(m + 1) > (void *)(long)ctx->data_end)
		return false;
	address_back(&m->eth, h, ETH_P_IPV6);
	memcpy(&m->ip, &first, sizeof(first));
	m->ip.payload_len = bpf_htons(sizeof(m->icmp) + QUOTE6);
	m->ip.nexthdr = IPPROTO_ICMPV6;
	m->ip.hop_limit = OUTER_TTL;
	if (e->v6)
		memcpy(&m->ip.saddr, &outer->saddr, 16);
	else
		memcpy(&m->ip.saddr, &p->key.remote, 16);
	memcpy(&m->ip.daddr, &p->key.local, 16);
	m->icmp.type = 2;
	m->icmp.code = 0;
	m->icmp.check = 0;
	m->icmp.mtu = bpf_htonl(mtu);
	sum = bpf_csum_diff(NULL, 0, (void *)&m->ip.saddr, 32,
			    bpf_htons(IPPROTO_ICMPV6) + bpf_htons(sizeof(m->icmp) + QUOTE6));
	sum = bpf_csum_diff(NULL, 0, (void *)&m->icmp, sizeof(m->icmp), csum_fold(sum));
	sum = bpf_csum_diff(NULL, 0, (void *)m->quote, QUOTE6, csum_fold(sum));
	m->icmp.check = ~csum_fold(sum);
	return true;
}

/* RFC 8200 5: no IPv6 link has less, and no sender believes in less. */
#define MTU6_LEAST 1280

__noinline int tell_too_big(struct xdp_md *ctx, const struct packet *p, const struct envelope *e)
{
	const struct adit_host *h = host_facts();
	int headers, whole, frame;
	bool v6, done;
	__u32 quote, mtu;

	if (!p || !e || !h || !may_be_told(p))
		return ADIT_DROP_TOO_BIG;
	v6 = p->key.family == 6;
	headers = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	headers += sizeof(struct ethhdr) + sizeof(struct icmp_too_big);
	quote = v6 ? QUOTE6 : QUOTE4;
	whole = headers + quote;
	if (p->len < quote)
		return ADIT_DROP_TOO_BIG;
	if (!limit_allows(LIMIT_TOO_BIG, TOO_BIG_WINDOW_NS, TOO_BIG_MOST))
		return ADIT_DROP_TOO_BIG;
	/* The quoted packet stays where it is; everything else moves around it. */
	if (bpf_xdp_adjust_head(ctx, (int)p->l3 - headers))
		return ADIT_DROP_NO_ROOM;
	frame = frame_len(ctx);
	if (frame > whole && bpf_xdp_adjust_tail(ctx, whole - frame))
		return ADIT_DROP_NO_ROOM;
	mtu = e->inner_mtu < MTU6_LEAST ? MTU6_LEAST : e->inner_mtu;
	done = v6 ? write_too_big_v6(ctx, p, e, h, mtu) : write_too_big_v4(ctx, p, e, h);
	return done ? ADIT_TOO_BIG_TOLD : ADIT_DROP_NO_ROOM;
}

#endif
