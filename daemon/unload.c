// SPDX-License-Identifier: BSD-2-Clause
#include "unload.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "backstop.h"
#include "guard.h"
#include "link.h"
#include "load.h"
#include "pair.h"
#include "prog.h"
#include "sockets.h"
#include "state.h"
#include "tc.h"
#include "xdp.h"

#define FOUND_MAX  64 /* on one interface; there are four at most when nothing went wrong */
#define GONE_TRIES 40 /* a program that was detached goes when its last packet has passed: up to 2 s */
#define GONE_NS	   50000000

struct unload {
	const char *instance;
	unsigned removed, failed;
};

static void removed(struct unload *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void removed(struct unload *u, const char *fmt, ...)
{
	va_list ap;

	printf("instance %s: removed ", u->instance);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	u->removed++;
}

static void failed(struct unload *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void failed(struct unload *u, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "instance %s: not removed: ", u->instance);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	u->failed++;
}

/* ---- programs --------------------------------------------------------------------------------- */

/* A program of the instance on an interface. */
struct found {
	const char *where;
	__u32 id;
	char name[BPF_OBJ_NAME_LEN];
};

struct found_list {
	struct found all[FOUND_MAX];
	unsigned n;
};

static void note(const struct unload *u, const char *where, __u32 id, struct found_list *list)
{
	struct found f = {.where = where, .id = id};

	if (!prog_is_of(id, u->instance) || list->n == FOUND_MAX)
		return;
	prog_name(id, f.name);
	list->all[list->n++] = f;
}

static void find_tc(const struct unload *u, enum program which, __u32 ifindex, struct found_list *list)
{
	bool in = which == PROGRAM_INGRESS;
	struct clsact_list filters;
	struct tcx_list now;
	__u32 i;

	if (tcx_query(which, ifindex, &now) == 0)
		for (i = 0; i < now.n; i++)
			note(u, in ? "tcx ingress" : "tcx egress", now.ids[i], list);
	if (clsact_query(which, ifindex, &filters) == 0)
		for (i = 0; i < filters.n; i++)
			note(u, in ? "clsact ingress" : "clsact egress", filters.all[i].prog_id, list);
}

static void find(const struct unload *u, __u32 ifindex, struct found_list *list)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, now);

	list->n = 0;
	if (bpf_xdp_query((int)ifindex, 0, &now) == 0) {
		note(u, "native XDP", now.drv_prog_id, list);
		note(u, "generic XDP", now.skb_prog_id, list);
	}
	find_tc(u, PROGRAM_EGRESS, ifindex, list);
	find_tc(u, PROGRAM_INGRESS, ifindex, list);
}

static bool is_among(const struct found *f, const struct found_list *list)
{
	unsigned i;

	for (i = 0; i < list->n; i++)
		if (list->all[i].id == f->id && list->all[i].where == f->where)
			return true;
	return false;
}

static void leave_interface(struct unload *u, const char *name, __u32 ifindex)
{
	struct found_list before, after;
	struct link link;
	unsigned i;

	find(u, ifindex, &before);
	if (!before.n)
		return;
	tc_detach(u->instance, PROGRAM_EGRESS, ifindex);
	tc_detach(u->instance, PROGRAM_INGRESS, ifindex);
	xdp_detach(u->instance, ifindex);
	if (link_get_index(ifindex, &link) == 0 && link.group == GUARD_GROUP)
		link_set_group(ifindex, 0);
	find(u, ifindex, &after);
	for (i = 0; i < before.n; i++) {
		const struct found *f = &before.all[i];

		if (is_among(f, &after))
			failed(u, "%s: %s (%s)", name, f->name, f->where);
		else
			removed(u, "%s: %s (%s)", name, f->name, f->where);
	}
}

static void remove_programs(struct unload *u)
{
	struct if_nameindex *all = if_nameindex(), *i;

	if (!all) {
		failed(u, "programs: the interfaces cannot be listed: %s", strerror(errno));
		return;
	}
	for (i = all; i->if_index; i++)
		leave_interface(u, i->if_name, i->if_index);
	if_freenameindex(all);
}

/* ---- the rest --------------------------------------------------------------------------------- */

static void remove_pair(struct unload *u)
{
	char name[IFNAMSIZ];
	int err = pair_remove(u->instance, name);

	if (!err)
		removed(u, "the device %s and its other end", name);
	else if (err != -ENOENT)
		failed(u, "the device %s: %s", name, strerror(-err));
}

static void remove_pins(struct unload *u)
{
	char dir[128], aside[LOAD_ASIDE_SIZE];

	load_pin_dir(u->instance, dir, sizeof(dir));
	load_aside_dir(dir, aside); /* what a crash while maps were made anew left */
	load_remove_pins(aside);
	rmdir(aside);
	load_remove_pins(dir);
	if (rmdir(dir) == 0)
		removed(u, "maps in %s", dir);
	else if (errno != ENOENT)
		failed(u, "maps in %s: %s", dir, strerror(errno));
}

static void remove_backstop(struct unload *u)
{
	if (backstop_remove(u->instance))
		removed(u, "its nftables table");
}

/* Who unloads does not want to be guarded by it at the next boot. */
static void remove_state(struct unload *u)
{
	if (state_forget(u->instance))
		removed(u, "its last good policy");
}

/* All that an instance leaves behind. */
static void (*const steps[])(struct unload *) = {
	remove_programs, remove_pair, remove_pins, remove_backstop, remove_state,
};

/* ---- what is left ------------------------------------------------------------------------------ */

static __u32 any_program(const struct unload *u)
{
	__u32 id = 0;

	while (bpf_prog_get_next_id(id, &id) == 0)
		if (prog_is_of(id, u->instance))
			return id;
	return 0;
}

/* On interfaces that cannot be seen from here: those of another network namespace. */
static void look_elsewhere(struct unload *u)
{
	const struct timespec moment = {.tv_nsec = GONE_NS};
	char name[BPF_OBJ_NAME_LEN] = "?";
	__u32 id = any_program(u);
	int i;

	for (i = 0; id && i < GONE_TRIES; i++) {
		nanosleep(&moment, NULL);
		id = any_program(u);
	}
	if (!id)
		return;
	prog_name(id, name);
	failed(u,
	       "%s (id %u) and perhaps more, on no interface of this network namespace; call it in the one "
	       "where the "
	       "instance ran",
	       name, id);
}

static int outcome(const struct unload *u)
{
	if (u->failed)
		return EXIT_FAILURE;
	if (u->removed) {
		printf("instance %s: nothing of it is left\n", u->instance);
		return 0;
	}
	fprintf(stderr, "aditd: nothing of an instance %s is here\n", u->instance);
	return EX_NOINPUT;
}

int unload_run(const char *instance)
{
	struct unload u = {.instance = instance};
	int lock = sockets_lock(instance);
	unsigned i;

	if (lock < 0) {
		if (lock == -EWOULDBLOCK)
			fprintf(stderr,
				"aditd: instance %s runs: what it protects would pass in clear; stop it "
				"first\n",
				instance);
		else
			fprintf(stderr, "aditd: instance %s: its lock: %s\n", instance, strerror(-lock));
		return lock == -EWOULDBLOCK ? EX_TEMPFAIL : EXIT_FAILURE;
	}
	load_hush();
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		steps[i](&u);
	look_elsewhere(&u);
	sockets_forget(instance, lock);
	return outcome(&u);
}
