// SPDX-License-Identifier: BSD-2-Clause
#include "netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "warnings.h"

#define EGRESS	   1 /* NF_NETDEV_EGRESS, since Linux 5.16 */
#define CHAINS_MAX 16

struct chain {
	char table[128], name[128];
	char device[IFNAMSIZ];
};

struct look {
	const struct conf *conf;
	struct chain chains[CHAINS_MAX];
	unsigned n;
	bool steals; /* of one table: there is a rule that sends packets elsewhere */
};

/* ---- asking ---------------------------------------------------------------------------------- */

static int dump(struct nlmsghdr *nlh, mnl_cb_t cb, void *self)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	static char answer[32768];
	int err = 0;
	ssize_t n;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	while (!err) {
		n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
		if (n > 0)
			n = mnl_cb_run(answer, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(nl), cb,
				       self);
		if (n < 0)
			err = -errno;
		else if (n == MNL_CB_STOP)
			break;
	}
	mnl_socket_close(nl);
	return err;
}

static struct nlmsghdr *request(char *buf, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_NETDEV;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void read_expression(const struct nlattr *expression, struct look *look)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, expression)
	{
		const char *name = mnl_attr_get_type(a) == NFTA_EXPR_NAME ? mnl_attr_get_str(a) : "";

		look->steals |= strcmp(name, "fwd") == 0 || strcmp(name, "dup") == 0;
	}
}

static int read_rule(const struct nlmsghdr *nlh, void *self)
{
	const struct nlattr *a, *expression;

	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_RULE_EXPRESSIONS)
			continue;
		mnl_attr_for_each_nested(expression, a)
		{
			read_expression(expression, self);
		}
	}
	return MNL_CB_OK;
}

/* In any chain of the table: jumps may lead there. */
static bool table_steals(struct look *look, const char *table)
{
	char buf[512];
	struct nlmsghdr *nlh = request(buf, NFT_MSG_GETRULE);

	look->steals = false;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	return dump(nlh, read_rule, look) || look->steals; /* what cannot be read may do anything */
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* A '*' at the end of a chain's device stands for any rest. */
static bool is_device(const char *device, const char *name)
{
	size_t n = strlen(device);

	if (n && device[n - 1] == '*')
		return strncmp(device, name, n - 1) == 0;
	return strcmp(device, name) == 0;
}

static void note_device(struct look *look, const char *table, const char *chain, const char *device)
{
	size_t i;

	for (i = 0; i < look->conf->n_interfaces; i++) {
		const struct conf_interface *c = look->conf->interfaces[i];
		struct chain *at = &look->chains[look->n];

		if (!c->policy || !is_device(device, c->name) || look->n == CHAINS_MAX)
			continue;
		snprintf(at->table, sizeof(at->table), "%s", table);
		snprintf(at->name, sizeof(at->name), "%s", chain);
		snprintf(at->device, sizeof(at->device), "%s", c->name);
		look->n++;
	}
}

static bool is_egress(const struct nlattr *hook)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, hook)
	{
		if (mnl_attr_get_type(a) == NFTA_HOOK_HOOKNUM)
			return ntohl(mnl_attr_get_u32(a)) == EGRESS;
	}
	return false;
}

static void note_devices(struct look *look, const char *table, const char *chain, const struct nlattr *hook)
{
	const struct nlattr *a, *device;
	bool listed = false;

	mnl_attr_for_each_nested(a, hook)
	{
		if (mnl_attr_get_type(a) != NFTA_HOOK_DEVS)
			continue;
		listed = true;
		mnl_attr_for_each_nested(device, a)
		{
			note_device(look, table, chain, mnl_attr_get_str(device));
		}
	}
	mnl_attr_for_each_nested(a, hook)
	{
		if (mnl_attr_get_type(a) == NFTA_HOOK_DEV && !listed)
			note_device(look, table, chain, mnl_attr_get_str(a));
	}
}

static int read_chain(const struct nlmsghdr *nlh, void *self)
{
	const char *table = "?", *chain = "?";
	const struct nlattr *a, *hook = NULL;

	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_CHAIN_TABLE)
			table = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == NFTA_CHAIN_NAME)
			chain = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == NFTA_CHAIN_HOOK)
			hook = a;
	}
	if (hook && is_egress(hook))
		note_devices(self, table, chain, hook);
	return MNL_CB_OK;
}

/* ---- saying ---------------------------------------------------------------------------------- */

static void say(const struct chain *c)
{
	char key[WARNING_NAME_SIZE];

	snprintf(key, sizeof(key), "%.15s %.50s %.50s", c->device, c->table, c->name);
	warnings_set(
		"netdev", key,
		"%s: the nftables chain netdev %s %s sees what goes out before our rules do, and its table "
		"sends packets elsewhere (fwd, dup): those leave unprotected; to see it: nft list table "
		"netdev %s",
		c->device, c->table, c->name, c->table);
}

void netdev_look(const struct conf *conf)
{
	struct look look = {.conf = conf};
	char buf[512];
	unsigned i;

	dump(request(buf, NFT_MSG_GETCHAIN), read_chain, &look);
	warnings_begin("netdev");
	for (i = 0; i < look.n; i++)
		if (table_steals(&look, look.chains[i].table))
			say(&look.chains[i]);
	warnings_end("netdev");
}
