/* SPDX-License-Identifier: BSD-2-Clause */
/* What both test programs of adit_egress are made with. */
#ifndef BPF_TEST_EGRESS_H
#define BPF_TEST_EGRESS_H

#include "bed.h"

/* Before every test: a fresh bed with six rules, 10.1.1.0/24 to 10.1.2.0/24 and 192.0.2.1 to 198.51.100.0/24
 * protected among them. */
int fixture(void **state);
/* The Ethernet header of what the gateway's wan0 sends; a datagram of 40 octets; f with tags put in front of its
 * type. */
void start(struct frame *f);
void udp(struct frame *f, const char *src, const char *dst, uint16_t sport, uint16_t dport);
struct frame tagged(const struct frame *f, const uint16_t *ids, size_t n);

#endif
