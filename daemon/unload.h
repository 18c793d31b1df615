/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes away all that an instance left on this host when it ended: programs on interfaces, wherever they were pinned
 * and whether they still are, its internal pair, pinned maps.  What policy protected passes in clear from then on. */
#ifndef ADIT_UNLOAD_H
#define ADIT_UNLOAD_H

/* Says on stdout what it took away, on stderr what it could not.  The exit status: 0 when nothing is left, EX_NOINPUT when
 * nothing was there, EX_TEMPFAIL when the instance runs, 1 when something is left. */
int unload_run(const char *instance);

#endif
