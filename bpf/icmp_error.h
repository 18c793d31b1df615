/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* ICMP errors quote the packet they are about, and so they belong where that packet does (RFC 4301 6).
 *
 * One that leaves is judged by its own addresses first.  When those protect nothing, the packet in the quote decides,
 * with its ends exchanged, for it came the way that the error goes: if it came protected, the error goes into the SA of
 * that flow.  The gateway's own errors have the policy interface's address, which no SA selects; they get another.  One
 * that arrives in clear about a packet that never left in clear was made by nobody who saw it. */
#ifndef ADIT_BPF_ICMP_ERROR_H
#define ADIT_BPF_ICMP_ERROR_H

#include "flow.h"
#include "parse.h"

#define QUOTE_OFF 8 /* behind type, code, checksum and what differs by type */

/* The packet that is quoted, per CPU: three calls deep the stack has no room for it.  Whoever asks uses it before
 * anybody else asks. */
TABLE(quoted, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct packet, 1);

static __always_inline struct packet *quoted_packet(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&quoted, &zero);
}

/* Not so in a fragment whose first octets are not here. */
static __always_inline bool is_icmp_error(const struct packet *p)
{
	__u16 type = p->key.local_port >> 8;

	if (p->key.opaque)
		return false;
	if (p->key.family == 6)
		return p->key.protocol == IPPROTO_ICMPV6 && type < 128;
	return p->key.protocol == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* ---- the quote ----------------------------------------------------------------------------- */

static __always_inline void quote_l4(void *ctx, struct packet *q, __u32 how)
{
	__u8 octets[4];

	if (q->fragment == FRAGMENT_LATER || q->l4 + sizeof(octets) > q->l3 + q->len ||
	    load(ctx, q->l4, octets, sizeof(octets), how))
		hide_l4(q);
	else
		take_l4(q, octets, sizeof(octets), how);
}

/* there: octets from q->l3 to the end of the error.  False: no header is there. */
static __always_inline bool quote_v4(void *ctx, struct packet *q, __u32 there, __u32 how)
{
	struct iphdr ip;
	__u32 header, len;
	__u16 frag;

	if (there < sizeof(ip) || load(ctx, q->l3, &ip, sizeof(ip), how))
		return false;
	header = ip.ihl * 4;
	len = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || header < sizeof(ip) || header > there || header > len)
		return false;
	frag = bpf_ntohs(ip.frag_off);
	q->len = len < there ? len : there;
	q->l4 = q->l3 + header;
	q->fragment = frag & IP_OFFSET ? FRAGMENT_LATER : frag & IP_MF ? FRAGMENT_FIRST : FRAGMENT_NONE;
	q->key.family = 4;
	q->key.protocol = ip.protocol;
	address_from_v4(&q->key.local, how & PARSE_INBOUND ? ip.daddr : ip.saddr);
	address_from_v4(&q->key.remote, how & PARSE_INBOUND ? ip.saddr : ip.daddr);
	quote_l4(ctx, q, how);
	return true;
}

static __always_inline bool quote_v6(void *ctx, struct packet *q, __u32 there, __u32 how)
{
	struct ipv6hdr ip;
	__u32 len;

	if (there < sizeof(ip) || load(ctx, q->l3, &ip, sizeof(ip), how) || ip.version != 6)
		return false;
	len = sizeof(ip) + bpf_ntohs(ip.payload_len);
	q->len = len < there ? len : there;
	q->l4 = q->l3 + sizeof(ip);
	q->key.family = 6;
	q->key.protocol = ip.nexthdr;
	address_from_v6(&q->key.local, how & PARSE_INBOUND ? &ip.daddr : &ip.saddr);
	address_from_v6(&q->key.remote, how & PARSE_INBOUND ? &ip.saddr : &ip.daddr);
	if (!is_extension(ip.nexthdr))
		quote_l4(ctx, q, how);
	else if (how & PARSE_SKB)
		walk_skb(ctx, q, how & PARSE_INBOUND);
	else
		walk_frame(ctx, q, how & PARSE_INBOUND);
	return true;
}

