/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of the SPD that policies, entries and acls amount to. */
#ifndef ADIT_CONF_RULES_H
#define ADIT_CONF_RULES_H

#include "parse.h"

/* Fills conf.rules; entries and acl rules are sorted by then.  False: too many, or no memory. */
bool rules_flatten(struct parse *p);
/* Warns of rules that can never match and of two permit rules that match the same packet. */
void rules_compare(struct parse *p);

#endif
