// SPDX-License-Identifier: BSD-2-Clause
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "adit.skel.h"
#include "log.h"

#define BPFFS	    "/sys/fs/bpf"
#define PINS	    BPFFS "/adit"
#define OURS	    "adit_" /* how the names of our programs begin */
#define TC_HANDLE   1
#define TC_PRIORITY 1 /* the first: a filter in front of ours could let packets go unseen */

/* linux/bpf.h of Debian 12 is older than tcx; libbpf passes on what it does not know. */
#define TCX_INGRESS ((enum bpf_attach_type)46) /* BPF_TCX_INGRESS */
#define TCX_EGRESS  ((enum bpf_attach_type)47) /* BPF_TCX_EGRESS */
#define TCX_BEFORE  (1U << 3)		       /* BPF_F_BEFORE: of all, when nobody is named */
#define TCX_MAX	    64			       /* so many programs a device can have */

struct programs {
	struct adit_bpf *skel;
	char dir[128];
};

static char libbpf_said[512]; /* its first warning, which names the program; what follows is a consequence */

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !*libbpf_said)
		vsnprintf(libbpf_said, sizeof(libbpf_said), fmt, ap);
	return 0;
}

/* ---- loading ------------------------------------------------------------------------------- */

static int ensure_bpffs(void)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return -errno;
	log_info("mounted bpffs on " BPFFS);
	return 0;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static bool has_pins(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool any = false;

	while (d && !any && (e = readdir(d)))
		any = e->d_name[0] != '.';
	if (d)
		closedir(d);
	return any;
}

static void remove_pins(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static int set_pin_paths(struct programs *p)
{
	char path[192];
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map(map, p->skel->obj)
	{
		if (bpf_map__is_internal(map)) /* .rodata and the like */
			continue;
		snprintf(path, sizeof(path), "%.127s/%.63s", p->dir, bpf_map__name(map));
		err = bpf_map__set_pin_path(map, path);
		if (err)
			return err;
	}
	return 0;
}

static struct bpf_program *program(const struct programs *p, enum program which)
{
	struct bpf_program *const all[] = {
		[PROGRAM_OUTSIDE] = p->skel->progs.adit_outside,
		[PROGRAM_INSIDE] = p->skel->progs.adit_inside,
		[PROGRAM_INTERNAL] = p->skel->progs.adit_internal,
		[PROGRAM_EGRESS] = p->skel->progs.adit_egress,
		[PROGRAM_INGRESS] = p->skel->progs.adit_ingress,
		[PROGRAM_FIB] = p->skel->progs.adit_fib,
	};

	return all[which];
}

/* One program with the maps of another load: pins could have been removed since, and a guard with fresh maps
 * would know no rules. */
static int share_maps(struct programs *p, const struct programs *with, enum program which)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int err;

	bpf_object__for_each_program(prog, p->skel->obj)
	{
		err = bpf_program__set_autoload(prog, prog == program(p, which));
		if (err)
			return err;
	}
	bpf_object__for_each_map(map, p->skel->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		err = bpf_map__reuse_fd(map, programs_map_fd(with, bpf_map__name(map)));
		if (err)
			return err;
	}
	return 0;
}

/* Everything, with pinned maps; or, for one that has them already, another copy of one program. */
static int load_once(struct programs *p, const struct programs *of, enum program which)
{
	int err;

	p->skel = adit_bpf__open();
	if (!p->skel)
		return -errno;
	err = of ? share_maps(p, of, which) : set_pin_paths(p);
	if (!err)
		err = adit_bpf__load(p->skel);
	if (err) {
		adit_bpf__destroy(p->skel);
		p->skel = NULL;
	}
	return err;
}

/* Pinned maps may be those of a version with another layout.  Programs still attached keep theirs until they are
 * replaced, and if the kernel refuses for another reason, the pins stand as they stood: --unload needs them. */
static int load_over(struct programs *p)
{
	char aside[sizeof(p->dir) + 8];
	int err;

	snprintf(aside, sizeof(aside), "%s.old", p->dir);
	remove_pins(aside);
	rmdir(aside);
	if (rename(p->dir, aside))
		return -errno;
	libbpf_said[0] = '\0';
	err = make_dir(p->dir);
	if (!err)
		err = load_once(p, NULL, 0);
	if (err) {
		remove_pins(p->dir);
		rmdir(p->dir);
		rename(aside, p->dir);
		return err;
	}
	log_warn("maps pinned in %s had another layout and were made anew", p->dir);
	remove_pins(aside);
	rmdir(aside);
	return 0;
}

