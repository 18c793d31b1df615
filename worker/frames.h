// SPDX-License-Identifier: BSD-2-Clause
/* The free frames of one pool: a stack, so that the frame used last, still in the cache, is used next.
 *
 * Common to all ports of the pool.  A frame received on the LAN comes back on the WAN's completion ring; were
 * it to stay with the WAN, one-way traffic would starve the LAN's fill ring. */
#ifndef ADIT_FRAMES_H
#define ADIT_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

struct frames {
	uint32_t *chunk; /* chunk numbers */
	uint32_t n, max;
};

/* All max frames are free.  -ENOMEM. */
int frames_init(struct frames *s, uint32_t max);
void frames_fini(struct frames *s);

static inline bool frames_take(struct frames *s, uint32_t *chunk)
{
	if (s->n == 0)
		return false;
	*chunk = s->chunk[--s->n];
	return true;
}

/* A frame too many would mean that one is in two places; better leak it than corrupt two packets. */
static inline void frames_give(struct frames *s, uint32_t chunk)
{
	if (s->n < s->max)
		s->chunk[s->n++] = chunk;
}

#endif
