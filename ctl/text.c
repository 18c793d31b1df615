// SPDX-License-Identifier: BSD-2-Clause
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *tint_on(enum tint tint)
{
	switch (tint) {
	case TINT_NONE:
		return "";
	case TINT_GOOD:
		return "\033[32m";
	case TINT_BAD:
		return "\033[31m";
	case TINT_WARN:
		return "\033[33m";
	case TINT_HEAD:
		return "\033[1m";
	}
	return "";
}

void text_tinted(const struct text *t, enum tint tint, const char *fmt, ...)
{
	bool tinted = t->color && tint != TINT_NONE;
	va_list ap;

	if (tinted)
		fputs(tint_on(tint), t->f);
	va_start(ap, fmt);
	vfprintf(t->f, fmt, ap);
	va_end(ap);
	if (tinted)
		fputs("\033[0m", t->f);
}

/* As many words as fit into the width; at least one.  *next: where the following line starts. */
static size_t line_of_words(const char *words, size_t width, const char **next)
{
	size_t len = strlen(words), cut;

	if (len <= width) {
		*next = words + len;
		return len;
	}
	for (cut = width; cut > 0 && words[cut] != ' '; cut--)
		;
	while (cut > 0 && words[cut - 1] == ' ')
		cut--;
	if (!cut)
		cut = strcspn(words, " ");
	*next = words + cut + strspn(words + cut, " ");
	return cut;
}

/* The first line goes on where the cursor is; the others start with the indent. */
static void put_words(const struct text *t, enum tint tint, unsigned indent, const char *words)
{
	size_t width = indent + 20 < TEXT_WIDTH ? TEXT_WIDTH - indent : 20, n;
	const char *next;

	for (;; words = next) {
		n = line_of_words(words, width, &next);
		text_tinted(t, tint, "%.*s", (int)n, words);
		if (!*next)
			break;
		fprintf(t->f, "\n%*s", (int)indent, "");
	}
}

void text_wrapped(const struct text *t, enum tint tint, unsigned indent, const char *words)
{
	fprintf(t->f, "%*s", (int)indent, "");
	put_words(t, tint, indent, words);
	fputc('\n', t->f);
}

void text_line(const struct text *t, unsigned indent, const char *fmt, ...)
{
	size_t n;
	char *words;
	const char *rest;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&words, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	n = line_of_words(words, TEXT_WIDTH - indent, &rest);
	fprintf(t->f, "%*s%.*s\n", (int)indent, "", (int)n, words);
	if (*rest)
		text_wrapped(t, TINT_NONE, indent + 4, rest);
	free(words);
}

const char *text_age(uint64_t s, char buf[TEXT_BUF])
{
	if (s < 60)
		snprintf(buf, TEXT_BUF, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, TEXT_BUF, "%" PRIu64 "m%" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, TEXT_BUF, "%" PRIu64 "h%" PRIu64 "m", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, TEXT_BUF, "%" PRIu64 "d%" PRIu64 "h", s / 86400, s % 86400 / 3600);
	return buf;
}

const char *text_count(uint64_t n, char buf[TEXT_BUF])
{
	static const char units[] = "kMGTPE";
	uint64_t unit = 1000;
	size_t i;

	if (n < 1000) {
		snprintf(buf, TEXT_BUF, "%" PRIu64, n);
		return buf;
	}
	for (i = 0; units[i + 1] && n / unit >= 1000; i++)
		unit *= 1000;
	if (n / unit < 10)
		snprintf(buf, TEXT_BUF, "%" PRIu64 ".%" PRIu64 "%c", n / unit, n % unit / (unit / 10),
			 units[i]);
	else
		snprintf(buf, TEXT_BUF, "%" PRIu64 "%c", n / unit, units[i]);
	return buf;
}

/* ---- values -------------------------------------------------------------------------------- */

bool value_known(const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	return v && !json_is_null(v);
}

static void copy_clean(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; from[i] && i + 1 < size; i++)
		to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f || (unsigned char)from[i] >= 0x80
				? '?'
				: from[i];
	to[i] = '\0';
}

const char *value_str(const json_t *obj, const char *key, char *buf, size_t size)
{
	const json_t *v = json_object_get(obj, key);

	if (json_is_string(v))
		copy_clean(buf, size, json_string_value(v));
	else if (json_is_integer(v))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		snprintf(buf, size, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "no");
	else
		snprintf(buf, size, "-");
	return buf;
}

const char *value_age(const json_t *obj, const char *key, char buf[TEXT_BUF])
{
	const json_t *v = json_object_get(obj, key);

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return text_age(json_integer_value(v), buf);
	return "-";
}

const char *value_ago(const json_t *obj, const char *key, char buf[TEXT_BUF])
{
	char age[TEXT_BUF];
	const char *known = value_age(obj, key, age);

	if (known != age)
		return known;
	snprintf(buf, TEXT_BUF, "%.24s ago", age);
	return buf;
}

const char *value_count(const json_t *obj, const char *key, char buf[TEXT_BUF])
{
	const json_t *v = json_object_get(obj, key);

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return text_count(json_integer_value(v), buf);
	return "-";
}

