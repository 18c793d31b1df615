/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One packet, parsed once: offsets from the start of the frame, and the key under which flows are remembered.
 */
#ifndef ADIT_BPF_PACKET_H
#define ADIT_BPF_PACKET_H

#include "flow_key.h"

enum fragment { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/* Beside ADIT_TAG. */
#define TAG_NONE    0
#define TAG_UNKNOWN 0xffff /* two tags with an id: no port of ours */

#define TCP_SYN 2

struct packet {
	struct flow_key key;
	__u32 l3;   /* IP header */
	__u32 l4;   /* what follows IP and extension headers */
	__u32 len;  /* of the IP packet, as its header says */
	__u16 type; /* EtherType behind the tags */
	__u32 tag;  /* frames from XDP only */
	__u8 tos;
	__u8 ttl;
	__u8 df;
	__u8 options; /* IPv4 */
	__u8 fragment;
	__u8 tcp_flags;
	__u8 tags;   /* skb only: how many are stepped over, in the data or beside it */
	__u8 exempt; /* inbound: the reason why no rule is asked, or 0 */
};

#endif
