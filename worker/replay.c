// SPDX-License-Identifier: BSD-2-Clause
#include "replay.h"

#include <string.h>

#define WORD_BITS 64

/* RFC 4303 A2.1 infers from the window; with the check off, this much disorder is still understood. */
#define INFER_WINDOW (1u << 30)

void replay_init(struct replay *r, uint32_t window)
{
	uint32_t words = 2;

	if (window > REPLAY_WINDOW_MAX)
		window = REPLAY_WINDOW_MAX;
	/* One word more than the window covers: the word that top is in may be partly ahead of it. */
	while (words < (window + WORD_BITS - 1) / WORD_BITS + 1)
		words *= 2;
	memset(r, 0, sizeof(*r));
	r->window = window;
	r->mask = words - 1;
}

uint64_t replay_infer(const struct replay *r, uint32_t low)
{
	uint32_t window = r->window ? r->window : INFER_WINDOW;
	uint32_t top_low = (uint32_t)r->top;
	uint64_t high = r->top >> 32;
	uint32_t bottom = top_low - window + 1; /* wraps as RFC 4303 A2.2 wants it */

	if (top_low >= window - 1) {
		if (low < bottom)
			high++; /* case A: the window lies in one subspace, low is in the next */
	} else if (low >= bottom) {
		if (high == 0)
			return 0;
		high--; /* case B: the window spans two subspaces, low is in the earlier */
	}
	return high << 32 | low;
}

static bool too_old(const struct replay *r, uint64_t seq)
{
	return seq <= r->top && r->top - seq >= r->window;
}

static uint64_t *word_of(struct replay *r, uint64_t seq)
{
	return &r->seen[(seq / WORD_BITS) & r->mask];
}

bool replay_fresh(const struct replay *r, uint64_t seq)
{
	if (r->window == 0)
		return true;
	if (seq == 0 || too_old(r, seq))
		return false;
	if (seq > r->top)
		return true;
	return !(r->seen[(seq / WORD_BITS) & r->mask] >> (seq % WORD_BITS) & 1);
}

static void advance(struct replay *r, uint64_t seq)
{
	uint64_t from = r->top / WORD_BITS, to = seq / WORD_BITS, i;

	if (to - from > r->mask)
		from = to - r->mask - 1;
	for (i = from + 1; i <= to; i++)
		r->seen[i & r->mask] = 0;
	r->top = seq;
}

bool replay_mark(struct replay *r, uint64_t seq)
{
	uint64_t bit = 1ULL << (seq % WORD_BITS), *word;

	if (r->window == 0) {
		if (seq > r->top)
			r->top = seq;
		return true;
	}
	if (seq == 0 || too_old(r, seq))
		return false;
	if (seq > r->top)
		advance(r, seq);
	word = word_of(r, seq);
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}
