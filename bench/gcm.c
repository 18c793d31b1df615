// SPDX-License-Identifier: BSD-2-Clause
#include "gcm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AAD_LEN 8 /* SPI and sequence number, RFC 4106 5 */
#define IV_LEN	12
#define TAG_LEN 16

static const uint8_t key[32] = {1};

#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>

struct gcm {
	struct gcm_key_data key __attribute__((aligned(64)));
	struct gcm_context_data context;
	IMB_MGR *mgr;
	uint8_t iv[IV_LEN], tag[TAG_LEN];
	uint64_t sequence;
};

int gcm_new(struct gcm **ret)
{
	struct gcm *g = aligned_alloc(64, (sizeof(*g) + 63) & ~63UL);

	if (!g)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	g->mgr = alloc_mb_mgr(0);
	if (!g->mgr) {
		free(g);
		return -ENOMEM;
	}
	init_mb_mgr_auto(g->mgr, NULL);
	IMB_AES256_GCM_PRE(g->mgr, key, &g->key);
	*ret = g;
	return 0;
}

void gcm_free(struct gcm *g)
{
	if (!g)
		return;
	free_mb_mgr(g->mgr);
	free(g);
}

void gcm_seal(struct gcm *g, uint8_t *octets, size_t len)
{
	g->sequence++;
	memcpy(g->iv + 4, &g->sequence, sizeof(g->sequence));
	IMB_AES256_GCM_ENC(g->mgr, &g->key, &g->context, octets, octets, len, g->iv, g->iv, AAD_LEN, g->tag,
			   TAG_LEN);
}

void gcm_open(struct gcm *g, uint8_t *octets, size_t len)
{
	g->sequence++;
	memcpy(g->iv + 4, &g->sequence, sizeof(g->sequence));
	IMB_AES256_GCM_DEC(g->mgr, &g->key, &g->context, octets, octets, len, g->iv, g->iv, AAD_LEN, g->tag,
			   TAG_LEN);
}

#else
#include <openssl/evp.h>

struct gcm {
	EVP_CIPHER_CTX *seal, *open;
	uint8_t iv[IV_LEN], tag[TAG_LEN];
	uint64_t sequence;
};

int gcm_new(struct gcm **ret)
{
	struct gcm *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->seal = EVP_CIPHER_CTX_new();
	g->open = EVP_CIPHER_CTX_new();
	if (!g->seal || !g->open || !EVP_EncryptInit_ex(g->seal, EVP_aes_256_gcm(), NULL, key, NULL) ||
	    !EVP_DecryptInit_ex(g->open, EVP_aes_256_gcm(), NULL, key, NULL)) {
		gcm_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

void gcm_free(struct gcm *g)
{
	if (!g)
		return;
	EVP_CIPHER_CTX_free(g->seal);
	EVP_CIPHER_CTX_free(g->open);
	free(g);
}

void gcm_seal(struct gcm *g, uint8_t *octets, size_t len)
{
	int n;

	g->sequence++;
	memcpy(g->iv + 4, &g->sequence, sizeof(g->sequence));
	EVP_EncryptInit_ex(g->seal, NULL, NULL, NULL, g->iv);
	EVP_EncryptUpdate(g->seal, NULL, &n, g->iv, AAD_LEN);
	EVP_EncryptUpdate(g->seal, octets, &n, octets, (int)len);
	EVP_EncryptFinal_ex(g->seal, octets + len, &n);
	EVP_CIPHER_CTX_ctrl(g->seal, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, g->tag);
}

void gcm_open(struct gcm *g, uint8_t *octets, size_t len)
{
	int n;

	g->sequence++;
	memcpy(g->iv + 4, &g->sequence, sizeof(g->sequence));
	EVP_DecryptInit_ex(g->open, NULL, NULL, NULL, g->iv);
	EVP_DecryptUpdate(g->open, NULL, &n, g->iv, AAD_LEN);
	EVP_DecryptUpdate(g->open, octets, &n, octets, (int)len);
	EVP_CIPHER_CTX_ctrl(g->open, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, g->tag);
	EVP_DecryptFinal_ex(g->open, octets + len, &n);
}
#endif
