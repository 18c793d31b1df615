// SPDX-License-Identifier: BSD-2-Clause
/* Every frame is in exactly one of: a pool's free stack, a fill or RX ring (queue->filled), a TX or
 * completion ring (queue->in_tx), or the hands of the loop. */
#include "xsk_io.h"

#include "frames.h"
#include "xsk_rings.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEADROOM 256 /* as XDP leaves it */
#define SOURCES	 (ADIT_PORTS_MAX * ADIT_QUEUES_MAX)
/* Frames that wait are frames that leave the cache, but a short ring loses what comes while the worker does not
 * run.  Sealing 1420 octets, Mpps without loss / at most: 4096 frames 0.65 / 0.68, 2048 0.68 / 0.79, 1024
 * 0.67 / 0.78 (medians of three). */
#define FILL_MOST  2048
#define SEND_BATCH 32 /* frames a call, before Linux 6.17 */

struct xsk_io {
	struct xsk_pool *pool[2];
	struct frames free[2];
	struct xsk_port *port[ADIT_PORTS_MAX];	/* by slot */
	struct xsk_port *ports[ADIT_PORTS_MAX]; /* in a row */
	uint32_t n_ports;
	struct source {
		struct xsk_queue *queue;
		uint8_t pool;
	} source[SOURCES];
	uint32_t n_sources;
	uint32_t fill_target;
};

static uint8_t pool_of(const struct xsk_io *x, const struct xsk_port *port)
{
	return port->pool == x->pool[1];
}

static void give(struct xsk_io *x, const struct frame *f)
{
	frames_give(&x->free[f->pool],
		    (uint32_t)((size_t)(f->data - x->pool[f->pool]->memory) >> XSK_FRAME_SHIFT));
}

static void refill(struct xsk_io *x, struct source *s)
{
	struct xsk_queue *q = s->queue;
	struct frames *free_frames = &x->free[s->pool];
	uint32_t want = x->fill_target - q->filled, at, i, chunk;

	if (want > free_frames->n)
		want = free_frames->n;
	/* In batches: the ring's index is a cache line that the receiving core reads. */
	if (want == 0 || (want < BATCH / 4 && q->filled > x->fill_target / 2))
		return;
	want = xsk_ring_prod__reserve(&q->fill, want, &at);
	for (i = 0; i < want && frames_take(free_frames, &chunk); i++)
		*xsk_ring_prod__fill_addr(&q->fill, at++) = (uint64_t)chunk << XSK_FRAME_SHIFT;
	xsk_ring_prod__submit(&q->fill, i);
	q->filled += i;
}

static void complete(struct xsk_io *x, struct xsk_queue *q, uint8_t pool)
{
	uint32_t n, at, i;

	if (q->in_tx == 0)
		return;
	n = xsk_ring_cons__peek(&q->completion, q->in_tx, &at);
	for (i = 0; i < n; i++)
		frames_give(&x->free[pool],
			    (uint32_t)(*xsk_ring_cons__comp_addr(&q->completion, at++) >> XSK_FRAME_SHIFT));
	if (n)
		xsk_ring_cons__release(&q->completion, n);
	q->in_tx -= n;
}

static uint32_t unsent(struct xsk_queue *q)
{
	return q->tx.cached_prod - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

/* With zero-copy the call wakes the driver.  In copy mode the call itself sends, a batch at a time, and says
 * EAGAIN while there is more, or while the device is busy.  Where the consumer stands is no measure of progress:
 * before Linux 6.17 it is published only when the whole ring was taken. */
static void push(struct xsk_queue *q)
{
	uint32_t calls = unsent(q) / SEND_BATCH + 1;

	while (calls-- && unsent(q) && xsk_ring_prod__needs_wakeup(&q->tx))
		if (sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || errno != EAGAIN)
			return;
}

static uint32_t xsk_sources(void *self)
{
	return ((struct xsk_io *)self)->n_sources;
}

static uint32_t xsk_recv(void *self, uint32_t number, struct frame *in, uint32_t max)
{
	struct xsk_io *x = self;
	struct source *s = &x->source[number];
	struct xsk_queue *q = s->queue;
	uint8_t *memory = x->pool[s->pool]->memory;
	uint32_t n, at, i;

	n = xsk_ring_cons__peek(&q->rx, max, &at);
	for (i = 0; i < n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at++);

		in[i].data = memory + d->addr;
		in[i].len = d->len;
		in[i].room = (uint16_t)(XSK_FRAME_SIZE - (d->addr & (XSK_FRAME_SIZE - 1)));
		in[i].pool = s->pool;
	}
	if (n) {
		xsk_ring_cons__release(&q->rx, n);
		q->filled -= n;
	}
	refill(x, s);
	return n;
}

static void xsk_drop(void *self, const struct frame *f, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		give(self, &f[i]);
}

static bool take_from(struct xsk_io *x, uint8_t pool, struct frame *ret)
{
	uint32_t chunk;

	if (!frames_take(&x->free[pool], &chunk))
		return false;
	ret->data = x->pool[pool]->memory + ((size_t)chunk << XSK_FRAME_SHIFT) + HEADROOM;
	ret->len = 0;
	ret->room = XSK_FRAME_SIZE - HEADROOM;
	ret->pool = pool;
	return true;
}

static bool xsk_get(void *self, struct frame *ret)
{
	struct xsk_io *x = self;

	return take_from(x, 0, ret) || (x->pool[1] && take_from(x, 1, ret));
}

/* A zero-copy pool and a copy pool meet here. */
static bool move_to(struct xsk_io *x, uint8_t pool, const struct frame *f, struct frame *ret)
{
	if (f->len > XSK_FRAME_SIZE - HEADROOM || !take_from(x, pool, ret))
		return false;
	memcpy(ret->data, f->data, f->len);
	ret->len = f->len;
	give(x, f);
	return true;
}

