/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static int hmac(const char *digest, struct span key, const struct span *parts, size_t n, uint8_t *ret,
		size_t len)
{
	static EVP_MAC *mac; /* fetched once: a fetch costs more than the sum */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx;
	size_t i, got;
	bool ok;

	if (!mac)
		mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	ctx = EVP_MAC_CTX_new(mac);
	if (!ctx)
		return -ENOMEM;
	ok = EVP_MAC_init(ctx, key.p ? key.p : (const uint8_t *)"", key.len, params);
	for (i = 0; ok && i < n; i++)
		ok = !parts[i].len || EVP_MAC_update(ctx, parts[i].p, parts[i].len);
	ok = ok && EVP_MAC_final(ctx, ret, &got, len);
	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static const struct {
	uint16_t id;
	const char *digest;
	size_t len;
} prfs[] = {
	{PRF_HMAC_SHA256, "SHA256", 32},
	{PRF_HMAC_SHA384, "SHA384", 48},
	{PRF_HMAC_SHA512, "SHA512", 64},
};

size_t prf_size(uint16_t prf)
{
	size_t i;

	for (i = 0; i < sizeof(prfs) / sizeof(prfs[0]); i++)
		if (prfs[i].id == prf)
			return prfs[i].len;
	return 0;
}

int prf_sum(uint16_t prf, struct span key, const struct span *parts, size_t n, uint8_t ret[PRF_MAX])
{
	size_t i;

	for (i = 0; i < sizeof(prfs) / sizeof(prfs[0]); i++)
		if (prfs[i].id == prf)
			return hmac(prfs[i].digest, key, parts, n, ret, PRF_MAX);
	return -ENOTSUP;
}

int prf_plus(uint16_t prf, struct span key, const struct span *seed, size_t n, uint8_t *ret, size_t len)
{
	uint8_t t[PRF_MAX], count = 0;
	size_t step = prf_size(prf), i;
	struct span parts[8];
	int err = 0;

	if (!step || n + 2 > sizeof(parts) / sizeof(parts[0]) || len > 255 * step)
		return -ENOTSUP;
	while (len && !err) {
		parts[0] = (struct span){t, count ? step : 0};
		for (i = 0; i < n; i++)
			parts[i + 1] = seed[i];
		count++;
		parts[n + 1] = (struct span){&count, 1};
		err = prf_sum(prf, key, parts, n + 2, t);
		if (err)
			break;
		i = len < step ? len : step;
		memcpy(ret, t, i);
		ret += i;
		len -= i;
	}
	OPENSSL_cleanse(t, sizeof(t));
	return err;
}

size_t encr_key_size(uint16_t encr, uint16_t bits)
{
	bool aes = bits == 128 || bits == 192 || bits == 256;

	switch (encr) {
	case ENCR_AES_CBC:
		return aes ? bits / 8 : 0;
	case ENCR_AES_CTR:
	case ENCR_AES_GCM_16:
		return aes ? bits / 8 + 4 : 0;
	case ENCR_CHACHA20:
		return bits ? 0 : 36;
	case ENCR_3DES:
		return bits ? 0 : 24;
	}
	return 0;
}

static const struct {
	uint16_t id;
	const char *digest;
	size_t key, icv;
	bool ike;
} integs[] = {
	{INTEG_SHA1_96,	"SHA1",	20, 12, false},
	{INTEG_SHA256_128, "SHA256", 32, 16, true },
	{INTEG_SHA384_192, "SHA384", 48, 24, true },
	{INTEG_SHA512_256, "SHA512", 64, 32, true },
};

size_t integ_key_size(uint16_t integ)
{
	size_t i;

	for (i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].id == integ)
			return integs[i].key;
	return 0;
}

size_t integ_icv_size(uint16_t integ)
{
	size_t i;

	for (i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].id == integ)
			return integs[i].icv;
	return 0;
}

bool encr_for_ike(uint16_t encr)
{
	return encr == ENCR_AES_CBC || encr == ENCR_AES_GCM_16;
}

bool integ_for_ike(uint16_t integ)
{
	size_t i;

	for (i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].id == integ)
			return integs[i].ike;
	return false;
}

int integ_sum(uint16_t integ, struct span key, struct span data, uint8_t ret[64])
{
	size_t i;

	for (i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].id == integ)
			return hmac(integs[i].digest, key, &data, 1, ret, 64);
	return -ENOTSUP;
}
