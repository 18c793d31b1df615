/* SPDX-License-Identifier: BSD-2-Clause */
/* What struct host is made of: for the files that are host.h's other half (pair.c, publish.c, rings.c, attach.c)
 * and for nobody else. */
#ifndef ADIT_HOST_PARTS_H
#define ADIT_HOST_PARTS_H

#include "guard.h"
#include "host.h"
#include "link.h"
#include "xsk.h"

#define NEAR_SLOT  0 /* internal pair: near end, sends only */
#define FAR_SLOT   1 /* and far end */
#define FIRST_SLOT 2

/* A device with XDP and sockets of its own. */
struct device {
	struct link link;
	uint32_t slot;
	enum xdp_mode mode;
	struct xdp_place xdp; /* of an inside device and of the far end; the others are the guard's */
	int no_socket;	      /* errno of AF_XDP's refusal */
	bool zero_copy_wanted;
	bool outside; /* else inside; a VLAN parent of both is outside */
	struct xsk_port *xsk;
};

/* A configured interface: a device, or a VLAN above one. */
struct port {
	const struct conf_interface *conf;
	struct link link;
	struct device *device; /* NULL: no Ethernet below, general path only */
	bool fast_path;
	char why[112];
};

struct host {
	struct programs *programs;
	const struct guard *guard;
	struct port ports[ADIT_PORTS_MAX];
	unsigned n_ports;
	struct device devices[ADIT_PORTS_MAX]; /* near and far end of the internal pair first */
	unsigned n_devices;
	struct xsk_pool *copy_pool, *zero_copy_pool;
	struct worker_shared *shared_worker;
	struct host_shared *shared;
	struct adit_host facts;
	const struct conf *conf;
};

/* host.c */
int host_add_device(struct host *h, const struct link *link, enum xdp_mode mode, struct device **ret);

/* pair.c: the internal veth pair; fills facts and the first two devices. */
int host_make_pair(struct host *h, const char *instance);

/* attach.c: programs beside the guard's. */
int host_attach(struct host *h);
/* Are they still there?  Who took one away is told, and it is put back. */
void host_look_at_programs(struct host *h);

/* publish.c: what maps, worker and `adit show interface` are told of the devices. */
int host_publish(struct host *h);
void host_tell_readers(struct host *h);

#endif
