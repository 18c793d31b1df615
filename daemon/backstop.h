/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds in the moment when a policy interface has no program of ours: it has just appeared, or came back while
 * nobody runs to attach one.
 *
 * A nftables table of this network namespace, "adit-INSTANCE", has the rules once more, in its own words.  It knows
 * interfaces by name, so it outlives the device, and leaves alone the ones whose index and group are in a set: those have
 * our programs, which are asked later, know SAs and count reasons.  The group dies with the device, at once and without
 * anybody's doing, so a successor of the same name and index is not taken for it.  An orderly end empties the sets.  Both directions.
 */
#ifndef ADIT_BACKSTOP_H
#define ADIT_BACKSTOP_H

#include <stdbool.h>

#include "conf.h"

struct backstop;

/* 0 or -errno; nothing is written yet. */
int backstop_open(const char *instance, struct backstop **ret);
void backstop_close(struct backstop *b); /* the table stays */

/* The table for these policies, at once; no interface counts as guarded.  0, or -EIO, and why (never NULL) is what
 * nftables says. */
int backstop_write(struct backstop *b, const struct conf *conf, const char **why);
/* Which interfaces our programs guard, a set a direction: only those.  The same. */
struct backstop_set {
	struct {
		unsigned ifindex, group;
	} v[32];
	unsigned n;
};
int backstop_guarded(struct backstop *b, const struct backstop_set *in, const struct backstop_set *out,
		     const char **why);
/* Is it still as we left it?  "nft flush ruleset" takes it away. */
bool backstop_stands(struct backstop *b);

/* The table of a stopped instance; true if there was one. */
bool backstop_remove(const char *instance);

#endif
