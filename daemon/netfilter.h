/* SPDX-License-Identifier: BSD-2-Clause */
/* Would a rule of this host's netfilter see forwarded packets?  Then the fast path, which goes around it,
 * must stay off.  And is there NAT?  Tables of our own, whose names begin with "adit-", are nobody's rules. */
#ifndef ADIT_NETFILTER_H
#define ADIT_NETFILTER_H

#include <stdbool.h>
#include <stddef.h>

/* 0: nothing looks.  1: something does, and why says what ("nftables chain inet filter forward").
 * -errno: could not tell, which the caller must take for 1. */
int netfilter_looks(char *why, size_t size);

struct netfilter_table {
	char family[8]; /* "ip", "ip6", "inet" */
	char name[256];
};

/* nftables tables with a base chain of type nat on hook postrouting: their number, -E2BIG when there is no room
 * for all, or another -errno. */
int netfilter_nat_tables(struct netfilter_table *v, unsigned max);
/* Is there a nat table of the old iptables?  AF_INET or AF_INET6. */
bool netfilter_old_nat(int family);

/* A socket that becomes readable when the ruleset changes, or -errno; link_drain empties it. */
int netfilter_watch(void);

#endif
