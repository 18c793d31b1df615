/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The selectors of one packet (RFC 4301 4.4.1.1), seen from us: local is our side whichever way it goes. */
#ifndef ADIT_BPF_FLOW_KEY_H
#define ADIT_BPF_FLOW_KEY_H

#include "common.h"

union address {
	struct adit_addr addr;
	__u64 w[2];
	__u32 d[4];
};

enum flow_kind {
	FLOW_NONE,   /* an empty place of the cache */
	FLOW_OUT,    /* leaving ifindex, a policy interface */
	FLOW_IN,     /* arrived in clear on ifindex, a policy interface */
	FLOW_INSIDE, /* arrived on ifindex, an inside port; where it leaves is the FIB's answer */
};

/* A value that cannot be seen in this packet: in a fragment that is not the first, behind more extension
 * headers than we follow, cut off.  A rule that asks for it may match. */
#define OPAQUE_PORTS	1
#define OPAQUE_PROTOCOL 2
/* The protocol has no ports: a rule that asks for some does not match. */
#define NO_PORTS 4

struct flow_key {
	union address local, remote;
	__u32 ifindex;
	__u16 local_port, remote_port; /* ICMP: both are type << 8 | code (RFC 7296 3.13.1) */
	__u8 protocol;
	__u8 family; /* 4 or 6 */
	__u8 kind;
	__u8 opaque;
	__u32 policy; /* of the interface by which it leaves or came; FLOW_INSIDE: 0, the route says */
};

#define FLOW_KEY_WORDS (sizeof(struct flow_key) / 8)
_Static_assert(sizeof(struct flow_key) == 48, "compared and hashed as six words");

/* As seen from the other side. */
static __always_inline void exchange_ends(struct flow_key *k)
{
	union address local = k->local;
	__u16 port = k->local_port;

	k->local = k->remote;
	k->remote = local;
	k->local_port = k->remote_port;
	k->remote_port = port;
}

static __always_inline void address_from_v4(union address *a, __be32 v4)
{
	a->w[0] = 0;
	a->d[2] = bpf_htonl(0xffff);
	a->d[3] = v4;
}

static __always_inline void address_from_v6(union address *a, const struct in6_addr *v6)
{
	memcpy(a->d, v6, 16);
}

static __always_inline bool address_equal(const struct adit_addr *a, const union address *b)
{
	const __u64 *w = (const __u64 *)a;

	return w[0] == b->w[0] && w[1] == b->w[1];
}

#endif
