/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent: opens everything that needs rights, starts ike and worker, attaches the programs once ike says
 * that the rules stand, and from then on only restarts what died. */
#ifndef ADIT_PARENT_H
#define ADIT_PARENT_H

/* Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again.  Returns the exit status. */
int parent_run(const char *instance, const char *config);

#endif
