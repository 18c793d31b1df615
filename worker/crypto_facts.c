// SPDX-License-Identifier: BSD-2-Clause
#include "crypto_facts.h"

#include "engine.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

/* In ECX of leaf 7. */
#define CPUID_7_VAES	   (1u << 9)
#define CPUID_7_VPCLMULQDQ (1u << 10)

static void ask_cpu(struct crypto_facts *f)
{
#ifdef __x86_64__
	unsigned a, b, c = 0, d;

	f->cpu_aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
	/* clang 14's built-in has no word for these two. */
	f->cpu_vaes = __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
		      (c & CPUID_7_VAES) && (c & CPUID_7_VPCLMULQDQ);
#else
	(void)f;
#endif
}

void crypto_facts(struct crypto_facts *ret)
{
	struct crypto_facts f = {0};

#ifdef HAVE_IPSEC_MB
	f.mb_built = true;
	f.mb_runs = engine_ipsec_mb.runs(ADIT_SUITE_AES_GCM16_256);
	engine_mb_about(f.mb_version, sizeof(f.mb_version), f.mb_routine, sizeof(f.mb_routine));
#endif
	snprintf(f.openssl_version, sizeof(f.openssl_version), "%s", OpenSSL_version(OPENSSL_VERSION_STRING));
	f.gcm = crypt_engine_name(ADIT_SUITE_AES_GCM16_256);
	f.rest = crypt_engine_name(ADIT_SUITE_AES_CBC256_SHA256);
	ask_cpu(&f);
	*ret = f;
}

const char *crypto_facts_str(const struct crypto_facts *f, char buf[CRYPTO_TEXT])
{
	char mb[80] = "", users[80];

	if (f->mb_built)
		snprintf(mb, sizeof(mb), "ipsec-mb %s%s%s%s and ", f->mb_version, *f->mb_routine ? " (" : "",
			 f->mb_routine, *f->mb_routine ? ")" : "");
	if (strcmp(f->gcm, f->rest))
		snprintf(users, sizeof(users), "AES-GCM by %s, the rest by %s", f->gcm, f->rest);
	else
		snprintf(users, sizeof(users), "everything by %s", f->rest);
	snprintf(buf, CRYPTO_TEXT, "built with %sopenssl %s%s; %s", mb, f->openssl_version,
		 f->mb_built ? "" : ", without ipsec-mb", users);
	return buf;
}

const char *crypto_facts_warning(const struct crypto_facts *f, char buf[CRYPTO_TEXT])
{
	if (f->cpu_aes && !f->mb_built)
		snprintf(buf, CRYPTO_TEXT,
			 "built without IPsec-MB: AES-GCM is OpenSSL's, which takes up to four times as long "
			 "on this CPU; install libipsec-mb-dev and build again");
	else if (f->cpu_aes && !f->mb_runs)
		snprintf(buf, CRYPTO_TEXT,
			 "IPsec-MB %s does not start on this CPU: AES-GCM is OpenSSL's, which takes up to "
			 "four times as long",
			 f->mb_version);
	else
		return NULL;
	return buf;
}

const char *crypto_facts_note(const struct crypto_facts *f, char buf[CRYPTO_TEXT])
{
	if (!f->cpu_vaes || !f->mb_runs || !*f->mb_routine || strstr(f->mb_routine, "vaes"))
		return NULL;
	snprintf(buf, CRYPTO_TEXT,
		 "IPsec-MB %s does AES-GCM without the VAES instructions that this CPU has (%s): a newer "
		 "version of the library may be faster",
		 f->mb_version, f->mb_routine);
	return buf;
}
