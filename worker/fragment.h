// SPDX-License-Identifier: BSD-2-Clause
/* Fragmentation before encryption (RFC 4301 8.2.1 leaves it to us; the far end then has nothing to reassemble
 * before it can decrypt).  IPv4 without DF only. */
#ifndef ADIT_FRAGMENT_H
#define ADIT_FRAGMENT_H

#include "esp.h"
#include "io.h"

#define FRAGMENTS_MAX 48

struct fragment {
	struct frame frame;
	struct adit_note note;
};

/* Cuts the inner packet of f to the SA's inner_mtu.  Every piece has its own envelope, with lengths, checksum
 * and identification corrected, and its own note; the first one is f's frame.  The inner checksum must be
 * finished before.  On any reason but ADIT_FRAGMENTED f is as it was. */
enum adit_reason fragment_cut(const struct sa *sa, const struct frame *f, const struct adit_note *note,
			      const struct io *io, void *io_self, struct fragment ret[FRAGMENTS_MAX],
			      uint32_t *n);

#endif