static int xsk_send(void *self, uint32_t slot, const struct frame *out, uint32_t n)
{
	struct xsk_io *x = self;
	struct xsk_port *port = slot < ADIT_PORTS_MAX ? x->port[slot] : NULL;
	struct xsk_queue *q;
	uint32_t at, i, room, sent = 0;
	uint8_t pool;

	if (!port) {
		xsk_drop(self, out, n);
		return -ENODEV;
	}
	q = &port->queue[0];
	pool = pool_of(x, port);
	room = xsk_prod_nb_free(&q->tx, n);
	if (room < n) {
		push(q);
		room = xsk_prod_nb_free(&q->tx, n);
	}
	if (room > n)
		room = n;
	(void)xsk_ring_prod__reserve(&q->tx, room, &at);
	for (i = 0; i < n; i++) {
		struct frame f = out[i];
		struct xdp_desc *d;

		if (sent == room || (f.pool != pool && !move_to(x, pool, &out[i], &f))) {
			give(x, &out[i]);
			continue;
		}
		d = xsk_ring_prod__tx_desc(&q->tx, at++);
		d->addr = (uint64_t)(f.data - x->pool[pool]->memory);
		d->len = f.len;
		d->options = 0;
		sent++;
	}
	q->tx.cached_prod -= room - sent;
	xsk_ring_prod__submit(&q->tx, sent);
	q->in_tx += sent;
	return (int)sent;
}

/* Also when no frame is free: what is stuck in TX rings is where the next free frames come from. */
static void xsk_kick(void *self)
{
	struct xsk_io *x = self;
	uint32_t i;

	for (i = 0; i < x->n_ports; i++) {
		struct xsk_queue *q = &x->ports[i]->queue[0];

		if (q->in_tx == 0)
			continue;
		push(q);
		complete(x, q, pool_of(x, x->ports[i]));
	}
	for (i = 0; i < x->n_sources; i++) {
		struct xsk_queue *q = x->source[i].queue;

		if (xsk_ring_prod__needs_wakeup(&q->fill))
			(void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

/* What the kernel would not take just now has to be offered again, and a fill ring waits for frames that are
 * being sent.  Nobody wakes us for either. */
static bool unfinished(struct xsk_io *x)
{
	bool hungry = false;
	uint32_t i;

	for (i = 0; i < x->n_sources; i++)
		hungry |= x->source[i].queue->filled < x->fill_target / 2;
	for (i = 0; i < x->n_ports; i++) {
		struct xsk_queue *q = &x->ports[i]->queue[0];

		if (q->in_tx && (hungry || unsent(q)))
			return true;
	}
	return false;
}

static void xsk_wait(void *self, const int *fds, uint32_t n, int timeout_ms)
{
	struct xsk_io *x = self;
	struct pollfd all[SOURCES + WAIT_MOST];
	uint32_t i, k;

	for (i = 0; i < x->n_sources; i++)
		all[i] = (struct pollfd){.fd = x->source[i].queue->fd, .events = POLLIN};
	for (k = 0; k < n && k < WAIT_MOST; k++)
		all[i++] = (struct pollfd){.fd = fds[k], .events = POLLIN};
	if (unfinished(x) && (timeout_ms < 0 || timeout_ms > 1))
		timeout_ms = 1;
	(void)poll(all, i, timeout_ms);
}

const struct io xsk_io_row = {
	.sources = xsk_sources,
	.recv = xsk_recv,
	.send = xsk_send,
	.drop = xsk_drop,
	.get = xsk_get,
	.kick = xsk_kick,
	.wait = xsk_wait,
};

static void add_port(struct xsk_io *x, struct xsk_port *port)
{
	uint32_t i;

	x->port[port->slot] = port;
	x->ports[x->n_ports++] = port;
	for (i = 0; port->rx && i < port->queues; i++) {
		x->source[x->n_sources].queue = &port->queue[i];
		x->source[x->n_sources++].pool = pool_of(x, port);
	}
}

int xsk_io_new(const struct worker_setup *setup, struct xsk_io **ret)
{
	struct xsk_io *x;
	uint32_t i, least = UINT32_MAX;
	int err;

	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	for (i = 0; i < setup->n_pools && i < 2; i++) {
		x->pool[i] = setup->pools[i];
		err = frames_init(&x->free[i], x->pool[i]->frames);
		if (err)
			goto fail;
		if (x->pool[i]->frames < least)
			least = x->pool[i]->frames;
	}
	for (i = 0; i < setup->n_ports; i++)
		if (setup->ports[i].xsk)
			add_port(x, setup->ports[i].xsk);

	/* A quarter stays for what is being sent, held or cut. */
	x->fill_target = least / 4 * 3 / (x->n_sources ? x->n_sources : 1);
	if (x->fill_target > FILL_MOST)
		x->fill_target = FILL_MOST;
	for (i = 0; i < x->n_sources; i++)
		refill(x, &x->source[i]);
	*ret = x;
	return 0;
fail:
	xsk_io_free(x);
	return err;
}

void xsk_io_free(struct xsk_io *x)
{
	if (!x)
		return;
	frames_fini(&x->free[0]);
	frames_fini(&x->free[1]);
	free(x);
}

uint32_t xsk_io_frames(const struct xsk_io *x)
{
	uint32_t n = x->free[0].n + x->free[1].n, i;

	for (i = 0; i < x->n_sources; i++)
		n += x->source[i].queue->filled;
	for (i = 0; i < x->n_ports; i++)
		n += x->ports[i]->queue[0].in_tx;
	return n;
}
