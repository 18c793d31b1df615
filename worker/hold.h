// SPDX-License-Identifier: BSD-2-Clause
/* Packets of rules that have no SA yet.  They wait here, few and not for long, while ike is asked for the SA.
 */
#ifndef ADIT_HOLD_H
#define ADIT_HOLD_H

#include "events.h"
#include "frame.h"

#include <adit/reasons.h>
#include <stdbool.h>
#include <stdint.h>

#define HOLD_PER_RULE	64
#define HOLD_ALL	512
#define HOLD_NS		15000000000ull
#define HOLD_ACQUIRE_NS 1000000000ull

struct hold;

int hold_new(const struct events *events, struct hold **ret);
void hold_free(struct hold *h); /* frames that still wait are the caller's to take first */

/* ADIT_HELD: the frame is ours now.  Anything else: still the caller's.  Asks ike for the SA, at most once
 * per second and rule, also when the packet cannot wait. */
enum adit_reason hold_add(struct hold *h, const struct frame *f, const struct adit_note *note,
			  uint64_t now_ns);

/* The rule's SA came up.  A frame that was on its way here meanwhile missed the release: it may ask at once.
 */
void hold_ask_anew(struct hold *h, uint32_t rule);

/* The rule's frames, oldest first, as they came (Ethernet right in front of IP). At most max; call again
 * until 0. */
uint32_t hold_take(struct hold *h, uint32_t rule, struct frame *ret, uint32_t max);
/* Those that have waited long enough. */
uint32_t hold_take_late(struct hold *h, uint64_t now_ns, struct frame *ret, uint32_t max);
uint32_t hold_take_all(struct hold *h, struct frame *ret, uint32_t max);

bool hold_empty(const struct hold *h);

#endif
