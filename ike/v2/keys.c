/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys.h"

#include <errno.h>
#include <openssl/crypto.h>

static size_t take(uint8_t *to, const uint8_t **from, size_t len)
{
	memcpy(to, *from, len);
	*from += len;
	return len;
}

int keys_derive(const struct suite *s, const struct key_input *in, uint16_t old_prf, struct span old_d,
		struct ike_keys *ret)
{
	size_t prf_len = prf_size(s->prf), a = s->integ ? integ_key_size(s->integ) : 0;
	size_t e = encr_key_size(s->encr, s->encr_bits), total = 3 * prf_len + 2 * a + 2 * e;
	uint8_t seed[PRF_MAX], stream[3 * PRF_MAX + 4 * IKE_KEY_MAX], both[512], spis[16];
	struct wr nonces = wr_of(both, sizeof(both)), w = wr_of(spis, sizeof(spis));
	const uint8_t *at = stream;
	struct span parts[3];
	int i, err;

	if (!prf_len || !e || e > IKE_KEY_MAX || total > sizeof(stream))
		return -ENOTSUP;
	wr_span(&nonces, in->ni);
	wr_span(&nonces, in->nr);
	wr_be64(&w, in->spi_i);
	wr_be64(&w, in->spi_r);
	if (nonces.bad)
		return -EBADMSG;
	parts[0] = in->secret;
	parts[1] = (struct span){both, nonces.len};
	parts[2] = (struct span){spis, sizeof(spis)};
	if (old_d.len)
		err = prf_sum(old_prf, old_d, parts, 2, seed);
	else
		err = prf_sum(s->prf, parts[1], parts, 1, seed);
	if (!err)
		err = prf_plus(s->prf, (struct span){seed, prf_size(old_d.len ? old_prf : s->prf)}, parts + 1,
			       2, stream, total);
	if (!err) {
		memset(ret, 0, sizeof(*ret));
		take(ret->d, &at, prf_len);
		for (i = 0; i < 2; i++)
			ret->sk[i].integ_len = take(ret->sk[i].integ, &at, a);
		for (i = 0; i < 2; i++)
			ret->sk[i].enc_len = take(ret->sk[i].enc, &at, e);
		for (i = 0; i < 2; i++)
			take(ret->p[i], &at, prf_len);
	}
	OPENSSL_cleanse(seed, sizeof(seed));
	OPENSSL_cleanse(stream, sizeof(stream));
	return err;
}

int keys_child(uint16_t prf, const struct ike_keys *keys, const struct suite *child,
	       const struct key_input *in, struct ike_child_keys ret[2])
{
	size_t e = encr_key_size(child->encr, child->encr_bits),
	       a = child->integ ? integ_key_size(child->integ) : 0;
	const struct span parts[3] = {in->secret, in->ni, in->nr};
	uint8_t stream[4 * IKE_KEY_MAX];
	const uint8_t *at = stream;
	int i, err;

	if (!e || e > IKE_KEY_MAX || (child->integ && !a))
		return -ENOTSUP;
	err = prf_plus(prf, (struct span){keys->d, prf_size(prf)}, parts, 3, stream, 2 * (e + a));
	for (i = 0; !err && i < 2; i++) {
		memset(&ret[i], 0, sizeof(ret[i]));
		ret[i].enc_len = take(ret[i].enc, &at, e);
		ret[i].integ_len = take(ret[i].integ, &at, a);
	}
	OPENSSL_cleanse(stream, sizeof(stream));
	return err;
}

int auth_psk(uint16_t prf, struct span psk, const uint8_t *sk_p, struct span message, struct span nonce,
	     struct span id_body, uint8_t ret[PRF_MAX])
{
	static const char pad[] = "Key Pad for IKEv2";
	const struct span pad_part = {(const uint8_t *)pad, sizeof(pad) - 1};
	size_t len = prf_size(prf);
	uint8_t key[PRF_MAX], id[PRF_MAX];
	struct span octets[3] = {
		message, nonce, {id, len}
	 };
	int err;

	err = prf_sum(prf, psk, &pad_part, 1, key);
	if (!err)
		err = prf_sum(prf, (struct span){sk_p, len}, &id_body, 1, id);
	if (!err)
		err = prf_sum(prf, (struct span){key, len}, octets, 3, ret);
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}
