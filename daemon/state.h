/* SPDX-License-Identifier: BSD-2-Clause */
/* The last good policy, kept over a reboot in /var/lib/adit/INSTANCE/policy.conf: the configuration that was last put
 * in force, as its author wrote it.  There is no secret in it.  When the real one cannot be read, the guard stands by
 * this one. */
#ifndef ADIT_STATE_H
#define ADIT_STATE_H

#include <stdbool.h>

#include "conf.h"

#define STATE_PATH_SIZE 128

/* 0 or -errno; what was kept before stays until the new text is on the disk. */
int state_save(const char *instance, const struct conf *conf);
/* 0; -ENOENT: nothing was ever in force; else that it cannot be read, which is logged. */
int state_load(const char *instance, struct conf **ret);
/* True if there was one. */
bool state_forget(const char *instance);

#endif
