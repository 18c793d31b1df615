// SPDX-License-Identifier: BSD-2-Clause
#include "load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
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

#define BPFFS "/sys/fs/bpf"
#define PINS  BPFFS "/adit"

static char libbpf_said[512]; /* its first warning, which names the program; what follows is a consequence */

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !*libbpf_said)
		vsnprintf(libbpf_said, sizeof(libbpf_said), fmt, ap);
	return 0;
}

void load_hush(void)
{
	libbpf_set_print(keep_warning);
}

/* ---- pins ---------------------------------------------------------------------------------- */

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

void load_remove_pins(const char *dir)
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

void load_pin_dir(const char *instance, char *dir, size_t size)
{
	snprintf(dir, size, PINS "/%.64s", instance);
}

/* bpffs takes no name with a dot, and no instance's name has a plus. */
void load_aside_dir(const char *dir, char aside[LOAD_ASIDE_SIZE])
{
	snprintf(aside, LOAD_ASIDE_SIZE, "%.127s+old", dir);
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

/* ---- loading ------------------------------------------------------------------------------- */

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

/* Every program can be asked for the map that says whose it is, also one that does not use it. */
static int sign(struct programs *p)
{
	struct bpf_program *prog;
	struct adit_host host;
	__u32 zero = 0;
	int fd = bpf_map__fd(p->skel->maps.host);

	bpf_object__for_each_program(prog, p->skel->obj)
	{
		if (bpf_program__fd(prog) >= 0 && bpf_prog_bind_map(bpf_program__fd(prog), fd, NULL))
			return -errno;
	}
	if (bpf_map_lookup_elem(fd, &zero, &host))
		return -errno;
	return programs_set_host(p, &host);
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
	if (!err)
		err = sign(p);
	if (err) {
		adit_bpf__destroy(p->skel);
		p->skel = NULL;
	}
	return err;
}

int load_copy(const struct programs *of, enum program which, struct programs *copy)
{
	snprintf(copy->instance, sizeof(copy->instance), "%s", of->instance);
	return load_once(copy, of, which);
}

void load_free_copy(struct programs *copy)
{
	adit_bpf__destroy(copy->skel);
}

/* Pinned maps may be those of a version with another layout.  Programs still attached keep theirs until they are
 * replaced, and if the kernel refuses for another reason, the pins stand as they stood: --unload needs them. */
static int load_over(struct programs *p)
{
	char aside[LOAD_ASIDE_SIZE];
	int err;

	load_aside_dir(p->dir, aside);
	load_remove_pins(aside);
	rmdir(aside);
	if (rename(p->dir, aside))
		return -errno;
	libbpf_said[0] = '\0';
	err = make_dir(p->dir);
	if (!err)
		err = load_once(p, NULL, 0);
	if (err) {
		load_remove_pins(p->dir);
		rmdir(p->dir);
		rename(aside, p->dir);
		return err;
	}
	log_warn("maps pinned in %s had another layout and were made anew", p->dir);
	load_remove_pins(aside);
	rmdir(aside);
	return 0;
}

int programs_load(const char *instance, char *why, size_t why_size, struct programs **ret)
{
	struct programs *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	load_hush();
	libbpf_said[0] = '\0';
	snprintf(p->instance, sizeof(p->instance), "%s", instance);
	load_pin_dir(instance, p->dir, sizeof(p->dir));
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
