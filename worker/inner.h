// SPDX-License-Identifier: BSD-2-Clause
/* The packet inside the tunnel: what the worker has to know and may have to change of it. */
#ifndef ADIT_INNER_H
#define ADIT_INNER_H

#include <adit/maps.h>
#include <stdbool.h>
#include <stdint.h>

struct inner {
	uint8_t *ip;
	uint32_t len; /* as the IP header says; TFC padding may follow (RFC 4303 2.7) */
	uint16_t l4_off;
	uint8_t family;		     /* 4 or 6 */
	uint8_t protocol;	     /* behind IPv6 extension headers */
	bool fragment;		     /* any fragment */
	bool has_ports;		     /* not so for a later fragment, nor for a protocol without */
	bool options;		     /* IPv4 options or IPv6 hop-by-hop: not for a fast path */
	uint16_t src_port, dst_port; /* ICMP: type and code in both (RFC 7296 3.13.1) */
};

/* -EBADMSG: headers that do not fit into len, a wrong version, a wrong IPv4 header checksum.  Then ret says
 * nothing. */
int inner_parse(uint8_t *ip, uint32_t len, struct inner *ret);
/* The packet that an ICMP error is about, as much of it as is there: headers and eight octets at the least, else, and when
 * in is no such error, -EBADMSG. */
int inner_quote(const struct inner *in, struct inner *ret);
struct adit_addr inner_src(const struct inner *in);
struct adit_addr inner_dst(const struct inner *in);
/* Without the call that memcmp is. */
static inline bool addr_same(const struct adit_addr *a, const struct adit_addr *b)
{
	uint64_t x[2], y[2];

	__builtin_memcpy(x, a, 16);
	__builtin_memcpy(y, b, 16);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* A sender behind a veth may leave the TCP or UDP checksum to hardware that never comes: the field then holds
 * the pseudo header's sum.  Completes it; true when it did. */
bool inner_finish_checksum(struct inner *in);

/* What RFC 6040 4.2 makes of inner and outer ECN.  -EBADMSG: the packet must be dropped. */
int inner_decap_ecn(struct inner *in, uint8_t outer_tos);

/* A TCP SYN that offers more than mss offers mss.  True when it was lowered. */
bool inner_clamp_mss(struct inner *in, uint16_t mss);

/* One router passed.  False when that was the last (then nothing is changed). */
bool inner_decrement_ttl(struct inner *in);

#endif
