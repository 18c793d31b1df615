// SPDX-License-Identifier: BSD-2-Clause
#include "diag.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define GUESS_MAX 32 /* longer words are not guessed at */

void diag_open(struct conf_diag *d, const char *path)
{
	memset(d, 0, offsetof(struct conf_diag, v));
	snprintf(d->file, sizeof(d->file), "%s", path);
}

/* Room for one more, or the last warning gives way: what stops a gateway is never pushed out by advice. */
static bool make_room(struct conf_diag *d, bool error)
{
	unsigned i = d->n;

	if (d->n < CONF_DIAG_MAX)
		return true;
	if (!error)
		return false;
	while (i-- > 0) {
		if (d->v[i].error)
			continue;
		memmove(&d->v[i], &d->v[i + 1], (d->n - i - 1) * sizeof(d->v[0]));
		d->n--;
		return true;
	}
	return false;
}

static bool stands_before(struct conf_loc a, struct conf_loc b)
{
	return a.line < b.line || (a.line == b.line && a.col < b.col);
}

static void add(struct conf_diag *d, bool error, struct conf_loc at, const char *fmt, va_list ap)
{
	struct conf_message *m;
	unsigned i;
	char *c;

	if (error)
		d->errors++;
	else
		d->warnings++;
	if (!make_room(d, error))
		return;
	for (i = d->n; i > 0 && stands_before(at, d->v[i - 1].at); i--)
		;
	m = &d->v[i];
	memmove(m + 1, m, (d->n - i) * sizeof(*m));
	d->n++;
	m->error = error;
	m->at = at;
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	/* Words of the file are in it: they must not steer a terminal or break what carries the message. */
	for (c = m->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void diag_error(struct conf_diag *d, struct conf_loc at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, true, at, fmt, ap);
	va_end(ap);
}

void diag_warn(struct conf_diag *d, struct conf_loc at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, false, at, fmt, ap);
	va_end(ap);
}

const char *conf_diag_line(const struct conf_diag *d, unsigned i, char *buf, size_t size)
{
	const struct conf_message *m = &d->v[i];
	const char *kind = m->error ? "error" : "warning";

	if (m->at.line)
		snprintf(buf, size, "%s:%u:%u: %s: %s", d->file, m->at.line, m->at.col, kind, m->text);
	else
		snprintf(buf, size, "%s: %s: %s", d->file, kind, m->text);
	return buf;
}

const char *conf_diag_summary(const struct conf_diag *d, char *buf, size_t size)
{
	unsigned all = d->errors + d->warnings, hidden = all - d->n;
	int len;

	if (!all) {
		snprintf(buf, size, "no problem");
		return buf;
	}
	len = snprintf(buf, size, "%u problem%s (%u error%s)", all, all == 1 ? "" : "s", d->errors,
		       d->errors == 1 ? "" : "s");
	if (hidden && len > 0 && (size_t)len < size)
		snprintf(buf + len, size - len, ", %u not shown", hidden);
	return buf;
}

void conf_diag_print(const struct conf_diag *d, FILE *f)
{
	char buf[1024];
	unsigned i;

	for (i = 0; i < d->n; i++)
		fprintf(f, "%s\n", conf_diag_line(d, i, buf, sizeof(buf)));
	if (d->n)
		fprintf(f, "%s\n", conf_diag_summary(d, buf, sizeof(buf)));
}

/* Edits that lead from one word to the other; two neighbours exchanged are one edit, as fingers do that. */
static unsigned edits(const char *a, const char *b)
{
	unsigned d[3][GUESS_MAX + 1], i, j, la = strlen(a), lb = strlen(b), n;

	if (la > GUESS_MAX || lb > GUESS_MAX)
		return GUESS_MAX;
	for (j = 0; j <= lb; j++)
		d[0][j] = j;
	for (i = 1; i <= la; i++) {
		unsigned *row = d[i % 3], *up = d[(i + 2) % 3], *upup = d[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= lb; j++) {
			n = up[j - 1] + (a[i - 1] != b[j - 1]);
			if (up[j] + 1 < n)
				n = up[j] + 1;
			if (row[j - 1] + 1 < n)
				n = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upup[j - 2] + 1 < n)
				n = upup[j - 2] + 1;
			row[j] = n;
		}
	}
	return d[la % 3][lb];
}

void guess_offer(struct guess *g, const char *candidate)
{
	unsigned near = strcasecmp(g->word, candidate) == 0 ? 0 : edits(g->word, candidate);

	if (g->best && near >= g->near)
		return;
	g->best = candidate;
	g->near = near;
}

const char *guess_text(const struct guess *g, char *buf, size_t size)
{
	size_t len = strlen(g->word);

	/* A third of the word may be wrong, three letters at most: beyond that a guess only misleads. */
	if (!g->best || g->near > 3 || g->near * 3 > (len < 3 ? 3 : len))
		snprintf(buf, size, "%s", "");
	else
		snprintf(buf, size, " (did you mean \"%s\"?)", g->best);
	return buf;
}
