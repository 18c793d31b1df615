/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: one JSON line in, JSON lines out, the last of them with "done".  Root only. */
#ifndef ADIT_IKE_CONTROL_H
#define ADIT_IKE_CONTROL_H

#include "gateway.h"

int control_new(struct gateway *g, int listen_fd, struct control **ret);
void control_free(struct control *c);

/* A line for every client that waits for this peer (`adit up`, `adit down`).  Then, when the peer's rules are
 * where the client wants them or cannot get there, the end. */
void control_progress(struct control *c, const char *peer, const char *text);
void control_settled(struct control *c, const char *peer, uint32_t rule, bool up, const char *why);

#endif
