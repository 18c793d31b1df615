/* SPDX-License-Identifier: BSD-2-Clause */
/* "aditd --reload": SIGHUP, and the answer to it.  The one who asks binds /run/adit/INSTANCE/reload, the parent sends
 * a word there when it begins to read the configuration and another when it knows what became of it.  Nobody has to
 * listen: kill -HUP does the same and waits for nothing. */
#ifndef ADIT_RELOAD_H
#define ADIT_RELOAD_H

#include <stdbool.h>

/* In the parent, around every reload. */
void reload_began(const char *instance);
void reload_ended(const char *instance, bool in_force);

/* Asks the instance that runs, waits, and says what came out on stdout or stderr.  The exit status. */
int reload_ask(const char *instance);

#endif
