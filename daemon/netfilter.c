// SPDX-License-Identifier: BSD-2-Clause
#include "netfilter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "link.h"

#define OURS "adit-" /* how the names of our tables begin */

struct finding {
	char *why;
	size_t size;
	bool found;
};

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_NETDEV:
		return "netdev";
	default: /* arp, bridge: no IP packet that we carry passes there */
		return NULL;
	}
}

/* A base chain on input or output only never sees a forwarded packet. */
static bool hook_sees_forwarded(const struct nlattr *hook, uint8_t family)
{
	const struct nlattr *a;

	if (family == NFPROTO_NETDEV)
		return true;
	mnl_attr_for_each_nested(a, hook) if (mnl_attr_get_type(a) == NFTA_HOOK_HOOKNUM)
	{
		uint32_t num = ntohl(mnl_attr_get_u32(a));

		return num != NF_INET_LOCAL_IN && num != NF_INET_LOCAL_OUT;
	}
	return false;
}

static int look_at_chain(const struct nlmsghdr *nlh, void *self)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const char *family = family_name(nfg->nfgen_family), *table = "?", *chain = "?";
	struct finding *f = self;
	const struct nlattr *a, *hook = NULL;

	if (!family)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*nfg))
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_CHAIN_TABLE:
			table = mnl_attr_get_str(a);
			break;
		case NFTA_CHAIN_NAME:
			chain = mnl_attr_get_str(a);
			break;
		case NFTA_CHAIN_HOOK:
			hook = a;
			break;
		}
	}
	if (strncmp(table, OURS, strlen(OURS)) == 0) /* backstop.c: never looks at what our programs carry */
		return MNL_CB_OK;
	if (f->found || !hook || !hook_sees_forwarded(hook, nfg->nfgen_family))
		return MNL_CB_OK;
	f->found = true;
	snprintf(f->why, f->size, "nftables chain %s %s %s sees forwarded packets", family, table, chain);
	return MNL_CB_OK;
}

static int look_at_nftables(struct finding *f)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	static char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;
	int err = 0;
	ssize_t n;

	if (!nl)
		return errno == EPROTONOSUPPORT ? 0 : -errno; /* a kernel without netfilter */
	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_UNSPEC;
	nfg->version = NFNETLINK_V0;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	while (!err) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0) {
			err = -errno;
			break;
		}
		n = mnl_cb_run(buf, n, 1, mnl_socket_get_portid(nl), look_at_chain, f);
		if (n < 0 && errno != EINVAL) /* EINVAL: nfnetlink without nf_tables */
			err = -errno;
		if (n <= MNL_CB_STOP)
			break;
	}
	mnl_socket_close(nl);
	return err;
}

/* The old iptables: its tables are listed once a rule tool has touched them. */
static void look_at_iptables(const char *path, struct finding *f)
{
	FILE *file = f->found ? NULL : fopen(path, "re");
	char table[32];

	if (!file)
		return;
	if (fscanf(file, "%31s", table) == 1) {
		f->found = true;
		snprintf(f->why, f->size, "iptables (legacy) table %s is in use", table);
	}
	fclose(file);
}

int netfilter_looks(char *why, size_t size)
{
	struct finding f = {.why = why, .size = size};
	int err;

	err = look_at_nftables(&f);
	if (err) {
		snprintf(why, size, "the netfilter ruleset cannot be read (%s)", strerror(-err));
		return err;
	}
	look_at_iptables("/proc/net/ip_tables_names", &f);
	look_at_iptables("/proc/net/ip6_tables_names", &f);
	return f.found;
}

int netfilter_watch(void)
{
	return link_listen(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
}
