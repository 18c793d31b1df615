/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of keys: the parser, the defaults, "did you mean" and the manual all read it. */
#ifndef ADIT_CONF_KEYS_H
#define ADIT_CONF_KEYS_H

#include "conf.h"

enum block_id {
	BLOCK_ADIT,
	BLOCK_INTERFACE,
	BLOCK_IKE_PROPOSAL,
	BLOCK_ESP_PROPOSAL,
	BLOCK_PEER,
	BLOCK_DPD,
	BLOCK_ACL,
	BLOCK_POLICY,
	BLOCK_ENTRY,
	BLOCK_COUNT,
};

struct block {
	const char *name;
	bool top;	 /* may stand outside of every other block */
	bool named;	 /* carries a name */
	size_t name_max; /* characters */
	const char *help;
};

extern const struct block blocks[BLOCK_COUNT];

/* A word that a key knows.  One with `refused` is known in order to say why it cannot be had. */
struct word {
	const char *name;
	int value;
	uint16_t key_bits;
	bool aead;
	bool alias; /* accepted, not advertised */
	const char *refused;
};

enum key_kind {
	KEY_CHOICE,  /* one of words */
	KEY_NUMBER,  /* min..max, or one of words */
	KEY_TIME,    /* seconds, min..max, or one of words */
	KEY_BYTES,   /* likewise */
	KEY_ALGS,    /* words, most wanted first */
	KEY_REF,     /* name of a `target` */
	KEY_REFS,    /* names, most wanted first */
	KEY_ADDRESS, /* or "any": then the flag at `extra` is set */
	KEY_ID,
	KEY_PSK,
	KEY_BLOCK, /* `target` follows in braces */
};

#define KEY_REQUIRED 1
#define KEY_OUTSIDE  2 /* means nothing on an inside interface */
#define KEY_INSIDE   4 /* means nothing on an outside interface */

struct key {
	enum block_id block;
	const char *name;
	enum key_kind kind;
	unsigned flags;
	/* Where the value, its location and, for some kinds, a second part live in the object. */
	size_t offset, at, extra, size;
	const struct word *words;
	uint64_t min, max; /* KEY_ALGS, KEY_REFS: max is how many */
	enum block_id target;
	const char *def; /* parsed like a written value; in parentheses: words for the manual only */
	const char *help;
};

extern const struct key keys[];
extern const size_t keys_n;

const struct key *key_find(enum block_id block, const char *name);
/* "auto, native, generic" */
const char *key_allowed(const struct key *key, char *buf, size_t size);
const struct word *word_find(const struct word *words, const char *name);
/* The name that stands for a value of a word list, or NULL. */
const char *word_name(const struct word *words, int value, uint16_t key_bits);

/* The key part of docs/configuration.md. */
void keys_markdown(FILE *f);

#endif
