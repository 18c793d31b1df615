// SPDX-License-Identifier: BSD-2-Clause
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 32768 /* a link with many virtual functions fills more than a page */

int link_ask(struct nlmsghdr *request, int (*cb)(const struct nlmsghdr *, void *), void *self)
{
	static char answer[MESSAGE_MAX];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	unsigned seq = (unsigned)time(NULL);
	int err = -EIO;
	ssize_t n;

	if (!nl)
		return -errno;
	request->nlmsg_seq = seq;
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		goto out;
	do {
		n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
		if (n < 0)
			goto out;
		n = mnl_cb_run(answer, n, seq, mnl_socket_get_portid(nl), cb, self);
		if (n < 0)
			goto out;
	} while (n > MNL_CB_STOP);
	err = 0;
out:
	if (err)
		err = errno ? -errno : err;
	mnl_socket_close(nl);
	return err;
}

static void read_vlan(const struct nlattr *data, struct link *l)
{
	const struct nlattr *a;

	l->vlan_type = ETH_P_8021Q; /* what kernels before 3.10 had, which say nothing */
	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == IFLA_VLAN_ID)
			l->vlan = mnl_attr_get_u16(a);
		else if (mnl_attr_get_type(a) == IFLA_VLAN_PROTOCOL)
			l->vlan_type = ntohs(mnl_attr_get_u16(a));
	}
}

static void read_link_info(const struct nlattr *info, struct link *l)
{
	const struct nlattr *a, *data = NULL;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
		if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (data && strcmp(l->kind, "vlan") == 0)
		read_vlan(data, l);
}

static int read_link(const struct nlmsghdr *nlh, void *self)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	struct link *l = self;
	unsigned below = 0;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	l->ifindex = ifi->ifi_index;
	l->type = ifi->ifi_type;
	l->up = ifi->ifi_flags & IFF_UP;
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_MTU:
			l->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(a) == sizeof(l->mac))
				memcpy(l->mac, mnl_attr_get_payload(a), sizeof(l->mac));
			break;
		case IFLA_IFALIAS:
			snprintf(l->alias, sizeof(l->alias), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_GROUP:
			l->group = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK:
			below = mnl_attr_get_u32(a);
			break;
		case IFLA_NUM_RX_QUEUES:
			l->queues = mnl_attr_get_u32(a);
			break;
		case IFLA_LINKINFO:
			read_link_info(a, l);
			break;
		}
	}
	l->lower = l->vlan && below ? below : l->ifindex;
	return MNL_CB_OK;
}

static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	int fd, err;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	err = ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
	close(fd);
	return err;
}

/* What is in use now; the netlink attribute read before only says how many there could be. */
static void read_queues(struct link *l)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	if (ethtool(l->name, &c) == 0 && c.combined_count + c.rx_count)
		l->queues = c.combined_count + c.rx_count;
	if (!l->queues)
		l->queues = 1;
}

static void read_driver(struct link *l)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (!*l->kind && ethtool(l->name, &info) == 0)
		snprintf(l->kind, sizeof(l->kind), "%.31s", info.driver);
}

/* A program that is attached to such a device in native mode runs on those below it, and sees their ifindex: no frame
 * would be known as one of this device's. */
static const char *generic_only(const char *kind)
{
	static const struct {
		const char *kind, *why;
	} t[] = {
		{"bond",	 "native XDP of a bond runs on its members"},
		{"team",	 "native XDP of a team runs on its members"},
		{"hv_netvsc", "native XDP of netvsc runs on its VF"	   },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++)
		if (strcmp(kind, t[i].kind) == 0)
			return t[i].why;
	return NULL;
}

/* A VLAN above a bond has a program of its own: its tag may be gone before the bond sees the frame, because a member took
 * it off. */
static void find_lower(struct link *l)
{
	struct link below;

	l->generic_why = generic_only(l->kind);
	if (l->lower == l->ifindex || link_get_index(l->lower, &below) || !below.generic_why)
		return;
	l->lower = l->ifindex;
	l->generic_why = below.generic_why;
}

static int get(struct nlmsghdr *nlh, struct link *ret)
{
	struct link l = {0};
	int err;

	err = link_ask(nlh, read_link, &l);
	if (err)
		return err;
	if (!l.ifindex)
		return -ENODEV;
	read_queues(&l);
	read_driver(&l);
	find_lower(&l);
	*ret = l;
	return 0;
}

int link_get(const char *name, struct link *ret)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return get(nlh, ret);
}

int link_get_index(unsigned ifindex, struct link *ret)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	return get(nlh, ret);
}

struct address_visit {
	void (*take)(void *self, unsigned ifindex, const struct addr *address);
	void *self;
};

static int read_address(const struct nlmsghdr *nlh, void *self)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a, *address = NULL, *local = NULL;
	const struct address_visit *visit = self;
	uint32_t flags = ifa->ifa_flags;
	struct addr found;

	if (nlh->nlmsg_type != RTM_NEWADDR || ifa->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*ifa))
	{
		if (mnl_attr_get_type(a) == IFA_ADDRESS)
			address = a;
		if (mnl_attr_get_type(a) == IFA_LOCAL) /* point to point: IFA_ADDRESS is the other end's */
			local = a;
		if (mnl_attr_get_type(a) == IFA_FLAGS)
			flags = mnl_attr_get_u32(a);
	}
	address = local ? local : address;
	if (!address || flags & (IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return MNL_CB_OK;
	if (mnl_attr_get_payload_len(address) == 4)
		found = addr_from_v4(mnl_attr_get_payload(address));
	else if (mnl_attr_get_payload_len(address) == 16)
		found = addr_from_v6(mnl_attr_get_payload(address));
	else
		return MNL_CB_OK;
	visit->take(visit->self, ifa->ifa_index, &found);
	return MNL_CB_OK;
}

int link_each_address(void (*take)(void *self, unsigned ifindex, const struct addr *address), void *self)
{
	struct address_visit visit = {take, self};
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
	return link_ask(nlh, read_address, &visit);
}

int link_delete(const char *name)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_DELLINK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return link_ask(nlh, NULL, NULL);
}

