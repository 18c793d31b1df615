// SPDX-License-Identifier: BSD-2-Clause
#include "tc.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "load.h"
#include "prog.h"

/* linux/bpf.h of Debian 12 is older than tcx; libbpf passes on what it does not know. */
#define TCX_INGRESS ((enum bpf_attach_type)46) /* BPF_TCX_INGRESS */
#define TCX_EGRESS  ((enum bpf_attach_type)47) /* BPF_TCX_EGRESS */
#define TCX_BEFORE  (1U << 3)		       /* BPF_F_BEFORE: of all, when nobody is named */

static enum bpf_attach_type tcx_hook(enum program which)
{
	return which == PROGRAM_INGRESS ? TCX_INGRESS : TCX_EGRESS;
}

int tcx_query(enum program which, __u32 ifindex, struct tcx_list *list)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = list->ids, .prog_cnt = TCX_MAX);
	int err = bpf_prog_query_opts((int)ifindex, tcx_hook(which), &opts);

	list->n = err ? 0 : opts.prog_cnt;
	return err == -ENOENT ? 0 : err; /* the first kernels' word for an empty list */
}

static bool tcx_has(const struct tcx_list *list, __u32 id)
{
	__u32 i;

	for (i = 0; i < list->n; i++)
		if (list->ids[i] == id)
			return true;
	return false;
}

void tcx_detach(const char *instance, enum program which, __u32 ifindex, __u32 but)
{
	struct tcx_list list;
	__u32 i;
	int fd;

	if (tcx_query(which, ifindex, &list))
		return;
	for (i = 0; i < list.n; i++) {
		if (list.ids[i] == but || !prog_is_of(list.ids[i], instance))
			continue;
		fd = bpf_prog_get_fd_by_id(list.ids[i]);
		if (fd < 0)
			continue;
		bpf_prog_detach2(fd, (int)ifindex, tcx_hook(which));
		close(fd);
	}
}

/* Not by a link: that would go when its last descriptor goes, with the daemon. */
static int attach_first(const char *instance, int fd, enum program which, __u32 ifindex,
			const struct tcx_list *now)
{
	LIBBPF_OPTS(bpf_prog_attach_opts, opts, .flags = TCX_BEFORE);
	int old = -1, err;
	__u32 id;

	if (now->n && prog_is_of(now->ids[0], instance)) {
		old = bpf_prog_get_fd_by_id(now->ids[0]);
		opts.flags = BPF_F_REPLACE;
		opts.replace_prog_fd = old;
	}
	err = bpf_prog_attach_opts(fd, (int)ifindex, tcx_hook(which), &opts);
	if (old >= 0)
		close(old);
	/* What is left of ours further back goes only now: no moment without a guard. */
	id = prog_id(fd);
	if (!err && id)
		tcx_detach(instance, which, ifindex, id);
	return err;
}

int tcx_attach(struct programs *p, enum program which, __u32 ifindex, const struct tcx_list *now)
{
	__u32 id = prog_id(programs_fd(p, which));
	struct programs copy = {0};
	int err;

	if (now->n && now->ids[0] == id)
		return 0;
	if (!tcx_has(now, id))
		return attach_first(p->instance, programs_fd(p, which), which, ifindex, now);
	/* Somebody went in front of it.  A list takes no program twice, and taking ours out to put it in again
	 * would leave a gap: a copy goes in front. */
	err = load_copy(p, which, &copy);
	if (!err)
		err = attach_first(p->instance, programs_fd(&copy, which), which, ifindex, now);
	load_free_copy(&copy);
	return err;
}
