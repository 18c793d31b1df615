// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "log.h"

/* Two who want to be first could put themselves there for ever: once a second is enough, and nobody reads a
 * log that says it more often than this. */
#define PUT_BACK_MS 1000
#define SAID_MOST   3
#define SAID_WITHIN 60000 /* ms */

/* Every configured interface is here with the ifindex that was found, or was not and is not there. */
static bool still_same(const struct host *h)
{
	const struct port *p = h->ports;
	size_t i;

	for (i = 0; i < h->conf->n_interfaces; i++) {
		unsigned now = if_nametoindex(h->conf->interfaces[i]->name), then = 0;

		if (p < h->ports + h->n_ports && p->conf == h->conf->interfaces[i])
			then = p++->link.ifindex;
		if (now != then) {
			log_warn("interface %s %s", h->conf->interfaces[i]->name,
				 !now	? "is gone"
				 : then ? "was made anew"
					: "is there");
			return false;
		}
	}
	for (i = 0; i < FIRST_SLOT; i++)
		if (if_nametoindex(h->devices[i].link.name) != h->devices[i].link.ifindex) {
			log_error("somebody removed our device %s", h->devices[i].link.name);
			return false;
		}
	return true;
}

static bool may_say(struct said *said, const char *name)
{
	uint64_t now = clock_ms();

	if (!said->n || now - said->since_ms >= SAID_WITHIN) {
		if (said->n > SAID_MOST)
			log_error("%s: that happened %u times more within a minute", name,
				  said->n - SAID_MOST);
		*said = (struct said){.since_ms = now};
	}
	return said->n++ < SAID_MOST;
}

static bool tc_guards(struct host *h, struct port *p, enum program which)
{
	struct program_name first;

	if (programs_attached_tc(which, p->link.ifindex, &first))
		return true;
	if (!may_say(&p->said, p->link.name))
		return false;
	h->quiet = false;
	if (first.id)
		log_error("%s: the TC program \"%.15s\" (id %u) was put in front of ours, which goes first "
			  "again",
			  p->link.name, first.name, first.id);
	else
		log_error("%s: somebody took our TC program off; it is put back", p->link.name);
	return false;
}

static bool xdp_guards(struct host *h, struct device *d)
{
	if (programs_attached_xdp(d->link.ifindex))
		return true;
	if (may_say(&d->said, d->link.name)) {
		h->quiet = false;
		log_error("%s: somebody took our XDP program off; it is put back", d->link.name);
	}
	return false;
}

static bool is_guarded(struct host *h)
{
	bool guarded = true;
	unsigned i;

	for (i = 0; i < h->n_ports; i++) {
		struct port *p = &h->ports[i];

		if (p->conf->role != CONF_OUTSIDE)
			continue;
		guarded &= tc_guards(h, p, PROGRAM_EGRESS);
		if (!p->device)
			guarded &= tc_guards(h, p, PROGRAM_INGRESS);
	}
	for (i = FAR_SLOT; i < h->n_devices; i++)
		guarded &= xdp_guards(h, &h->devices[i]);
	return guarded;
}

bool host_guard(struct host *h)
{
	uint64_t now = clock_ms();

	if (!still_same(h))
		return false;
	if (!h->attached || (h->put_back_ms && now - h->put_back_ms < PUT_BACK_MS))
		return true;
	h->quiet = true;
	if (!is_guarded(h)) {
		h->put_back_ms = now;
		host_attach(h);
	}
	h->quiet = false;
	return true;
}

/* ---- attaching ---------------------------------------------------------------------------- */

static void say_not_attached(const struct host *h, const char *name, const char *kind, int err)
{
	if (!h->quiet)
		log_error("%s: %s program not attached: %s", name, kind, strerror(-err));
}

static int attach_device(struct host *h, struct device *d)
{
	enum program which = d->outside ? PROGRAM_OUTSIDE : PROGRAM_INSIDE;
	bool native = d->native;
	int err;

	err = programs_attach_xdp(h->programs, which, d->link.ifindex, d->mode, &d->native);
	if (err == -EBUSY && !h->quiet)
		log_error("%s carries an XDP program that is not ours; remove it: ip link set %s xdp off",
			  d->link.name, d->link.name);
	else if (err)
		say_not_attached(h, d->link.name, "XDP", err);
	else if (!h->attached || native != d->native)
		log_info("%s: XDP %s", d->link.name,
			 d->native ? "native" : "generic (slower; the driver has no native XDP)");
	return err;
}

static int attach_tc(struct host *h, struct port *p)
{
	enum tc_mode mode;
	int err = programs_attach_tc(h->programs, PROGRAM_EGRESS, p->link.ifindex, &mode);

	if (!err && !p->device)
		err = programs_attach_tc(h->programs, PROGRAM_INGRESS, p->link.ifindex, &mode);
	if (err) {
		say_not_attached(h, p->link.name, "TC", err);
		p->tc_attached = false;
		return err;
	}
	if (!p->tc_attached || p->tc != mode)
		log_info("%s: TC %s", p->link.name,
			 mode == TC_MODE_TCX ? "tcx" : "clsact (the kernel has no tcx)");
	p->tc_attached = true;
	p->tc = mode;
	return 0;
}

/* An interface that an earlier configuration had and this one has not is nobody's business any more. */
static void forget_others(struct host *h)
{
	__u32 keep[ADIT_PORTS_MAX];
	unsigned i;

	for (i = 0; i < h->n_ports; i++)
		keep[i] = h->ports[i].link.ifindex;
	keep[i++] = h->devices[FAR_SLOT].link.ifindex;
	programs_keep_ports(h->programs, keep, i);
}

int host_attach(struct host *h)
{
	bool native;
	unsigned i;
	int err, now;

	/* Inside out: what takes packets over comes before what sends them there. */
	err = programs_attach_xdp(h->programs, PROGRAM_INTERNAL, h->devices[FAR_SLOT].link.ifindex,
				  XDP_MODE_NATIVE, &native);
	if (err)
		say_not_attached(h, h->devices[FAR_SLOT].link.name, "XDP", err);
	/* At the start the first failure ends it.  Later one device in trouble must not keep the guard from others. */
	for (i = 0; i < h->n_ports && (!err || h->attached); i++)
		if (h->ports[i].conf->role == CONF_OUTSIDE) {
			now = attach_tc(h, &h->ports[i]);
			err = err ? err : now;
		}
	for (i = FIRST_SLOT; i < h->n_devices && (!err || h->attached); i++) {
		now = attach_device(h, &h->devices[i]);
		err = err ? err : now;
	}
	if (!err) {
		h->attached = true;
		host_tell_readers(h);
		forget_others(h);
	}
	return err;
}
