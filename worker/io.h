// SPDX-License-Identifier: BSD-2-Clause
/* What the worker's loop runs on: AF_XDP (xsk_io.h), or whatever a test puts here. */
#ifndef ADIT_IO_H
#define ADIT_IO_H

#include "frame.h"

#include <stdbool.h>

#define BATCH	  256
#define WAIT_MOST 2 /* fds that wait looks at */

struct io {
	uint32_t (*sources)(void *self); /* how many there are to receive from */
	uint32_t (*recv)(void *self, uint32_t source, struct frame *in, uint32_t max);
	/* Takes all n, whatever comes of them: the number queued, or -ENODEV when there is no such port. */
	int (*send)(void *self, uint32_t slot, const struct frame *out, uint32_t n);
	void (*drop)(void *self, const struct frame *f, uint32_t n);
	/* A free frame with room in front, len 0.  False: none. */
	bool (*get)(void *self, struct frame *ret);
	/* Once per round: tell the kernel what there is to send, take back what it has done with. */
	void (*kick)(void *self);
	/* Sleep until there is something to receive or one of n fds can be read; -1 sleeps without an end. */
	void (*wait)(void *self, const int *fds, uint32_t n, int timeout_ms);
};

#endif
