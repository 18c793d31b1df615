// SPDX-License-Identifier: BSD-2-Clause
/* What xsk.c builds and xsk_io.c runs: rings of the sockets. Nobody else looks in here. */
#ifndef ADIT_XSK_RINGS_H
#define ADIT_XSK_RINGS_H

#include "xsk.h"

#include <adit/maps.h>
#include <xdp/xsk.h>

#define XSK_FRAME_SHIFT 11
_Static_assert(1 << XSK_FRAME_SHIFT == XSK_FRAME_SIZE, "chunk numbers are addresses shifted");

struct xsk_pool {
	enum xsk_mode mode;
	uint32_t frames;
	uint8_t *memory;
	struct xsk_umem *umem; /* made with the first socket */
	uint32_t sockets;      /* that are on it */
};

struct xsk_queue {
	struct xsk_socket *socket; /* NULL: not open */
	int fd;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
	uint32_t filled; /* worker: frames that the kernel may receive into, or has */
	uint32_t in_tx;	 /* worker: frames sent and not come back */
};

struct xsk_port {
	struct xsk_pool *pool;
	char name[16];
	uint32_t ifindex, slot, queues;
	bool rx, zero_copy;
	struct xsk_queue queue[ADIT_QUEUES_MAX];
};

#endif
