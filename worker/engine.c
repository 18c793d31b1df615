// SPDX-License-Identifier: BSD-2-Clause
#include "engine.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define X(e, name, encr, bits, integ, key, salt, ikey, iv, icv, align) \
	[ADIT_SUITE_##e] = {name, encr, bits, integ, key, salt, ikey, iv, icv, align},
static const struct suite suites[ADIT_SUITE_COUNT] = {ADIT_SUITES(X)};
#undef X

/* The first that runs a suite gets it. */
static const struct engine *const engines[] = {
#ifdef HAVE_IPSEC_MB
	&engine_ipsec_mb,
#endif
	&engine_openssl,
};

#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

static const struct engine *only;

const struct suite *suite_find(uint32_t suite)
{
	return suite > ADIT_SUITE_NONE && suite < ADIT_SUITE_COUNT ? &suites[suite] : NULL;
}

int engines_prefer(const char *name)
{
	size_t i;

	only = NULL;
	if (!name)
		return 0;
	for (i = 0; i < N_ENGINES; i++)
		if (!strcmp(engines[i]->name, name))
			only = engines[i];
	return only ? 0 : -ENOENT;
}

/* An engine asked for by name does what it can; the suites it lacks go to the others all the same. */
static const struct engine *engine_for(enum adit_suite suite)
{
	size_t i;

	if (only && only->runs(suite))
		return only;
	for (i = 0; i < N_ENGINES; i++)
		if (engines[i]->runs(suite))
			return engines[i];
	return NULL;
}

int crypt_init(struct crypt *c, const struct adit_msg_sa_add *sa)
{
	const struct suite *s = suite_find(sa->suite);
	int err;

	memset(c, 0, sizeof(*c));
	if (!s)
		return -ENOTSUP;
	c->engine = engine_for(sa->suite);
	if (!c->engine)
		return -ENOTSUP;

	c->iv_len = s->iv_len;
	c->icv_len = s->icv_len;
	c->align = s->align;
	c->esn = sa->esn != 0;
	memcpy(c->salt, sa->salt, s->salt_len);
	err = c->engine->key(c, sa);
	if (err)
		crypt_wipe(c);
	return err;
}

void crypt_wipe(struct crypt *c)
{
	if (c->engine)
		c->engine->wipe(c);
	OPENSSL_cleanse(c, sizeof(*c));
}

const char *crypt_engine_name(enum adit_suite suite)
{
	const struct engine *e = engine_for(suite);

	return e ? e->name : "none";
}

int crypt_warm_up(void)
{
	struct adit_msg_sa_add m = {0};
	struct crypt *c;
	int err = 0;

	c = aligned_alloc(_Alignof(struct crypt), sizeof(*c));
	if (!c)
		return -ENOMEM;
	m.direction = ADIT_OUT;
	for (m.suite = ADIT_SUITE_NONE + 1; m.suite < ADIT_SUITE_COUNT && !err; m.suite++) {
		err = crypt_init(c, &m);
		if (!err)
			crypt_wipe(c);
	}
	free(c);
	return err;
}
