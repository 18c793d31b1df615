// SPDX-License-Identifier: BSD-2-Clause
/* The worker: a process that seals and opens envelopes and nothing else.  It alone holds keys, sequence
 * numbers and replay windows.
 *
 * The parent opens everything named in struct worker_setup, forks, and the child calls worker_run.  All
 * descriptors stay the parent's too; the child closes none of them.  Before the call the parent closes in the
 * child what is not named here.
 */
#ifndef ADIT_WORKER_H
#define ADIT_WORKER_H

#include <adit/maps.h>
#include <stdint.h>

struct xsk_pool;
struct xsk_port;

struct worker_port {
	uint32_t slot; /* below ADIT_PORTS_MAX; also its place in worker_shared */
	uint32_t ifindex;
	uint32_t role; /* enum adit_role */
	char name[16];
	struct xsk_port *xsk;
};

/* What may change while the worker runs, in a page that parent and worker share (MAP_SHARED | MAP_ANONYMOUS).
 * The parent writes between the two calls below; the worker looks once per round. */
struct worker_shared {
	uint32_t version; /* odd while the parent writes */
	uint32_t pad;
	struct worker_shared_port {
		uint8_t flags; /* ADIT_PORT_FAST_PATH: opened packets may leave by this port's socket */
		uint8_t mac[6];
		uint8_t pad;
		uint16_t mtu;
		uint16_t pad2;
	} ports[ADIT_PORTS_MAX]; /* by slot */
};

static inline void worker_shared_begin(struct worker_shared *s)
{
	__atomic_add_fetch(&s->version, 1, __ATOMIC_SEQ_CST);
}

static inline void worker_shared_end(struct worker_shared *s)
{
	__atomic_add_fetch(&s->version, 1, __ATOMIC_SEQ_CST);
}

struct worker_setup {
	const char *instance;
	const char *user; /* account to become, "adit-worker"; NULL: none, and no confinement (tests) */
	const char *
		engine; /* crypto engine by name ("ipsec-mb", "openssl"); NULL: the fastest that works here */
	struct xsk_pool *pools[2];
	uint32_t n_pools;
	struct worker_port ports[ADIT_PORTS_MAX];
	uint32_t n_ports;
	uint32_t kernel_slot; /* far end of the internal pair: what is sent here arrives in the kernel on
				 adit0 */
	uint32_t again_slot;  /* near end (a port without rx): what is sent here meets adit_internal again */
	int command_fd;	      /* SOCK_SEQPACKET to ike, adit/msg.h; its end of file ends the worker */
	int door_fd;	      /* SOCK_SEQPACKET from ike: ESP out of its sockets (adit/msg.h) */
	int reasons_fd;	      /* map reasons_worker */
	int sa_stats_fd;      /* map sa_stats */
	int fib_fd;	      /* program adit_fib; -1: everything opened goes to the kernel */
	struct worker_shared *shared;
};

/* Returns only when it cannot start or has to end (a line in the log says why): the exit status. */
int worker_run(const struct worker_setup *setup);

#endif
