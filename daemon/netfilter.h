/* SPDX-License-Identifier: BSD-2-Clause */
/* Would a rule of this host's netfilter see forwarded packets?  Then the fast path, which goes around it,
 * must stay off. */
#ifndef ADIT_NETFILTER_H
#define ADIT_NETFILTER_H

#include <stddef.h>

/* 0: nothing looks.  1: something does, and why says what ("nftables chain inet filter forward").
 * -errno: could not tell, which the caller must take for 1. */
int netfilter_looks(char *why, size_t size);

/* A socket that becomes readable when the ruleset changes, or -errno; link_drain empties it. */
int netfilter_watch(void);

#endif
