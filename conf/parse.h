/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parsing files of this room share.  Order: parse_file fills the objects and notes every name that
 * was mentioned, refs_resolve turns names into pointers, check_conf looks at what only shows in the whole. */
#ifndef ADIT_CONF_PARSE_H
#define ADIT_CONF_PARSE_H

#include "conf.h"
#include "diag.h"
#include "keys.h"
#include "lex.h"

/* A name that some object mentions; slot is a pointer to const struct conf_X of the target's kind. */
struct ref {
	void *slot;
	enum block_id target;
	struct conf_loc at;
	char name[CONF_NAME_SIZE];
};

struct parse {
	struct lex lex;
	struct conf *conf;
	struct conf_diag *diag;
	struct ref **refs;
	size_t n_refs;
	bool no_memory;
	bool look_at_keys; /* key files are read, too */
};

/* The block that is being read. */
struct frame {
	enum block_id block;
	void *obj;
	struct conf_loc at;
	char what[96]; /* "peer \"hq\"", for messages */
};

void parse_file(struct parse *p);

/* One key's words into the object; complains and leaves the object alone when they do not fit. */
void value_set(struct parse *p, const struct frame *f, const struct key *key, const struct token *v,
	       size_t n);
/* Defaults of keys that were not written, complaints about required ones. */
void value_finish(struct parse *p, const struct frame *f);

/* "permit tcp 10.1.1.0/24 port 80 -> 10.1.3.0/24 port 1000-2000"; false after complaining. */
bool acl_statement(struct parse *p, struct conf_acl_rule *r, const struct token *v, size_t n);
#define STATEMENT_MAX 10 /* words; more are too many for every statement */

void id_from_addr(const struct addr *a, struct conf_id *id);

void refs_resolve(struct parse *p);
void check_conf(struct parse *p);
/* Reads the peer's key as conf_read_secrets would, says what is wrong with it, and forgets it. */
void secret_check(const struct conf_peer *peer, struct conf_diag *diag);

/* Zeroed memory, or NULL and no_memory. */
void *parse_alloc(struct parse *p, size_t size);
/* Appends to an array of pointers that grows by doubling; false and no_memory. */
bool parse_append(struct parse *p, void *array, size_t *n, void *item);

/* Decimal digits only. */
bool number_parse(const char *text, uint64_t *ret);

#endif
