// SPDX-License-Identifier: BSD-2-Clause
/* A process gives up, where it starts, what it will not need.
 *
 *   confine_user    become an account without any capability
 *   confine_finish  no way back up (no_new_privs), no core dump, no ptrace by the same account, and only the
 *                   system calls of the list; any other one kills the process, which the kernel logs
 *
 * Open what needs rights before the first, everything else that is not in the list before the second.
 */
#ifndef ADIT_CONFINE_H
#define ADIT_CONFINE_H

#include <stddef.h>
#include <stdint.h>

/* -ENOENT: no such account.  -EPERM: not started with the right to change it, or a capability stuck. */
int confine_user(const char *name);

/* One allowed system call.  With a mask, only if (argument & mask) == value.  Names unknown on this
 * architecture are skipped (poll and ppoll may both be listed). */
struct confine_call {
	const char *name;
	unsigned arg; /* 0..5 */
	uint64_t mask, value;
};

/* 0 or -errno; after an error the process must not go on. */
int confine_finish(const struct confine_call *calls, size_t n);

#endif
