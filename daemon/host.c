// SPDX-License-Identifier: BSD-2-Clause
#include "host.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "link.h"
#include "log.h"
#include "netfilter.h"
#include "xsk.h"

#define NEAR_SLOT  0 /* internal pair: near end, sends only */
#define FAR_SLOT   1 /* and far end */
#define FIRST_SLOT 2

/* Two who want to be first could put themselves there for ever: once a second is enough, and nobody reads a
 * log that says it more often than this. */
#define PUT_BACK_MS 1000
#define SAID_MOST   3
#define SAID_WITHIN 60000 /* ms */

/* How often something was said lately. */
struct said {
	uint64_t since_ms;
	unsigned n;
};

/* A device with XDP and sockets of its own. */
struct device {
	struct link link;
	uint32_t slot;
	enum xdp_mode mode;
	bool native;
	bool zero_copy_wanted;
	bool outside; /* else inside; a VLAN parent of both is outside */
	struct said said;
	struct xsk_port *xsk;
};

/* A configured interface: a device, or a VLAN above one. */
struct port {
	const struct conf_interface *conf;
	struct link link;
	struct device *device; /* NULL: no Ethernet below, general path only */
	bool fast_path;
	char why[112];
	bool tc_attached;
	enum tc_mode tc;
	struct said said;
};

struct host {
	struct programs *programs;
	struct port ports[ADIT_PORTS_MAX];
	unsigned n_ports;
	struct device devices[ADIT_PORTS_MAX]; /* near and far end of the internal pair first */
	unsigned n_devices;
	struct xsk_pool *copy_pool, *zero_copy_pool;
	struct worker_shared *shared_worker;
	struct host_shared *shared;
	struct adit_host facts;
	const struct conf *conf;
	bool attached;
	uint64_t put_back_ms; /* when that was last done */
	bool quiet;	      /* it is done again, and was said often enough */
};

/* ---- finding ------------------------------------------------------------------------------- */

static struct device *find_device(struct host *h, unsigned ifindex)
{
	unsigned i;

	for (i = 0; i < h->n_devices; i++)
		if (h->devices[i].link.ifindex == ifindex)
			return &h->devices[i];
	return NULL;
}

