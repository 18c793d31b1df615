/* SPDX-License-Identifier: BSD-2-Clause */
/* The two ways in which a TC program is attached; tc.c chooses.
 *
 *   tcx     since Linux 6.6: a list per device and direction, asked before any clsact
 *   clsact  a filter of the qdisc of that name, everywhere
 *
 * Both keep ours at the head of what is asked, and put another one in front before the one behind goes.
 */
#ifndef ADIT_TC_H
#define ADIT_TC_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "programs.h"

#define TCX_MAX	   64 /* so many programs a device can have */
#define CLSACT_MAX 64 /* so many filters are looked at: the first ones */

/* In the order in which they are asked. */
struct tcx_list {
	__u32 ids[TCX_MAX];
	__u32 n;
};

struct clsact_filter {
	__u32 handle, prog_id; /* prog_id 0: not a BPF program */
	__u16 priority, protocol;
	char kind[16];
};

struct clsact_list {
	struct clsact_filter all[CLSACT_MAX];
	__u32 n;
};

/* -EINVAL: this kernel has no tcx. */
int tcx_query(enum program which, __u32 ifindex, struct tcx_list *list);
int tcx_attach(struct programs *p, enum program which, __u32 ifindex, const struct tcx_list *now);
/* Those of the instance, all but one. */
void tcx_detach(const char *instance, enum program which, __u32 ifindex, __u32 but);

int clsact_query(enum program which, __u32 ifindex, struct clsact_list *list);
/* -EBUSY: it stands behind one that nothing can be put in front of.  -EEXIST: there is a qdisc "ingress", beside which
 * nothing can look at what leaves.  -EOPNOTSUPP: a clsact that several interfaces share. */
int clsact_attach(struct programs *p, enum program which, __u32 ifindex);
void clsact_detach(const char *instance, enum program which, __u32 ifindex);

/* What makes it answer -EEXIST, -EOPNOTSUPP. */
bool clsact_is_ingress(__u32 ifindex);
bool clsact_is_shared(enum program which, __u32 ifindex);

/* Those of the instance, of both kinds. */
void tc_detach(const char *instance, enum program which, __u32 ifindex);

#endif
