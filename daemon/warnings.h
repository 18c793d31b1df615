/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong on this host now and stays wrong until somebody mends it: `adit status` shows it as long as it
 * stands, and then ends with 1.  A line of the log is read once, if at all; a leak may last for months.
 *
 * A warning has a kind (whose business it is) and a name (what it is about: an interface, a rule), which
 * together are its key.  Who looks at something again and again sets or clears it at every look, and need not
 * remember what it said: the log has a line when a warning begins, when its text becomes another one, and when
 * it ends, and not many of them a minute.  So a text holds no count, no age and nothing else that changes by
 * itself.
 *
 *	if (foreign.id)
 *		warnings_set("xdp", p->link.name, "%s carries a foreign XDP program ...", p->link.name);
 *	else
 *		warnings_clear("xdp", p->link.name);
 *
 * Who finds a set of them, some of which may be gone the next time (interfaces, rules of others):
 *
 *	warnings_begin("nat");
 *	... warnings_set("nat", name, ...) for each that stands ...
 *	warnings_end("nat");             those of this kind that were not set since begin have ended
 *
 * One list for the process, as with the log; the parent's alone.  It survives a reload and a host opened anew. */
#ifndef ADIT_WARNINGS_H
#define ADIT_WARNINGS_H

#include <stddef.h>
#include "process.h"

#define WARNING_KIND_SIZE 16 /* with the closing NUL, as the next one; what is longer is cut */
#define WARNING_NAME_SIZE 128

/* Makes the page that ike reads; once, before any child is started.  0 or -errno.  Without it nothing is
 * shared, but still logged. */
int warnings_open(void);
const struct warnings_shared *warnings_shared(void);
/* Forgets all without a word. */
void warnings_close(void);

void warnings_set(const char *kind, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void warnings_clear(const char *kind, const char *name);

void warnings_begin(const char *kind);
void warnings_end(const char *kind);

#endif
