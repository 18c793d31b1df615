/* SPDX-License-Identifier: BSD-2-Clause */
/* One question to the daemon: a JSON line out, JSON lines back, the last one with "done" (docs/cli.md). */
#ifndef ADIT_CTL_CLIENT_H
#define ADIT_CTL_CLIENT_H

#include <jansson.h>

#include "ctl.h"

/* Called for every line before the last; line is its text as it came.  Not 0 ends the run with that code. */
typedef int client_line(void *self, const char *line, const json_t *obj);

/* Asks and listens until the answer is done, at most `patience_s` seconds without a line.  Returns the exit
 * code; what went wrong has been said on ctl->err, with --json on ctl->out. */
int client_ask(const struct ctl *ctl, const json_t *request, int patience_s, client_line *on_line,
	       void *self);

#endif
