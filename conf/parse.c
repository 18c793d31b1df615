// SPDX-License-Identifier: BSD-2-Clause
#include "parse.h"

#include <stdlib.h>
#include <string.h>

void *parse_alloc(struct parse *p, size_t size)
{
	void *m = calloc(1, size);

	if (!m)
		p->no_memory = true;
	return m;
}

bool parse_append(struct parse *p, void *array, size_t *n, void *item)
{
	void **v;

	memcpy(&v, array, sizeof(v));
	/* Full when the count is a power of two: the capacity needs no field of its own. */
	if ((*n & (*n - 1)) == 0) {
		void **grown = reallocarray(v, *n ? *n * 2 : 1, sizeof(*v));

		if (!grown) {
			p->no_memory = true;
			return false;
		}
		v = grown;
		memcpy(array, &v, sizeof(v));
	}
	v[(*n)++] = item;
	return true;
}

/* ---- getting back on one's feet ------------------------------------------------------------ */

/* To the end of a statement that made no sense, with the block it may carry. */
static void skip_statement(struct parse *p)
{
	struct lex before;
	struct token t;
	unsigned depth = 0;

	for (;;) {
		before = p->lex;
		lex_next(&p->lex, &t);
		if (t.kind == TOKEN_EOF || (t.kind == TOKEN_CLOSE && depth == 0)) {
			p->lex = before;
			return;
		}
		if (t.kind == TOKEN_OPEN)
			depth++;
		else if (t.kind == TOKEN_CLOSE && --depth == 0)
			return;
		else if (t.kind == TOKEN_END && depth == 0)
			return;
	}
}

static const struct block *block_find(const char *name)
{
	size_t b;

	for (b = 0; b < BLOCK_COUNT; b++)
		if (blocks[b].top && strcmp(blocks[b].name, name) == 0)
			return &blocks[b];
	return NULL;
}

/* Does "peer hq {" stand here?  Inside of another block that means that its "}" was forgotten. */
static bool block_starts_here(const struct lex *here)
{
	struct lex ahead = *here;
	struct token t;
	const struct block *b;

	lex_next(&ahead, &t);
	b = t.kind == TOKEN_WORD ? block_find(t.text) : NULL;
	if (!b)
		return false;
	lex_next(&ahead, &t);
	if (b->named) {
		if (t.kind != TOKEN_WORD)
			return false;
		lex_next(&ahead, &t);
	}
	return t.kind == TOKEN_OPEN;
}

/* ---- pieces -------------------------------------------------------------------------------- */

static const char *token_str(const struct token *t)
{
	switch (t->kind) {
	case TOKEN_WORD:
		return t->text;
	case TOKEN_OPEN:
		return "{";
	case TOKEN_CLOSE:
		return "}";
	case TOKEN_ARROW:
		return "->";
	case TOKEN_END:
		return "the end of the statement";
	case TOKEN_EOF:
		return "the end of the file";
	case TOKEN_BAD:
		return "something unreadable";
	}
	return "";
}

/* The brace that opens a block; it may stand on a line of its own. */
static bool open_block(struct parse *p, const char *what)
{
	struct lex before;
	struct token t;

	do {
		before = p->lex;
		lex_next(&p->lex, &t);
	} while (t.kind == TOKEN_END && p->lex.p[-1] == '\n');
	if (t.kind == TOKEN_OPEN)
		return true;
	diag_error(p->diag, t.at, "expected \"{\" after %s, not \"%.64s\"", what, token_str(&t));
	p->lex = before;
	skip_statement(p);
	return false;
}

/* The next statement's first word.  False when the block is over, however it ended. */
static bool next_statement(struct parse *p, const struct frame *f, struct token *t)
{
	struct lex before;

	for (;;) {
		before = p->lex;
		lex_next(&p->lex, t);
		switch (t->kind) {
		case TOKEN_END:
			continue;
		case TOKEN_CLOSE:
			return false;
		case TOKEN_EOF:
			diag_error(p->diag, f->at, "%s is never closed: \"}\" is missing", f->what);
			return false;
		case TOKEN_WORD:
			if (!block_starts_here(&before))
				return true;
			diag_error(p->diag, t->at, "\"}\" of %s (%u:%u) is missing before this", f->what,
				   f->at.line, f->at.col);
			p->lex = before;
			return false;
		case TOKEN_BAD:
			diag_error(p->diag, t->at, "%s", t->text);
			break;
		case TOKEN_OPEN:
		case TOKEN_ARROW:
			diag_error(p->diag, t->at, "expected a key, not \"%s\"", token_str(t));
			p->lex = before;
			break;
		}
		skip_statement(p);
	}
}

