// SPDX-License-Identifier: BSD-2-Clause
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <unistd.h>

#include "prog.h"
#include "programs.h"

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
	old = now.prog_id ? now.prog_id : now.drv_prog_id ? now.drv_prog_id : now.skb_prog_id;
	if (old && !prog_is_ours(old))
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

bool programs_attached_xdp(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	return bpf_xdp_query((int)ifindex, 0, &now) == 0 &&
	       ((now.drv_prog_id && prog_is_ours(now.drv_prog_id)) ||
		(now.skb_prog_id && prog_is_ours(now.skb_prog_id)));
}

void xdp_detach(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	if (bpf_xdp_query((int)ifindex, 0, &now))
		return;
	if (now.drv_prog_id && prog_is_ours(now.drv_prog_id))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
	if (now.skb_prog_id && prog_is_ours(now.skb_prog_id))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_SKB_MODE, NULL);
}
