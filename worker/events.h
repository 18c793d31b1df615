// SPDX-License-Identifier: BSD-2-Clause
/* Events to ike.  The receiver may miss any of them: a full socket loses the event, and whoever told it tells
 * it again when the reason is still there. */
#ifndef ADIT_EVENTS_H
#define ADIT_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

struct events {
	/* False: not delivered. */
	bool (*tell)(void *self, const void *message, size_t len);
	void *self;
};

static inline bool event_tell(const struct events *e, const void *message, size_t len)
{
	return e->tell(e->self, message, len);
}

#endif