int programs_load(const char *instance, char *why, size_t why_size, struct programs **ret)
{
	struct programs *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	libbpf_set_print(keep_warning);
	libbpf_said[0] = '\0';
	snprintf(p->dir, sizeof(p->dir), PINS "/%.64s", instance);
	err = ensure_bpffs();
	if (!err)
		err = make_dir(PINS);
	if (!err)
		err = make_dir(p->dir);
	if (!err)
		err = load_once(p, NULL, 0);
	if (err == -EINVAL && has_pins(p->dir))
		err = load_over(p);
	if (err) {
		libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
		snprintf(why, why_size, "%s%s%s", strerror(-err), *libbpf_said ? ": " : "", libbpf_said);
		programs_free(p);
		return err;
	}
	*ret = p;
	return 0;
}

void programs_free(struct programs *p)
{
	if (!p)
		return;
	adit_bpf__destroy(p->skel);
	free(p);
}

int programs_map_fd(const struct programs *p, const char *map)
{
	return bpf_object__find_map_fd_by_name(p->skel->obj, map);
}

int programs_fd(const struct programs *p, enum program which)
{
	return bpf_program__fd(program(p, which));
}

static bool is_among_fds(int fd, const int *fds, unsigned n)
{
	while (n--)
		if (fds[n] == fd)
			return true;
	return false;
}

void programs_keep_fds(struct programs *p, const int *fds, unsigned n)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_map(map, p->skel->obj)
	{
		if (bpf_map__fd(map) >= 0 && !is_among_fds(bpf_map__fd(map), fds, n))
			close(bpf_map__fd(map));
	}
	bpf_object__for_each_program(prog, p->skel->obj)
	{
		if (bpf_program__fd(prog) >= 0 && !is_among_fds(bpf_program__fd(prog), fds, n))
			close(bpf_program__fd(prog));
	}
}

/* ---- facts of this host -------------------------------------------------------------------- */

static int update(int fd, const void *key, const void *value)
{
	return bpf_map_update_elem(fd, key, value, BPF_ANY) ? -errno : 0;
}

int programs_set_host(struct programs *p, const struct adit_host *host)
{
	__u32 zero = 0;

	return update(bpf_map__fd(p->skel->maps.host), &zero, host);
}

int programs_set_port(struct programs *p, __u32 ifindex, const struct adit_port *port)
{
	struct adit_vlan_key key = {.lower_ifindex = port->lower_ifindex, .vlan = port->vlan};
	int err = 0;

	if (port->vlan)
		err = update(bpf_map__fd(p->skel->maps.vlan_ports), &key, &ifindex);
	return err ? err : update(bpf_map__fd(p->skel->maps.ports), &ifindex, port);
}

int programs_set_socket(struct programs *p, __u32 slot, __u32 queue, int xsk_fd)
{
	__u32 key = slot * ADIT_QUEUES_MAX + queue;

	return update(bpf_map__fd(p->skel->maps.xsks), &key, &xsk_fd);
}

/* ---- attaching ------------------------------------------------------------------------------------------
 */

static bool program_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) == 0;
}

static __u32 program_id(int fd)
{
	struct bpf_prog_info info;

	return program_info(fd, &info) ? info.id : 0;
}

static bool program_name(__u32 id, char name[BPF_OBJ_NAME_LEN])
{
	int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info;
	bool known;

	if (fd < 0)
		return false;
	known = program_info(fd, &info);
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
	return known;
}

