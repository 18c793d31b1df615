// SPDX-License-Identifier: BSD-2-Clause
/* Where an opened packet goes: straight out of an inside port where the kernel would do just that, else into
 * the kernel through the internal pair.
 *
 * What the kernel would do it is asked (adit/fib.h), and the answer is believed for 200 ms. */
#ifndef ADIT_DELIVER_H
#define ADIT_DELIVER_H

#include "frame.h"
#include "inner.h"
#include "worker.h"

#include <adit/fib.h>
#include <adit/reasons.h>

#define DELIVER_CACHE  4096 /* destinations, a power of two */
#define DELIVER_AGE_NS 200000000ull

struct fib {
	/* ip: a whole inner packet.  False: no answer. */
	bool (*ask)(void *self, const struct inner *in, struct adit_fib_answer *ret);
	void *self;
};

struct deliver;

/* fib may be NULL: everything goes to the kernel. */
int deliver_new(const struct fib *fib, uint32_t kernel_slot, uint32_t again_slot,
		const struct worker_shared *shared, struct deliver **ret);
void deliver_free(struct deliver *d);

/* Once per round: has the parent changed a port? */
void deliver_look(struct deliver *d);

/* f starts with the inner packet and has 18 octets of room in front at least.  Writes the link header and
 * says where to send it: ADIT_OPENED_FAST, ADIT_OPENED_KERNEL; or ADIT_DROP_TOO_LONG, when the internal pair
 * would lose it without a word. */
enum adit_reason deliver_route(struct deliver *d, struct frame *f, struct inner *in, uint64_t now_ns,
			       uint32_t *slot);

/* adit_fib through BPF_PROG_TEST_RUN; self is a pointer to the program's descriptor. */
bool fib_ask_bpf(void *self, const struct inner *in, struct adit_fib_answer *ret);

#endif
