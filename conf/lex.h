/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a configuration file.  A struct lex is a position and nothing more: copy it to look ahead. */
#ifndef ADIT_CONF_LEX_H
#define ADIT_CONF_LEX_H

#include "conf.h"

#define TOKEN_MAX 512

enum token_kind {
	TOKEN_WORD,
	TOKEN_OPEN,  /* { */
	TOKEN_CLOSE, /* } */
	TOKEN_ARROW, /* -> */
	TOKEN_END,   /* of a statement: ; or the end of the line */
	TOKEN_EOF,
	TOKEN_BAD, /* text says what is wrong */
};

struct token {
	enum token_kind kind;
	struct conf_loc at;
	char text[TOKEN_MAX]; /* of a word; quotes are gone */
};

struct lex {
	const char *p, *end;
	struct conf_loc at;
};

void lex_open(struct lex *lex, const char *text, size_t len);
void lex_next(struct lex *lex, struct token *ret);

#endif
