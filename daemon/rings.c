// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "warnings.h"

static int open_device(struct host *h, struct device *d, bool rx)
{
	int err = -EOPNOTSUPP;
	uint32_t q;

	if (d->zero_copy_wanted && d->mode != XDP_MODE_GENERIC) {
		if (!h->zero_copy_pool)
			xsk_pool_open(XSK_ZERO_COPY, XSK_FRAMES_DEFAULT, &h->zero_copy_pool);
		if (h->zero_copy_pool)
			err = xsk_port_open(h->zero_copy_pool, d->link.name, d->link.ifindex, d->slot,
					    d->link.queues, rx, &d->xsk);
	}
	if (err)
		err = xsk_port_open(h->copy_pool, d->link.name, d->link.ifindex, d->slot, d->link.queues, rx,
				    &d->xsk);
	if (err)
		return err;
	for (q = 0; rx && q < d->link.queues && !err; q++)
		err = programs_set_socket(h->programs, d->slot, q, xsk_port_fd(d->xsk, q));
	return err;
}

/* Another program may have the queues, or the driver no room.  The interface does without, then. */
static void open_or_do_without(struct host *h, struct device *d)
{
	int err = open_device(h, d, true);

	d->no_socket = err ? -err : 0;
	if (!err)
		return;
	xsk_port_close(d->xsk);
	d->xsk = NULL;
	warnings_set("socket", d->link.name,
		     "%s: no AF_XDP socket (%s): %s takes the slow way; when what is in the way is gone: "
		     "kill -HUP of aditd, "
		     "or systemctl reload",
		     d->link.name, strerror(-err), d->outside ? "ESP" : "its traffic");
}

static bool zero_copy_used(const struct host *h)
{
	unsigned i;

	for (i = 0; i < h->n_devices; i++)
		if (h->devices[i].xsk && xsk_port_zero_copy(h->devices[i].xsk))
			return true;
	return false;
}

int host_open_xsk(struct host *h)
{
	unsigned i;
	int err;

	err = xsk_pool_open(XSK_COPY, XSK_FRAMES_DEFAULT, &h->copy_pool);
	/* The first port of a pool must be one that stays: the far end. */
	if (!err)
		err = open_device(h, &h->devices[FAR_SLOT], true);
	if (!err)
		err = open_device(h, &h->devices[NEAR_SLOT], false);
	if (err)
		log_error("the internal pair has no AF_XDP socket: %s", strerror(-err));
	warnings_begin("socket");
	for (i = FIRST_SLOT; i < h->n_devices && !err; i++)
		open_or_do_without(h, &h->devices[i]);
	warnings_end("socket");
	if (!err && h->zero_copy_pool && !zero_copy_used(h)) {
		xsk_pool_close(h->zero_copy_pool);
		h->zero_copy_pool = NULL;
	}
	if (!err)
		err = host_publish(h);
	if (err)
		host_close_xsk(h);
	return err;
}

void host_close_xsk(struct host *h)
{
	unsigned i;

	for (i = 0; i < h->n_devices; i++) {
		xsk_port_close(h->devices[i].xsk);
		h->devices[i].xsk = NULL;
	}
	xsk_pool_close(h->copy_pool);
	xsk_pool_close(h->zero_copy_pool);
	h->copy_pool = h->zero_copy_pool = NULL;
}

void host_worker_setup(const struct host *h, struct worker_setup *setup)
{
	unsigned i;

	setup->n_pools = 0;
	setup->pools[setup->n_pools++] = h->copy_pool;
	if (h->zero_copy_pool)
		setup->pools[setup->n_pools++] = h->zero_copy_pool;
	setup->n_ports = h->n_devices;
	for (i = 0; i < h->n_devices; i++) {
		const struct device *d = &h->devices[i];

		setup->ports[i] = (struct worker_port){
			.slot = d->slot,
			.ifindex = d->link.ifindex,
			.role = i < FIRST_SLOT ? ADIT_ROLE_INTERNAL
				: d->outside   ? ADIT_ROLE_OUTSIDE
					       : ADIT_ROLE_INSIDE,
			.xsk = d->xsk,
		};
		memcpy(setup->ports[i].name, d->link.name, sizeof(setup->ports[i].name));
	}
	setup->kernel_slot = FAR_SLOT;
	setup->again_slot = NEAR_SLOT;
	setup->shared = h->shared_worker;
}
