/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which packets meet no rule: the table of include/adit/exempt.h, and neighbour discovery. */
#ifndef ADIT_BPF_EXEMPT_H
#define ADIT_BPF_EXEMPT_H

#include "parse.h"
#include "tables.h"
#include <adit/exempt.h>

_Static_assert(ADIT_REASON_COUNT < 256, "struct packet keeps a reason in one octet");

static __always_inline bool is_neighbour_discovery(const struct packet *p)
{
	__u16 type = p->key.remote_port >> 8, code = p->key.remote_port & 0xff;

	return p->key.family == 6 && p->key.protocol == IPPROTO_ICMPV6 && !p->key.opaque && !p->fragment &&
	       type >= ADIT_DISCOVERY_FIRST && type <= ADIT_DISCOVERY_LAST && !code &&
	       p->ttl == ADIT_DISCOVERY_HOPS;
}

static __always_inline bool stays_on_link(__u8 family, const union address *to)
{
	__u32 first = bpf_ntohl(family == 4 ? to->d[3] : to->d[0]);

#define X(FAMILY, BITS, MASK, RANGE, WHY)               \
	if (family == FAMILY && (first & MASK) == BITS) \
		return true;
	ADIT_EXEMPT_DESTINATIONS(X)
#undef X
	return false;
}

/* The reason under which it passes, or 0.  Neighbour discovery to other destinations is left to who can ask where those
 * are. */
static __always_inline __u32 exempt_by_destination(const struct packet *p, const union address *to)
{
	if (!stays_on_link(p->key.family, to))
		return 0;
	return is_neighbour_discovery(p) ? ADIT_PASS_DISCOVERY : ADIT_PASS_LINK_LOCAL;
}

/* Is the destination a neighbour on the link that the packet leaves by?  Asked as for a packet from adit0, which forwards
 * whatever the policy interface does; and from nobody, because from a link-local source nothing is forwarded. */
__noinline int goes_to_neighbour(struct __sk_buff *ctx, const struct packet *p)
{
	const struct adit_host *h = host_facts();
	struct bpf_fib_lookup fib = {};
	union address hop;
	long ret;

	if (!p || !h || is_v6_group(&p->key.remote))
		return 0;
	fib.ifindex = h->internal_ifindex;
	fib.family = FAMILY_INET6;
	fib.l4_protocol = IPPROTO_ICMPV6;
	memcpy(fib.ipv6_dst, p->key.remote.d, 16);
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	/* A gateway on the way would stand in the answer instead. */
	memcpy(hop.d, fib.ipv6_dst, 16);
	return fib.ifindex == p->key.ifindex && address_equal(&hop.addr, &p->key.remote);
}

static __always_inline __u32 exempt_outbound(struct __sk_buff *skb, const struct packet *p)
{
	__u32 why = exempt_by_destination(p, &p->key.remote);

	if (!why && is_neighbour_discovery(p) && goes_to_neighbour(skb, p))
		why = ADIT_PASS_DISCOVERY;
	return why;
}

#endif
