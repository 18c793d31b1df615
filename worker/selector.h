// SPDX-License-Identifier: BSD-2-Clause
/* Traffic selectors of an inbound SA (RFC 4301 5.2: what was opened must be what the SA was made for). */
#ifndef ADIT_SELECTOR_H
#define ADIT_SELECTOR_H

#include "inner.h"

#include <adit/msg.h>

__extension__ typedef unsigned __int128 address_number;

struct side {
	address_number min, max;
	uint16_t port_min, port_max;
	uint8_t protocol; /* 0 = any */
	uint8_t family;	  /* 4 or 6 */
};

struct selectors {
	uint8_t locals, remotes;
	struct side local[ADIT_WORKER_TS_MAX], remote[ADIT_WORKER_TS_MAX];
};

/* -EINVAL: more than there is room for. */
int selectors_set(struct selectors *s, const struct adit_msg_sa_add *sa);

/* Inbound: source against the remote side, destination against the local one.  A later fragment has no ports
 * and is judged by the rest.  An ICMP error outside of them comes in for what it quotes (RFC 4301 6.2).  Without
 * selectors nothing is admitted. */
bool selectors_admit(const struct selectors *s, const struct inner *in);

#endif