/* The words of a statement behind its first.  With a key, another key of the block among them shows that a
 * separator was forgotten.  Returns how many, or -1 after complaining. */
static int statement_words(struct parse *p, const struct frame *f, const struct key *key,
			   struct token v[STATEMENT_MAX])
{
	struct lex before;
	struct token t;
	int n = 0;

	for (;;) {
		before = p->lex;
		lex_next(&p->lex, &t);
		if (t.kind == TOKEN_END)
			return n;
		if (t.kind == TOKEN_CLOSE || t.kind == TOKEN_EOF) {
			p->lex = before;
			return n;
		}
		if (t.kind == TOKEN_WORD && key && n && key->kind != KEY_REFS && key_find(f->block, t.text) &&
		    !word_find(key->words, t.text)) {
			diag_error(p->diag, t.at, "\";\" or a new line is missing before \"%s\"", t.text);
			p->lex = before;
			return n;
		}
		if (t.kind == TOKEN_BAD)
			diag_error(p->diag, t.at, "%s", t.text);
		else if (t.kind == TOKEN_OPEN || (key && t.kind == TOKEN_ARROW))
			diag_error(p->diag, t.at, "\"%s\" does not belong here", token_str(&t));
		else if (n == STATEMENT_MAX)
			diag_error(p->diag, t.at, "too many words");
		else {
			v[n++] = t;
			continue;
		}
		p->lex = before;
		/* A brace closes what it opened, the rest of the line goes. */
		skip_statement(p);
		return -1;
	}
}

static void unknown_key(struct parse *p, const struct frame *f, const struct token *t)
{
	struct guess g = {.word = t->text};
	const struct block *elsewhere = NULL;
	const struct key *meant;
	struct conf_loc *place;
	char maybe[64];
	size_t i;

	for (i = 0; i < keys_n; i++) {
		if (keys[i].block == f->block)
			guess_offer(&g, keys[i].name);
		else if (!elsewhere && strcmp(keys[i].name, t->text) == 0)
			elsewhere = &blocks[keys[i].block];
	}
	if (elsewhere)
		diag_error(p->diag, t->at, "unknown key \"%s\" in %s (it belongs into %s)", t->text, f->what,
			   elsewhere->name);
	if (elsewhere)
		return;
	guess_text(&g, maybe, sizeof(maybe));
	diag_error(p->diag, t->at, "unknown key \"%.64s\" in %s%s", t->text, f->what, maybe);
	/* A key that was misspelt is not missing as well. */
	meant = maybe[0] ? key_find(f->block, g.best) : NULL;
	place = meant ? (struct conf_loc *)((char *)f->obj + meant->at) : NULL;
	if (place && !place->line)
		*place = t->at;
}

static void keyed_statement(struct parse *p, const struct frame *f, const struct token *t);

/* A block of keys in an object that its caller has made. */
static void keyed_block(struct parse *p, const struct frame *f)
{
	struct token t;

	if (!open_block(p, f->what))
		return;
	while (next_statement(p, f, &t))
		keyed_statement(p, f, &t);
}

static void keyed_statement(struct parse *p, const struct frame *f, const struct token *t)
{
	const struct key *key = key_find(f->block, t->text);
	struct conf_loc *place = key ? (struct conf_loc *)((char *)f->obj + key->at) : NULL;
	struct token v[STATEMENT_MAX];
	struct frame inner;
	int n;

	if (!key) {
		unknown_key(p, f, t);
		skip_statement(p);
		return;
	}
	if (place->line) {
		diag_error(p->diag, t->at, "second \"%s\" in %s (the first is at %u:%u)", key->name, f->what,
			   place->line, place->col);
		skip_statement(p);
		return;
	}
	if (key->kind == KEY_BLOCK) {
		inner = (struct frame){.block = key->target, .obj = f->obj, .at = t->at};
		snprintf(inner.what, sizeof(inner.what), "%s of %.64s", key->name, f->what);
		*place = t->at;
		keyed_block(p, &inner);
		return;
	}
	n = statement_words(p, f, key, v);
	if (n > 0)
		value_set(p, f, key, v, n);
	else if (n == 0)
		diag_error(p->diag, t->at, "%s lacks a value", key->name);
	if (n <= 0)
		*place = t->at; /* mentioned, so not missing as well */
}

