/* SPDX-License-Identifier: BSD-2-Clause */
/* This host as the datapath sees it: the configured interfaces, the internal veth pair, a socket port for
 * each device, and whether the fast path may be used.
 *
 *   host_open         devices found, internal pair made, maps ports/host filled, programs on the pair and on inside
 *                     devices: those that a packet comes to after the guard's, or that are only faster
 *   host_open_xsk     AF_XDP sockets for one worker process; host_close_xsk before the next one, and in every
 *                     child that is not the worker (the kernel keeps a socket while anybody maps its rings)
 *   host_same         after a change of a device
 *   host_refresh      after that, or a change of netfilter's rules, or time
 */
#ifndef ADIT_HOST_H
#define ADIT_HOST_H

#include "conf.h"
#include "guard.h"
#include "process.h"
#include "programs.h"
#include "worker.h"

struct host;

/* guard and conf stay the caller's. */
int host_open(const char *instance, const struct conf *conf, struct programs *programs,
	      const struct guard *guard, const uint64_t ike_cookies[IKE_SOCKETS], struct host **ret);
/* Programs and pinned maps stay. */
void host_close(struct host *h);

int host_open_xsk(struct host *h);
void host_close_xsk(struct host *h);
/* Fills pools, ports, slots and the shared page. */
void host_worker_setup(const struct host *h, struct worker_setup *setup);

/* False: the host is no longer the one that was opened (a configured interface came, went or was made anew, or the
 * internal pair is gone): open it again. */
bool host_same(const struct host *h, const struct link_news *news);
/* What the maps say of the devices; programs that somebody took away are put back. */
void host_refresh(struct host *h);

/* An interface that an earlier configuration had and this one has not is nobody's business any more.  Not before this one
 * is in force: until then the earlier one may come back, and its rows, whose policy is gone, let nothing pass. */
void host_forget_others(struct host *h);

/* The page for `adit show interface`. */
const struct host_shared *host_shared(const struct host *h);

#endif
