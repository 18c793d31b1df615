// SPDX-License-Identifier: BSD-2-Clause
/* Crypto engines as rows of function pointers, and the key state of one SA.
 *
 * An engine works on an ESP packet in place: header, IV and text stand one behind the other, the text is
 * padded to the suite's alignment already, the ICV follows it.  Nothing is allocated per packet by us. */
#ifndef ADIT_ENGINE_H
#define ADIT_ENGINE_H

#include <adit/msg.h>
#include <adit/suite.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESP_HEADER_LEN 8
#define CRYPT_ROOM     1344

struct crypt;

struct engine {
	const char *name;
	/* Can it do the suite, on this CPU? */
	bool (*runs)(enum adit_suite suite);
	int (*key)(struct crypt *c, const struct adit_msg_sa_add *sa);
	/* Writes the IV of packet seq: unique for GCM (RFC 4106 3.1), unpredictable for CBC (RFC 3602 2). */
	int (*iv)(struct crypt *c, uint8_t *iv, uint64_t seq);
	int (*seal)(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high);
	/* -EACCES: the ICV is wrong; the text may then be garbage. */
	int (*open)(struct crypt *c, uint8_t *esp, uint32_t text_len, uint32_t seq_high);
	void (*wipe)(struct crypt *c);
};

/* Key state of one SA and the shape of its packets. */
struct crypt {
	const struct engine *engine; /* NULL: no key */
	uint8_t iv_len, icv_len, align;
	uint8_t esn;
	uint8_t salt[ADIT_SALT_MAX];
	_Alignas(64) uint8_t room[CRYPT_ROOM]; /* the engine's own */
};

struct suite {
	const char *name;
	uint16_t encr, bits, integ; /* IANA */
	uint8_t key_len, salt_len, ikey_len, iv_len, icv_len, align;
};

/* NULL for a number that is no suite. */
const struct suite *suite_find(uint32_t suite);

/* In order of preference.  name: only this one; NULL: any.  -ENOENT: no such engine here. */
int engines_prefer(const char *name);

/* -ENOTSUP: no engine runs the suite. */
int crypt_init(struct crypt *c, const struct adit_msg_sa_add *sa);
/* Leaves no key behind.  All zero is fine. */
void crypt_wipe(struct crypt *c);

/* Fetches and initialises now what would need files or odd system calls later. */
int crypt_warm_up(void);
const char *crypt_engine_name(enum adit_suite suite);

/* Additional data of GCM: SPI | low, or SPI | high | low (RFC 4106 5).  buf is used for the latter. */
static inline const uint8_t *gcm_aad(const struct crypt *c, const uint8_t *esp, uint32_t seq_high,
				     uint8_t buf[12], uint32_t *len)
{
	uint32_t high_be = __builtin_bswap32(seq_high);

	if (!c->esn) {
		*len = 8;
		return esp;
	}
	__builtin_memcpy(buf, esp, 4);
	__builtin_memcpy(buf + 4, &high_be, 4);
	__builtin_memcpy(buf + 8, esp + 4, 4);
	*len = 12;
	return buf;
}

/* RFC 4106 3.1: the IV is eight octets that never repeat under a key; the sequence number is just that. */
static inline void gcm_iv(uint8_t *iv, uint64_t seq)
{
	uint64_t be = __builtin_bswap64(seq);

	__builtin_memcpy(iv, &be, 8);
}

extern const struct engine engine_openssl;
#ifdef HAVE_IPSEC_MB
extern const struct engine engine_ipsec_mb;
/* Version of the library, and the end of its name for the routine that seals with AES-256; empty: unknown. */
void engine_mb_about(char *version, size_t version_size, char *routine, size_t routine_size);
#endif

#endif
