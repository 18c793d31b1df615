// SPDX-License-Identifier: BSD-2-Clause
/* AF_XDP sockets and the memory behind them, opened by the parent and used by the worker that it forks.
 *
 * A pool is one UMEM in shared memory, which core dumps leave out.  A port is an interface with one socket
 * per queue on such a pool.  The kernel allows a pool one mode only: ports that can do zero-copy share one
 * pool, all others another.  Frames move between ports of a pool without a copy.
 *
 * Pool and ports serve ONE worker process: what it kept of the rings dies with it.  For the next worker close
 * the ports, then the pool, and open them anew.  The first port of a pool is what the kernel ties the others
 * to: open one first that stays (the far end of the internal pair); its queues are free again only when the
 * pool is closed.
 */
#ifndef ADIT_XSK_H
#define ADIT_XSK_H

#include <stdbool.h>
#include <stdint.h>

#define XSK_FRAME_SIZE	   2048
#define XSK_FRAMES_DEFAULT 16384
#define XSK_RING_DEFAULT   4096

enum xsk_mode { XSK_COPY, XSK_ZERO_COPY };

struct xsk_pool;
struct xsk_port;

/* frames: a power of two.  -EINVAL, -ENOMEM. */
int xsk_pool_open(enum xsk_mode mode, uint32_t frames, struct xsk_pool **ret);
/* After its ports.  NULL is fine. */
void xsk_pool_close(struct xsk_pool *pool);

/* queues: how many the device has, at most ADIT_QUEUES_MAX.  slot: index in the worker and in the XSKMAP.
 * Without rx the port only sends.  -EOPNOTSUPP: a zero-copy pool and a device that cannot; take the copy
 * pool. A queue that the kernel still holds for a socket just closed is waited for (2 s), then -EBUSY. */
int xsk_port_open(struct xsk_pool *pool, const char *ifname, uint32_t ifindex, uint32_t slot, uint32_t queues,
		  bool rx, struct xsk_port **ret);
/* Half-built and NULL are fine. */
void xsk_port_close(struct xsk_port *port);

/* For the XSKMAP, key slot * ADIT_QUEUES_MAX + queue; -ENOENT when the queue has no socket. */
int xsk_port_fd(const struct xsk_port *port, uint32_t queue);
uint32_t xsk_port_slot(const struct xsk_port *port);
uint32_t xsk_port_queues(const struct xsk_port *port);
/* As the kernel says (XDP_OPTIONS), not as asked for. */
bool xsk_port_zero_copy(const struct xsk_port *port);

#endif
