// SPDX-License-Identifier: BSD-2-Clause
/* Anti-replay window of one inbound SA, RFC 4303 section 3.4.3 and appendix A, kept as RFC 6479 does: a ring
 * of words in which an advance clears whole words and nothing is ever shifted.
 *
 * Sequence numbers are 64 bits wide inside; without ESN the high half stays 0. */
#ifndef ADIT_REPLAY_H
#define ADIT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW_MAX 8192
#define REPLAY_WORDS	  256 /* a power of two with at least one word more than the window needs */

struct replay {
	uint64_t top;	 /* highest authentic number */
	uint32_t window; /* 0: anything goes, top is kept for replay_infer */
	uint32_t mask;	 /* words in use - 1 */
	uint64_t seen[REPLAY_WORDS];
};

/* window: packets, 0 = check off; more than the maximum is the maximum. */
void replay_init(struct replay *r, uint32_t window);

/* The whole number of a packet that shows only the low half (ESN).  0, which no packet has, if it would lie
 * before the first. */
uint64_t replay_infer(const struct replay *r, uint32_t low);

/* Worth decrypting?  Changes nothing, so call it before the ICV is checked. */
bool replay_fresh(const struct replay *r, uint64_t seq);

/* Remember seq.  Only after the packet proved authentic.  False: it was here already (or is too old). */
bool replay_mark(struct replay *r, uint64_t seq);

#endif
