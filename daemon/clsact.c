// SPDX-License-Identifier: BSD-2-Clause
/* Filters of one priority are of one kind and one protocol, and a new BPF filter goes to the head of its priority.  So
 * whoever adds one with priority 1 stands in front of those that were there, whatever the handles say: ours is added
 * anew, with a handle that nobody has, and the one behind is taken away then. */
#include "tc.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "link.h"
#include "load.h"
#include "prog.h"

#define FIRST_PRIORITY 1
#define LAST_PRIORITY  64 /* tried when others have those before it */

static enum bpf_tc_attach_point tc_point(enum program which)
{
	return which == PROGRAM_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

static struct tcmsg *request(struct nlmsghdr *nlh, uint16_t type, __u32 ifindex, __u32 parent)
{
	struct tcmsg *tcm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	return tcm;
}

/* ---- the filters ---------------------------------------------------------------------------- */

static __u32 bpf_filter_program(const struct nlattr *options)
{
	const struct nlattr *a;
	__u32 id = 0;

	mnl_attr_for_each_nested(a, options)
	{
		if (mnl_attr_get_type(a) == TCA_BPF_ID)
			id = mnl_attr_get_u32(a);
	}
	return id;
}

static int read_filter(const struct nlmsghdr *nlh, void *self)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct clsact_filter f = {
		.handle = tcm->tcm_handle,
		.priority = TC_H_MAJ(tcm->tcm_info) >> 16,
		.protocol = ntohs(TC_H_MIN(tcm->tcm_info)),
	};
	const struct nlattr *a, *options = NULL;
	struct clsact_list *list = self;
	__u32 chain = 0;

	mnl_attr_for_each(a, nlh, sizeof(*tcm))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(f.kind, sizeof(f.kind), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == TCA_CHAIN)
			chain = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == TCA_OPTIONS)
			options = a;
	}
	/* Without a handle it is the head of a priority, and every packet starts in chain 0. */
	if (nlh->nlmsg_type != RTM_NEWTFILTER || !f.handle || chain || list->n == CLSACT_MAX)
		return MNL_CB_OK;
	if (options && strcmp(f.kind, "bpf") == 0)
		f.prog_id = bpf_filter_program(options);
	list->all[list->n++] = f;
	return MNL_CB_OK;
}

int clsact_query(enum program which, __u32 ifindex, struct clsact_list *list)
{
	__u32 side = which == PROGRAM_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int err;

	list->n = 0;
	request(nlh, RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, side));
	err = link_ask(nlh, read_filter, list);
	return err == -EINVAL ? 0 : err; /* no such qdisc */
}

/* ---- the qdisc ------------------------------------------------------------------------------ */

struct qdisc {
	__u32 ifindex;
	char kind[16];			    /* "": there is none */
	bool ingress_shared, egress_shared; /* several interfaces have these filters */
};

static int read_qdisc(const struct nlmsghdr *nlh, void *self)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct qdisc *q = self;
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWQDISC || (__u32)tcm->tcm_ifindex != q->ifindex ||
	    tcm->tcm_parent != TC_H_CLSACT)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*tcm))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(q->kind, sizeof(q->kind), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == TCA_INGRESS_BLOCK)
			q->ingress_shared = true;
		else if (mnl_attr_get_type(a) == TCA_EGRESS_BLOCK)
			q->egress_shared = true;
	}
	return MNL_CB_OK;
}

static bool get_qdisc(__u32 ifindex, struct qdisc *ret)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	*ret = (struct qdisc){.ifindex = ifindex};
	request(nlh, RTM_GETQDISC, ifindex, 0);
	return link_ask(nlh, read_qdisc, ret) == 0;
}

bool clsact_is_ingress(__u32 ifindex)
{
	struct qdisc q;

	return get_qdisc(ifindex, &q) && strcmp(q.kind, "ingress") == 0;
}

bool clsact_is_shared(enum program which, __u32 ifindex)
{
	struct qdisc q;

	return get_qdisc(ifindex, &q) && (which == PROGRAM_INGRESS ? q.ingress_shared : q.egress_shared);
}

static void delete_ingress(__u32 ifindex)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	request(nlh, RTM_DELQDISC, ifindex, TC_H_INGRESS);
	nlh->nlmsg_flags = 0;
	link_ask(nlh, NULL, NULL);
}