/* ---- numbered statements ------------------------------------------------------------------- */

static bool statement_number(struct parse *p, const struct token *t, uint32_t *ret)
{
	uint64_t n;

	if (number_parse(t->text, &n) && n >= 1 && n <= CONF_NUMBER_MAX) {
		*ret = n;
		return true;
	}
	diag_error(p->diag, t->at, "\"%.64s\": numbers go from 1 to %u", t->text, CONF_NUMBER_MAX);
	return false;
}

static void acl_block(struct parse *p, const struct frame *f)
{
	struct conf_acl *acl = f->obj;
	struct token t, v[STATEMENT_MAX];

	if (!open_block(p, f->what))
		return;
	while (next_statement(p, f, &t)) {
		struct conf_acl_rule *r;
		uint32_t number;
		int n;

		if (!number_parse(t.text, &(uint64_t){0})) {
			diag_error(p->diag, t.at,
				   "a rule starts with its number, as in \"5 permit ip 10.1.1.0/24 -> "
				   "10.1.2.0/24\"");
			skip_statement(p);
			continue;
		}
		if (!statement_number(p, &t, &number)) {
			skip_statement(p);
			continue;
		}
		n = statement_words(p, f, NULL, v);
		if (n == 0)
			diag_error(p->diag, t.at, "rule %u is empty", number);
		if (n <= 0)
			continue;
		r = parse_alloc(p, sizeof(*r));
		if (!r)
			return;
		r->loc = t.at;
		r->number = number;
		if (!acl_statement(p, r, v, n) || !parse_append(p, &acl->rules, &acl->n_rules, r))
			free(r);
	}
}

static void entry_statement(struct parse *p, const struct frame *f, const struct token *number)
{
	struct conf_policy *policy = f->obj;
	struct frame inner = {.block = BLOCK_ENTRY, .at = number->at};
	struct conf_entry *e;
	struct token t;
	uint32_t n;

	if (!statement_number(p, number, &n)) {
		skip_statement(p);
		return;
	}
	lex_next(&p->lex, &t);
	if (t.kind != TOKEN_WORD || strcmp(t.text, "isakmp")) {
		bool known = t.kind == TOKEN_WORD &&
			     (strcmp(t.text, "manual") == 0 || strcmp(t.text, "template") == 0);

		diag_error(p->diag, t.at, "entry %u cannot be \"%.64s\"%s; allowed: isakmp", n, token_str(&t),
			   known ? ": not there yet" : "");
		skip_statement(p);
		return;
	}
	e = parse_alloc(p, sizeof(*e));
	if (!e)
		return;
	e->loc = number->at;
	e->number = n;
	if (!parse_append(p, &policy->entries, &policy->n_entries, e)) {
		free(e);
		return;
	}
	inner.obj = e;
	snprintf(inner.what, sizeof(inner.what), "entry %u of %.64s", n, f->what);
	keyed_block(p, &inner);
	value_finish(p, &inner);
}

static void policy_block(struct parse *p, const struct frame *f)
{
	struct token t;

	if (!open_block(p, f->what))
		return;
	while (next_statement(p, f, &t)) {
		if (t.text[0] >= '0' && t.text[0] <= '9')
			entry_statement(p, f, &t);
		else
			keyed_statement(p, f, &t);
	}
	value_finish(p, f);
}

/* ---- top level ----------------------------------------------------------------------------- */

static bool name_ok(struct parse *p, const struct block *b, const struct token *t)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-";
	size_t len = strlen(t->text);

	if (!len || len > b->name_max) {
		diag_error(p->diag, t->at, "the name of this %s has %zu characters; allowed: 1 to %zu",
			   b->name, len, b->name_max);
		return false;
	}
	if (strspn(t->text, allowed) != len) {
		diag_error(p->diag, t->at, "\"%.64s\": names are made of letters, digits and _ . : -",
			   t->text);
		return false;
	}
	return true;
}

#define NEW(type, list, count)                                           \
	{                                                                \
		struct type *o = parse_alloc(p, sizeof(*o));             \
		if (!o)                                                  \
			return NULL;                                     \
		o->loc = at;                                             \
		snprintf(o->name, sizeof(o->name), "%s", name);          \
		if (parse_append(p, &p->conf->list, &p->conf->count, o)) \
			return o;                                        \
		free(o);                                                 \
		return NULL;                                             \
	}

