/* SPDX-License-Identifier: BSD-2-Clause */
/* The key sink: everything that ike tells the datapath.
 *
 * An SA goes to the worker first (keys, over its socket) and then into the maps
 * (addresses and shape, never keys), so that no packet is steered to an SA that the worker cannot know.
 * This file is the only writer of sa_state, sa_in, sa_out and own_esp.
 */
#ifndef ADIT_IKE_DATAPATH_H
#define ADIT_IKE_DATAPATH_H

#include <adit/maps.h>
#include <adit/msg.h>

#include <adit/reasons.h>

#include "conf.h"
#include "ike.h"

struct datapath_fds {
	int sa_state, sa_out, sa_in, own_esp, ports, rule_hits; /* maps */
	int reasons_bpf, reasons_worker, reasons_ike, sa_stats;
	int events; /* BPF ring */
	int worker; /* SOCK_SEQPACKET, msg.h */
	int door;   /* another one, for ESP (door.h) */
};

struct datapath;

/* Forgets every SA that an earlier ike left in maps and worker.  0 or -errno. */
int datapath_new(const struct datapath_fds *fds, const struct conf *conf, struct datapath **ret);
void datapath_free(struct datapath *dp);

/* For struct ike_env; self is the datapath.  A failure of the worker's socket or of a map is -errno. */
uint32_t datapath_alloc_spi(struct datapath *dp);
void datapath_free_spi(struct datapath *dp, uint32_t spi);
int datapath_install(struct datapath *dp, const struct child_sa *child, enum ike_direction dir);
void datapath_remove(struct datapath *dp, const struct child_sa *child);
void datapath_moved(struct datapath *dp, const struct child_sa *child);

/* Packets that wait although their SA stands go on; false: it does not stand. */
bool datapath_release(struct datapath *dp, uint32_t rule);
/* The packets that wait for this rule's SA will not get one. */
void datapath_discard(struct datapath *dp, uint32_t rule);
/* A fresh worker: what it should know is nothing. */
void datapath_worker_lost(struct datapath *dp);

/* spi_in of the child that an SA index belongs to (either direction), 0 when it is gone. */
uint32_t datapath_spi_of_index(const struct datapath *dp, uint32_t index);

/* Calls used for every child that received something since the last call of this. */
void datapath_each_used(struct datapath *dp, void (*used)(void *self, uint32_t spi_in), void *self);

/* What a child looks like in the datapath; NULL when it is not installed. */
struct datapath_child {
	uint32_t index_in, index_out;
	enum adit_suite suite;
	uint16_t inner_mtu, mss4;
	const struct adit_sa_stats *in, *out; /* live; NULL when that direction is not there */
};
bool datapath_find(const struct datapath *dp, uint32_t spi_in, struct datapath_child *ret);

/* Of a rule, summed over all CPUs; false: the rule is not counted. */
bool datapath_hits(const struct datapath *dp, uint32_t rule, struct adit_hits *ret);
uint64_t datapath_reason_bpf(const struct datapath *dp, enum adit_reason reason);
uint64_t datapath_reason_worker(const struct datapath *dp, enum adit_reason reason);
/* ike's own counters, where bpftool sees them too. */
void datapath_publish_counters(struct datapath *dp, const uint64_t *counters, unsigned n);

const char *datapath_suite_name(enum adit_suite suite);

#endif
