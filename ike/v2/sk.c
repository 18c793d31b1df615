/* SPDX-License-Identifier: BSD-2-Clause */
/* The Encrypted payload: AES-GCM with an 8 octet IV (RFC 5282) or AES-CBC, then HMAC (RFC 7296 3.14). */
#include "keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define GCM_IV	8
#define GCM_ICV 16
#define CBC_IV	16
#define SALT	4

static const EVP_CIPHER *cipher_of(const struct suite *s)
{
	bool gcm = s->encr == ENCR_AES_GCM_16;

	switch (s->encr_bits) {
	case 128:
		return gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
	case 192:
		return gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
	case 256:
		return gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
	}
	return NULL;
}

size_t sk_iv_size(const struct suite *s)
{
	return s->encr == ENCR_AES_GCM_16 ? GCM_IV : CBC_IV;
}

static size_t icv_size(const struct suite *s)
{
	return s->encr == ENCR_AES_GCM_16 ? GCM_ICV : integ_icv_size(s->integ);
}

static bool gcm_start(EVP_CIPHER_CTX *ctx, const struct suite *s, const struct sk_keys *k, const uint8_t *iv,
		      struct span aad, int seal)
{
	uint8_t nonce[SALT + GCM_IV];
	int n;

	memcpy(nonce, k->enc + k->enc_len - SALT, SALT);
	memcpy(nonce + SALT, iv, GCM_IV);
	return EVP_CipherInit_ex(ctx, cipher_of(s), NULL, k->enc, nonce, seal) &&
	       EVP_CipherUpdate(ctx, NULL, &n, aad.p, aad.len);
}

static int gcm_seal(const struct suite *s, const struct sk_keys *k, const uint8_t *iv, struct span aad,
		    uint8_t *p, size_t len, uint8_t icv[GCM_ICV])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok;
	int n;

	ok = ctx && gcm_start(ctx, s, k, iv, aad, 1) && EVP_CipherUpdate(ctx, p, &n, p, len) &&
	     EVP_CipherFinal_ex(ctx, p + n, &n) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_ICV, icv);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int gcm_open(const struct suite *s, const struct sk_keys *k, const uint8_t *iv, struct span aad,
		    struct span in, const uint8_t *icv, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[GCM_ICV];
	bool ok;
	int n = 0;

	memcpy(tag, icv, sizeof(tag)); /* NOLINT(clang-analyzer-core.NonNullParamChecker) */
	ok = ctx && gcm_start(ctx, s, k, iv, aad, 0) && EVP_CipherUpdate(ctx, out, &n, in.p, in.len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_ICV, tag) &&
	     EVP_CipherFinal_ex(ctx, out + n, &n);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EACCES;
}

static int cbc(const struct suite *s, const struct sk_keys *k, const uint8_t *iv, struct span in,
	       uint8_t *out, int seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok;
	int n = 0;

	ok = ctx && EVP_CipherInit_ex(ctx, cipher_of(s), NULL, k->enc, iv, seal) &&
	     EVP_CIPHER_CTX_set_padding(ctx, 0) && EVP_CipherUpdate(ctx, out, &n, in.p, in.len) &&
	     EVP_CipherFinal_ex(ctx, out + n, &n);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

size_t sk_seal(const struct suite *s, const struct sk_keys *k, const struct msg_header *h,
	       const struct chain *c, const uint8_t iv[SK_IV_MAX], uint8_t *out, size_t size)
{
	bool aead = encr_is_aead(s->encr);
	size_t block = aead ? 1 : 16, pad = (block - (c->w.len + 1) % block) % block;
	size_t clear = c->w.len + pad + 1, icv_len = icv_size(s), total;
	struct wr w = wr_of(out, size);
	struct msg_header full = *h;
	uint8_t *body, *icv, sum[64];
	size_t aad;

	full.next = PL_SK;
	msg_put_header(&w, &full);
	wr_u8(&w, c->first);
	wr_u8(&w, 0);
	wr_be16(&w, 4 + sk_iv_size(s) + clear + icv_len);
	aad = w.len;
	wr_put(&w, iv, sk_iv_size(s));
	body = wr_room(&w, clear);
	icv = wr_room(&w, icv_len);
	total = w.len;
	wr_fix16(&w, 24, total >> 16);
	wr_fix16(&w, 26, total);
	if (w.bad || c->w.bad || !icv_len || total > IKE_MESSAGE_MAX)
		return 0;
	memcpy(body, c->w.p, c->w.len);
	memset(body + c->w.len, 0, pad);
	body[clear - 1] = pad;
	if (aead)
		return gcm_seal(s, k, iv, (struct span){out, aad}, body, clear, icv) ? 0 : total;
	if (cbc(s, k, iv, (struct span){body, clear}, body, 1))
		return 0;
	if (integ_sum(s->integ, (struct span){k->integ, k->integ_len}, (struct span){out, icv - out}, sum))
		return 0;
	memcpy(icv, sum, icv_len);
	return total;
}

int sk_open(const struct suite *s, const struct sk_keys *k, const struct msg *m, uint8_t *out,
	    struct span *chain)
{
	size_t icv_len = icv_size(s), iv_len = sk_iv_size(s), pad;
	struct rd r = rd_of(m->sk.p, m->sk.len);
	struct span iv = rd_take(&r, iv_len), in, icv;
	const uint8_t *start = m->octets.p;
	uint8_t sum[64];
	int err;

	if (r.left < icv_len + 1)
		return -EACCES;
	in = rd_take(&r, r.left - icv_len);
	icv = rd_rest(&r);
	if (encr_is_aead(s->encr)) {
		err = gcm_open(s, k, iv.p, (struct span){start, m->sk.p - start}, in, icv.p, out);
	} else {
		err = integ_sum(s->integ, (struct span){k->integ, k->integ_len},
				(struct span){start, icv.p - start}, sum);
		if (err || CRYPTO_memcmp(sum, icv.p, icv_len))
			return -EACCES;
		err = in.len % 16 ? -EBADMSG : cbc(s, k, iv.p, in, out, 0);
	}
	if (err)
		return err;
	pad = out[in.len - 1];
	if (pad + 1 > in.len)
		return -EBADMSG;
	*chain = (struct span){out, in.len - 1 - pad};
	return 0;
}