static void *new_object(struct parse *p, enum block_id block, struct conf_loc at, const char *name)
{
	switch (block) {
	case BLOCK_ADIT:
		p->conf->adit.loc = at;
		return &p->conf->adit;
	case BLOCK_INTERFACE:
		NEW(conf_interface, interfaces, n_interfaces)
	case BLOCK_IKE_PROPOSAL:
		NEW(conf_ike_proposal, ike_proposals, n_ike_proposals)
	case BLOCK_ESP_PROPOSAL:
		NEW(conf_esp_proposal, esp_proposals, n_esp_proposals)
	case BLOCK_PEER:
		NEW(conf_peer, peers, n_peers)
	case BLOCK_ACL:
		NEW(conf_acl, acls, n_acls)
	case BLOCK_POLICY:
		NEW(conf_policy, policies, n_policies)
	case BLOCK_DPD:
	case BLOCK_ENTRY:
	case BLOCK_COUNT:
		break;
	}
	return NULL;
}
#undef NEW

static void block_body(struct parse *p, struct frame *f)
{
	struct conf_peer *peer = f->obj;

	switch (f->block) {
	case BLOCK_ACL:
		acl_block(p, f);
		return;
	case BLOCK_POLICY:
		policy_block(p, f);
		return;
	case BLOCK_PEER:
		keyed_block(p, f);
		value_finish(p, f);
		peer->dpd.loc = peer->at.dpd;
		f->block = BLOCK_DPD;
		value_finish(p, f);
		return;
	case BLOCK_ADIT:
	case BLOCK_INTERFACE:
	case BLOCK_IKE_PROPOSAL:
	case BLOCK_ESP_PROPOSAL:
	case BLOCK_DPD:
	case BLOCK_ENTRY:
	case BLOCK_COUNT:
		keyed_block(p, f);
		value_finish(p, f);
		return;
	}
}

static void top_block(struct parse *p, const struct block *b, const struct token *start)
{
	struct frame f = {.block = b - blocks, .at = start->at};
	struct token name = {.text = ""};

	snprintf(f.what, sizeof(f.what), "%s", b->name);
	if (b->named) {
		struct lex before = p->lex;

		lex_next(&p->lex, &name);
		if (name.kind != TOKEN_WORD) {
			diag_error(p->diag, start->at, "%s lacks a name", b->name);
			p->lex = before;
			skip_statement(p);
			return;
		}
		if (!name_ok(p, b, &name)) {
			skip_statement(p);
			return;
		}
		f.at = name.at;
		/* name_ok lets nothing longer pass. */
		snprintf(f.what, sizeof(f.what), "%s \"%.*s\"", b->name, CONF_NAME_SIZE - 1, name.text);
	} else if (p->conf->adit.loc.line) {
		diag_error(p->diag, start->at, "second %s block (the first is at %u:%u)", b->name,
			   p->conf->adit.loc.line, p->conf->adit.loc.col);
		skip_statement(p);
		return;
	}
	f.obj = new_object(p, f.block, f.at, name.text);
	if (f.obj)
		block_body(p, &f);
}

static void unknown_block(struct parse *p, const struct token *t)
{
	struct guess g = {.word = t->text};
	char maybe[64];
	size_t b;

	for (b = 0; b < BLOCK_COUNT; b++)
		if (blocks[b].top)
			guess_offer(&g, blocks[b].name);
	diag_error(p->diag, t->at, "unknown block \"%.64s\"%s", t->text,
		   guess_text(&g, maybe, sizeof(maybe)));
	skip_statement(p);
}

void parse_file(struct parse *p)
{
	struct lex before;
	struct token t;

	while (!p->no_memory) {
		const struct block *b;

		before = p->lex;
		lex_next(&p->lex, &t);
		b = t.kind == TOKEN_WORD ? block_find(t.text) : NULL;
		if (t.kind == TOKEN_EOF)
			return;
		if (t.kind == TOKEN_END)
			continue;
		if (b) {
			top_block(p, b, &t);
		} else if (t.kind == TOKEN_WORD) {
			unknown_block(p, &t);
		} else if (t.kind == TOKEN_CLOSE) {
			diag_error(p->diag, t.at, "\"}\" without a block that it could close");
		} else {
			diag_error(p->diag, t.at, "%s",
				   t.kind == TOKEN_BAD ? t.text : "a block starts with its kind");
			if (t.kind == TOKEN_OPEN)
				p->lex = before;
			skip_statement(p);
		}
	}
}
