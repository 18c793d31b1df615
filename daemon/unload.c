// SPDX-License-Identifier: BSD-2-Clause
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "load.h"
#include "programs.h"

int programs_unload(const char *instance)
{
	char dir[128], path[160];
	__u32 ifindex, next;
	int fd;

	load_hush();
	load_pin_dir(instance, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/ports", dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	for (ifindex = 0; bpf_map_get_next_key(fd, ifindex ? &ifindex : NULL, &next) == 0; ifindex = next)
		programs_leave(fd, next);
	close(fd);
	load_remove_pins(dir);
	return rmdir(dir) ? -errno : 0;
}