static int set_up(const char *name, const char *alias)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_strz(nlh, IFLA_IFALIAS, alias);
	return link_ask(nlh, NULL, NULL);
}

/* No link-local address, hence no neighbour discovery into the pair.  A kernel without IPv6 has no such key.
 */
static void keep_quiet(const char *name)
{
	link_sysctl("ipv6", name, "addr_gen_mode", "1");
}

int link_make_pair(const char *near, const char *far, const char *alias, unsigned mtu)
{
	char buf[1024];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *info, *data, *peer;
	struct link old;
	int err;

	if (link_get(near, &old) == 0) {
		if (strcmp(old.alias, alias))
			return -EEXIST;
		link_delete(near);
	}
	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, near);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, far);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	err = link_ask(nlh, NULL, NULL);
	if (err)
		return err;
	keep_quiet(near);
	keep_quiet(far);
	err = set_up(near, alias);
	return err ? err : set_up(far, alias);
}

int link_set_group(unsigned ifindex, unsigned group)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	mnl_attr_put_u32(nlh, IFLA_GROUP, group);
	return link_ask(nlh, NULL, NULL);
}

int link_tx_offload_off(const char *name)
{
	struct ethtool_value off = {.cmd = ETHTOOL_STXCSUM, .data = 0};

	return ethtool(name, &off);
}

int link_gro_on(const char *name)
{
	struct ethtool_value on = {.cmd = ETHTOOL_SGRO, .data = 1};

	return ethtool(name, &on);
}

/* The bit of a feature that has no old ethtool flag, or -errno. */
static int find_feature(const char *name, const char *feature)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} sets = {
		.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}
	 };
	struct ethtool_gstrings *names;
	int err = ethtool(name, &sets), bit = -EOPNOTSUPP;
	uint32_t i;

	if (err || !sets.info.sset_mask || sets.count > 1024)
		return err ? err : -EOPNOTSUPP;
	names = calloc(1, sizeof(*names) + (size_t)sets.count * ETH_GSTRING_LEN);
	if (!names)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = sets.count;
	err = ethtool(name, names);
	for (i = 0; !err && i < names->len && bit < 0; i++)
		if (strncmp((char *)names->data + i * ETH_GSTRING_LEN, feature, ETH_GSTRING_LEN) == 0)
			bit = (int)i;
	free(names);
	return err ? err : bit;
}

static int feature_off(const char *name, const char *feature)
{
	int bit = find_feature(name, feature);
	struct ethtool_sfeatures *set;
	size_t blocks;
	int err;

	if (bit < 0)
		return bit;
	blocks = (size_t)bit / 32 + 1;
	set = calloc(1, sizeof(*set) + blocks * sizeof(set->features[0]));
	if (!set)
		return -ENOMEM;
	set->cmd = ETHTOOL_SFEATURES;
	set->size = (uint32_t)blocks;
	set->features[bit / 32].valid = 1U << bit % 32;
	err = ethtool(name, set);
	free(set);
	return err;
}

static int rx_customer_tags_shown(const char *name)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	int err = ethtool(name, &flags);

	if (err || !(flags.data & ETH_FLAG_RXVLAN))
		return err;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data &= ~(uint32_t)ETH_FLAG_RXVLAN;
	return ethtool(name, &flags);
}

int link_rx_vlan_offload_off(const char *name)
{
	int err = rx_customer_tags_shown(name);
	int service = feature_off(name, "rx-vlan-stag-hw-parse");

	return err && err != -EOPNOTSUPP ? err : service ? service : err;
}

static int open_sysctl(const char *family, const char *name, const char *key, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int link_sysctl(const char *family, const char *name, const char *key, const char *value)
{
	int fd = open_sysctl(family, name, key, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int link_sysctl_get(const char *family, const char *name, const char *key)
{
	int fd = open_sysctl(family, name, key, O_RDONLY);
	char first = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, &first, 1);
	close(fd);
	return n == 1 ? first : -EIO;
}

int link_listen(int protocol, unsigned groups)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int link_watch(void)
{
	return link_listen(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_TC | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
}

bool link_is_gone(const struct link_news *news, unsigned ifindex)
{
	unsigned i;

	for (i = 0; i < news->n_gone; i++)
		if (news->gone[i] == ifindex)
			return true;
	return false;
}

static int note_gone(const struct nlmsghdr *nlh, void *self)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link_news *news = self;

	/* A bridge tells in these words too that a port of its own went. */
	if (nlh->nlmsg_type == RTM_DELLINK && ifi->ifi_family == AF_UNSPEC &&
	    news->n_gone < sizeof(news->gone) / sizeof(*news->gone))
		news->gone[news->n_gone++] = (unsigned)ifi->ifi_index;
	return MNL_CB_OK;
}

void link_drain(int fd, struct link_news *news)
{
	static char buf[MESSAGE_MAX];
	ssize_t n;

	for (;;) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) /* we missed some; that also means: look */
			continue;
		if (n < 0)
			return;
		if (news)
			mnl_cb_run(buf, (size_t)n, 0, 0, note_gone, news);
	}
}
