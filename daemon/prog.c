// SPDX-License-Identifier: BSD-2-Clause
#include "prog.h"

#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#define OURS "adit_" /* how the names of our programs begin */

static bool prog_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) == 0;
}

__u32 prog_id(int fd)
{
	struct bpf_prog_info info;

	return prog_info(fd, &info) ? info.id : 0;
}

bool prog_name(__u32 id, char name[BPF_OBJ_NAME_LEN])
{
	int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info;
	bool known;

	if (fd < 0)
		return false;
	known = prog_info(fd, &info);
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
	return known;
}

bool prog_is_ours(__u32 id)
{
	char name[BPF_OBJ_NAME_LEN];

	return prog_name(id, name) && strncmp(name, OURS, strlen(OURS)) == 0;
}
