// SPDX-License-Identifier: BSD-2-Clause
/* Internet checksums (RFC 1071).  A sum is kept as the machine reads it, which is as good as network order as
 * long as nobody mixes the two; what goes into a packet is copied, never swapped. */
#ifndef ADIT_CHECKSUM_H
#define ADIT_CHECKSUM_H

#include <stdint.h>

/* Add octets that start at an even offset. */
uint64_t sum_octets(const uint8_t *p, uint32_t len, uint64_t sum);

/* 4 n octets; n is small and, where speed counts, constant. */
static inline uint64_t sum_words(const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t w;

#pragma GCC unroll 8
	for (; n; n--, p += 4) {
		__builtin_memcpy(&w, p, 4);
		sum += w;
	}
	return sum;
}

static inline uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Addresses (both), length and protocol as TCP, UDP and ICMPv6 count them. */
static inline uint64_t sum_pseudo(const uint8_t *addresses, uint32_t addresses_len, uint32_t l4_len,
				  uint8_t protocol)
{
	return sum_words(addresses, addresses_len / 4) + __builtin_bswap32(l4_len) +
	       __builtin_bswap16(protocol);
}

/* One 16-bit word of the summed data changed (RFC 1624 eqn. 3).  All three as they stand in memory. */
static inline uint16_t checksum_replace(uint16_t checksum, uint16_t was, uint16_t is)
{
	return (uint16_t)~sum_fold((uint64_t)(uint16_t)~checksum + (uint16_t)~was + is);
}

#endif
