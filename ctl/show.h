/* SPDX-License-Identifier: BSD-2-Clause */
/* An answer of the daemon as text.  Every object that is in it is printed. */
#ifndef ADIT_CTL_SHOW_H
#define ADIT_CTL_SHOW_H

#include <jansson.h>

#include "text.h"

struct show {
	struct text t;
	bool all; /* zero counters too */
};

/* The list to walk.  NULL: there is nothing in it, or it is missing, and that has been said. */
const json_t *show_list(const struct show *s, const json_t *obj, const char *key, const char *what);

typedef void show_fn(const struct show *s, const json_t *answer);

show_fn show_status, show_ike, show_sa, show_statistics, show_interface, show_acl, show_policy, show_peer,
	show_errors;

#endif
