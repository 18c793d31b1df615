// SPDX-License-Identifier: BSD-2-Clause
/* OpenSSL EVP for every suite.  Contexts and key schedules live as long as the SA; a packet only sets the IV.
 */
#include "engine.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

struct ossl_key {
	EVP_CIPHER_CTX *cipher;
	EVP_CIPHER_CTX *iv; /* CBC, outbound: AES-ECB under a random key of its own */
	EVP_MAC_CTX *mac;   /* CBC: HMAC, keyed */
	bool combined;	    /* GCM */
};

_Static_assert(sizeof(struct ossl_key) <= CRYPT_ROOM, "the engine's room");

static struct ossl_key *key_of(struct crypt *c)
{
	return (struct ossl_key *)c->room;
}

static bool ossl_runs(enum adit_suite suite)
{
	return suite_find(suite) != NULL;
}

static const EVP_CIPHER *cipher_of(const struct suite *s)
{
	bool gcm = s->integ == 0;

	switch (s->bits) {
	case 128:
		return gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
	case 192:
		return gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
	default:
		return gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
	}
}

/* RFC 7296 3.3.2 numbers of RFC 4868: AUTH_HMAC_SHA2_256_128, _384_192, _512_256. */
static const char *digest_of(const struct suite *s)
{
	return s->integ == 12 ? "SHA256" : s->integ == 13 ? "SHA384" : "SHA512";
}

static int mac_key(struct ossl_key *k, const struct suite *s, const uint8_t *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest_of(s), 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	k->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	return k->mac && EVP_MAC_init(k->mac, key, s->ikey_len, params) ? 0 : -ENOMEM;
}

/* NIST SP 800-38A appendix C: a counter, encrypted, is an unpredictable IV.  Under a key of its own, so that
 * what the peer or an observer sees of IVs says nothing about blocks of text. */
static int iv_key(struct ossl_key *k)
{
	uint8_t key[16];
	int ok;

	k->iv = EVP_CIPHER_CTX_new();
	ok = k->iv && RAND_bytes(key, sizeof(key)) == 1 &&
	     EVP_EncryptInit_ex(k->iv, EVP_aes_128_ecb(), NULL, key, NULL) &&
	     EVP_CIPHER_CTX_set_padding(k->iv, 0);
	OPENSSL_cleanse(key, sizeof(key));
	return ok ? 0 : -ENOMEM;
}

static int ossl_key(struct crypt *c, const struct adit_msg_sa_add *sa)
{
	const struct suite *s = suite_find(sa->suite);
	struct ossl_key *k = key_of(c);
	bool out = sa->direction == ADIT_OUT;
	int err;

	k->combined = s->integ == 0;
	k->cipher = EVP_CIPHER_CTX_new();
	if (!k->cipher || !EVP_CipherInit_ex(k->cipher, cipher_of(s), NULL, sa->key, NULL, out))
		return -ENOMEM;
	if (k->combined)
		return EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) ? 0 : -EINVAL;

	EVP_CIPHER_CTX_set_padding(k->cipher, 0);
	err = mac_key(k, s, sa->integrity_key);
	if (err || !out)
		return err;
	return iv_key(k);
}

static int ossl_iv(struct crypt *c, uint8_t *iv, uint64_t seq)
{
	struct ossl_key *k = key_of(c);
	uint8_t counter[16] = {0};
	int n;

	if (k->combined) {
		gcm_iv(iv, seq);
		return 0;
	}
	memcpy(counter, &seq, sizeof(seq));
	return EVP_EncryptUpdate(k->iv, iv, &n, counter, sizeof(counter)) ? 0 : -EINVAL;
}

static int gcm_begin(struct crypt *c, const uint8_t *esp, uint32_t seq_high)
{
	struct ossl_key *k = key_of(c);
	uint8_t nonce[12], buf[12];
	const uint8_t *aad;
	uint32_t aad_len;
	int n;

	aad = gcm_aad(c, esp, seq_high, buf, &aad_len);
	memcpy(nonce, c->salt, 4);
	memcpy(nonce + 4, esp + ESP_HEADER_LEN, 8);
	return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1) &&
	       EVP_CipherUpdate(k->cipher, NULL, &n, aad, (int)aad_len);
}

