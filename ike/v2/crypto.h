/* SPDX-License-Identifier: BSD-2-Clause */
/* The primitives IKEv2 is made of, over OpenSSL: prf and prf+, Diffie-Hellman, lengths of keys.
 * Numbers are transform IDs; 0 or -errno; -ENOTSUP: not one of ours. */
#ifndef ADIT_IKE_V2_CRYPTO_H
#define ADIT_IKE_V2_CRYPTO_H

#include "buf.h"
#include "iana.h"

#include <stdbool.h>

#define PRF_MAX 64
#define DH_MAX	256 /* public value or shared secret of any group */

size_t prf_size(uint16_t prf); /* 0: unknown */
int prf_sum(uint16_t prf, struct span key, const struct span *parts, size_t n, uint8_t ret[PRF_MAX]);
/* RFC 7296 2.13: T1 | T2 | ... */
int prf_plus(uint16_t prf, struct span key, const struct span *seed, size_t n, uint8_t *ret, size_t len);

/* Key octets including the salt of an AEAD; 0: unknown or a key length it does not have. */
size_t encr_key_size(uint16_t encr, uint16_t bits);
size_t integ_key_size(uint16_t integ);
size_t integ_icv_size(uint16_t integ);
bool encr_for_ike(uint16_t encr); /* can protect IKE messages, not only be keyed for ESP */
bool integ_for_ike(uint16_t integ);
int integ_sum(uint16_t integ, struct span key, struct span data, uint8_t ret[64]);

struct dh;

size_t dh_size(uint16_t group); /* of a public value; 0: unknown */
/* random fills the private value. */
int dh_new(uint16_t group, int (*random)(void *self, void *buf, size_t len), void *self, struct dh **ret);
/* -ERANGE when the group has no such private value. */
int dh_from_private(uint16_t group, struct span priv, struct dh **ret);
void dh_free(struct dh *dh);
uint16_t dh_group(const struct dh *dh);
struct span dh_public(const struct dh *dh);
/* -EBADMSG: theirs is not a value of the group (RFC 6989).  len is dh's secret length. */
int dh_shared(const struct dh *dh, struct span theirs, uint8_t ret[DH_MAX], size_t *len);

#endif
