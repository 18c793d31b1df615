/* SPDX-License-Identifier: BSD-2-Clause */
/* Network devices of this namespace, through rtnetlink and ethtool. */
#ifndef ADIT_LINK_H
#define ADIT_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

struct link {
	char name[IFNAMSIZ];
	unsigned ifindex;
	unsigned
		lower; /* ifindex of the device that has XDP programs and sockets: its own, or the one below a VLAN */
	unsigned mtu; /* octets */
	unsigned queues;
	uint16_t vlan;		 /* id of its tag, 0 = not a VLAN device */
	uint16_t vlan_type;	 /* EtherType of the tag: 802.1Q or 802.1ad */
	uint16_t type;		 /* ARPHRD_* */
	char kind[32];		 /* "vlan", "bond", "veth"...; of a device that was not made, its driver */
	const char *generic_why; /* why its XDP is generic whatever is wanted, or NULL */
	uint8_t mac[6];
	unsigned group; /* "ip link set NAME group"; 0 = nobody set one */
	bool up;
	char alias[64]; /* "ip link set NAME alias TEXT" */
};

/* 0, -ENODEV or another -errno. */
int link_get(const char *name, struct link *ret);
int link_get_index(unsigned ifindex, struct link *ret);

/* Every address that the world may see on an interface now: global, no secondary or temporary one. */
int link_each_address(void (*take)(void *self, unsigned ifindex, const struct addr *address), void *self);

int link_delete(const char *name);

/* A veth pair, both ends up, without IPv6 chatter.  A pair of that name with that alias is an earlier one of
 * ours and is replaced; anything else of that name stays: -EEXIST. */
int link_make_pair(const char *near, const char *far, const char *alias, unsigned mtu);

/* 0 or -errno. */
int link_set_group(unsigned ifindex, unsigned group);

/* The kernel then segments and sums what it sends through the device. */
int link_tx_offload_off(const char *name);
/* A veth end then has a NAPI: it can be sent XDP frames, and what it receives is merged. */
int link_gro_on(const char *name);
/* VLAN tags stay in the frames, where XDP can see them. */
int link_rx_vlan_offload_off(const char *name);

/* Write value to /proc/sys/net/FAMILY/conf/NAME/KEY of this namespace. */
int link_sysctl(const char *family, const char *name, const char *key, const char *value);
/* First character of the value, or -errno. */
int link_sysctl_get(const char *family, const char *name, const char *key);

/* What a watching socket told.  A device that went and one that came at once may have the same index and name, so that
 * looking finds nothing new: only this says it. */
struct link_news {
	unsigned gone[32]; /* ifindexes */
	unsigned n_gone;
};
bool link_is_gone(const struct link_news *news, unsigned ifindex);

/* A socket that becomes readable when a device, its addresses or what hangs on it at TC changes; link_drain empties it and adds to
 * news, which may be NULL. */
int link_watch(void);
void link_drain(int fd, struct link_news *news);
/* The same for any netlink protocol and its groups (a mask). */
int link_listen(int protocol, unsigned groups);

/* One rtnetlink request; its answers, or what it dumps, go to cb until the acknowledgement. */
struct nlmsghdr;
int link_ask(struct nlmsghdr *request, int (*cb)(const struct nlmsghdr *, void *), void *self);

#endif
