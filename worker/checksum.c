// SPDX-License-Identifier: BSD-2-Clause
#include "checksum.h"

#include <string.h>

uint64_t sum_octets(const uint8_t *p, uint32_t len, uint64_t sum)
{
	uint64_t a = 0, b = 0;
	uint32_t w[4];

	/* 32-bit words into 64-bit sums: no carry can be lost within any packet. */
	for (; len >= 16; len -= 16, p += 16) {
		memcpy(w, p, 16);
		a += (uint64_t)w[0] + w[1];
		b += (uint64_t)w[2] + w[3];
	}
	for (; len >= 4; len -= 4, p += 4) {
		memcpy(w, p, 4);
		a += w[0];
	}
	if (len) {
		w[0] = 0;
		memcpy(w, p, len);
		b += w[0];
	}
	return (sum & 0xffffffff) + (sum >> 32) + a + b;
}
