// SPDX-License-Identifier: BSD-2-Clause
/* struct io on AF_XDP sockets. */
#ifndef ADIT_XSK_IO_H
#define ADIT_XSK_IO_H

#include "io.h"
#include "worker.h"

struct xsk_io;

extern const struct io xsk_io_row;

/* Takes over the rings of all ports of the setup and fills their fill rings. */
int xsk_io_new(const struct worker_setup *setup, struct xsk_io **ret);
void xsk_io_free(struct xsk_io *x);

/* Frames that are free or with the kernel.  As long as the loop holds none, all there are. */
uint32_t xsk_io_frames(const struct xsk_io *x);

#endif
