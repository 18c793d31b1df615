// SPDX-License-Identifier: BSD-2-Clause
/* The worker's work: frames in, commands in, frames out.  It neither knows what it runs on (io.h) nor who it
 * talks to (two function pointers), so a test drives it whole. */
#ifndef ADIT_WORK_H
#define ADIT_WORK_H

#include "deliver.h"
#include "events.h"
#include "fragment.h"
#include "hold.h"
#include "io.h"
#include "sad.h"

#include <adit/msg.h>

struct commands {
	/* Octets of the next message; 0: the other side is gone; -EAGAIN: none now. */
	int (*next)(void *self, union adit_msg *ret);
	void *self;
};

/* ESP that came to sockets of ike and not to a ring: fragments that the kernel put together, ports without XDP. */
struct door {
	/* The next note and ESP packet as they would stand in a frame, as far as there is room.  Octets of both,
	 * also of what did not fit; -EAGAIN: none now. */
	int (*next)(void *self, uint8_t *ret, uint32_t room);
	void *self;
};

/* Frames on their way to one port, and what each will be counted as once it is queued there. */
struct leaving {
	struct frame frame[BATCH];
	uint8_t why[BATCH];
	uint32_t n;
};

struct work {
	const struct io *io;
	void *io_self;
	struct events events;
	struct commands commands;
	struct door door;
	struct sad *sad;
	struct hold *hold;
	struct deliver *deliver;
	uint64_t *reasons;
	uint32_t again_slot;
	uint64_t now_ns;     /* coarse, once per round */
	bool commands_fresh; /* read in this batch already */
	bool stop;	     /* ike is gone for good */
	struct frame bad[BATCH];
	uint32_t n_bad;
	struct leaving leaving[ADIT_PORTS_MAX];
};

/* One look at every source; how many frames there were. */
uint32_t work_round(struct work *w, uint64_t now_ns);
/* All commands that are there. */
void work_commands(struct work *w);
/* What came to the door, a batch at most; how many there were.  Call after work_commands. */
uint32_t work_door(struct work *w, uint64_t now_ns);
/* What waited too long goes; call some times per second while something waits. */
void work_tick(struct work *w, uint64_t now_ns);

#endif
