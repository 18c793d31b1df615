/* SPDX-License-Identifier: BSD-2-Clause */
/* How the other files of this room report: everything is found in one pass, nothing stops at the first. */
#ifndef ADIT_CONF_DIAG_H
#define ADIT_CONF_DIAG_H

#include "conf.h"

void diag_open(struct conf_diag *d, const char *path);
void diag_error(struct conf_diag *d, struct conf_loc at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_warn(struct conf_diag *d, struct conf_loc at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The nearest of what was offered to a word that nobody knows; near says how near, lower is nearer. */
struct guess {
	const char *word, *best;
	unsigned near;
};

void guess_offer(struct guess *g, const char *candidate);
/* " (did you mean \"x\"?)", or "" when nothing is near enough. */
const char *guess_text(const struct guess *g, char *buf, size_t size);

#endif