/* What cannot be seen of the quoted packet is OPAQUE, as in any other.  end: of the error in the frame. */
static __always_inline bool read_quote(void *ctx, const struct packet *p, struct packet *q, __u32 end,
				       __u32 how)
{
	__builtin_memset(q, 0, sizeof(*q));
	q->l3 = p->l4 + QUOTE_OFF;
	q->key.ifindex = p->key.ifindex;
	q->key.policy = p->key.policy;
	q->key.kind = p->key.kind;
	if (q->l3 >= end)
		return false;
	return p->key.family == 6 ? quote_v6(ctx, q, end - q->l3, how) : quote_v4(ctx, q, end - q->l3, how);
}

__noinline int frame_quote(struct xdp_md *ctx, const struct packet *p, struct packet *q, __u32 inbound)
{
	return p && q && read_quote(ctx, p, q, p->l3 + p->len, inbound ? PARSE_INBOUND : 0);
}

__noinline int skb_quote(struct __sk_buff *ctx, const struct packet *p, struct packet *q, __u32 inbound)
{
	return p && q && read_quote(ctx, p, q, ctx->len, PARSE_SKB | (inbound ? PARSE_INBOUND : 0));
}

/* how: PARSE_INBOUND: the quoted packet came to our side; PARSE_SKB. */
static __always_inline bool quote(void *ctx, const struct packet *p, struct packet *q, __u32 how)
{
	return how & PARSE_SKB ? skb_quote(ctx, p, q, how & PARSE_INBOUND)
			       : frame_quote(ctx, p, q, how & PARSE_INBOUND);
}

/* enum adit_action or SPD_UNSURE. */
static __always_inline __u32 action_for(const struct flow_key *key)
{
	const struct flow *f = flow_verdict(key);

	return f ? f->action : SPD_UNSURE;
}

/* ---- leaving ------------------------------------------------------------------------------- */

/* Do its own addresses and protocol settle it? */
static __always_inline bool own_selectors_decide(const struct flow_key *key, bool *protects)
{
	const struct flow *f = flow_verdict(key);

	*protects = f && f->action == ADIT_PROTECT;
	if (*protects)
		return !f->narrowed;
	return !f ||
	       (f->action != ADIT_BYPASS && f->action != ADIT_REST_BYPASS && f->action != ADIT_REST_DISCARD);
}

/* 0: judge it like any other packet.  ADIT_TO_INTERNAL: it belongs to the protected flow whose selectors quoted_packet()
 * has now.  Else the reason that it goes nowhere. */
static __always_inline __u32 error_leaves(void *ctx, const struct packet *p, __u32 how)
{
	struct packet *q = quoted_packet();
	bool protects;
	__u32 action;

	if (!q)
		return ADIT_DROP_ICMP_CLEAR;
	if (own_selectors_decide(&p->key, &protects))
		return 0;
	if (!quote(ctx, p, q, how | PARSE_INBOUND))
		return protects ? 0 : ADIT_DROP_ICMP_QUOTE;
	action = action_for(&q->key);
	/* Told to anybody but the sender of the packet, the SA's other end would not let it in. */
	if (action == ADIT_PROTECT && address_equal(&q->key.remote.addr, &p->key.remote))
		return ADIT_TO_INTERNAL;
	if (protects)
		return 0;
	if (action != ADIT_PROTECT && action != SPD_UNSURE) {
		exchange_ends(&q->key);
		/* Back to a sender who is on this side: a gateway with one interface, where that came in clear. */
		if (address_equal(&q->key.local.addr, &p->key.remote))
			return 0;
		action = action_for(&q->key);
	}
	if (action == SPD_UNSURE)
		return ADIT_DROP_RULES_CHANGE;
	return action == ADIT_PROTECT ? ADIT_DROP_ICMP_CLEAR : 0;
}

__noinline int frame_error_leaves(struct xdp_md *ctx, const struct packet *p)
{
	return p ? error_leaves(ctx, p, 0) : ADIT_DROP_ICMP_CLEAR;
}

__noinline int skb_error_leaves(struct __sk_buff *ctx, const struct packet *p)
{
	return p ? error_leaves(ctx, p, PARSE_SKB) : ADIT_DROP_ICMP_CLEAR;
}

