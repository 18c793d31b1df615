// SPDX-License-Identifier: BSD-2-Clause
#include "tc.h"

#include <bpf/libbpf.h>
#include <errno.h>

#include "prog.h"

#define TC_HANDLE   1
#define TC_PRIORITY 1 /* the first: a filter in front of ours could let packets go unseen */

static enum bpf_tc_attach_point tc_point(enum program which)
{
	return which == PROGRAM_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

__u32 clsact_query(enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, now, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	return bpf_tc_query(&hook, &now) ? 0 : now.prog_id;
}

int clsact_attach(int fd, enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	__u32 now;
	int err;

	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	now = clsact_query(which, ifindex);
	if (now && !prog_is_ours(now))
		return -EBUSY;
	return now && now == prog_id(fd) ? 0 : bpf_tc_attach(&hook, &opts);
}

void clsact_detach(enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	__u32 now = clsact_query(which, ifindex);

	if (now && prog_is_ours(now))
		bpf_tc_detach(&hook, &opts);
}
