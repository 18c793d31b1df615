/* SPDX-License-Identifier: BSD-2-Clause */
/* Stateless cookies, RFC 7296 2.6: version | HMAC(secret of that version, Ni | IPi | SPIi). */
#include "sa.h"

#include <openssl/crypto.h>

#define SECRET_MS 120000

void cookie_make(const struct ike *ike, uint8_t version, const struct msg *m, const struct addr *from,
		 uint8_t ret[33])
{
	const struct span key = {ike->secret[version & 1], sizeof(ike->secret[0])};
	uint8_t spi[8], sum[PRF_MAX];
	struct wr w = wr_of(spi, sizeof(spi));
	const struct span parts[] = {
		m->nonce, {from->b, sizeof(from->b)},
		      {spi,	    sizeof(spi)    }
	};

	wr_be64(&w, m->h.spi_i);
	memset(ret, 0, 33);
	if (prf_sum(PRF_HMAC_SHA256, key, parts, 3, sum))
		return;
	ret[0] = version;
	memcpy(ret + 1, sum, 32);
}

bool cookie_good(const struct ike *ike, const struct msg *m, const struct addr *from, struct span cookie)
{
	uint8_t want[33];

	/* The current secret or the one before it. */
	if (cookie.len != sizeof(want) || (uint8_t)(ike->secret_version - cookie.p[0]) > 1)
		return false;
	cookie_make(ike, cookie.p[0], m, from, want);
	return CRYPTO_memcmp(want, cookie.p, sizeof(want)) == 0;
}

void cookie_rotate(struct ike *ike)
{
	if (ike->secret_ms && now(ike) - ike->secret_ms < SECRET_MS)
		return;
	/* Kept as it was when there is no randomness: an old secret is better than a known one. */
	if (ike->env.random(ike->env.self, ike->secret[(ike->secret_version + 1) & 1],
			    sizeof(ike->secret[0])))
		return;
	ike->secret_version++;
	ike->secret_ms = now(ike) ? now(ike) : 1;
}
