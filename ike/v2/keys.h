/* SPDX-License-Identifier: BSD-2-Clause */
/* From a shared secret to keys (RFC 7296 2.14, 2.17, 2.18), from a pre-shared key to AUTH (2.15), and the
 * Encrypted payload they protect (3.14, RFC 5282). */
#ifndef ADIT_IKE_V2_KEYS_H
#define ADIT_IKE_V2_KEYS_H

#include "crypto.h"
#include "message.h"
#include "proposal.h"

enum side { SIDE_I, SIDE_R }; /* original initiator, original responder */

struct sk_keys {
	uint8_t enc[IKE_KEY_MAX], integ[IKE_KEY_MAX];
	uint8_t enc_len, integ_len;
};

struct ike_keys {
	uint8_t d[PRF_MAX];
	uint8_t p[2][PRF_MAX]; /* SK_pi, SK_pr */
	struct sk_keys sk[2];  /* SK_ei and SK_ai, SK_er and SK_ar */
};

struct key_input {
	struct span secret, ni, nr;
	uint64_t spi_i, spi_r;
};

/* old_d: SK_d of the SA being rekeyed with old_prf, or an empty span for a first SA. */
int keys_derive(const struct suite *s, const struct key_input *in, uint16_t old_prf, struct span old_d,
		struct ike_keys *ret);
/* in->secret is empty without PFS.  ret[SIDE_I] protects what the initiator of the exchange sends. */
int keys_child(uint16_t prf, const struct ike_keys *keys, const struct suite *child,
	       const struct key_input *in, struct ike_child_keys ret[2]);

/* message: RealMessage of the signer; nonce: of the other end; id_body: RestOfIDPayload. */
int auth_psk(uint16_t prf, struct span psk, const uint8_t *sk_p, struct span message, struct span nonce,
	     struct span id_body, uint8_t ret[PRF_MAX]);

/* Header, Encrypted payload with the chain inside; the length, 0 on failure.  iv: SK_IV_MAX octets that were
 * never used with this key. */
#define SK_IV_MAX 16
size_t sk_iv_size(const struct suite *s);
size_t sk_seal(const struct suite *s, const struct sk_keys *k, const struct msg_header *h,
	       const struct chain *c, const uint8_t iv[SK_IV_MAX], uint8_t *out, size_t size);
/* The chain inside into out, which is as large as m->sk at least.  -EACCES: not authentic; -EBADMSG: padding.
 */
int sk_open(const struct suite *s, const struct sk_keys *k, const struct msg *m, uint8_t *out,
	    struct span *chain);

#endif
