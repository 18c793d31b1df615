/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets by hand, for fixtures: built front to back, lengths and checksums filled in by frame_finish.
 * Nothing here shares code with bpf/: checksums are summed octet by octet. */
#ifndef TEST_FRAME_H
#define TEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3500

struct frame {
	uint8_t b[FRAME_MAX];
	size_t len;
	size_t l3, l4; /* offsets; l4 0 = none */
	size_t end;    /* of the IP packet when the frame is padded, 0 = len */
};

void frame_eth(struct frame *f, const uint8_t dst[6], const uint8_t src[6]);
void frame_vlan(struct frame *f, uint16_t id);
void frame_tag(struct frame *f, uint16_t type, uint16_t id);
/* type, code or ports follow the usual layouts; addresses as text, families must agree. */
void frame_ip(struct frame *f, const char *src, const char *dst, uint8_t protocol);
void frame_udp(struct frame *f, uint16_t sport, uint16_t dport);
void frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint8_t flags, const void *options,
	       size_t len);
void frame_icmp(struct frame *f, uint8_t type, uint8_t code);
void frame_octets(struct frame *f, const void *octets, size_t len);
void frame_fill(struct frame *f, size_t len); /* a pattern */
void frame_be32(struct frame *f, uint32_t value);
/* Total length, UDP length and all checksums, of what was built. */
void frame_finish(struct frame *f);
/* Octets behind the IP packet. */
void frame_pad(struct frame *f, size_t len);
/* After the IPv4 header was changed by hand. */
void frame_fix_ip(struct frame *f);

/* Of anything: 0 over data that contains a right checksum. */
uint16_t sum_of(const uint8_t *b, size_t len, uint32_t start);
/* Is the checksum of the TCP, UDP or ICMP in this IP packet right? */
bool l4_sum_right(const uint8_t *ip, size_t len);
bool ip_sum_right(const uint8_t *ip);
uint16_t get16(const uint8_t *b);
uint32_t get32(const uint8_t *b);
void put16(uint8_t *b, uint16_t v);
void put32(uint8_t *b, uint32_t v);

#endif
