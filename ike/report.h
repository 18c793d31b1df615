/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything `adit status` and `adit show` print, as JSON (docs/cli.md has the keys). */
#ifndef ADIT_IKE_REPORT_H
#define ADIT_IKE_REPORT_H

#include <jansson.h>

#include "gateway.h"

/* A new reference, or NULL: no such object. */
json_t *report_make(struct gateway *g, const char *verb, const char *object);
/* Something in it is wrong: then the asker's exit code is 1, not 0. */
bool report_warns(const json_t *report);

/* "up", "connecting", "down", "waiting for traffic"; why: NULL or what stands in the way. */
const char *report_rule_state(struct gateway *g, const struct conf_rule *rule, const char **why);

#endif
