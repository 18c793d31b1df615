// SPDX-License-Identifier: BSD-2-Clause
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "load.h"
#include "prog.h"

static int attach_in_mode(int fd, __u32 ifindex, __u32 flags, __u32 old_id)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	int old, err;

	if (!old_id)
		return bpf_xdp_attach((int)ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	old = bpf_prog_get_fd_by_id(old_id);
	if (old < 0)
		return -errno;
	opts.old_prog_fd = old;
	err = bpf_xdp_attach((int)ifindex, fd, flags | XDP_FLAGS_REPLACE, &opts);
	close(old);
	return err;
}

int programs_attach_xdp(struct programs *p, enum program which, __u32 ifindex, enum xdp_mode mode,
			bool *native)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);
	int fd = programs_fd(p, which), err;
	__u32 old;

	err = bpf_xdp_query((int)ifindex, 0, &now);
	if (err)
		return err;
	old = now.drv_prog_id ? now.drv_prog_id : now.skb_prog_id;
	if (old && !prog_is_of(old, p->instance))
		return -EBUSY;
	/* Doing it again would change nothing, and wake everybody who watches the device: us too. */
	if (old && old == prog_id(fd) &&
	    (mode == XDP_MODE_AUTO || (mode == XDP_MODE_GENERIC) == !now.drv_prog_id)) {
		*native = now.drv_prog_id;
		return 0;
	}
	if (now.skb_prog_id && mode != XDP_MODE_GENERIC) {
		/* One device cannot have both: ours of an earlier run makes room for the native one. */
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_SKB_MODE, NULL);
		now.skb_prog_id = 0;
	} else if (now.drv_prog_id && mode == XDP_MODE_GENERIC) {
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
		now.drv_prog_id = 0;
	}
	*native = mode != XDP_MODE_GENERIC;
	err = -EOPNOTSUPP;
	if (*native)
		err = attach_in_mode(fd, ifindex, XDP_FLAGS_DRV_MODE, now.drv_prog_id);
	if (err && mode != XDP_MODE_NATIVE) {
		*native = false;
		err = attach_in_mode(fd, ifindex, XDP_FLAGS_SKB_MODE, now.skb_prog_id);
	}
	return err;
}

void xdp_detach(const char *instance, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	if (bpf_xdp_query((int)ifindex, 0, &now))
		return;
	if (prog_is_of(now.drv_prog_id, instance))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
	if (prog_is_of(now.skb_prog_id, instance))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_SKB_MODE, NULL);
}

void programs_detach_xdp(const struct programs *p, __u32 ifindex)
{
	xdp_detach(p->instance, ifindex);
}

/* ---- looking ----------------------------------------------------------------------------------- */

/* off: iproute2's word for the mode; without it the driver's is meant. */
static void describe(__u32 ifindex, __u32 id, const char *off, struct obstacle *o)
{
	char name[IFNAMSIZ] = "?";
	__u32 link = prog_link(id, ifindex);

	o->id = id;
	prog_name(id, o->name);
	if_indextoname(ifindex, name);
	snprintf(o->what, sizeof(o->what), "the XDP program \"%.15s\" (id %u)", o->name, id);
	if (link)
		snprintf(o->remove, sizeof(o->remove), "bpftool link detach id %u", link);
	else
		snprintf(o->remove, sizeof(o->remove), "ip link set %s %s off", name, off);
}

enum standing programs_look_xdp(const struct programs *p, __u32 ifindex, struct obstacle *o)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);
	bool ours;

	*o = (struct obstacle){0};
	if (bpf_xdp_query((int)ifindex, 0, &now))
		return STANDING_NONE;
	ours = prog_is_of(now.drv_prog_id, p->instance) || prog_is_of(now.skb_prog_id, p->instance);
	/* A NIC can run one itself, in front of the driver's. */
	if (now.hw_prog_id)
		describe(ifindex, now.hw_prog_id, "xdpoffload", o);
	else if (now.drv_prog_id && !ours)
		describe(ifindex, now.drv_prog_id, "xdp", o);
	else if (now.skb_prog_id && !ours)
		describe(ifindex, now.skb_prog_id, "xdpgeneric", o);
	return !ours ? STANDING_NONE : o->id ? STANDING_BEHIND : STANDING_FIRST;
}
