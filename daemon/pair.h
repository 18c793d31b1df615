/* SPDX-License-Identifier: BSD-2-Clause */
/* The internal veth pair of an instance, which stays when the daemon ends. */
#ifndef ADIT_PAIR_H
#define ADIT_PAIR_H

#include <net/if.h>

/* By its alias, however it is named now; name says how.  -ENOENT: there is none. */
int pair_remove(const char *instance, char name[IFNAMSIZ]);

#endif
