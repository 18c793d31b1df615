/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Internet checksums (RFC 1071): sums of 16-bit words as they stand in memory. */
#ifndef ADIT_BPF_CHECKSUM_H
#define ADIT_BPF_CHECKSUM_H

#include "common.h"

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The field's new value when one word under it changes: RFC 1624 equation 3. */
static __always_inline __u16 csum_replace(__u16 check, __u16 from, __u16 to)
{
	return ~csum_fold((__u64)(__u16)~check + (__u16)~from + to);
}

#endif
