// SPDX-License-Identifier: BSD-2-Clause
/* What is said about the crypto engines, on machines that are not this one. */
#include "help.h"

#include "crypto_facts.h"

#include <string.h>

#define WITHOUT .openssl_version = "3.0.1", .gcm = "openssl", .rest = "openssl"
#define WITH	.mb_built = true, .mb_version = "1.3.0", .openssl_version = "3.0.1", .rest = "openssl"
#define FAST	WITH, .mb_runs = true, .gcm = "ipsec-mb"

static const struct {
	struct crypto_facts facts;
	const char *says, *warns, *notes; /* NULL: nothing */
} t[] = {
	/* clang-format off */
	{{WITHOUT, .cpu_aes = true, .cpu_vaes = true},
	 "built with openssl 3.0.1, without ipsec-mb; everything by openssl", "built without IPsec-MB", NULL},
	/* A CPU for which there is nothing better. */
	{{WITHOUT}, "built with openssl 3.0.1, without ipsec-mb; everything by openssl", NULL, NULL},
	{{WITH, .gcm = "openssl"}, "built with ipsec-mb 1.3.0 and openssl 3.0.1; everything by openssl", NULL, NULL},
	{{WITH, .gcm = "openssl", .cpu_aes = true},
	 "built with ipsec-mb 1.3.0 and openssl 3.0.1; everything by openssl", "does not start on this CPU", NULL},
	{{FAST, .mb_routine = "sse", .cpu_aes = true},
	 "built with ipsec-mb 1.3.0 (sse) and openssl 3.0.1; AES-GCM by ipsec-mb, the rest by openssl", NULL, NULL},
	{{FAST, .mb_routine = "avx_gen4", .cpu_aes = true, .cpu_vaes = true},
	 "built with ipsec-mb 1.3.0 (avx_gen4) and openssl 3.0.1; AES-GCM by ipsec-mb, the rest by openssl",
	 NULL, "without the VAES instructions that this CPU has (avx_gen4)"},
	{{FAST, .mb_routine = "vaes_avx512", .cpu_aes = true, .cpu_vaes = true},
	 "built with ipsec-mb 1.3.0 (vaes_avx512) and openssl 3.0.1; AES-GCM by ipsec-mb, the rest by openssl",
	 NULL, NULL},
	/* A library that does not say what it does is not blamed for it. */
	{{FAST, .cpu_aes = true, .cpu_vaes = true},
	 "built with ipsec-mb 1.3.0 and openssl 3.0.1; AES-GCM by ipsec-mb, the rest by openssl", NULL, NULL},
	/* clang-format on */
};

static void expect_sentence(const char *sentence, const char *wanted)
{
	assert_int_equal(sentence != NULL, wanted != NULL);
	if (!sentence)
		return;
	assert_non_null(strstr(sentence, wanted));
	/* Nothing was cut off. */
	assert_true(strlen(sentence) + 1 < CRYPTO_TEXT);
}

static void every_machine_is_told(void **state)
{
	char buf[CRYPTO_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_string_equal(crypto_facts_str(&t[i].facts, buf), t[i].says);
		expect_sentence(crypto_facts_warning(&t[i].facts, buf), t[i].warns);
		expect_sentence(crypto_facts_note(&t[i].facts, buf), t[i].notes);
	}
}

/* The facts are what crypt_init does. */
static void this_machine_is_told_the_truth(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, false);
	struct crypto_facts f;
	struct crypt c;

	(void)state;
	crypto_facts(&f);
	assert_int_equal(crypt_init(&c, &m), 0);
	assert_string_equal(f.gcm, c.engine->name);
	crypt_wipe(&c);
	m = sa_message(ADIT_OUT, ADIT_SUITE_AES_CBC256_SHA256, false);
	assert_int_equal(crypt_init(&c, &m), 0);
	assert_string_equal(f.rest, c.engine->name);
	crypt_wipe(&c);
#ifdef HAVE_IPSEC_MB
	assert_true(f.mb_built && *f.mb_version);
	assert_int_equal(f.mb_runs, !strcmp(f.gcm, "ipsec-mb"));
	/* Routine and version of a library that runs can be had: Debian 12 and 13, at least. */
	assert_int_equal(f.mb_runs, *f.mb_routine != 0);
#else
	assert_false(f.mb_built || f.mb_runs || *f.mb_version || *f.mb_routine);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_machine_is_told),
		cmocka_unit_test(this_machine_is_told_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
