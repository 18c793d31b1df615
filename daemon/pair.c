// SPDX-License-Identifier: BSD-2-Clause
#include "host_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "pair.h"

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

static void alias_of(const char *instance, char alias[64])
{
	snprintf(alias, 64, "adit instance %.12s", instance);
}

int host_make_pair(struct host *h, const char *instance)
{
	char near[IFNAMSIZ], far[IFNAMSIZ], alias[64];
	struct device *near_device, *far_device;
	struct link l;
	int err;

	snprintf(near, sizeof(near), "%.12s0", instance);
	snprintf(far, sizeof(far), "%.12s0x", instance);
	alias_of(instance, alias);
	err = link_make_pair(near, far, alias, pair_mtu(h->conf));
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
		err = host_add_device(h, &l, XDP_MODE_NATIVE, &near_device);
	if (!err)
		err = link_get(far, &l);
	if (!err)
		err = host_add_device(h, &l, XDP_MODE_NATIVE, &far_device);
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

int pair_remove(const char *instance, char name[IFNAMSIZ])
{
	struct if_nameindex *all = if_nameindex(), *i;
	int err = -ENOENT;
	char alias[64];
	struct link l;

	if (!all)
		return -errno;
	alias_of(instance, alias);
	for (i = all; i->if_index && err == -ENOENT; i++) {
		if (link_get_index(i->if_index, &l) || strcmp(l.alias, alias))
			continue;
		memcpy(name, l.name, IFNAMSIZ);
		err = link_delete(name);
	}
	if_freenameindex(all);
	return err;
}