/* For adit_internal: the selectors by which a packet is judged; NULL when why says that it goes nowhere. */
static __always_inline const struct flow_key *selectors_of(struct xdp_md *ctx, const struct packet *p,
							   __u32 *why)
{
	const struct packet *q;

	*why = is_icmp_error(p) ? frame_error_leaves(ctx, p) : 0;
	if (*why != ADIT_TO_INTERNAL)
		return *why ? NULL : &p->key;
	q = quoted_packet();
	if (q)
		return &q->key;
	*why = ADIT_DROP_ICMP_CLEAR;
	return NULL;
}

/* ---- a source for errors that are made here ------------------------------------------------ */

/* Where the kernel sends to an address what arrives on adit0.  Returns BPF_FIB_LKUP_RET_*. */
static __always_inline long route_to(struct __sk_buff *skb, const union address *to, __u32 family,
				     struct bpf_fib_lookup *fib)
{
	const struct adit_host *h = host_facts();

	if (!h || !h->internal_ifindex)
		return -1;
	fib->ifindex = h->internal_ifindex;
	if (family == 4) {
		fib->family = FAMILY_INET;
		fib->ipv4_dst = to->d[3];
	} else {
		fib->family = FAMILY_INET6;
		memcpy(fib->ipv6_dst, to->d, 16);
	}
	return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* Ours by origin, or by its source: the "too big" that adit_internal tells a sender comes out of adit0, where what others
 * have sent comes out as well. */
__noinline int made_here(struct __sk_buff *skb, const struct packet *p)
{
	const struct adit_host *h = host_facts();
	struct bpf_fib_lookup fib = {};

	if (!p || !h)
		return 0;
	if (!skb->ingress_ifindex)
		return 1;
	return skb->ingress_ifindex == h->internal_ifindex &&
	       route_to(skb, &p->key.local, p->key.family, &fib) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Would the SA of this rule carry the flow if that were its end on our side? */
static __always_inline bool rule_covers(const struct flow_key *key, const union address *local, __u32 rule)
{
	struct flow_key at = *key;
	const struct flow *f;

	at.local = *local;
	f = flow_verdict(&at);
	return f && f->action == ADIT_PROTECT && f->rule == rule && !f->narrowed;
}

/* This gateway's address on the way to the quoted packet's destination: what a traceroute should show. */
__noinline int own_address_towards(struct __sk_buff *skb, const struct flow_key *key, union address *own)
{
	struct bpf_fib_lookup fib = {};
	const struct adit_own *mine;
	__u32 ifindex;
	long ret;

	if (!key || !own)
		return 0;
	ret = route_to(skb, &key->local, key->family, &fib);
	if (ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	ifindex = fib.ifindex;
	mine = bpf_map_lookup_elem(&own_addresses, &ifindex);
	if (!mine)
		return 0;
	own->addr = key->family == 6 ? mine->v6 : mine->v4;
	return own->w[0] || own->w[1];
}

static __always_inline bool set_source_v4(struct __sk_buff *skb, const struct packet *p,
					  const union address *to)
{
	__be32 from = p->key.local.d[3], source = to->d[3];

	return !bpf_skb_store_bytes(skb, p->l3 + __builtin_offsetof(struct iphdr, saddr), &source, 4, 0) &&
	       !bpf_l3_csum_replace(skb, p->l3 + __builtin_offsetof(struct iphdr, check), from, source, 4);
}

/* The pseudo header has the source in it (RFC 4443 2.3). */
static __always_inline bool set_source_v6(struct __sk_buff *skb, const struct packet *p,
					  const union address *to)
{
	union address from = p->key.local, source = *to;
	__s64 change = bpf_csum_diff(from.d, 16, source.d, 16, 0);

	return !bpf_skb_store_bytes(skb, p->l3 + __builtin_offsetof(struct ipv6hdr, saddr), source.d, 16,
				    0) &&
	       !bpf_l4_csum_replace(skb, p->l4 + 2, 0, change, BPF_F_PSEUDO_HDR);
}

/* key: the quoted flow's.  When neither the source it has nor one of ours fits the SA, the quoted destination does. */
__noinline int give_source(struct __sk_buff *skb, const struct packet *p, const struct flow_key *key)
{
	union address source = {};
	const struct flow *f;
	__u32 rule;

	if (!p || !key)
		return ADIT_DROP_ICMP_CLEAR;
	f = flow_verdict(key);
	if (!f)
		return ADIT_DROP_ICMP_CLEAR;
	rule = f->rule;
	if (rule_covers(key, &p->key.local, rule))
		return 0;
	if (!own_address_towards(skb, key, &source) || !rule_covers(key, &source, rule))
		source = key->local;
	if (p->key.family == 6 ? set_source_v6(skb, p, &source) : set_source_v4(skb, p, &source))
		return 0;
	return ADIT_DROP_ICMP_CLEAR;
}

/* Came in clear by a policy interface: what a stranger quotes opens no tunnel to him. */
static __always_inline bool is_from_outside(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ingress_ifindex;
	const struct adit_port *port = bpf_map_lookup_elem(&ports, &ifindex);

	return port && port->policy;
}

/* For adit_egress: as error_leaves, and fit to be sent. */
static __always_inline __u32 egress_error(struct __sk_buff *skb, const struct packet *p)
{
	const struct packet *q = quoted_packet();
	__u32 why = skb_error_leaves(skb, p), bad;

	if (why == ADIT_TO_INTERNAL && is_from_outside(skb))
		return ADIT_DROP_ICMP_FORGED;
	if (why != ADIT_TO_INTERNAL || !q || !made_here(skb, p))
		return why;
	bad = give_source(skb, p, &q->key);
	return bad ? bad : why;
}

/* ---- arriving in clear --------------------------------------------------------------------- */

/* What a router on the way may have to say of: our own IKE and ESP, also where a rule covers our outer addresses. */
static __always_inline bool is_outer(const struct flow_key *k)
{
	struct adit_own_esp_key pair;

	if (k->protocol != IPPROTO_ESP &&
	    !(k->protocol == IPPROTO_UDP &&
	      (k->opaque & OPAQUE_PORTS || k->local_port == IKE_PORT || k->local_port == IKE_NATT_PORT)))
		return false;
	pair.local = k->local.addr;
	pair.remote = k->remote.addr;
	pair.spi = 0;
	return bpf_map_lookup_elem(&own_esp, &pair) != NULL;
}

static __always_inline __u32 error_arrives(void *ctx, const struct packet *p, __u32 how)
{
	struct packet *q = quoted_packet();
	__u32 action;

	if (!q || !quote(ctx, p, q, how))
		return ADIT_DROP_ICMP_QUOTE;
	if (is_outer(&q->key))
		return ADIT_PASS_OUTER_ERROR;
	action = action_for(&q->key);
	/* Back to a sender on the other side it is in transit, and meets adit_egress. */
	if (action != ADIT_PROTECT && action != SPD_UNSURE &&
	    !address_equal(&q->key.local.addr, &p->key.local)) {
		exchange_ends(&q->key);
		action = action_for(&q->key);
	}
	if (action == SPD_UNSURE)
		return ADIT_DROP_RULES_CHANGE;
	return action == ADIT_PROTECT ? ADIT_DROP_ICMP_FORGED : 0;
}

__noinline int frame_error_arrives(struct xdp_md *ctx, const struct packet *p)
{
	return p ? error_arrives(ctx, p, 0) : ADIT_DROP_ICMP_QUOTE;
}

__noinline int skb_error_arrives(struct __sk_buff *ctx, const struct packet *p)
{
	return p ? error_arrives(ctx, p, PARSE_SKB) : ADIT_DROP_ICMP_QUOTE;
}

/* Of an ICMP error: ADIT_PASS_OUTER_ERROR, a reason to drop it that its quote gives away, or 0.  how: PARSE_SKB or
 * not. */
static __always_inline __u32 quote_recheck(void *ctx, const struct packet *p, __u32 how)
{
	return how & PARSE_SKB ? skb_error_arrives(ctx, p) : frame_error_arrives(ctx, p);
}

#endif
