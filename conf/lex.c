// SPDX-License-Identifier: BSD-2-Clause
#include "lex.h"

#include <string.h>

void lex_open(struct lex *lex, const char *text, size_t len)
{
	lex->p = text;
	lex->end = text + len;
	lex->at = (struct conf_loc){1, 1};
}

static int look(const struct lex *lex, size_t ahead)
{
	return (size_t)(lex->end - lex->p) > ahead ? (unsigned char)lex->p[ahead] : -1;
}

static void step(struct lex *lex)
{
	if (*lex->p++ == '\n') {
		lex->at.line++;
		lex->at.col = 1;
	} else {
		lex->at.col++;
	}
}

static void skip_blank(struct lex *lex)
{
	for (;;) {
		int c = look(lex, 0);

		if (c == '#')
			while (lex->p < lex->end && *lex->p != '\n')
				step(lex);
		else if (c == ' ' || c == '\t' || c == '\r')
			step(lex);
		else
			return;
	}
}

static void take(struct lex *lex, struct token *t, enum token_kind kind, unsigned chars)
{
	t->kind = kind;
	while (chars--)
		step(lex);
}

static void bad(struct token *t, const char *why)
{
	t->kind = TOKEN_BAD;
	snprintf(t->text, sizeof(t->text), "%s", why);
}

/* Printable, and every octet of UTF-8; the rest has no business in a file that people read. */
static bool in_text(int c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static bool in_word(const struct lex *lex)
{
	int c = look(lex, 0);

	return c > 0x20 && c != 0x7f && !strchr("{};\"", c) && !(c == '-' && look(lex, 1) == '>');
}

static void word(struct lex *lex, struct token *t)
{
	size_t n = 0;

	t->kind = TOKEN_WORD;
	while (in_word(lex)) {
		if (n + 1 < sizeof(t->text))
			t->text[n++] = *lex->p;
		else
			t->kind = TOKEN_BAD;
		step(lex);
	}
	t->text[n] = '\0';
	if (t->kind == TOKEN_BAD)
		bad(t, "a word of more than 511 characters");
}

static void quoted(struct lex *lex, struct token *t)
{
	size_t n = 0;

	t->kind = TOKEN_WORD;
	step(lex);
	while (look(lex, 0) != '"') {
		if (look(lex, 0) < 0 || look(lex, 0) == '\n') {
			bad(t, "a quote that is not closed on its line");
			return;
		}
		if (!in_text(look(lex, 0)) || n + 1 >= sizeof(t->text))
			t->kind = TOKEN_BAD;
		else
			t->text[n++] = *lex->p;
		step(lex);
	}
	step(lex);
	t->text[n] = '\0';
	if (t->kind == TOKEN_BAD)
		bad(t, "a quoted word with control characters, or of more than 511 characters");
}

void lex_next(struct lex *lex, struct token *t)
{
	int c;

	skip_blank(lex);
	t->at = lex->at;
	t->text[0] = '\0';
	c = look(lex, 0);
	if (c < 0)
		take(lex, t, TOKEN_EOF, 0);
	else if (c == '{')
		take(lex, t, TOKEN_OPEN, 1);
	else if (c == '}')
		take(lex, t, TOKEN_CLOSE, 1);
	else if (c == ';' || c == '\n')
		take(lex, t, TOKEN_END, 1);
	else if (c == '"')
		quoted(lex, t);
	else if (c == '-' && look(lex, 1) == '>')
		take(lex, t, TOKEN_ARROW, 2);
	else if (in_word(lex))
		word(lex, t);
	else {
		take(lex, t, TOKEN_BAD, 1);
		snprintf(t->text, sizeof(t->text), "a control character (0x%02x)", c);
	}
}