static int gcm_seal(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high)
{
	uint8_t *text = esp + ESP_HEADER_LEN + 8;
	struct ossl_key *k = key_of(c);
	int n;

	if (!gcm_begin(c, esp, seq_high) || !EVP_EncryptUpdate(k->cipher, text, &n, text, (int)text_len) ||
	    !EVP_EncryptFinal_ex(k->cipher, text + n, &n) ||
	    !EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, 16, text + text_len))
		return -EINVAL;
	return 0;
}

static int gcm_open(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high)
{
	uint8_t *text = esp + ESP_HEADER_LEN + 8;
	struct ossl_key *k = key_of(c);
	int n;

	if (!gcm_begin(c, esp, seq_high) || !EVP_DecryptUpdate(k->cipher, text, &n, text, (int)text_len) ||
	    !EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_TAG, 16, text + text_len))
		return -EINVAL;
	/* Compares in constant time itself. */
	return EVP_DecryptFinal_ex(k->cipher, text + n, &n) ? 0 : -EACCES;
}

/* RFC 4303 3.3.2.1: from the header to the end of the text, then the high half of an ESN, which is not sent.
 */
static int hmac(struct crypt *c, const uint8_t *esp, uint32_t text_len, uint32_t seq_high,
		uint8_t mac[EVP_MAX_MD_SIZE])
{
	struct ossl_key *k = key_of(c);
	uint32_t high_be = __builtin_bswap32(seq_high);
	size_t len;

	return EVP_MAC_init(k->mac, NULL, 0, NULL) &&
	       EVP_MAC_update(k->mac, esp, ESP_HEADER_LEN + 16 + text_len) &&
	       (!c->esn || EVP_MAC_update(k->mac, (uint8_t *)&high_be, 4)) &&
	       EVP_MAC_final(k->mac, mac, &len, EVP_MAX_MD_SIZE);
}

static int cbc(struct ossl_key *k, uint8_t *esp, uint32_t text_len)
{
	uint8_t *iv = esp + ESP_HEADER_LEN, *text = iv + 16;
	int n;

	return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, iv, -1) &&
	       EVP_CipherUpdate(k->cipher, text, &n, text, (int)text_len) && n == (int)text_len;
}

static int ossl_seal(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high)
{
	uint8_t mac[EVP_MAX_MD_SIZE];

	if (key_of(c)->combined)
		return gcm_seal(c, esp, text_len, seq_high);
	if (!cbc(key_of(c), esp, text_len) || !hmac(c, esp, text_len, seq_high, mac))
		return -EINVAL;
	memcpy(esp + ESP_HEADER_LEN + 16 + text_len, mac, c->icv_len);
	return 0;
}

static int ossl_open(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high)
{
	uint8_t mac[EVP_MAX_MD_SIZE];

	if (key_of(c)->combined)
		return gcm_open(c, esp, text_len, seq_high);
	if (!hmac(c, esp, text_len, seq_high, mac))
		return -EINVAL;
	if (CRYPTO_memcmp(mac, esp + ESP_HEADER_LEN + 16 + text_len, c->icv_len))
		return -EACCES;
	return cbc(key_of(c), esp, text_len) ? 0 : -EINVAL;
}

static void ossl_wipe(struct crypt *c)
{
	struct ossl_key *k = key_of(c);

	EVP_CIPHER_CTX_free(k->cipher);
	EVP_CIPHER_CTX_free(k->iv);
	EVP_MAC_CTX_free(k->mac);
}

const struct engine engine_openssl = {
	.name = "openssl",
	.runs = ossl_runs,
	.key = ossl_key,
	.iv = ossl_iv,
	.seal = ossl_seal,
	.open = ossl_open,
	.wipe = ossl_wipe,
};
