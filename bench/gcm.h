/* SPDX-License-Identifier: BSD-2-Clause */
/* AES-256-GCM work as ESP does it per packet, without the ESP: RFC 4106 sizes, in place, nothing checked. */
#ifndef BENCH_GCM_H
#define BENCH_GCM_H

#include <stddef.h>
#include <stdint.h>

struct gcm;

int gcm_new(struct gcm **ret);
void gcm_free(struct gcm *g);
void gcm_seal(struct gcm *g, uint8_t *octets, size_t len);
/* The same, the other way: the tag is computed and then not compared, as nobody sealed this. */
void gcm_open(struct gcm *g, uint8_t *octets, size_t len);

/* What tunnel mode seals for an inner packet: packet, padding to four, pad length and next header
 * (RFC 4303 2.4). */
static inline size_t gcm_sealed_len(size_t inner)
{
	return (inner + 2 + 3) & ~(size_t)3;
}

#endif
