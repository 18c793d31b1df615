// SPDX-License-Identifier: BSD-2-Clause
#include "xsk.h"

#include "xsk_rings.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#define XDP_MAX_TX_SKB_BUDGET_ 9 /* Linux 6.17; 32 frames per call before, whatever we ask for */
#define TX_BUDGET	       256
#define TX_BUFFER	       (8 << 20) /* copy mode charges skbs to the socket; the default stops a batch short */
#define TX_ONLY_RING	       1024
#define BUSY_TRIES	       80
#define BUSY_WAIT_NS	       25000000 /* 80 times make 2 s */

int xsk_pool_open(enum xsk_mode mode, uint32_t frames, struct xsk_pool **ret)
{
	struct xsk_pool *p;

	if (frames < 64 || frames & (frames - 1))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->mode = mode;
	p->frames = frames;
	/* Shared, because what the parent registers the forked worker must see. */
	p->memory = mmap(NULL, (size_t)frames * XSK_FRAME_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p->memory == MAP_FAILED) {
		free(p);
		return -ENOMEM;
	}
	/* Packets in clear stand here. */
	(void)madvise(p->memory, (size_t)frames * XSK_FRAME_SIZE, MADV_DONTDUMP);
	*ret = p;
	return 0;
}

static void umem_close(struct xsk_pool *p)
{
	if (p->umem)
		xsk_umem__delete(p->umem);
	p->umem = NULL;
}

void xsk_pool_close(struct xsk_pool *p)
{
	if (!p)
		return;
	umem_close(p);
	munmap(p->memory, (size_t)p->frames * XSK_FRAME_SIZE);
	free(p);
}

static int umem_open(struct xsk_pool *p, struct xsk_queue *q, uint32_t fill)
{
	struct xsk_umem_config cfg = {
		.fill_size = fill,
		.comp_size = XSK_RING_DEFAULT,
		.frame_size = XSK_FRAME_SIZE,
	};

	return xsk_umem__create(&p->umem, p->memory, (uint64_t)p->frames * XSK_FRAME_SIZE, &q->fill,
				&q->completion, &cfg);
}

/* The first bind fixes the mode of the pool.  One that failed leaves the UMEM's rings half made, so the UMEM
 * goes with it. */
static int queue_try(struct xsk_port *port, uint32_t number, struct xsk_queue *q)
{
	struct xsk_pool *p = port->pool;
	uint32_t rx_size = port->rx ? XSK_RING_DEFAULT : TX_ONLY_RING;
	struct xsk_socket_config cfg = {
		.rx_size = rx_size,
		.tx_size = XSK_RING_DEFAULT,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP |
					 (p->mode == XSK_ZERO_COPY ? XDP_ZEROCOPY : XDP_COPY)),
	};
	bool first = p->umem == NULL;
	int err;

	if (first) {
		err = umem_open(p, q, rx_size);
		if (err)
			return err;
	}
	err = xsk_socket__create_shared(&q->socket, port->name, number, p->umem, port->rx ? &q->rx : NULL,
					&q->tx, &q->fill, &q->completion, &cfg);
	if (err) {
		q->socket = NULL;
		if (first)
			umem_close(p);
	}
	/* Drivers say this or that; the core says EOPNOTSUPP. */
	return err == -EINVAL && p->mode == XSK_ZERO_COPY ? -EOPNOTSUPP : err;
}

/* A socket closed a moment ago gives its queue back when an RCU period and a work item are through. */
static int queue_bind(struct xsk_port *port, uint32_t number, struct xsk_queue *q)
{
	const struct timespec pause = {.tv_nsec = BUSY_WAIT_NS};
	int err, i;

	for (i = 0; i < BUSY_TRIES; i++) {
		err = queue_try(port, number, q);
		if (err != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return err;
}

static int queue_open(struct xsk_port *port, uint32_t number)
{
	struct xsk_queue *q = &port->queue[number];
	struct xdp_options options = {0};
	socklen_t len = sizeof(options);
	int budget = TX_BUDGET, buffer = TX_BUFFER, err;

	err = queue_bind(port, number, q);
	if (err)
		return err;
	port->pool->sockets++;
	q->fd = xsk_socket__fd(q->socket);

	/* Both are only faster: an older kernel refuses the first. */
	(void)setsockopt(q->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET_, &budget, sizeof(budget));
	(void)setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &options, &len))
		return -errno;
	port->zero_copy = options.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

int xsk_port_open(struct xsk_pool *pool, const char *ifname, uint32_t ifindex, uint32_t slot, uint32_t queues,
		  bool rx, struct xsk_port **ret)
{
	struct xsk_port *port;
	uint32_t i;
	int err;

	if (slot >= ADIT_PORTS_MAX || queues == 0 || queues > ADIT_QUEUES_MAX ||
	    strlen(ifname) >= sizeof(port->name))
		return -EINVAL;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;

	port->pool = pool;
	memcpy(port->name, ifname, strlen(ifname));
	port->ifindex = ifindex;
	port->slot = slot;
	port->queues = queues;
	port->rx = rx;
	for (i = 0; i < queues; i++) {
		err = queue_open(port, i);
		if (err)
			goto fail;
	}
	*ret = port;
	return 0;
fail:
	xsk_port_close(port);
	return err;
}

void xsk_port_close(struct xsk_port *port)
{
	uint32_t i;

	if (!port)
		return;
	for (i = 0; i < port->queues; i++) {
		if (!port->queue[i].socket)
			continue;
		xsk_socket__delete(port->queue[i].socket);
		port->pool->sockets--;
	}
	/* With the last socket the UMEM can go too, and the next first bind starts clean. */
	if (port->pool->sockets == 0)
		umem_close(port->pool);
	free(port);
}

int xsk_port_fd(const struct xsk_port *port, uint32_t queue)
{
	if (queue >= port->queues || !port->queue[queue].socket)
		return -ENOENT;
	return port->queue[queue].fd;
}

uint32_t xsk_port_slot(const struct xsk_port *port)
{
	return port->slot;
}

uint32_t xsk_port_queues(const struct xsk_port *port)
{
	return port->queues;
}

bool xsk_port_zero_copy(const struct xsk_port *port)
{
	return port->zero_copy;
}
