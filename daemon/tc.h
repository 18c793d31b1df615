/* SPDX-License-Identifier: BSD-2-Clause */
/* The two ways in which a TC program is attached; tc.c chooses.
 *
 *   tcx     since Linux 6.6: a list per device and direction, asked before any clsact
 *   clsact  a filter of the qdisc of that name, everywhere
 */
#ifndef ADIT_TC_H
#define ADIT_TC_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "programs.h"

#define TCX_MAX 64 /* so many programs a device can have */

struct tcx_list {
	__u32 ids[TCX_MAX]; /* in the order in which they are asked */
	__u32 n;
};

/* -EINVAL: this kernel has no tcx. */
int tcx_query(enum program which, __u32 ifindex, struct tcx_list *list);
int tcx_attach(struct programs *p, enum program which, __u32 ifindex, const struct tcx_list *now);
/* Ours, all but one. */
void tcx_detach(enum program which, __u32 ifindex, __u32 but);

/* Whose program stands where ours would be; 0: nobody's. */
__u32 clsact_query(enum program which, __u32 ifindex);
int clsact_attach(int fd, enum program which, __u32 ifindex);
void clsact_detach(enum program which, __u32 ifindex);

/* Ours, of both kinds. */
void tc_detach(enum program which, __u32 ifindex);

#endif
