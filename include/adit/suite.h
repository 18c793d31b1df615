/* SPDX-License-Identifier: BSD-2-Clause */
/* The ESP suites, once: what a suite is called, its IANA transforms (RFC 7296 3.3.2), the octets of key it
 * takes out of KEYMAT and the shape it gives a packet.  ike negotiates rows, worker runs them, the maps carry
 * the shape only. */
#ifndef ADIT_SUITE_H
#define ADIT_SUITE_H

/*        enum               name                 encr  bits integ  key salt ikey  iv  icv align */
#define ADIT_SUITES(X)                                                                                       \
	X(AES_GCM16_128,     "aes128gcm16",       20,   128, 0,     16, 4,   0,    8,  16, 4)                  \
	X(AES_GCM16_192,     "aes192gcm16",       20,   192, 0,     24, 4,   0,    8,  16, 4)                  \
	X(AES_GCM16_256,     "aes256gcm16",       20,   256, 0,     32, 4,   0,    8,  16, 4)                  \
	X(AES_CBC128_SHA256, "aes128-sha256",     12,   128, 12,    16, 0,   32,   16, 16, 16)                 \
	X(AES_CBC192_SHA256, "aes192-sha256",     12,   192, 12,    24, 0,   32,   16, 16, 16)                 \
	X(AES_CBC256_SHA256, "aes256-sha256",     12,   256, 12,    32, 0,   32,   16, 16, 16)                 \
	X(AES_CBC128_SHA384, "aes128-sha384",     12,   128, 13,    16, 0,   48,   16, 24, 16)                 \
	X(AES_CBC192_SHA384, "aes192-sha384",     12,   192, 13,    24, 0,   48,   16, 24, 16)                 \
	X(AES_CBC256_SHA384, "aes256-sha384",     12,   256, 13,    32, 0,   48,   16, 24, 16)                 \
	X(AES_CBC128_SHA512, "aes128-sha512",     12,   128, 14,    16, 0,   64,   16, 32, 16)                 \
	X(AES_CBC192_SHA512, "aes192-sha512",     12,   192, 14,    24, 0,   64,   16, 32, 16)                 \
	X(AES_CBC256_SHA512, "aes256-sha512",     12,   256, 14,    32, 0,   64,   16, 32, 16)

enum adit_suite {
	ADIT_SUITE_NONE,
#define X(e, ...) ADIT_SUITE_##e,
	ADIT_SUITES(X)
#undef X
	ADIT_SUITE_COUNT
};

#define ADIT_KEY_MAX   32 /* cipher key */
#define ADIT_SALT_MAX  4
#define ADIT_IKEY_MAX  64 /* integrity key */
#define ADIT_ICV_MAX   32
#define ADIT_IV_MAX    16
#define ADIT_ALIGN_MAX 16

#endif
