/* SPDX-License-Identifier: BSD-2-Clause */
/* The sockets that need rights to open: IKE's four, ESP's two and the control socket; and the lock of an instance. */
#ifndef ADIT_SOCKETS_H
#define ADIT_SOCKETS_H

#include <stdint.h>

#include "process.h"

/* Opens UDP 500 and 4500 of both families; -1 stays where a family is missing.  cookies: SO_COOKIE of each,
 * by which the egress program knows them.  Logs what is wrong; -errno. */
int sockets_open_ike(int fds[IKE_SOCKETS], uint64_t cookies[IKE_SOCKETS]);
/* Raw ESP of both families, for what XDP cannot take: fragments, interfaces without Ethernet.  While nobody listens,
 * or the one who does is full, the kernel answers ESP with "protocol unreachable": sinks listen too and are never
 * full.  The same otherwise. */
int sockets_open_esp(int fds[ESP_SOCKETS], int sinks[ESP_SOCKETS]);
void sockets_close(int *fds, unsigned n);

/* /run/adit/INSTANCE/control, listening, root only. */
int sockets_open_control(const char *instance);
/* Held as long as the descriptor; -EWOULDBLOCK: the instance runs already. */
int sockets_lock(const char *instance);
/* Gives the lock back, and removes it and the folder of the control socket. */
void sockets_forget(const char *instance, int lock_fd);

/* A SOCK_SEQPACKET pair with room for a burst of commands, or for as much ESP as may wait. */
int sockets_pair(int pair[2]);
int sockets_pair_door(int pair[2]);

#endif
