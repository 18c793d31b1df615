/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the standing warnings of kind "nat" true (nat.h says what they are about).
 *
 * Rules are read by the tools that know them, nft and iptables-save, as processes of their own: a ruleset may be
 * large, and nobody may wait for it who guards.  They are started only where the kernel says that there is NAT,
 * not more than once a second, and less often where they take long.
 *
 *	natwatch_new(&w);
 *	natwatch_changed(w)
 *	natwatch_look(w, conf)              whenever the loop comes by, at least once a second; at once when a child
 *	                                    has ended.  Never blocks. */
#ifndef ADIT_NATWATCH_H
#define ADIT_NATWATCH_H

#include <stdbool.h>

#include "conf.h"

struct natwatch;

int natwatch_new(struct natwatch **ret);
void natwatch_free(struct natwatch *w); /* takes NULL */
/* In a child of the process: what is going on goes on, but not here. */
void natwatch_close(struct natwatch *w);

/* The ruleset may have changed.  What changes without a word is looked at every few seconds anyway. */
void natwatch_changed(struct natwatch *w);
/* Another conf than the last time is a change. */
void natwatch_look(struct natwatch *w, const struct conf *conf);

#endif
