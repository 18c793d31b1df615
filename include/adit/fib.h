/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Where does the kernel send an inner packet that arrives on the internal port?  Ask the program adit_fib:
 *
 *   BPF_PROG_TEST_RUN, data_in = Ethernet header (its type counts) and the packet, at least its IP header;
 *   retval XDP_PASS, data_out = struct adit_fib_answer.  XDP_DROP: not an IP packet, nothing was asked.
 *
 * It needs no privilege but the program's descriptor.  The answer is the kernel's at this moment, policy
 * routing and neighbours included; whoever caches it bounds its age.
 */
#ifndef ADIT_FIB_H
#define ADIT_FIB_H

#include <linux/types.h>

struct adit_fib_answer {
	__u32 result;  /* BPF_FIB_LKUP_RET_*; only with 0 (success) the rest counts */
	__u32 ifindex; /* where it leaves */
	__u32 slot;    /* of the TX socket there; ADIT_NO_SLOT unless an inside port with ADIT_PORT_FAST_PATH */
	__u16 vlan;    /* id of the tag that it must carry there, 0 = none */
	__u16 vlan_type;
	__u16 mtu;     /* of the route */
	__u8 smac[6], dmac[6];
	__u8 pad[2];
};

_Static_assert(sizeof(struct adit_fib_answer) <= 34, "fits into what was asked: Ethernet and an IPv4 header");

#endif
