// SPDX-License-Identifier: BSD-2-Clause
/* The SAs that this worker serves, by index.  They live in one piece of memory that is locked and left out of
 * core dumps; what an SA held is wiped when it goes.
 *
 * Only the worker's one thread reads and writes here. */
#ifndef ADIT_SAD_H
#define ADIT_SAD_H

#include "engine.h"
#include "replay.h"
#include "selector.h"

#include <adit/msg.h>

struct sa {
	uint32_t index; /* 0: not in use */
	uint32_t spi_be;
	uint32_t rule;
	uint8_t direction;
	bool soft_told, hard_told;
	uint64_t seq;  /* outbound: last one sent */
	uint64_t last; /* outbound: the last one there is */
	uint64_t soft_packets;
	uint16_t mss4, mss6, inner_mtu;
	uint16_t remote_port;
	struct adit_addr remote;
	uint64_t moved_told_ns, soft_tried_ns, hard_tried_ns;
	struct adit_sa_stats *stats;
	struct crypt crypt;
	struct selectors selectors; /* inbound */
	struct replay replay;	    /* inbound */
};

struct sad;

/* stats: ADIT_SAS_MAX of them, cleared as SAs come. */
int sad_new(struct adit_sa_stats *stats, struct sad **ret);
void sad_free(struct sad *d);

/* An SA under that index is replaced.  -EINVAL, -ENOTSUP: refused, and what was there is gone as well. */
int sad_add(struct sad *d, const struct adit_msg_sa_add *m);
void sad_del(struct sad *d, uint32_t index);
void sad_flush(struct sad *d);

/* NULL when there is none; the pointer is good until the next of the verbs above. */
struct sa *sad_get(struct sad *d, uint32_t index);

#endif
