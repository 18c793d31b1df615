/* SPDX-License-Identifier: BSD-2-Clause */
/* Text for people: 80 columns, colour only where it is wanted, nothing that could steer a terminal. */
#ifndef ADIT_CTL_TEXT_H
#define ADIT_CTL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_WIDTH 80
#define TEXT_BUF   32

enum tint { TINT_NONE, TINT_GOOD, TINT_BAD, TINT_WARN, TINT_HEAD };

struct text {
	FILE *f;
	bool color;
};

/* One piece of a line, in a colour. */
void text_tinted(const struct text *t, enum tint tint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A paragraph, every line of it starting with `indent` blanks, broken between words. */
void text_wrapped(const struct text *t, enum tint tint, unsigned indent, const char *words);

/* The same from a format; lines after the first are indented by 4 more. */
void text_line(const struct text *t, unsigned indent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* 3d4h, 4h12m, 12s */
const char *text_age(uint64_t seconds, char buf[TEXT_BUF]);
/* 999, 1.2k, 345M: powers of 1000 */
const char *text_count(uint64_t n, char buf[TEXT_BUF]);

/* ---- values out of an answer: what is missing or null is "-", never a made-up value ----------------------
 */

/* A string, a number, or yes and no; control characters become "?". */
const char *value_str(const json_t *obj, const char *key, char *buf, size_t size);
const char *value_age(const json_t *obj, const char *key, char buf[TEXT_BUF]);
/* "3s ago" */
const char *value_ago(const json_t *obj, const char *key, char buf[TEXT_BUF]);
const char *value_count(const json_t *obj, const char *key, char buf[TEXT_BUF]);
/* All strings of a list, with commas. */
const char *value_list(const json_t *obj, const char *key, char *buf, size_t size);
bool value_known(const json_t *obj, const char *key);

/* ---- tables -------------------------------------------------------------------------------- */

#define TABLE_COLS  10
#define TABLE_NOTES 2 /* below a row */

/* Columns as wide as their widest cell.  A table that would not fit puts its first column on a line of its
 * own; the last column is broken between words. */
struct table {
	struct table_row *rows;
	size_t n, room;
	const char *head[TABLE_COLS];
	unsigned cols;
	bool failed; /* no memory */
};

/* heads end with NULL */
void table_open(struct table *t, const char *const *heads);
/* The next cell, a new row when the last one is full. */
void table_cell(struct table *t, enum tint tint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A remark that stands below the last row. */
void table_note(struct table *t, enum tint tint, const char *words);
/* Prints and frees. */
void table_print(struct table *t, const struct text *to);

#endif
