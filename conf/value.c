// SPDX-License-Identifier: BSD-2-Clause
#include "parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{"s",  1    },
	  {"m",	60	  },
	     {"h",  3600 },
	  {"d",	86400},
	{NULL, 0	}
};
/* 1024 as RFC 2407 4.5 counts kilobytes. */
static const struct unit byte_units[] = {
	{"kB", 1ULL << 10},
	    {"MB", 1ULL << 20},
	{"GB", 1ULL << 30},
	    {"TB", 1ULL << 40},
	{NULL, 0		}
};

bool number_parse(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > UINT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (*text - '0');
	}
	*ret = n;
	return true;
}

static bool with_unit(const char *text, const struct unit *unit, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	char number[24];

	if (!digits || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (; unit->name; unit++)
		if (strcasecmp(text + digits, unit->name) == 0)
			return number_parse(number, ret) && !__builtin_mul_overflow(*ret, unit->factor, ret);
	return false;
}

static void store(void *obj, const struct key *key, uint64_t value)
{
	void *to = (char *)obj + key->offset;
	uint32_t narrow = value;

	if (key->size == sizeof(value))
		memcpy(to, &value, sizeof(value));
	else
		memcpy(to, &narrow, sizeof(narrow));
}

static void complain(struct parse *p, const struct key *key, const struct token *v)
{
	const struct word *w = word_find(key->words, v->text);
	char allowed[256], maybe[64];
	struct guess g = {.word = v->text};

	key_allowed(key, allowed, sizeof(allowed));
	if (w && w->refused) {
		diag_error(p->diag, v->at, "%s %s: %s; allowed: %s", key->name, w->name, w->refused, allowed);
		return;
	}
	for (w = key->words; w && w->name; w++)
		if (!w->refused && !w->alias)
			guess_offer(&g, w->name);
	diag_error(p->diag, v->at, "%s cannot be \"%.64s\"%s; allowed: %s", key->name, v->text,
		   guess_text(&g, maybe, sizeof(maybe)), allowed);
}

static bool set_choice(struct parse *p, void *obj, const struct key *key, const struct token *v)
{
	const struct word *w = word_find(key->words, v->text);

	if (!w || w->refused) {
		complain(p, key, v);
		return false;
	}
	store(obj, key, w->value);
	return true;
}

static bool set_quantity(struct parse *p, void *obj, const struct key *key, const struct token *v)
{
	const struct word *w = word_find(key->words, v->text);
	char allowed[256];
	uint64_t n;
	bool ok;

	if (w && !w->refused) {
		store(obj, key, w->value);
		return true;
	}
	ok = key->kind == KEY_TIME    ? with_unit(v->text, time_units, &n)
	     : key->kind == KEY_BYTES ? with_unit(v->text, byte_units, &n)
				      : number_parse(v->text, &n);
	if (!ok && key->kind != KEY_NUMBER && number_parse(v->text, &n)) {
		diag_error(p->diag, v->at, "%s %s lacks a unit, as in %s", key->name, v->text,
			   key->kind == KEY_TIME ? "20s, 10m, 24h, 7d" : "500MB, 10GB");
		return false;
	}
	if (!ok || n < key->min || n > key->max) {
		diag_error(p->diag, v->at, "%s cannot be \"%.64s\"; allowed: %s", key->name, v->text,
			   key_allowed(key, allowed, sizeof(allowed)));
		return false;
	}
	store(obj, key, n);
	return true;
}

static bool set_algs(struct parse *p, void *obj, const struct key *key, const struct token *v, size_t n)
{
	struct conf_algs algs = {.n = 0};
	size_t i, j;

	for (i = 0; i < n; i++) {
		const struct word *w = word_find(key->words, v[i].text);

		if (!w || w->refused) {
			complain(p, key, &v[i]);
			return false;
		}
		for (j = 0; j < i; j++) {
			if (algs.v[j].id == w->value && algs.v[j].key_bits == w->key_bits) {
				diag_error(p->diag, v[i].at, "%s names %s twice", key->name, v[i].text);
				return false;
			}
		}
		algs.v[algs.n++] = (struct conf_alg){w->value, w->key_bits};
	}
	memcpy((char *)obj + key->offset, &algs, sizeof(algs));
	return true;
}

static bool set_refs(struct parse *p, void *obj, const struct key *key, const struct token *v, size_t n)
{
	char *slots = (char *)obj + key->offset;
	unsigned count = n;
	size_t i, j;

	for (i = 0; i < n; i++) {
		struct ref *r;

		for (j = 0; j < i; j++) {
			if (strcmp(v[i].text, v[j].text) == 0) {
				diag_error(p->diag, v[i].at, "%s names \"%.64s\" twice", key->name,
					   v[i].text);
				return false;
			}
		}
		r = parse_alloc(p, sizeof(*r));
		if (!r)
			return false;
		r->slot = slots + i * sizeof(void *);
		r->target = key->target;
		r->at = v[i].at;
		/* Cut names cannot exist, so they stay unknown. */
		snprintf(r->name, sizeof(r->name), "%.31s", v[i].text);
		if (!parse_append(p, &p->refs, &p->n_refs, r)) {
			free(r);
			return false;
		}
	}
	if (key->kind == KEY_REFS)
		memcpy((char *)obj + key->extra, &count, sizeof(count));
	return true;
}

static bool set_address(struct parse *p, void *obj, const struct key *key, const struct token *v)
{
	bool *any = (bool *)((char *)obj + key->extra);
	struct addr a;

	*any = strcmp(v->text, "any") == 0;
	if (*any)
		return true;
	if (addr_parse(v->text, &a)) {
		diag_error(p->diag, v->at,
			   "%s cannot be \"%.64s\": neither an IPv4 or IPv6 address nor any%s", key->name,
			   v->text, strchr(v->text, '/') ? " (a prefix does not belong here)" : "");
		return false;
	}
	if (addr_is_unspecified(&a)) {
		diag_error(p->diag, v->at, "%s %s: write any", key->name, v->text);
		return false;
	}
	memcpy((char *)obj + key->offset, &a, sizeof(a));
	return true;
}

/* ---- identities ---------------------------------------------------------------------------- */

void id_from_addr(const struct addr *a, struct conf_id *id)
{
	const uint8_t *octets;

	id->len = addr_octets(a, &octets);
	id->type = id->len == 4 ? CONF_ID_IPV4 : CONF_ID_IPV6;
	memcpy(id->octets, octets, id->len);
}

static int nibble(char c)
{
	c = tolower((unsigned char)c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL when the text is an identity, else what is wrong with it. */
static const char *id_parse(const char *text, struct conf_id *id)
{
	const char *colon = strchr(text, ':'), *rest = colon ? colon + 1 : text;
	size_t kind = colon ? (size_t)(colon - text) : 0, len = strlen(rest), i;
	struct addr a;

	if (addr_parse(text, &a) == 0 || (kind == 7 && strncmp(text, "address", kind) == 0)) {
		if (addr_parse(text, &a) && addr_parse(rest, &a))
			return "what follows address: is not one";
		id_from_addr(&a, id);
		return NULL;
	}
	if (kind == 5 && strncmp(text, "keyid", kind) == 0) {
		if (!len || len % 2 || len / 2 > CONF_ID_MAX)
			return "keyid: takes an even number of hexadecimal digits, 510 at most";
		for (i = 0; i < len; i += 2) {
			if (nibble(rest[i]) < 0 || nibble(rest[i + 1]) < 0)
				return "keyid: takes hexadecimal digits";
			id->octets[i / 2] = (unsigned)nibble(rest[i]) << 4 | (unsigned)nibble(rest[i + 1]);
		}
		id->type = CONF_ID_KEYID;
		id->len = len / 2;
		return NULL;
	}
	if (kind == 4 && strncmp(text, "fqdn", kind) == 0)
		id->type = CONF_ID_FQDN;
	else if (kind == 5 && strncmp(text, "email", kind) == 0)
		id->type = CONF_ID_EMAIL;
	else
		return "say what kind it is: fqdn:, email:, address: or keyid:";
	if (!len || len > CONF_ID_MAX)
		return "its length must be 1 to 255";
	for (i = 0; i < len; i++)
		if (rest[i] <= ' ' || rest[i] > '~')
			return "it holds a character that is not printable ASCII";
	if (id->type == CONF_ID_EMAIL && !strchr(rest, '@'))
		return "email: takes USER@NAME";
	id->len = len;
	memcpy(id->octets, rest, len);
	return NULL;
}

static bool set_id(struct parse *p, void *obj, const struct key *key, const struct token *v)
{
	struct conf_id id = {.type = CONF_ID_NONE};
	const char *wrong = NULL;

	if (strcmp(v->text, "any") == 0) {
		if (strcmp(key->name, "remote-id"))
			wrong = "only a remote identity can be any";
	} else {
		wrong = id_parse(v->text, &id);
	}
	if (wrong) {
		diag_error(p->diag, v->at, "%s \"%.64s\": %s", key->name, v->text, wrong);
		return false;
	}
	memcpy((char *)obj + key->offset, &id, sizeof(id));
	return true;
}

const char *conf_id_str(const struct conf_id *id, char *buf, size_t size)
{
	char text[ADDR_STRLEN];
	struct addr a;
	size_t n, i;

	switch (id->type) {
	case CONF_ID_NONE:
		snprintf(buf, size, "any");
		break;
	case CONF_ID_IPV4:
	case CONF_ID_IPV6:
		a = id->type == CONF_ID_IPV4 ? addr_from_v4(id->octets) : addr_from_v6(id->octets);
		snprintf(buf, size, "address:%s", addr_str(&a, text));
		break;
	case CONF_ID_FQDN:
	case CONF_ID_EMAIL:
		snprintf(buf, size, "%s:%.*s", id->type == CONF_ID_FQDN ? "fqdn" : "email", id->len,
			 (const char *)id->octets);
		break;
	case CONF_ID_KEYID:
		n = snprintf(buf, size, "keyid:");
		for (i = 0; i < id->len && n + 2 < size; i++, n += 2)
			snprintf(buf + n, size - n, "%02x", id->octets[i]);
		break;
	}
	return buf;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* The value is never repeated in a message: it may be the key itself. */
static bool set_psk(struct parse *p, void *obj, const struct key *key, const struct token *v)
{
	char **path = (char **)((char *)obj + key->offset);
	const char *name = v->text + 5, *folder = strrchr(p->conf->path, '/');
	int len;

	if (strncmp(v->text, "file:", 5)) {
		diag_error(p->diag, v->at,
			   "psk takes file:PATH: whoever reads the configuration would read the key too; put "
			   "it into a file of mode 0600");
		return false;
	}
	if (!*name) {
		diag_error(p->diag, v->at, "psk file: without a path");
		return false;
	}
	if (*name == '/' || !folder)
		len = asprintf(path, "%s", name);
	else
		len = asprintf(path, "%.*s/%s", (int)(folder - p->conf->path), p->conf->path, name);
	if (len < 0) {
		*path = NULL;
		p->no_memory = true;
	}
	return len >= 0;
}

/* ---- the two doors ------------------------------------------------------------------------- */

static bool set(struct parse *p, void *obj, const struct key *key, const struct token *v, size_t n)
{
	switch (key->kind) {
	case KEY_CHOICE:
		return set_choice(p, obj, key, v);
	case KEY_NUMBER:
	case KEY_TIME:
	case KEY_BYTES:
		return set_quantity(p, obj, key, v);
	case KEY_ALGS:
		return set_algs(p, obj, key, v, n);
	case KEY_REF:
	case KEY_REFS:
		return set_refs(p, obj, key, v, n);
	case KEY_ADDRESS:
		return set_address(p, obj, key, v);
	case KEY_ID:
		return set_id(p, obj, key, v);
	case KEY_PSK:
		return set_psk(p, obj, key, v);
	case KEY_BLOCK:
		break;
	}
	return false;
}

static struct conf_loc *place(const struct frame *f, const struct key *key)
{
	return (struct conf_loc *)((char *)f->obj + key->at);
}

void value_set(struct parse *p, const struct frame *f, const struct key *key, const struct token *v, size_t n)
{
	size_t max = key->kind == KEY_ALGS || key->kind == KEY_REFS ? key->max : 1;

	/* The words of an inline key must not show up in a message. */
	if (n > max && key->kind != KEY_PSK) {
		diag_error(p->diag, v[max].at, "%s takes %zu value%s, so \"%.64s\" is too much", key->name,
			   max, max == 1 ? "" : "s", v[max].text);
		n = max;
	}
	set(p, f->obj, key, v, n);
	*place(f, key) = v[0].at;
}

void value_finish(struct parse *p, const struct frame *f)
{
	struct token v;
	size_t i;

	for (i = 0; i < keys_n; i++) {
		const struct key *key = &keys[i];

		if (key->block != f->block || place(f, key)->line)
			continue;
		if (key->flags & KEY_REQUIRED) {
			diag_error(p->diag, f->at, "%s lacks \"%s\"", f->what, key->name);
		} else if (key->def[0] != '(') {
			v.kind = TOKEN_WORD;
			v.at = f->at;
			snprintf(v.text, sizeof(v.text), "%s", key->def);
			set(p, f->obj, key, &v, 1);
		}
	}
}
