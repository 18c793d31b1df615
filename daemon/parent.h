/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent: guards first, then opens everything that needs rights, starts ike and worker, and from then on watches
 * the host and restarts what died.  When the configuration cannot be used, it guards by the last good one and ends. */
#ifndef ADIT_PARENT_H
#define ADIT_PARENT_H

/* Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again.  Returns the exit status. */
int parent_run(const char *instance, const char *config);
/* Only guards, starts nothing and returns: what policy protects is blocked, the rest passes. */
int parent_guard(const char *instance, const char *config);

#endif
