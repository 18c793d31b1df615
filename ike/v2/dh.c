/* SPDX-License-Identifier: BSD-2-Clause */
/* Diffie-Hellman groups.  The private value comes from the caller's randomness, so that a test can repeat a
 * conversation; everything else is OpenSSL's. */
#include "crypto.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <stdlib.h>

enum kind { MODP, ECP, MONT };

static const struct group {
	uint16_t id;
	enum kind kind;
	const char *name;
	int nid;
	size_t pub, priv, secret;
} groups[] = {
	/* 384 bits of exponent for 2048 of modulus: RFC 3526 section 8 asks for 220 to 320. */
	{DH_MODP2048, MODP, "modp_2048",	 0,		    256, 48, 256},
	{DH_ECP256,   ECP,	 "prime256v1", NID_X9_62_prime256v1, 64,	 32, 32 },
	{DH_ECP384,   ECP,	 "secp384r1",  NID_secp384r1,	     96,	 48, 48 },
	{DH_X25519,   MONT, "X25519",	    0,		       32,  32, 32 },
};

struct dh {
	const struct group *g;
	EVP_PKEY *key;
	uint8_t pub[DH_MAX];
};

static const struct group *group_of(uint16_t id)
{
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].id == id)
			return &groups[i];
	return NULL;
}

size_t dh_size(uint16_t group)
{
	const struct group *g = group_of(group);

	return g ? g->pub : 0;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *bld, int selection)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) > 0)
		EVP_PKEY_fromdata(ctx, &key, selection, params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *modp_key(const struct group *g, const BIGNUM *pub, const BIGNUM *priv)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, g->name, 0) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, pub) &&
	    (!priv || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, priv)))
		key = key_from("DH", bld, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

/* point: 0x04 | x | y, one octet longer than what IKE sends (RFC 5903 7). */
static EVP_PKEY *ecp_key(const struct group *g, const uint8_t *point, const BIGNUM *priv)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, g->name, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, g->pub + 1) &&
	    (!priv || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, priv)))
		key = key_from("EC", bld, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

static int modp_new(struct dh *dh, const BIGNUM *x)
{
	BIGNUM *p = BN_get_rfc3526_prime_2048(NULL), *g = BN_new(), *y = BN_new();
	BN_CTX *ctx = BN_CTX_new();

	if (p && g && y && ctx && BN_set_word(g, 2) && BN_mod_exp_mont_consttime(y, g, x, p, ctx, NULL) &&
	    BN_bn2binpad(y, dh->pub, dh->g->pub) > 0)
		dh->key = modp_key(dh->g, y, x);
	BN_free(p);
	BN_free(g);
	BN_free(y);
	BN_CTX_free(ctx);
	return dh->key ? 0 : -EIO;
}

static int ecp_new(struct dh *dh, const BIGNUM *x)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(dh->g->nid);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	uint8_t octets[DH_MAX];
	int err = -EIO;

	if (group && (BN_is_zero(x) || BN_cmp(x, EC_GROUP_get0_order(group)) >= 0))
		err = -ERANGE;
	else if (point && EC_POINT_mul(group, point, x, NULL, NULL, NULL) &&
		 EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof(octets),
				    NULL) == dh->g->pub + 1)
		dh->key = ecp_key(dh->g, octets, x);
	if (dh->key) {
		memcpy(dh->pub, octets + 1, dh->g->pub);
		err = 0;
	}
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return err;
}

static int mont_new(struct dh *dh, struct span priv)
{
	size_t len = dh->g->pub;

	dh->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv.p, priv.len);
	return dh->key && EVP_PKEY_get_raw_public_key(dh->key, dh->pub, &len) ? 0 : -EIO;
}

int dh_from_private(uint16_t group, struct span priv, struct dh **ret)
{
	const struct group *g = group_of(group);
	BIGNUM *x = NULL;
	struct dh *dh;
	int err = -ENOMEM;

	if (!g)
		return -ENOTSUP;
	if (priv.len != g->priv)
		return -ERANGE;
	dh = calloc(1, sizeof(*dh));
	if (!dh)
		return -ENOMEM;
	dh->g = g;
	if (g->kind == MONT) {
		err = mont_new(dh, priv);
	} else {
		x = BN_secure_new();
		if (x && BN_bin2bn(priv.p, priv.len, x)) {
			BN_set_flags(x, BN_FLG_CONSTTIME);
			err = g->kind == MODP ? modp_new(dh, x) : ecp_new(dh, x);
		}
		BN_clear_free(x);
	}
	if (err) {
		dh_free(dh);
		return err;
	}
	*ret = dh;
	return 0;
}

int dh_new(uint16_t group, int (*random)(void *self, void *buf, size_t len), void *self, struct dh **ret)
{
	const struct group *g = group_of(group);
	uint8_t priv[64];
	int err, tries;

	if (!g)
		return -ENOTSUP;
	/* A P-256 scalar is out of range once in 2^32; more than a few times is a broken generator. */
	for (tries = 0, err = -ERANGE; err == -ERANGE && tries < 8; tries++) {
		err = random(self, priv, g->priv);
		if (!err)
			err = dh_from_private(group, (struct span){priv, g->priv}, ret);
	}
	OPENSSL_cleanse(priv, sizeof(priv));
	return err;
}

void dh_free(struct dh *dh)
{
	if (!dh)
		return;
	EVP_PKEY_free(dh->key);
	free(dh);
}

uint16_t dh_group(const struct dh *dh)
{
	return dh->g->id;
}

struct span dh_public(const struct dh *dh)
{
	return (struct span){dh->pub, dh->g->pub};
}

static EVP_PKEY *peer_key(const struct group *g, struct span theirs)
{
	uint8_t point[DH_MAX + 1] = {4};
	EVP_PKEY *key = NULL;
	BIGNUM *y;

	switch (g->kind) {
	case MODP:
		y = BN_bin2bn(theirs.p, theirs.len, NULL);
		key = y ? modp_key(g, y, NULL) : NULL;
		BN_free(y);
		break;
	case ECP:
		memcpy(point + 1, theirs.p, theirs.len);
		key = ecp_key(g, point, NULL);
		break;
	case MONT:
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs.p, theirs.len);
		break;
	}
	return key;
}

int dh_shared(const struct dh *dh, struct span theirs, uint8_t ret[DH_MAX], size_t *len)
{
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *peer;
	int err = -EBADMSG;

	if (theirs.len != dh->g->pub)
		return -EBADMSG;
	peer = peer_key(dh->g, theirs);
	ctx = EVP_PKEY_CTX_new(dh->key, NULL);
	*len = dh->g->secret;
	/* set_peer checks 1 < y < p-1 or that the point is on the curve; X25519's derive refuses a zero
	 * result. */
	if (peer && ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
	    (dh->g->kind != MODP || EVP_PKEY_CTX_set_dh_pad(ctx, 1) > 0) &&
	    EVP_PKEY_derive(ctx, ret, len) > 0 && *len == dh->g->secret)
		err = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return err;
}