static bool is_ours(__u32 prog_id)
{
	char name[BPF_OBJ_NAME_LEN];

	return program_name(prog_id, name) && strncmp(name, OURS, strlen(OURS)) == 0;
}

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
	if (old && !is_ours(old))
		return -EBUSY;
	/* Doing it again would change nothing, and wake everybody who watches the device: us too. */
	if (old && old == program_id(fd) &&
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

/* ---- TC: a filter of the qdisc clsact, everywhere ------------------------------------------------------ */

static enum bpf_tc_attach_point tc_point(enum program which)
{
	return which == PROGRAM_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

/* Whose program stands where ours would be; 0: nobody's. */
static __u32 clsact_query(enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, now, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	return bpf_tc_query(&hook, &now) ? 0 : now.prog_id;
}

static int attach_clsact(int fd, enum program which, __u32 ifindex)
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
	if (now && !is_ours(now))
		return -EBUSY;
	return now && now == program_id(fd) ? 0 : bpf_tc_attach(&hook, &opts);
}

static void detach_clsact(enum program which, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = tc_point(which));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	__u32 now = clsact_query(which, ifindex);

	if (now && is_ours(now))
		bpf_tc_detach(&hook, &opts);
}

/* ---- TC: tcx, since Linux 6.6: a list per device and direction, asked before any clsact -------------------
 */

struct tcx_list {
	__u32 ids[TCX_MAX]; /* in the order in which they are asked */
	__u32 n;
};

static enum bpf_attach_type tcx_hook(enum program which)
{
	return which == PROGRAM_INGRESS ? TCX_INGRESS : TCX_EGRESS;
}

/* -EINVAL: this kernel has no tcx. */
static int tcx_query(enum program which, __u32 ifindex, struct tcx_list *list)
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

/* Ours, all but one. */
static void detach_tcx(enum program which, __u32 ifindex, __u32 but)
{
	struct tcx_list list;
	__u32 i;
	int fd;

	if (tcx_query(which, ifindex, &list))
		return;
	for (i = 0; i < list.n; i++) {
		if (list.ids[i] == but || !is_ours(list.ids[i]))
			continue;
		fd = bpf_prog_get_fd_by_id(list.ids[i]);
		if (fd < 0)
			continue;
		bpf_prog_detach2(fd, (int)ifindex, tcx_hook(which));
		close(fd);
	}
}

/* Not by a link: that would go when its last descriptor goes, with the daemon. */
static int attach_first(int fd, enum program which, __u32 ifindex, const struct tcx_list *now)
{
	LIBBPF_OPTS(bpf_prog_attach_opts, opts, .flags = TCX_BEFORE);
	int old = -1, err;
	__u32 id;

	if (now->n && is_ours(now->ids[0])) {
		old = bpf_prog_get_fd_by_id(now->ids[0]);
		opts.flags = BPF_F_REPLACE;
		opts.replace_prog_fd = old;
	}
	err = bpf_prog_attach_opts(fd, (int)ifindex, tcx_hook(which), &opts);
	if (old >= 0)
		close(old);
	/* What is left of ours further back goes only now: no moment without a guard. */
	id = program_id(fd);
	if (!err && id)
		detach_tcx(which, ifindex, id);
	return err;
}

static int attach_tcx(struct programs *p, enum program which, __u32 ifindex, const struct tcx_list *now)
{
	__u32 id = program_id(programs_fd(p, which));
	struct programs copy = {0};
	int err;

	if (now->n && now->ids[0] == id)
		return 0;
	if (!tcx_has(now, id))
		return attach_first(programs_fd(p, which), which, ifindex, now);
	/* Somebody went in front of it.  A list takes no program twice, and taking ours out to put it in again
	 * would leave a gap: a copy goes in front. */
	err = load_once(&copy, p, which);
	if (!err)
		err = attach_first(programs_fd(&copy, which), which, ifindex, now);
	adit_bpf__destroy(copy.skel);
	return err;
}

/* ---- TC: either ------------------------------------------------------------------------------------------
 */

int programs_attach_tc(struct programs *p, enum program which, __u32 ifindex, enum tc_mode *mode)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);

	*mode = err == -EINVAL ? TC_MODE_CLSACT : TC_MODE_TCX;
	if (*mode == TC_MODE_CLSACT)
		return attach_clsact(programs_fd(p, which), which, ifindex);
	if (!err)
		err = attach_tcx(p, which, ifindex, &now);
	if (!err)
		detach_clsact(which, ifindex); /* of an earlier version, or an earlier kernel's */
	return err;
}

