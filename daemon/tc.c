// SPDX-License-Identifier: BSD-2-Clause
#include "tc.h"

#include <errno.h>

#include "load.h"
#include "prog.h"

int programs_attach_tc(struct programs *p, enum program which, __u32 ifindex, enum tc_mode *mode)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);

	*mode = err == -EINVAL ? TC_MODE_CLSACT : TC_MODE_TCX;
	if (*mode == TC_MODE_CLSACT)
		return clsact_attach(programs_fd(p, which), which, ifindex);
	if (!err)
		err = tcx_attach(p, which, ifindex, &now);
	if (!err)
		clsact_detach(which, ifindex); /* of an earlier version, or an earlier kernel's */
	return err;
}

bool programs_attached_tc(enum program which, __u32 ifindex, struct program_name *first)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);
	__u32 id, i;

	*first = (struct program_name){0};
	if (err == -EINVAL) {
		id = clsact_query(which, ifindex);
		return id && prog_is_ours(id);
	}
	if (!now.n || prog_is_ours(now.ids[0]))
		return now.n;
	for (i = 1; i < now.n; i++)
		if (prog_is_ours(now.ids[i])) {
			first->id = now.ids[0];
			prog_name(first->id, first->name);
			break;
		}
	return false;
}

void tc_detach(enum program which, __u32 ifindex)
{
	tcx_detach(which, ifindex, 0);
	clsact_detach(which, ifindex);
}