/* The qdisc "ingress" takes the place of clsact and also what is meant for egress, and asks it about what comes in: a
 * guard that is shown and guards nothing.  An empty one makes room; its filters are their owner's to move. */
static int make_qdisc(enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	struct clsact_list list;
	int err;

	if (which == PROGRAM_EGRESS && clsact_is_ingress(ifindex)) {
		err = clsact_query(PROGRAM_INGRESS, ifindex, &list);
		if (err || list.n || clsact_is_shared(PROGRAM_INGRESS, ifindex))
			return err ? err : -EEXIST;
		delete_ingress(ifindex);
	}
	err = bpf_tc_hook_create(&hook);
	return err == -EEXIST ? 0 : err;
}

/* ---- ours ----------------------------------------------------------------------------------- */

static bool has_handle(const struct clsact_list *list, __u16 priority, __u32 handle)
{
	__u32 i;

	for (i = 0; i < list->n; i++)
		if (list->all[i].priority == priority && list->all[i].handle == handle)
			return true;
	return false;
}

static int add(int fd, enum program which, __u32 ifindex, const struct clsact_list *now, __u16 priority,
	       __u32 *handle)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .priority = priority);

	for (*handle = 1; has_handle(now, priority, *handle);)
		++*handle;
	opts.handle = *handle;
	return bpf_tc_attach(&hook, &opts);
}

static void drop_filter(enum program which, __u32 ifindex, const struct clsact_filter *f)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority);

	bpf_tc_detach(&hook, &opts);
}

/* All of the instance in the list but one; keep has priority 0: all. */
static void drop_ours(const char *instance, enum program which, __u32 ifindex, const struct clsact_list *list,
		      const struct clsact_filter *keep)
{
	__u32 i;

	for (i = 0; i < list->n; i++) {
		const struct clsact_filter *f = &list->all[i];

		if (!prog_is_of(f->prog_id, instance) ||
		    (f->priority == keep->priority && f->handle == keep->handle))
			continue;
		drop_filter(which, ifindex, f);
	}
}

static bool has_program(const struct clsact_list *list, __u32 id)
{
	__u32 i;

	for (i = 0; i < list->n; i++)
		if (list->all[i].prog_id == id)
			return true;
	return false;
}

/* Behind those that cannot be passed, as far in front as there is room: better than nothing, and no guard. */
static int attach_behind(int fd, enum program which, __u32 ifindex, const struct clsact_list *now)
{
	__u16 priority;
	__u32 handle;
	int err = -EBUSY;

	if (has_program(now, prog_id(fd)))
		return -EBUSY;
	for (priority = FIRST_PRIORITY + 1; err && priority <= LAST_PRIORITY; priority++)
		err = add(fd, which, ifindex, now, priority, &handle);
	return -EBUSY;
}

static int attach_first(const char *instance, int fd, enum program which, __u32 ifindex)
{
	struct clsact_filter first = {.priority = FIRST_PRIORITY};
	struct clsact_list now;
	int err = clsact_query(which, ifindex, &now);

	if (err)
		return err;
	if (now.n && now.all[0].prog_id == prog_id(fd)) {
		drop_ours(instance, which, ifindex, &now, &now.all[0]);
		return 0;
	}
	err = add(fd, which, ifindex, &now, first.priority, &first.handle);
	if (err == -EINVAL || err == -ENOSPC) /* a kind or a protocol that a BPF filter for all cannot join */
		return attach_behind(fd, which, ifindex, &now);
	if (!err)
		drop_ours(instance, which, ifindex, &now, &first);
	return err;
}

int clsact_attach(struct programs *p, enum program which, __u32 ifindex)
{
	int err = make_qdisc(which, ifindex);

	if (err == -EEXIST) /* what an earlier version put there by mistake */
		clsact_detach(p->instance, which, ifindex);
	return err ? err : attach_first(p->instance, programs_fd(p, which), which, ifindex);
}

void clsact_detach(const char *instance, enum program which, __u32 ifindex)
{
	const struct clsact_filter none = {0};
	struct clsact_list list;

	if (clsact_query(which, ifindex, &list) == 0)
		drop_ours(instance, which, ifindex, &list, &none);
}
