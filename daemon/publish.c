// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "netfilter.h"
#include "own_addresses.h"

/* A device that an inside interface shares with a policy interface is the guard's. */
static const struct xdp_place *xdp_of(const struct host *h, const struct port *p)
{
	const struct xdp_place *x = p->device ? guard_xdp(h->guard, p->device->link.ifindex) : NULL;

	return x || !p->device ? x : &p->device->xdp;
}

static void decide_fast_path(const struct host *h, struct port *p, int looks, const char *looks_why)
{
	p->fast_path = false;
	if (p->device && p->device->no_socket)
		snprintf(p->why, sizeof(p->why), "no AF_XDP socket: %s", strerror(p->device->no_socket));
	else if (!p->device || !p->device->xsk)
		snprintf(p->why, sizeof(p->why), "no AF_XDP socket here");
	else if (p->conf->role == CONF_INSIDE && *xdp_of(h, p)->why)
		snprintf(p->why, sizeof(p->why), "%s", xdp_of(h, p)->why);
	else if (p->conf->fast_path == CONF_OFF)
		snprintf(p->why, sizeof(p->why), "configured off");
	else if (p->link.mtu > ADIT_FRAME_MTU_MAX)
		snprintf(p->why, sizeof(p->why), "MTU above %d", ADIT_FRAME_MTU_MAX);
	else if (p->conf->role == CONF_OUTSIDE) {
		p->fast_path = true;
		snprintf(p->why, sizeof(p->why), "sealed packets leave through AF_XDP");
	} else if (p->conf->fast_path == CONF_AUTO && looks)
		snprintf(p->why, sizeof(p->why), "%.111s", looks_why);
	else {
		p->fast_path = true;
		snprintf(p->why, sizeof(p->why), "%s",
			 looks ? "configured on, around netfilter"
			       : "no netfilter rule sees forwarded packets");
	}
}

static int write_port(struct host *h, const struct port *p)
{
	struct adit_port row = guard_row(p->conf, &p->link);

	if (p->device && p->device->xsk) {
		row.slot = p->device->slot;
		row.queues = p->device->link.queues;
	}
	if (p->device && p->device->no_socket)
		row.flags |= ADIT_PORT_NO_SOCKET;
	if (p->fast_path)
		row.flags |= ADIT_PORT_FAST_PATH;
	return programs_set_port(h->programs, p->link.ifindex, &row);
}

/* The far end is a port too: its program finds its own slot there. */
static int write_internal(struct host *h)
{
	const struct device *far = &h->devices[FAR_SLOT];
	struct adit_port m = {
		.slot = far->slot,
		.queues = far->link.queues,
		.lower_ifindex = far->link.ifindex,
		.mtu = (uint16_t)far->link.mtu,
		.role = ADIT_ROLE_INTERNAL,
	};

	memcpy(m.name, far->link.name, sizeof(m.name));
	memcpy(m.mac, far->link.mac, sizeof(m.mac));
	return programs_set_port(h->programs, far->link.ifindex, &m);
}

static void tell_worker(struct host *h)
{
	unsigned i;

	worker_shared_begin(h->shared_worker);
	for (i = 0; i < h->n_devices; i++) {
		struct worker_shared_port *sp = &h->shared_worker->ports[h->devices[i].slot];

		memcpy(sp->mac, h->devices[i].link.mac, sizeof(sp->mac));
		sp->mtu = (uint16_t)h->devices[i].link.mtu;
		sp->flags = 0;
	}
	for (i = 0; i < h->n_ports; i++)
		if (h->ports[i].device && h->ports[i].fast_path)
			h->shared_worker->ports[h->ports[i].device->slot].flags |= ADIT_PORT_FAST_PATH;
	worker_shared_end(h->shared_worker);
}

static void xdp_word(const struct host *h, const struct port *p, char *word, size_t size)
{
	const struct xdp_place *x = xdp_of(h, p);

	if (x)
		place_xdp_word(x, word, size);
	else
		snprintf(word, size, "off");
}

static const char *xsk_word(const struct port *p)
{
	return !p->device || !p->device->xsk	    ? "none"
	       : xsk_port_zero_copy(p->device->xsk) ? "zerocopy"
						    : "copy";
}

static const char *tc_word(const struct host *h, const struct port *p)
{
	const struct tc_place *t = guard_tc(h->guard, p->link.ifindex);

	return !t || !t->ours ? "off" : t->mode == TC_MODE_TCX ? "tcx" : "clsact";
}

void host_tell_readers(struct host *h)
{
	unsigned i;

	for (i = 0; i < h->n_ports; i++) {
		const struct port *p = &h->ports[i];
		struct host_port *hp = &h->shared->port[i];

		snprintf(hp->name, sizeof(hp->name), "%s", p->link.name);
		hp->ifindex = p->link.ifindex;
		hp->mtu = p->link.mtu;
		hp->queues = p->link.queues;
		memcpy(hp->mac, p->link.mac, sizeof(hp->mac));
		hp->outside = p->conf->role == CONF_OUTSIDE;
		hp->fast_path = p->fast_path;
		snprintf(hp->why, sizeof(hp->why), "%s", p->why);
		xdp_word(h, p, hp->xdp, sizeof(hp->xdp));
		snprintf(hp->xdp_why, sizeof(hp->xdp_why), "%s",
			 p->device && p->device->link.generic_why ? p->device->link.generic_why : "");
		snprintf(hp->xsk, sizeof(hp->xsk), "%s", xsk_word(p));
		snprintf(hp->tc, sizeof(hp->tc), "%s", tc_word(h, p));
	}
	h->shared->ports = h->n_ports;
}

int host_publish(struct host *h)
{
	char why[112] = "";
	int looks = netfilter_looks(why, sizeof(why)), err = 0;
	unsigned i;

	for (i = 0; i < h->n_ports && !err; i++) {
		bool before = h->ports[i].fast_path;

		decide_fast_path(h, &h->ports[i], looks, why);
		if (before != h->ports[i].fast_path && h->ports[i].device && h->ports[i].device->xsk)
			log_info("%s: fast path %s: %s", h->ports[i].link.name,
				 h->ports[i].fast_path ? "on" : "off", h->ports[i].why);
		err = write_port(h, &h->ports[i]);
	}
	if (!err)
		err = write_internal(h);
	tell_worker(h);
	host_tell_readers(h);
	/* Without them an ICMP error has the address that its quote was sent to. */
	if (own_addresses_publish(programs_map_fd(h->programs, "own_addresses")))
		log_debug("addresses of this host could not be read; at the next change again");
	return err;
}
