/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Everything that leaves a policy interface through the kernel, after routing, netfilter and NAT.  The skb
 * may be a whole GSO train with unfinished checksums: only headers are looked at. */
#ifndef ADIT_BPF_EGRESS_H
#define ADIT_BPF_EGRESS_H

#include "flow.h"
#include "icmp_error.h"
#include "outside.h"
#include "parse.h"
#include "reason.h"

#define HEADERS_WANTED 128 /* more than Ethernet, tags, IPv6 and what is looked at behind them */
#define TAGS_MAX       2   /* in the data; one more may be beside it */

static __always_inline bool is_our_ike(struct __sk_buff *skb, const struct packet *p,
				       const struct adit_host *h)
{
	__u64 cookie;

	if (p->key.protocol != IPPROTO_UDP)
		return false;
	cookie = bpf_get_socket_cookie(skb);
	return cookie && (cookie == h->ike_cookies[0] || cookie == h->ike_cookies[1] ||
			  cookie == h->ike_cookies[2] || cookie == h->ike_cookies[3]);
}

/* Is it the ESP, alone or in UDP (RFC 3948), of an outbound SA, between the addresses of that SA?  A later fragment shows
 * the addresses only. */
__noinline int looks_sealed(struct __sk_buff *ctx, const struct packet *p)
{
	const struct adit_own_esp *own;
	struct adit_own_esp_key key;
	__be32 spi = 0;
	__u32 at;

	if (!p || (p->key.protocol != IPPROTO_ESP && p->key.protocol != IPPROTO_UDP))
		return 0;
	at = p->l4 + (p->key.protocol == IPPROTO_UDP ? sizeof(struct udphdr) : 0);
	/* No SPI is 0, and in UDP that is the marker of IKE. */
	if (p->fragment != FRAGMENT_LATER && (bpf_skb_load_bytes(ctx, at, &spi, sizeof(spi)) || !spi))
		return 0;
	memcpy(&key.local, &p->key.local, sizeof(key.local));
	memcpy(&key.remote, &p->key.remote, sizeof(key.remote));
	key.spi = bpf_ntohl(spi);
	own = bpf_map_lookup_elem(&own_esp, &key);
	return own && (!key.spi || own->remote_port == p->key.remote_port);
}

/* Sealed already and on its way to a peer.  Whatever we seal for the kernel to send comes back into it on adit0.  So does
 * what was decrypted, which has the address of an SA of ours as its source only if it lies, and not its SPI. */
static __always_inline bool is_our_esp(struct __sk_buff *skb, const struct packet *p,
				       const struct adit_host *h)
{
	return h->internal_ifindex && skb->ingress_ifindex == h->internal_ifindex && looks_sealed(skb, p);
}

#define GSO_BY_FRAGS 0xffff /* linux/skbuff.h: SCTP, which has cut its segments to the path already */

/* Would the internal pair lose it without a word?  Of a GSO train one segment with its headers goes through it. */
static __always_inline bool is_beyond_pair(struct __sk_buff *skb, const struct packet *p)
{
	__u32 len = skb->len - p->l3, segment = skb->gso_size;
	__u8 offset = 0;

	if (len <= ADIT_FRAME_MTU_MAX || segment == GSO_BY_FRAGS)
		return false;
	if (!segment)
		return true;
	segment += p->l4 - p->l3;
	if (p->key.protocol != IPPROTO_TCP)
		return segment + sizeof(struct udphdr) > ADIT_FRAME_MTU_MAX;
	if (bpf_skb_load_bytes(skb, p->l4 + 12, &offset, 1))
		return true;
	return segment + (offset >> 4) * 4 > ADIT_FRAME_MTU_MAX;
}

