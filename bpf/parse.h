/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* From octets to struct packet.  A packet whose fixed header is missing or lies is refused; whatever else
 * cannot be seen becomes OPAQUE_*, so that no rule can be dodged by hiding what it asks for. */
#ifndef ADIT_BPF_PARSE_H
#define ADIT_BPF_PARSE_H

#include "packet.h"

#define EXTENSIONS_MAX 8

#define PARSE_INBOUND 1 /* the destination is our side */
#define PARSE_LENGTHS 2 /* the frame is whole: its length must agree (never so for a GSO skb) */
#define PARSE_SKB     4 /* the context is a __sk_buff */

/* What bpf_*_load_bytes gets: the first octets of TCP up to its flags, the most that is looked at. */
#define L4_LOOK 14

struct vlan_tag {
	__be16 tci;
	__be16 type;
};

static __always_inline bool is_vlan(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* Priority tags (id 0) are none. */
static __always_inline __u32 tag_of(__be16 type, __be16 tci)
{
	__u32 id = bpf_ntohs(tci) & 0xfff;

	return id ? ADIT_TAG(bpf_ntohs(type), id) : TAG_NONE;
}

static __always_inline __u32 tag_of_port(const struct adit_port *port)
{
	return port->vlan ? ADIT_TAG(port->vlan_type, port->vlan) : TAG_NONE;
}

/* The tag that we write: a VLAN device with sockets of its own writes it itself. */
static __always_inline __u32 tag_on_wire(const struct adit_port *port, __u32 ifindex)
{
	return port->lower_ifindex == ifindex ? TAG_NONE : tag_of_port(port);
}

/* Ethernet and up to two tags. */
static __always_inline __u32 parse_link(void *data, void *end, struct packet *p)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag;
	__u32 l3 = sizeof(*eth);
	__be16 type;
	__u32 outer = TAG_NONE, inner;

	if ((void *)(eth + 1) > end)
		return ADIT_DROP_RUNT;
	type = eth->h_proto;
	if (is_vlan(type)) {
		tag = data + sizeof(*eth);
		if ((void *)(tag + 2) > end)
			return ADIT_DROP_RUNT;
		outer = tag_of(type, tag->tci);
		type = tag->type;
		l3 += sizeof(*tag);
		if (is_vlan(type)) {
			tag++;
			inner = tag_of(type, tag->tci);
			outer = !outer ? inner : !inner ? outer : TAG_UNKNOWN;
			type = tag->type;
			l3 += sizeof(*tag);
		}
	}
	p->l3 = l3;
	p->tag = outer;
	p->type = bpf_ntohs(type);
	if (p->type != ETH_P_IP && p->type != ETH_P_IPV6)
		return ADIT_PASS_NOT_IP;
	return 0;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static __always_inline void set_ports(struct packet *p, __u16 src, __u16 dst, __u32 how)
{
	p->key.local_port = how & PARSE_INBOUND ? dst : src;
	p->key.remote_port = how & PARSE_INBOUND ? src : dst;
}

static __always_inline bool is_icmp(__u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static __always_inline void hide_l4(struct packet *p)
{
	bool would = has_ports(p->key.protocol) || is_icmp(p->key.protocol);

	p->key.opaque |= would ? OPAQUE_PORTS : NO_PORTS;
}

/* octets: what is there of the upper protocol's header, n of them. */
static __always_inline void take_l4(struct packet *p, const __u8 *octets, __u32 n, __u32 how)
{
	__u16 code;

	if (n >= 4 && has_ports(p->key.protocol)) {
		set_ports(p, (__u16)octets[0] << 8 | octets[1], (__u16)octets[2] << 8 | octets[3], how);
		if (p->key.protocol == IPPROTO_TCP && n >= L4_LOOK)
			p->tcp_flags = octets[13];
	} else if (n >= 4 && is_icmp(p->key.protocol)) {
		code = (__u16)octets[0] << 8 | octets[1];
		set_ports(p, code, code, how);
	} else {
		hide_l4(p);
	}
}

/* The same, straight from the frame. */
static __always_inline void look_l4(struct packet *p, void *data, void *end, __u32 how)
{
	__u8 *l4;
	__u32 there;

	if (p->fragment == FRAGMENT_LATER) {
		hide_l4(p);
		return;
	}
	l4 = data + (p->l4 & 0xff);
	barrier_var(l4); /* one pointer, checked once: clang would add it up again unchecked */
	there = p->l3 + p->len - p->l4;
	if ((void *)l4 + L4_LOOK <= end && there >= L4_LOOK)
		take_l4(p, l4, L4_LOOK, how);
	else if ((void *)l4 + 4 <= end && there >= 4)
		take_l4(p, l4, 4, how);
	else
		take_l4(p, l4, 0, how);
}

static __always_inline long load(void *ctx, __u32 off, void *to, __u32 n, __u32 how)
{
	return how & PARSE_SKB ? bpf_skb_load_bytes(ctx, off, to, n) : bpf_xdp_load_bytes(ctx, off, to, n);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT;
}

/* IPv6 extension headers (RFC 8200 4).  Rare, so helpers read them: no pointer, no verifier trouble. */
static __always_inline void walk_extensions(void *ctx, struct packet *p, __u32 how)
{
	__u8 next = p->key.protocol;
	__u32 off = p->l4;
	__u32 stop = p->l3 + p->len;
	__u8 l4[L4_LOOK] = {};
	__u8 h[8];
	__u32 i;

	for (i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
		if (off + sizeof(h) > stop || load(ctx, off, h, sizeof(h), how))
			goto hidden;
		if (next == IPPROTO_FRAGMENT) {
			/* A later fragment starts in the middle of something: nothing behind this is a
			 * header. */
			p->fragment = (h[2] | (h[3] & 0xf8)) ? FRAGMENT_LATER : FRAGMENT_FIRST;
			next = h[0];
			off += sizeof(h);
			if (p->fragment == FRAGMENT_LATER)
				break;
			continue;
		}
		next = h[0];
		off += ((__u32)h[1] + 1) * 8;
	}
	p->key.protocol = next;
	p->l4 = off;
	if (is_extension(next))
		goto hidden;
	if (p->fragment == FRAGMENT_LATER) {
		hide_l4(p);
		return;
	}
	if (off + L4_LOOK <= stop && !load(ctx, off, l4, L4_LOOK, how))
		take_l4(p, l4, L4_LOOK, how);
	else if (off + 4 <= stop && !load(ctx, off, l4, 4, how))
		take_l4(p, l4, 4, how);
	else
		take_l4(p, l4, 0, how);
	return;
hidden:
	p->key.protocol = 0;
	p->key.opaque |= OPAQUE_PROTOCOL | OPAQUE_PORTS;
}

/* Global functions: the verifier looks at them once, not once per path that leads here. */
__noinline int walk_frame(struct xdp_md *ctx, struct packet *p, __u32 inbound)
{
	if (!p)
		return 0;
	walk_extensions(ctx, p, inbound ? PARSE_INBOUND : 0);
	return 0;
}

__noinline int walk_skb(struct __sk_buff *ctx, struct packet *p, __u32 inbound)
{
	if (!p)
		return 0;
	walk_extensions(ctx, p, PARSE_SKB | (inbound ? PARSE_INBOUND : 0));
	return 0;
}

static __always_inline __u32 parse_v4(void *data, void *end, struct packet *p, __u32 how)
{
	struct iphdr *ip = data + p->l3;
	__u32 header;
	__u16 frag;

	if ((void *)(ip + 1) > end)
		return ADIT_DROP_RUNT;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return ADIT_DROP_MALFORMED;
	p->len = bpf_ntohs(ip->tot_len);
	if (how & PARSE_LENGTHS) {
		if (p->len < header)
			return ADIT_DROP_MALFORMED;
		if (p->l3 + p->len > end - data)
			return ADIT_DROP_RUNT;
	} else {
		p->len = end - data - p->l3;
	}
	p->l4 = p->l3 + header;
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->options = header > sizeof(*ip);
	frag = bpf_ntohs(ip->frag_off);
	p->df = !!(frag & IP_DF);
	p->fragment = frag & IP_OFFSET ? FRAGMENT_LATER : frag & IP_MF ? FRAGMENT_FIRST : FRAGMENT_NONE;
	p->key.family = 4;
	p->key.protocol = ip->protocol;
	address_from_v4(&p->key.local, how & PARSE_INBOUND ? ip->daddr : ip->saddr);
	address_from_v4(&p->key.remote, how & PARSE_INBOUND ? ip->saddr : ip->daddr);
	look_l4(p, data, end, how);
	return 0;
}

static __always_inline __u32 parse_v6(void *ctx, void *data, void *end, struct packet *p, __u32 how)
{
	struct ipv6hdr *ip = data + p->l3;

	if ((void *)(ip + 1) > end)
		return ADIT_DROP_RUNT;
	if (ip->version != 6)
		return ADIT_DROP_MALFORMED;
	p->len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (how & PARSE_LENGTHS) {
		if (p->l3 + p->len > end - data)
			return ADIT_DROP_RUNT;
	} else {
		p->len = end - data - p->l3;
	}
	p->l4 = p->l3 + sizeof(*ip);
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	p->ttl = ip->hop_limit;
	p->df = 1; /* nobody on the way may fragment IPv6 */
	p->key.family = 6;
	p->key.protocol = ip->nexthdr;
	address_from_v6(&p->key.local, how & PARSE_INBOUND ? &ip->daddr : &ip->saddr);
	address_from_v6(&p->key.remote, how & PARSE_INBOUND ? &ip->saddr : &ip->daddr);
	if (!is_extension(ip->nexthdr))
		look_l4(p, data, end, how);
	else if (how & PARSE_SKB)
		walk_skb(ctx, p, how & PARSE_INBOUND);
	else
		walk_frame(ctx, p, how & PARSE_INBOUND);
	return 0;
}

/* p->l3 and p->type are set. */
static __always_inline __u32 parse_ip(void *ctx, void *data, void *end, struct packet *p, __u32 how)
{
	return p->type == ETH_P_IP ? parse_v4(data, end, p, how) : parse_v6(ctx, data, end, p, how);
}

static __always_inline __u32 parse_frame(struct xdp_md *ctx, struct packet *p, __u32 how)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 why;

	why = parse_link(data, end, p);
	if (why)
		return why;
	return parse_ip(ctx, data, end, p, how | PARSE_LENGTHS);
}

static __always_inline bool is_v6_link_local(const union address *a)
{
	return (a->d[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool is_v6_group(const union address *a)
{
	return (a->d[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

static __always_inline bool is_v4_link_local(const union address *a)
{
	return (a->d[3] & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000);
}

/* Multicast and the limited broadcast. */
static __always_inline bool is_v4_group(const union address *a)
{
	return (a->d[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || a->d[3] == 0xffffffff;
}

#endif