const char *value_list(const json_t *obj, const char *key, char *buf, size_t size)
{
	const json_t *v, *list = json_object_get(obj, key);
	size_t i, n = 0;

	snprintf(buf, size, "-");
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v) || n + 3 >= size)
			continue;
		if (n)
			n += snprintf(buf + n, size - n, ", ");
		copy_clean(buf + n, size - n, json_string_value(v));
		n += strlen(buf + n);
	}
	return buf;
}

/* ---- tables -------------------------------------------------------------------------------- */

struct table_row {
	char *cell[TABLE_COLS], *note[TABLE_NOTES];
	enum tint tint[TABLE_COLS], note_tint[TABLE_NOTES];
	unsigned n, notes;
};

void table_open(struct table *t, const char *const *heads)
{
	memset(t, 0, sizeof(*t));
	while (heads[t->cols] && t->cols < TABLE_COLS) {
		t->head[t->cols] = heads[t->cols];
		t->cols++;
	}
}

static struct table_row *row_for_cell(struct table *t)
{
	if (t->n && t->rows[t->n - 1].n < t->cols)
		return &t->rows[t->n - 1];
	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		struct table_row *more = reallocarray(t->rows, room, sizeof(*more));

		if (!more) {
			t->failed = true;
			return NULL;
		}
		t->rows = more;
		t->room = room;
	}
	memset(&t->rows[t->n], 0, sizeof(t->rows[0]));
	return &t->rows[t->n++];
}

void table_cell(struct table *t, enum tint tint, const char *fmt, ...)
{
	struct table_row *row = row_for_cell(t);
	va_list ap;

	if (!row)
		return;
	va_start(ap, fmt);
	if (vasprintf(&row->cell[row->n], fmt, ap) < 0) {
		row->cell[row->n] = NULL;
		t->failed = true;
	}
	va_end(ap);
	row->tint[row->n++] = tint;
}

void table_note(struct table *t, enum tint tint, const char *words)
{
	struct table_row *row = t->n ? &t->rows[t->n - 1] : NULL;

	if (!row || row->notes == TABLE_NOTES)
		return;
	row->note[row->notes] = strdup(words);
	t->failed |= !row->note[row->notes];
	row->note_tint[row->notes++] = tint;
}

static size_t cell_len(const struct table_row *row, unsigned i)
{
	return i < row->n && row->cell[i] ? strlen(row->cell[i]) : 0;
}

/* The last column's width does not count: it wraps. */
static size_t measure(const struct table *t, size_t width[TABLE_COLS])
{
	size_t r, all = 0, longest = 0;
	unsigned i;

	for (i = 0; i < t->cols; i++) {
		width[i] = strlen(t->head[i]);
		for (r = 0; r < t->n; r++)
			if (cell_len(&t->rows[r], i) > width[i])
				width[i] = cell_len(&t->rows[r], i);
		if (i + 1 < t->cols)
			all += width[i] + 2;
		else
			longest = width[i];
	}
	/* A sentence may take another line, a number may not. */
	return all + (longest > 24 ? 24 : longest);
}

static void put_row(const struct text *to, const struct table *t, const size_t width[TABLE_COLS],
		    char *const cells[], const enum tint *tints, bool split)
{
	unsigned i, at = 0;

	for (i = 0; i < t->cols; i++) {
		const char *cell = cells[i] ? cells[i] : "";

		if (i + 1 == t->cols) {
			put_words(to, tints[i], at, cell);
		} else if (split && i == 0) {
			text_tinted(to, tints[i], "%s", cell);
			fputs("\n  ", to->f);
			at = 2;
		} else {
			text_tinted(to, tints[i], "%s", cell);
			fprintf(to->f, "%*s", (int)(width[i] - strlen(cell) + 2), "");
			at += width[i] + 2;
		}
	}
	fputc('\n', to->f);
}

void table_print(struct table *t, const struct text *to)
{
	static const enum tint head_tint[TABLE_COLS] = {
		TINT_HEAD, TINT_HEAD, TINT_HEAD, TINT_HEAD, TINT_HEAD,
		TINT_HEAD, TINT_HEAD, TINT_HEAD, TINT_HEAD, TINT_HEAD,
	};
	size_t width[TABLE_COLS], r;
	bool split = measure(t, width) > TEXT_WIDTH;
	unsigned i;

	if (t->n)
		put_row(to, t, width, (char *const *)t->head, head_tint, split);
	for (r = 0; r < t->n; r++) {
		put_row(to, t, width, t->rows[r].cell, t->rows[r].tint, split);
		for (i = 0; i < t->rows[r].notes; i++) {
			if (t->rows[r].note[i])
				text_wrapped(to, t->rows[r].note_tint[i], 4, t->rows[r].note[i]);
			free(t->rows[r].note[i]);
		}
		for (i = 0; i < t->cols; i++)
			free(t->rows[r].cell[i]);
	}
	free(t->rows);
	if (t->failed)
		fprintf(to->f, "(out of memory: rows are missing)\n");
}
