// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <string.h>

#include "log.h"

/* Without it the kernel forwards, and the guard's programs see the packets there: slower, nothing else. */
static void attach_inside(struct host *h, struct device *d)
{
	bool was = d->attached, native = d->native;
	int err = programs_attach_xdp(h->programs, PROGRAM_INSIDE, d->link.ifindex, d->mode, &d->native);

	d->attached = !err;
	if (!err && (!was || native != d->native))
		log_info("%s: XDP %s", d->link.name,
			 d->native ? "native" : "generic (slower; the driver has no native XDP)");
	if (err && was)
		log_warn("%s: XDP program not attached, no fast path: %s", d->link.name,
			 err == -EBUSY ? "another one is there" : strerror(-err));
}

static int attach_internal(struct host *h)
{
	const struct device *far = &h->devices[FAR_SLOT];
	bool native;
	int err = programs_attach_xdp(h->programs, PROGRAM_INTERNAL, far->link.ifindex, XDP_MODE_NATIVE,
				      &native);

	if (err)
		log_error("%s: XDP program not attached: %s", far->link.name, strerror(-err));
	return err;
}

int host_attach(struct host *h)
{
	unsigned i;

	for (i = FIRST_SLOT; i < h->n_devices; i++)
		if (!h->devices[i].outside) {
			h->devices[i].attached = true; /* so that a failure is told */
			attach_inside(h, &h->devices[i]);
		}
	return attach_internal(h);
}

void host_look_at_programs(struct host *h)
{
	const struct device *far = &h->devices[FAR_SLOT];
	unsigned i;

	if (!programs_attached_xdp(far->link.ifindex)) {
		log_error("%s: somebody took our XDP program off", far->link.name);
		attach_internal(h);
	}
	for (i = FIRST_SLOT; i < h->n_devices; i++) {
		struct device *d = &h->devices[i];

		if (!d->outside && !programs_attached_xdp(d->link.ifindex))
			attach_inside(h, d);
	}
}