static int add_device(struct host *h, const struct link *link, enum xdp_mode mode, struct device **ret)
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
	static const enum xdp_mode modes[] = {
		[CONF_XDP_AUTO] = XDP_MODE_AUTO,
		[CONF_XDP_NATIVE] = XDP_MODE_NATIVE,
		[CONF_XDP_GENERIC] = XDP_MODE_GENERIC,
	};
	struct link lower = p->link;
	int err;

	if (p->link.type != ARPHRD_ETHER) {
		log_info("%s has no Ethernet: its traffic takes the general path", p->link.name);
		return 0;
	}
	if (p->link.vlan) {
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
		err = add_device(h, &lower, modes[p->conf->xdp], &p->device);
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

/* ---- the internal pair -----------------------------------------------------------------------------------
 */

static unsigned pair_mtu(const struct conf *conf)
{
	unsigned mtu = 1500;
	struct link l;
	size_t i;

	for (i = 0; i < conf->n_interfaces; i++)
		if (link_get(conf->interfaces[i]->name, &l) == 0 && l.mtu > mtu)
			mtu = l.mtu;
	return mtu < ADIT_FRAME_MTU_MAX ? mtu : ADIT_FRAME_MTU_MAX;
}

/* What is decrypted arrives on the near end from sources that are routed elsewhere, and our own sealed
 * packets may pass it with our own address as source: neither is a spoof here, the worker checked the
 * selectors. */
static int allow_decrypted(const char *near)
{
	static const struct {
		const char *family, *key, *value;
		bool must;
	} settings[] = {
		{"ipv4", "rp_filter",      "0", true },
		   {"ipv4", "accept_local",   "1", true },
		{"ipv4", "forwarding",     "1", true },
		   {"ipv4", "send_redirects", "0", false},
		{"ipv6", "accept_ra",      "0", false},
		   {"ipv6", "forwarding",	  "1", false},
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		err = link_sysctl(settings[i].family, near, settings[i].key, settings[i].value);
		if (err && settings[i].must) {
			log_error("net.%s.conf.%s.%s: %s", settings[i].family, near, settings[i].key,
				  strerror(-err));
			return err;
		}
	}
	if (link_sysctl_get("ipv4", "all", "rp_filter") == '1')
		log_warn("net.ipv4.conf.all.rp_filter is 1 (strict): the kernel will drop decrypted packets; "
			 "set it to 0 or 2");
	if (link_sysctl_get("ipv4", "all", "forwarding") == '0')
		log_warn("net.ipv4.ip_forward is 0: this host does not forward IPv4");
	if (link_sysctl_get("ipv6", "all", "forwarding") == '0')
		log_warn("net.ipv6.conf.all.forwarding is 0: this host does not forward IPv6, decrypted "
			 "packets included");
	return 0;
}

static int make_internal(struct host *h, const char *instance, const struct conf *conf)
{
	char near[IFNAMSIZ], far[IFNAMSIZ], alias[64];
	struct device *near_device, *far_device;
	struct link l;
	int err;

	snprintf(near, sizeof(near), "%.12s0", instance);
	snprintf(far, sizeof(far), "%.12s0x", instance);
	snprintf(alias, sizeof(alias), "adit instance %.12s", instance);
	err = link_make_pair(near, far, alias, pair_mtu(conf));
	if (err == -EEXIST) {
		log_error("a device %s exists and is not ours; choose another instance name", near);
		return err;
	}
	if (!err)
		err = link_tx_offload_off(near);
	if (!err)
		err = link_gro_on(near); /* adit_internal answers with XDP_TX */
	if (!err)
		err = link_get(near, &l);
	if (!err)
		err = add_device(h, &l, XDP_MODE_NATIVE, &near_device);
	if (!err)
		err = link_get(far, &l);
	if (!err)
		err = add_device(h, &l, XDP_MODE_NATIVE, &far_device);
	if (err) {
		log_error("internal device %s: %s", near, strerror(-err));
		return err;
	}
	h->facts.internal_ifindex = near_device->link.ifindex;
	h->facts.internal_far_ifindex = far_device->link.ifindex;
	h->facts.internal_slot = far_device->slot;
	memcpy(h->facts.internal_mac, near_device->link.mac, sizeof(h->facts.internal_mac));
	return allow_decrypted(near);
}

/* ---- fast path --------------------------------------------------------------------------------------------
 */

static void decide_fast_path(struct port *p, int looks, const char *looks_why)
{
	p->fast_path = false;
	if (!p->device || !p->device->xsk)
		snprintf(p->why, sizeof(p->why), "no AF_XDP socket here");
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

/* ---- telling the others
 * -------------------------------------------------------------------------------------- */

/* What an enveloped packet may have: the configured or the device's, and never more than our frames hold. */
static uint16_t port_mtu(const struct port *p)
{
	unsigned mtu = p->conf->mtu && p->conf->mtu < p->link.mtu ? p->conf->mtu : p->link.mtu;

	return (uint16_t)(mtu < ADIT_FRAME_MTU_MAX ? mtu : ADIT_FRAME_MTU_MAX);
}

static int write_port(struct host *h, const struct port *p)
{
	struct adit_port m = {
		.slot = p->device && p->device->xsk ? p->device->slot : ADIT_NO_SLOT,
		.queues = p->device ? p->device->link.queues : 0,
		.lower_ifindex = p->link.lower,
		.vlan = p->link.vlan,
		.mtu = port_mtu(p),
		.role = p->conf->role == CONF_OUTSIDE ? ADIT_ROLE_OUTSIDE : ADIT_ROLE_INSIDE,
	};

	memcpy(m.name, p->link.name, sizeof(m.name));
	memcpy(m.mac, p->link.mac, sizeof(m.mac));
	if (p->fast_path)
		m.flags |= ADIT_PORT_FAST_PATH;
	if (p->conf->policy && p->conf->policy->unmatched == CONF_DROP)
		m.flags |= ADIT_PORT_UNMATCHED_DROP;
	if (p->link.type != ARPHRD_ETHER)
		m.flags |= ADIT_PORT_NO_ETHERNET;
	return programs_set_port(h->programs, p->link.ifindex, &m);
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

static const char *xdp_word(const struct port *p)
{
	return !p->device ? "off" : p->device->native ? "native" : "generic";
}

static const char *xsk_word(const struct port *p)
{
	return !p->device || !p->device->xsk	    ? "none"
	       : xsk_port_zero_copy(p->device->xsk) ? "zerocopy"
						    : "copy";
}

static const char *tc_word(const struct port *p)
{
	return !p->tc_attached ? "off" : p->tc == TC_MODE_TCX ? "tcx" : "clsact";
}

static void tell_readers(struct host *h)
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
		snprintf(hp->xdp, sizeof(hp->xdp), "%s", xdp_word(p));
		snprintf(hp->xsk, sizeof(hp->xsk), "%s", xsk_word(p));
		snprintf(hp->tc, sizeof(hp->tc), "%s", tc_word(p));
	}
	h->shared->ports = h->n_ports;
}

static int publish(struct host *h)
{
	char why[112] = "";
	int looks = netfilter_looks(why, sizeof(why)), err = 0;
	unsigned i;

	for (i = 0; i < h->n_ports && !err; i++) {
		bool before = h->ports[i].fast_path;

		decide_fast_path(&h->ports[i], looks, why);
		if (before != h->ports[i].fast_path && h->ports[i].device && h->ports[i].device->xsk)
			log_info("%s: fast path %s: %s", h->ports[i].link.name,
				 h->ports[i].fast_path ? "on" : "off", h->ports[i].why);
		err = write_port(h, &h->ports[i]);
	}
	if (!err)
		err = write_internal(h);
	tell_worker(h);
	tell_readers(h);
	return err;
}

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

bool host_refresh(struct host *h)
{
	unsigned i;
	int err;

	if (!host_guard(h))
		return false;

	for (i = 0; i < h->n_devices; i++)
		link_get_index(h->devices[i].link.ifindex, &h->devices[i].link);
	for (i = 0; i < h->n_ports; i++)
		link_get_index(h->ports[i].link.ifindex, &h->ports[i].link);
	err = publish(h);
	if (err)
		log_error("the maps cannot be written: %s", strerror(-err));
	return true;
}

const struct host_shared *host_shared(const struct host *h)
{
	return h->shared;
}

/* ---- sockets
 * ------------------------------------------------------------------------------------------------- */

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
	if (err) {
		log_error("%s: no AF_XDP socket: %s", d->link.name, strerror(-err));
		return err;
	}
	for (q = 0; rx && q < d->link.queues && !err; q++)
		err = programs_set_socket(h->programs, d->slot, q, xsk_port_fd(d->xsk, q));
	return err;
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
	for (i = FIRST_SLOT; i < h->n_devices && !err; i++)
		err = open_device(h, &h->devices[i], true);
	if (!err && h->zero_copy_pool && !zero_copy_used(h)) {
		xsk_pool_close(h->zero_copy_pool);
		h->zero_copy_pool = NULL;
	}
	if (!err)
		err = publish(h);
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

/* ---- programs
 * --------------------------------------------------------------------------------------------------- */

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
		tell_readers(h);
		forget_others(h);
	}
	return err;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void *shared_page(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int host_open(const char *instance, const struct conf *conf, struct programs *programs,
	      const uint64_t ike_cookies[IKE_SOCKETS], struct host **ret)
{
	struct host *h = calloc(1, sizeof(*h));
	int err = -ENOMEM;

	if (!h)
		return err;
	h->programs = programs;
	h->conf = conf;
	h->shared = shared_page(sizeof(*h->shared));
	h->shared_worker = shared_page(sizeof(*h->shared_worker));
	if (!h->shared || !h->shared_worker)
		goto fail;
	memcpy(h->facts.ike_cookies, ike_cookies, sizeof(h->facts.ike_cookies));
	err = make_internal(h, instance, conf);
	if (!err)
		err = find_ports(h, conf);
	if (err)
		goto fail;
	err = programs_set_host(programs, &h->facts);
	if (!err)
		err = publish(h);
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