/* Into the internal pair; the source address tells its far end which policy interface this was for. */
static __always_inline __u32 redirect_inside(struct __sk_buff *skb, const struct packet *p,
					     const struct adit_host *h)
{
	struct ethhdr eth;
	__be32 ifindex = bpf_htonl(p->key.ifindex);
	__u32 i;

	if (!h->internal_ifindex)
		return ADIT_DROP_NO_WORKER;
	if (is_beyond_pair(skb, p))
		return ADIT_DROP_TOO_BIG;
	for (i = 0; i < TAGS_MAX + 1; i++)
		if (i < p->tags && bpf_skb_vlan_pop(skb))
			return ADIT_DROP_NO_ROOM;
	if (!p->l3 && bpf_skb_change_head(skb, sizeof(eth), 0))
		return ADIT_DROP_NO_ROOM;
	memcpy(eth.h_dest, h->internal_mac, 6);
	eth.h_source[0] = 0x02;
	eth.h_source[1] = 0xad;
	memcpy(eth.h_source + 2, &ifindex, 4);
	eth.h_proto = bpf_htons(p->type);
	if (bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
		return ADIT_DROP_NO_ROOM;
	return ADIT_TO_INTERNAL;
}

static __always_inline bool is_ip(__u16 type)
{
	return type == ETH_P_IP || type == ETH_P_IPV6;
}

/* Steps over priority tags (id 0) and the tag of this device itself: a VLAN device without reorder_hdr writes it
 * before its hooks see the frame.  Any other belongs to a VLAN device above this one, whose own hooks see it. */
static __always_inline __u32 step_over_tags(struct __sk_buff *skb, void *data, void *end, struct packet *p,
					    __u32 own)
{
	struct vlan_tag *tag = data + ETH_HLEN;
	__u32 i, id;

	if (skb->vlan_present) {
		if (skb->vlan_tci & 0xfff)
			return ADIT_PASS_NOT_IP;
		p->tags++;
	}
#pragma unroll
	for (i = 0; i < TAGS_MAX; i++, tag++) {
		if (!is_vlan(bpf_htons(p->type)))
			break;
		if ((void *)(tag + 1) > end)
			return ADIT_DROP_RUNT;
		id = tag_of(bpf_htons(p->type), tag->tci);
		if (id && id != own)
			return ADIT_PASS_NOT_IP;
		if (id)
			own = TAG_NONE;
		p->type = bpf_ntohs(tag->type);
		p->l3 += sizeof(*tag);
		p->tags++;
	}
	if (is_vlan(bpf_htons(p->type)))
		return ADIT_DROP_MALFORMED;
	return is_ip(p->type) ? 0 : ADIT_PASS_NOT_IP;
}

/* Headers of an IP packet. */
static __always_inline __u32 parse_skb(struct __sk_buff *skb, struct packet *p, const struct adit_port *port,
				       __u32 how)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u32 want = skb->len < HEADERS_WANTED ? skb->len : HEADERS_WANTED, why;

	p->type = bpf_ntohs(skb->protocol);
	p->l3 = port->flags & ADIT_PORT_NO_ETHERNET ? 0 : ETH_HLEN;
	if (!is_ip(p->type) && !(p->l3 && is_vlan(skb->protocol)))
		return ADIT_PASS_NOT_IP;
	if (end - data < want) {
		/* When it fails the headers are not there, which the parser then says. */
		bpf_skb_pull_data(skb, want);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	why = step_over_tags(skb, data, end, p, tag_of_port(port));
	return why ? why : parse_ip(skb, data, end, p, how | PARSE_SKB);
}

/* RFC 3948 2.2: on port 4500 only IKE starts with four zeros. */
static __always_inline bool is_esp_in_udp(struct __sk_buff *skb, const struct packet *p)
{
	__be32 marker = 0;

	return p->key.local_port == IKE_NATT_PORT &&
	       !bpf_skb_load_bytes(skb, p->l4 + sizeof(struct udphdr), &marker, sizeof(marker)) && marker;
}

static __always_inline __u32 slow_esp(struct __sk_buff *skb, const struct packet *p)
{
	return is_for_us(skb, p, PARSE_SKB) ? ADIT_PASS_SLOW_ESP : transit_esp(p);
}

/* A policy interface where XDP cannot run (ppp, tun, wwan): the daemon's sockets take its IKE and ESP, and clear text
 * must not come in there either. */
static __always_inline __u32 take_ingress(struct __sk_buff *skb, struct packet *p)
{
	__u32 ifindex = skb->ifindex, why;
	const struct adit_port *port = bpf_map_lookup_elem(&ports, &ifindex);

	if (!port)
		return ADIT_DROP_NO_POLICY;
	why = parse_skb(skb, p, port, PARSE_INBOUND);
	if (why)
		return why;
	p->key.kind = FLOW_IN;
	p->key.ifindex = ifindex;
	p->key.policy = port->policy;
	p->exempt = exempt_inbound(skb, p, PARSE_SKB);
	if (p->fragment)
		return take_fragment(skb, p, PARSE_SKB);
	if (p->key.protocol == IPPROTO_ESP || (p->key.protocol == IPPROTO_UDP && is_esp_in_udp(skb, p)))
		return slow_esp(skb, p);
	if (p->key.protocol == IPPROTO_UDP &&
	    (p->key.local_port == IKE_PORT || p->key.local_port == IKE_NATT_PORT))
		return pass_ours(skb, p, ADIT_PASS_IKE, PARSE_SKB);
	return clear_recheck(skb, p, PARSE_SKB);
}

/* What was decrypted and finds no way into the LAN (its link is down, its address gone) follows the default route, out of
 * the policy interface: a packet of a protected flow, the wrong way round.  As clear text it could not have come in.
 * The reason to drop it, or 0. */
__noinline int turns_back(const struct flow_key *key)
{
	struct flow_key back;
	const struct flow *f;

	if (!key)
		return ADIT_DROP_NO_POLICY;
	back = *key;
	back.kind = FLOW_IN;
	exchange_ends(&back);
	f = flow_verdict(&back);
	if (!f)
		return ADIT_DROP_NO_POLICY;
	return f->action == ADIT_PROTECT ? ADIT_DROP_TURNED_BACK
	       : f->action == SPD_UNSURE ? ADIT_DROP_RULES_CHANGE
					 : 0;
}

static __always_inline __u32 take_egress(struct __sk_buff *skb, struct packet *p)
{
	const struct adit_host *h = host_facts();
	__u32 ifindex = skb->ifindex, why, back;
	const struct adit_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	const struct flow *f;

	if (!h || !port)
		return ADIT_DROP_NO_POLICY;
	why = parse_skb(skb, p, port, 0);
	if (why)
		return why;
	p->key.kind = FLOW_OUT;
	p->key.ifindex = ifindex;
	p->key.policy = port->policy;
	if (is_our_ike(skb, p, h))
		return ADIT_PASS_IKE;
	if (is_our_esp(skb, p, h))
		return ADIT_PASS_OWN_ESP;
	/* Before the exemptions: a quote may not go to a neighbour either. */
	if (is_icmp_error(p)) {
		why = egress_error(skb, p);
		if (why)
			return why == ADIT_TO_INTERNAL ? redirect_inside(skb, p, h) : why;
	}
	why = exempt_outbound(skb, p);
	if (why)
		return why;
	f = flow_verdict(&p->key);
	if (!f)
		return ADIT_DROP_NO_POLICY;
	if (f->action == ADIT_PROTECT)
		return redirect_inside(skb, p, h);
	count_hit(f->rule, skb->len - p->l3);
	why = clear_verdict(f);
	back = is_pass(why) ? turns_back(&p->key) : 0;
	return back ? back : why;
}

#endif
