// SPDX-License-Identifier: BSD-2-Clause
/* A frame in a chunk of packet memory.  Whoever holds one hands it on exactly once: to io->send, to io->drop,
 * or to the hold queue. */
#ifndef ADIT_FRAME_H
#define ADIT_FRAME_H

#include <adit/note.h>
#include <stdint.h>
#include <string.h>

struct frame {
	uint8_t *data;
	uint32_t len;
	uint16_t room; /* octets from data to the end of the chunk; len is part of it */
	uint8_t pool;
	uint8_t pad;
};

_Static_assert(sizeof(struct frame) == 16, "four to a cache line");

/* The note stands in front of the frame as it was received.  A copy: with zero-copy it stands at any address,
 * and a header may be written over it later. */
static inline struct adit_note frame_note(const struct frame *f)
{
	struct adit_note note;

	memcpy(&note, f->data - sizeof(note), sizeof(note));
	return note;
}

/* Move the front by n octets: forward over what has been read, back to write a header. */
static inline void frame_skip(struct frame *f, uint32_t n)
{
	f->data += n;
	f->len -= n;
	f->room = (uint16_t)(f->room - n);
}

static inline uint8_t *frame_push(struct frame *f, uint32_t n)
{
	f->data -= n;
	f->len += n;
	f->room = (uint16_t)(f->room + n);
	return f->data;
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

#endif
