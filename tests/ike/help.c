/* SPDX-License-Identifier: BSD-2-Clause */
#include "help.h"

size_t unhex(const char *hex, uint8_t *out, size_t size)
{
	size_t n = 0;
	unsigned v;

	for (; hex[0] && hex[1]; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		assert_true(n < size);
		out[n++] = v;
	}
	return n;
}

void assert_hex(const void *octets, size_t len, const char *hex)
{
	uint8_t want[1024];

	assert_int_equal(unhex(hex, want, sizeof(want)), len);
	assert_memory_equal(octets, want, len);
}
