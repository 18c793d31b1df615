/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing octets without length arithmetic: a reader that cannot overrun and a writer that cannot
 * overflow.  Both remember that they failed; ask once, at the end. */
#ifndef ADIT_IKE_BUF_H
#define ADIT_IKE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t len;
};

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd){p, len, false};
}

/* The next len octets, or an empty span once something was missing. */
static inline struct span rd_take(struct rd *r, size_t len)
{
	struct span s = {r->p, len};

	if (r->bad || len > r->left) {
		r->bad = true;
		return (struct span){NULL, 0};
	}
	r->p += len;
	r->left -= len;
	return s;
}

static inline struct span rd_rest(struct rd *r)
{
	return rd_take(r, r->left);
}

/* A reader of its own over the next len octets. */
static inline struct rd rd_sub(struct rd *r, size_t len)
{
	struct span s = rd_take(r, len);

	return (struct rd){s.p, s.len, r->bad};
}

static inline uint64_t rd_be(struct rd *r, size_t len)
{
	struct span s = rd_take(r, len);
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < s.len; i++)
		v = v << 8 | s.p[i];
	return v;
}

static inline uint8_t rd_u8(struct rd *r)
{
	return rd_be(r, 1);
}

static inline uint16_t rd_be16(struct rd *r)
{
	return rd_be(r, 2);
}

static inline uint32_t rd_be32(struct rd *r)
{
	return rd_be(r, 4);
}

static inline uint64_t rd_be64(struct rd *r)
{
	return rd_be(r, 8);
}

struct wr {
	uint8_t *p;
	size_t len, size;
	bool bad;
};

static inline struct wr wr_of(void *p, size_t size)
{
	return (struct wr){p, 0, size, false};
}

/* Room for len octets, NULL when there is none. */
static inline uint8_t *wr_room(struct wr *w, size_t len)
{
	uint8_t *at = w->p + w->len;

	if (w->bad || len > w->size - w->len) {
		w->bad = true;
		return NULL;
	}
	w->len += len;
	return at;
}

static inline void wr_put(struct wr *w, const void *p, size_t len)
{
	uint8_t *at = wr_room(w, len);

	if (at && len)
		memcpy(at, p, len);
}

static inline void wr_be(struct wr *w, uint64_t v, size_t len)
{
	uint8_t *at = wr_room(w, len);

	while (at && len--) {
		at[len] = v;
		v >>= 8;
	}
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_be(w, v, 1);
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
	wr_be(w, v, 2);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
	wr_be(w, v, 4);
}

static inline void wr_be64(struct wr *w, uint64_t v)
{
	wr_be(w, v, 8);
}

static inline void wr_span(struct wr *w, struct span s)
{
	wr_put(w, s.p, s.len);
}

/* Overwrite two octets written before: a length known only now. */
static inline void wr_fix16(struct wr *w, size_t at, uint16_t v)
{
	if (w->bad || at + 2 > w->len)
		return;
	w->p[at] = v >> 8;
	w->p[at + 1] = v;
}

#endif
