// SPDX-License-Identifier: BSD-2-Clause
#include "prog.h"

#include <adit/maps.h>
#include <bpf/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ADIT	  "adit_" /* how the names of our programs begin */
#define MAPS_MAX  64	  /* of one program; the kernel's own bound */
#define VALUE_MAX 512 /* octets of a row that is read here; no table of ours has larger ones that matter */

static bool prog_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &len) == 0;
}

static bool prog_info_by_id(__u32 id, struct bpf_prog_info *info)
{
	int fd = bpf_prog_get_fd_by_id(id);
	bool known;

	if (fd < 0)
		return false;
	known = prog_info(fd, info);
	close(fd);
	return known;
}

__u32 prog_id(int fd)
{
	struct bpf_prog_info info = {0};

	return prog_info(fd, &info) ? info.id : 0;
}

bool prog_name(__u32 id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {0};

	if (!prog_info_by_id(id, &info))
		return false;
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	return true;
}

static bool is_adit(const char name[BPF_OBJ_NAME_LEN])
{
	return strncmp(name, ADIT, strlen(ADIT)) == 0;
}

bool prog_is_adit(__u32 id)
{
	char name[BPF_OBJ_NAME_LEN];

	return prog_name(id, name) && is_adit(name);
}

/* ---- whose ----------------------------------------------------------------------------------- */

/* One map of a program; rows that do not fit are nobody's. */
struct map {
	int fd;
	struct bpf_map_info info;
};

static bool map_open(__u32 id, struct map *m)
{
	__u32 len = sizeof(m->info);

	memset(&m->info, 0, sizeof(m->info));
	m->fd = bpf_map_get_fd_by_id(id);
	if (m->fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(m->fd, &m->info, &len) == 0 && m->info.value_size <= VALUE_MAX)
		return true;
	close(m->fd);
	return false;
}

/* The instance's name in the map `host`; "" in one of a version that did not write it. */
static void read_instance(const struct map *m, char instance[16])
{
	char row[VALUE_MAX] = {0};
	__u32 zero = 0;

	if (m->info.value_size >= sizeof(struct adit_host) && bpf_map_lookup_elem(m->fd, &zero, row) == 0)
		memcpy(instance, row + offsetof(struct adit_host, instance), 16);
	instance[15] = '\0';
}

/* Before there was a name: the far end of the internal pair is called after the instance, and has a row in `ports`. */
static bool has_far_end(const struct map *m, const char *instance)
{
	char row[VALUE_MAX] = {0}, far[32];
	__u32 ifindex = 0, next, *at = NULL;

	snprintf(far, sizeof(far), "%.12s0x", instance);
	while (bpf_map_get_next_key(m->fd, at, &next) == 0) {
		if (bpf_map_lookup_elem(m->fd, &next, row) == 0 && strncmp(row, far, 16) == 0)
			return true;
		ifindex = next;
		at = &ifindex;
	}
	return false;
}

static bool maps_are_of(const __u32 *ids, __u32 n, const char *instance)
{
	bool by_far_end = false;
	char name[16] = "";
	struct map m;
	__u32 i;

	for (i = 0; i < n; i++) {
		if (!map_open(ids[i], &m))
			continue;
		if (strcmp(m.info.name, "host") == 0)
			read_instance(&m, name);
		else if (strcmp(m.info.name, "ports") == 0)
			by_far_end = has_far_end(&m, instance);
		close(m.fd);
	}
	return *name ? strcmp(name, instance) == 0 : by_far_end;
}

bool prog_is_of(__u32 id, const char *instance)
{
	__u32 ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (__u64)(unsigned long)ids};

	if (!prog_info_by_id(id, &info) || !is_adit(info.name))
		return false;
	return maps_are_of(ids, info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX, instance);
}

/* ---- links ------------------------------------------------------------------------------------ */

static bool link_holds(__u32 link, __u32 prog, __u32 ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_link_get_fd_by_id(link);
	bool holds;

	if (fd < 0)
		return false;
	/* XDP's and tcx's both say the interface first; libbpf's header knows but the former. */
	holds = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.prog_id == prog &&
		info.xdp.ifindex == ifindex;
	close(fd);
	return holds;
}

__u32 prog_link(__u32 id, __u32 ifindex)
{
	__u32 link = 0;

	while (bpf_link_get_next_id(link, &link) == 0)
		if (link_holds(link, id, ifindex))
			return link;
	return 0;
}
