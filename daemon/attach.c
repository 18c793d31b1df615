// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#define NOTHING_PASSES "what policy protects is blocked until that ends"

static int take(struct host *h, struct device *d)
{
	return d->slot == FAR_SLOT
		       ? place_xdp_take(h->programs, &d->xdp, PROGRAM_INTERNAL, &d->link, XDP_MODE_NATIVE,
					NOTHING_PASSES)
		       : place_xdp_take(h->programs, &d->xdp, PROGRAM_INSIDE, &d->link, d->mode, NULL);
}

static bool stands(struct host *h, struct device *d)
{
	return place_xdp_stands(h->programs, &d->xdp, &d->link, d->slot == FAR_SLOT ? NOTHING_PASSES : NULL);
}

int host_attach(struct host *h)
{
	unsigned i;

	/* Inside without it the kernel forwards, and the guard's programs see the packets there: slower, nothing else. */
	for (i = FIRST_SLOT; i < h->n_devices; i++)
		if (!h->devices[i].outside)
			take(h, &h->devices[i]);
	return take(h, &h->devices[FAR_SLOT]);
}

void host_look_at_programs(struct host *h)
{
	unsigned i;

	for (i = FAR_SLOT; i < h->n_devices; i++)
		if (!h->devices[i].outside && !stands(h, &h->devices[i]))
			take(h, &h->devices[i]);
}
