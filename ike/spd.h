/* SPDX-License-Identifier: BSD-2-Clause */
/* The security policy database: the configured rules as rows of the maps, in the order they are tried (RFC 4301
 * 4.4.1).  This file is the only writer of spd_state and spd. */
#ifndef ADIT_SPD_H
#define ADIT_SPD_H

#include <adit/maps.h>
#include <stdbool.h>

#include "conf.h"

struct spd_fds {
	int state, rules, hits; /* maps spd_state, spd, rule_hits */
};

struct spd;

/* 0 or -errno; conf stays the caller's. */
int spd_new(const struct spd_fds *fds, const struct conf *conf, struct spd **ret);
void spd_free(struct spd *s);

/* Puts the rules of all policies in force, all at once.  0 or -errno; on failure the old rules stay. */
int spd_write(struct spd *s);
/* An SA came or went: what flow caches learned before is void. */
void spd_changed(struct spd *s);
/* Summed over all CPUs; false: the rule is not counted. */
bool spd_hits(const struct spd *s, uint32_t rule, struct adit_hits *ret);

#endif
