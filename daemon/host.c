// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

/* ---- finding ------------------------------------------------------------------------------- */

static struct device *find_device(struct host *h, unsigned ifindex)
{
	unsigned i;

	for (i = 0; i < h->n_devices; i++)
		if (h->devices[i].link.ifindex == ifindex)
			return &h->devices[i];
	return NULL;
}

int host_add_device(struct host *h, const struct link *link, enum xdp_mode mode, struct device **ret)
{
	struct device *d;

	if (h->n_devices == ADIT_PORTS_MAX)
		return -ENOSPC;
	d = &h->devices[h->n_devices];
	*d = (struct device){.link = *link, .slot = h->n_devices, .mode = mode};
	if (d->link.queues > ADIT_QUEUES_MAX) {
		log_error("%s has %u queues, %u are possible: ethtool -L %s combined %u", link->name,
			  link->queues, ADIT_QUEUES_MAX, link->name, ADIT_QUEUES_MAX);
		return -E2BIG;
	}
	h->n_devices++;
	*ret = d;
	return 0;
}

static int find_port_device(struct host *h, struct port *p)
{
	struct link lower = p->link;
	int err;

	if (p->link.type != ARPHRD_ETHER) {
		log_info("%s has no Ethernet: its traffic takes the general path", p->link.name);
		return 0;
	}
	if (p->link.lower != p->link.ifindex) {
		err = link_get_index(p->link.lower, &lower);
		if (err)
			return err;
	}
	/* A hidden tag would make frames of other VLANs look like this interface's own. */
	err = link_rx_vlan_offload_off(lower.name);
	if (err && err != -EOPNOTSUPP)
		log_warn("%s: VLAN tags stay hidden from XDP: %s", lower.name, strerror(-err));
	p->device = find_device(h, lower.ifindex);
	if (!p->device) {
		err = host_add_device(h, &lower, guard_xdp_mode(p->conf, &lower), &p->device);
		if (err)
			return err;
	}
	p->device->outside |= p->conf->role == CONF_OUTSIDE;
	p->device->zero_copy_wanted |= p->conf->zero_copy == CONF_AUTO;
	return 0;
}

static int find_ports(struct host *h, const struct conf *conf)
{
	size_t i;
	int err;

	for (i = 0; i < conf->n_interfaces; i++) {
		struct port *p = &h->ports[h->n_ports];

		if (h->n_ports == ADIT_PORTS_MAX - FIRST_SLOT) {
			log_error("%s:%u: more than %u interfaces", conf->path, conf->interfaces[i]->loc.line,
				  ADIT_PORTS_MAX - FIRST_SLOT);
			return -E2BIG;
		}
		p->conf = conf->interfaces[i];
		err = link_get(p->conf->name, &p->link);
		if (err == -ENODEV) {
			log_warn("%s:%u:%u: there is no interface %s now; waiting for it", conf->path,
				 p->conf->loc.line, p->conf->loc.col, p->conf->name);
			continue;
		}
		if (err) {
			log_error("%s:%u:%u: interface %s: %s", conf->path, p->conf->loc.line,
				  p->conf->loc.col, p->conf->name,
				  err == -ENODEV ? "there is no such device" : strerror(-err));
			return err;
		}
		h->n_ports++;
		err = find_port_device(h, p);
		if (err)
			return err;
	}
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void *shared_page(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void host_forget_others(struct host *h)
{
	__u32 keep[4 * ADIT_PORTS_MAX];
	unsigned i, n = 0;

	for (i = 0; i < h->n_ports; i++)
		keep[n++] = h->ports[i].link.ifindex;
	keep[n++] = h->devices[FAR_SLOT].link.ifindex;
	n += guard_rows(h->guard, keep + n, sizeof(keep) / sizeof(*keep) - n);
	programs_keep_ports(h->programs, keep, n);
}

int host_open(const char *instance, const struct conf *conf, struct programs *programs,
	      const struct guard *guard, const uint64_t ike_cookies[IKE_SOCKETS], struct host **ret)
{
	struct host *h = calloc(1, sizeof(*h));
	int err = -ENOMEM;

	if (!h)
		return err;
	h->programs = programs;
	h->conf = conf;
	h->guard = guard;
	h->shared = shared_page(sizeof(*h->shared));
	h->shared_worker = shared_page(sizeof(*h->shared_worker));
	if (!h->shared || !h->shared_worker)
		goto fail;
	memcpy(h->facts.ike_cookies, ike_cookies, sizeof(h->facts.ike_cookies));
	err = host_make_pair(h, instance);
	if (!err)
		err = find_ports(h, conf);
	if (err)
		goto fail;
	err = programs_set_host(programs, &h->facts);
	if (!err)
		err = host_attach(h);
	if (!err)
		err = host_publish(h);
	if (err)
		goto fail;
	*ret = h;
	return 0;
fail:
	host_close(h);
	return err;
}

void host_close(struct host *h)
{
	if (!h)
		return;
	host_close_xsk(h);
	if (h->shared)
		munmap(h->shared, sizeof(*h->shared));
	if (h->shared_worker)
		munmap(h->shared_worker, sizeof(*h->shared_worker));
	free(h);
}

/* Every configured interface is here with the ifindex that was found, or was not and is not there. */
static bool same_ports(const struct host *h, const struct link_news *news)
{
	const struct port *p = h->ports;
	size_t i;

	for (i = 0; i < h->conf->n_interfaces; i++) {
		const struct conf_interface *c = h->conf->interfaces[i];
		unsigned now = if_nametoindex(c->name), then = 0;

		if (p < h->ports + h->n_ports && p->conf == c)
			then = p++->link.ifindex;
		if (now == then && !(then && link_is_gone(news, then)))
			continue;
		if (c->role != CONF_OUTSIDE) /* the others are the guard's to tell */
			log_warn("interface %s %s", c->name,
				 !now	? "is gone"
				 : then ? "was made anew"
					: "is there");
		return false;
	}
	return true;
}

bool host_same(const struct host *h, const struct link_news *news)
{
	unsigned i;

	if (!same_ports(h, news))
		return false;
	for (i = 0; i < h->n_devices; i++) {
		const struct link *l = &h->devices[i].link;

		if (!link_is_gone(news, l->ifindex) &&
		    (i >= FIRST_SLOT || if_nametoindex(l->name) == l->ifindex))
			continue;
		if (i < FIRST_SLOT)
			log_error("somebody removed our device %s", l->name);
		return false;
	}
	return true;
}

void host_refresh(struct host *h)
{
	unsigned i;
	int err;

	host_look_at_programs(h);
	for (i = 0; i < h->n_devices; i++)
		link_get_index(h->devices[i].link.ifindex, &h->devices[i].link);
	for (i = 0; i < h->n_ports; i++)
		link_get_index(h->ports[i].link.ifindex, &h->ports[i].link);
	err = host_publish(h);
	if (err)
		log_error("the maps cannot be written: %s", strerror(-err));
}

const struct host_shared *host_shared(const struct host *h)
{
	return h->shared;
}
