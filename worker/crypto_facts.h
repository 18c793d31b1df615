/* SPDX-License-Identifier: BSD-2-Clause */
/* Which crypto engines are in this binary, which of them this machine uses, and whether its CPU could do better:
 * for `adit version`, `aditd --version`, the log and `adit status`. */
#ifndef ADIT_CRYPTO_FACTS_H
#define ADIT_CRYPTO_FACTS_H

#include <stdbool.h>

#define CRYPTO_TEXT 256

struct crypto_facts {
	bool mb_built, mb_runs; /* IPsec-MB: is in the binary, does AES-GCM here */
	char mb_version[32];	/* of the library that is loaded */
	char mb_routine[32];	/* what it chose for this CPU, "vaes_avx512"; empty: it does not say */
	char openssl_version[32];
	const char *gcm, *rest; /* names of the engines that do AES-GCM and the other suites */
	bool cpu_aes, cpu_vaes; /* has what fast AES-GCM needs; the same for several blocks at a time */
};

void crypto_facts(struct crypto_facts *ret);

/* "built with ipsec-mb 1.3.0 (vaes_avx512) and openssl 3.0.17; AES-GCM by ipsec-mb, the rest by openssl" */
const char *crypto_facts_str(const struct crypto_facts *f, char buf[CRYPTO_TEXT]);

/* Why AES-GCM runs at a fraction of what this CPU allows: the build or the library is not what it should be.
 * NULL: it does not. */
const char *crypto_facts_warning(const struct crypto_facts *f, char buf[CRYPTO_TEXT]);
/* What a newer library than perhaps the distribution has would make better; no fault of this machine.  NULL:
 * nothing. */
const char *crypto_facts_note(const struct crypto_facts *f, char buf[CRYPTO_TEXT]);

#endif