bool programs_attached_xdp(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	return bpf_xdp_query((int)ifindex, 0, &now) == 0 && ((now.drv_prog_id && is_ours(now.drv_prog_id)) ||
							     (now.skb_prog_id && is_ours(now.skb_prog_id)));
}

bool programs_attached_tc(enum program which, __u32 ifindex, struct program_name *first)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);
	__u32 id, i;

	*first = (struct program_name){0};
	if (err == -EINVAL) {
		id = clsact_query(which, ifindex);
		return id && is_ours(id);
	}
	if (!now.n || is_ours(now.ids[0]))
		return now.n;
	for (i = 1; i < now.n; i++)
		if (is_ours(now.ids[i])) {
			first->id = now.ids[0];
			program_name(first->id, first->name);
			break;
		}
	return false;
}

/* ---- leaving ----------------------------------------------------------------------------------------------
 */

static void detach_xdp(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	if (bpf_xdp_query((int)ifindex, 0, &now))
		return;
	if (now.drv_prog_id && is_ours(now.drv_prog_id))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
	if (now.skb_prog_id && is_ours(now.skb_prog_id))
		bpf_xdp_detach((int)ifindex, XDP_FLAGS_SKB_MODE, NULL);
}

static void detach_tc(enum program which, __u32 ifindex)
{
	detach_tcx(which, ifindex, 0);
	detach_clsact(which, ifindex);
}

static void detach_all(int ports_fd, __u32 ifindex)
{
	struct adit_port port;

	if (bpf_map_lookup_elem(ports_fd, &ifindex, &port))
		return;
	detach_tc(PROGRAM_EGRESS, ifindex);
	detach_tc(PROGRAM_INGRESS, ifindex);
	detach_xdp(port.lower_ifindex ? port.lower_ifindex : ifindex);
}

static void forget_vlan(struct programs *p, __u32 ifindex)
{
	int fd = bpf_map__fd(p->skel->maps.vlan_ports);
	struct adit_vlan_key key, next, *at = NULL;
	__u32 value;

	while (bpf_map_get_next_key(fd, at, &next) == 0) {
		if (bpf_map_lookup_elem(fd, &next, &value) == 0 && value == ifindex) {
			bpf_map_delete_elem(fd, &next);
			return;
		}
		key = next;
		at = &key;
	}
}

/* Is the device below this port still below one that stays?  Then its XDP program stays too. */
static bool lower_stays(int fd, __u32 ifindex, const __u32 *ifindexes, unsigned n)
{
	struct adit_port gone, kept;

	if (bpf_map_lookup_elem(fd, &ifindex, &gone))
		return true;
	while (n--)
		if (bpf_map_lookup_elem(fd, &ifindexes[n], &kept) == 0 &&
		    kept.lower_ifindex == gone.lower_ifindex)
			return true;
	return false;
}

static bool is_among(__u32 ifindex, const __u32 *ifindexes, unsigned n)
{
	while (n--)
		if (ifindexes[n] == ifindex)
			return true;
	return false;
}

void programs_keep_ports(struct programs *p, const __u32 *ifindexes, unsigned n)
{
	int fd = bpf_map__fd(p->skel->maps.ports);
	__u32 ifindex = 0, next, *at = NULL;

	while (bpf_map_get_next_key(fd, at, &next) == 0) {
		if (is_among(next, ifindexes, n)) {
			ifindex = next;
			at = &ifindex;
			continue;
		}
		if (lower_stays(fd, next, ifindexes, n)) {
			detach_tc(PROGRAM_EGRESS, next);
			detach_tc(PROGRAM_INGRESS, next);
		} else {
			detach_all(fd, next);
		}
		forget_vlan(p, next);
		bpf_map_delete_elem(fd, &next);
	}
}

int programs_unload(const char *instance)
{
	char dir[128], path[160];
	__u32 ifindex, next;
	int fd;

	libbpf_set_print(keep_warning);
	snprintf(dir, sizeof(dir), PINS "/%.64s", instance);
	snprintf(path, sizeof(path), "%s/ports", dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	for (ifindex = 0; bpf_map_get_next_key(fd, ifindex ? &ifindex : NULL, &next) == 0; ifindex = next)
		detach_all(fd, next);
	close(fd);
	remove_pins(dir);
	return rmdir(dir) ? -errno : 0;
}
