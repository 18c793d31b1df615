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

struct tables {
	struct netfilter_table *v;
	unsigned max;
	int n; /* or -errno */
};

struct chain {
	const char *family, *table, *name, *type; /* family NULL: not one for IP packets */
	const struct nlattr *hook;		  /* NULL: not a base chain */
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

/* A base chain where somebody else's rules meet IP packets; false for all others. */
static bool parse_chain(const struct nlmsghdr *nlh, struct chain *c)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	*c = (struct chain){family_name(nfg->nfgen_family), "?", "?", "?", NULL};
	mnl_attr_for_each(a, nlh, sizeof(*nfg))
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_CHAIN_TABLE:
			c->table = mnl_attr_get_str(a);
			break;
		case NFTA_CHAIN_NAME:
			c->name = mnl_attr_get_str(a);
			break;
		case NFTA_CHAIN_TYPE:
			c->type = mnl_attr_get_str(a);
			break;
		case NFTA_CHAIN_HOOK:
			c->hook = a;
			break;
		}
	}
	/* Not ours: backstop.c's never looks at what our programs carry. */
	return c->family && c->hook && strncmp(c->table, OURS, strlen(OURS)) != 0;
}

static int look_at_chain(const struct nlmsghdr *nlh, void *self)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct finding *f = self;
	struct chain c;

	if (f->found || !parse_chain(nlh, &c) || !hook_sees_forwarded(c.hook, nfg->nfgen_family))
		return MNL_CB_OK;
	f->found = true;
	snprintf(f->why, f->size, "nftables chain %s %s %s sees forwarded packets", c.family, c.table,
		 c.name);
	return MNL_CB_OK;
}

static bool hook_is(const struct nlattr *hook, uint32_t num)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, hook) if (mnl_attr_get_type(a) == NFTA_HOOK_HOOKNUM)
	{
		return ntohl(mnl_attr_get_u32(a)) == num;
	}
	return false;
}

static int keep_nat_table(const struct nlmsghdr *nlh, void *self)
{
	struct tables *t = self;
	struct chain c;
	int i;

	if (t->n < 0 || !parse_chain(nlh, &c) || strcmp(c.type, "nat") ||
	    !hook_is(c.hook, NF_INET_POST_ROUTING))
		return MNL_CB_OK;
	for (i = 0; i < t->n; i++)
		if (!strcmp(t->v[i].family, c.family) && !strcmp(t->v[i].name, c.table))
			return MNL_CB_OK;
	if (t->n == (int)t->max) {
		t->n = -E2BIG;
		return MNL_CB_OK;
	}
	snprintf(t->v[t->n].family, sizeof(t->v[t->n].family), "%s", c.family);
	snprintf(t->v[t->n].name, sizeof(t->v[t->n].name), "%s", c.table);
	t->n++;
	return MNL_CB_OK;
}

/* Every chain of every table to look; 0 or -errno. */
static int each_chain(mnl_cb_t look, void *self)
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
		n = mnl_cb_run(buf, n, 1, mnl_socket_get_portid(nl), look, self);
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

	err = each_chain(look_at_chain, &f);
	if (err) {
		snprintf(why, size, "the netfilter ruleset cannot be read (%s)", strerror(-err));
		return err;
	}
	look_at_iptables("/proc/net/ip_tables_names", &f);
	look_at_iptables("/proc/net/ip6_tables_names", &f);
	return f.found;
}

int netfilter_nat_tables(struct netfilter_table *v, unsigned max)
{
	struct tables t = {v, max, 0};
	int err = each_chain(keep_nat_table, &t);

	return err ? err : t.n;
}

bool netfilter_old_nat(int family)
{
	FILE *file =
		fopen(family == AF_INET ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names", "re");
	char table[32];
	bool found = false;

	while (file && !found && fscanf(file, "%31s", table) == 1)
		found = strcmp(table, "nat") == 0;
	if (file)
		fclose(file);
	return found;
}

int netfilter_watch(void)
{
	return link_listen(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
}
