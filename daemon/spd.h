/* SPDX-License-Identifier: BSD-2-Clause */
/* The security policy database: the configured rules as rows of the maps, in the order they are tried (RFC 4301
 * 4.4.1).  The parent writes it before any child runs, so that what can go wrong in one cannot open the guard. */
#ifndef ADIT_SPD_H
#define ADIT_SPD_H

#include "conf.h"
#include "programs.h"

/* Puts the rules of all policies of conf in force, all at once.  0 or -errno; on failure the old rules stay. */
int spd_write(struct programs *programs, const struct conf *conf);
/* The row of a port names another policy now: what flow caches learned before is void. */
void spd_ports_changed(struct programs *programs);

#endif
