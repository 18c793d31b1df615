// SPDX-License-Identifier: BSD-2-Clause
#include "tc.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "prog.h"

int programs_attach_tc(struct programs *p, enum program which, __u32 ifindex, enum tc_mode *mode)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);

	*mode = err == -EINVAL ? TC_MODE_CLSACT : TC_MODE_TCX;
	if (*mode == TC_MODE_CLSACT)
		return clsact_attach(p, which, ifindex);
	if (!err)
		err = tcx_attach(p, which, ifindex, &now);
	if (!err)
		clsact_detach(p->instance, which,
			      ifindex); /* of an earlier version, or an earlier kernel's */
	return err;
}

void tc_detach(const char *instance, enum program which, __u32 ifindex)
{
	tcx_detach(instance, which, ifindex, 0);
	clsact_detach(instance, which, ifindex);
}

void programs_detach_tc(const struct programs *p, enum program which, __u32 ifindex)
{
	tc_detach(p->instance, which, ifindex);
}

/* ---- what is in the way ------------------------------------------------------------------------ */

static const char *direction(enum program which)
{
	return which == PROGRAM_INGRESS ? "ingress" : "egress";
}

static void describe_program(__u32 ifindex, __u32 id, struct obstacle *o)
{
	char name[IFNAMSIZ] = "?";
	__u32 link = prog_link(id, ifindex);

	o->id = id;
	prog_name(id, o->name);
	if_indextoname(ifindex, name);
	snprintf(o->what, sizeof(o->what), "the TC program \"%.15s\" (id %u)", o->name, id);
	if (link)
		snprintf(o->remove, sizeof(o->remove), "bpftool link detach id %u", link);
	else
		snprintf(o->remove, sizeof(o->remove), "stop who put it there (bpftool net show dev %s)",
			 name);
}

static void describe_filter(enum program which, __u32 ifindex, const struct clsact_filter *f,
			    struct obstacle *o)
{
	char name[IFNAMSIZ] = "?";

	o->id = f->prog_id;
	if_indextoname(ifindex, name);
	if (f->prog_id && prog_name(f->prog_id, o->name))
		snprintf(o->what, sizeof(o->what), "the TC program \"%.15s\" (id %u, filter of priority %u)",
			 o->name, f->prog_id, f->priority);
	else
		snprintf(o->what, sizeof(o->what), "the TC filter \"%.15s\" of priority %u", f->kind,
			 f->priority);
	/* Without its handle a BPF filter would take ours along, which may have the same priority. */
	if (strcmp(f->kind, "bpf") == 0)
		snprintf(o->remove, sizeof(o->remove), "tc filter del dev %s %s prio %u handle 0x%x bpf",
			 name, direction(which), f->priority, f->handle);
	else
		snprintf(o->remove, sizeof(o->remove), "tc filter del dev %s %s prio %u", name,
			 direction(which), f->priority);
}

/* What makes clsact_attach impossible. */
static void describe_qdisc(enum program which, __u32 ifindex, struct obstacle *o)
{
	char name[IFNAMSIZ] = "?";

	if_indextoname(ifindex, name);
	if (which == PROGRAM_EGRESS && clsact_is_ingress(ifindex)) {
		snprintf(o->what, sizeof(o->what),
			 "the qdisc \"ingress\", which before Linux 6.6 leaves no place to look at what goes "
			 "out");
		snprintf(o->remove, sizeof(o->remove),
			 "tc qdisc del dev %.15s ingress; tc qdisc add dev %.15s clsact; then its filters "
			 "again",
			 name, name);
	} else if (clsact_is_shared(which, ifindex)) {
		snprintf(o->what, sizeof(o->what),
			 "a filter block that other interfaces have too, where a guard of this one has no "
			 "place");
		snprintf(o->remove, sizeof(o->remove),
			 "tc qdisc del dev %.15s clsact, and again without a block", name);
	}
}

/* ---- looking ----------------------------------------------------------------------------------- */

static enum standing look_tcx(const struct programs *p, __u32 ifindex, const struct tcx_list *now,
			      struct obstacle *o)
{
	__u32 i;

	for (i = 0; i < now->n && !prog_is_of(now->ids[i], p->instance);)
		i++;
	if (i && now->n)
		describe_program(ifindex, now->ids[0], o);
	return i == now->n ? STANDING_NONE : i ? STANDING_BEHIND : STANDING_FIRST;
}

static enum standing look_clsact(const struct programs *p, enum program which, __u32 ifindex,
				 struct obstacle *o)
{
	struct clsact_list now;
	__u32 i;

	if (clsact_query(which, ifindex, &now))
		return STANDING_NONE;
	for (i = 0; i < now.n && !prog_is_of(now.all[i].prog_id, p->instance);)
		i++;
	if (i == now.n)
		describe_qdisc(which, ifindex, o);
	if (i && !*o->what)
		describe_filter(which, ifindex, &now.all[0], o);
	return i == now.n ? STANDING_NONE : i ? STANDING_BEHIND : STANDING_FIRST;
}

enum standing programs_look_tc(const struct programs *p, enum program which, __u32 ifindex,
			       struct obstacle *o)
{
	struct tcx_list now;
	int err = tcx_query(which, ifindex, &now);

	*o = (struct obstacle){0};
	return err == -EINVAL ? look_clsact(p, which, ifindex, o) : look_tcx(p, ifindex, &now, o);
}

bool programs_has_tc(enum program which, __u32 ifindex, __u32 id)
{
	struct clsact_list filters;
	struct tcx_list now;
	__u32 i;

	if (tcx_query(which, ifindex, &now) == 0)
		for (i = 0; i < now.n; i++)
			if (now.ids[i] == id)
				return true;
	if (clsact_query(which, ifindex, &filters) == 0)
		for (i = 0; i < filters.n; i++)
			if (filters.all[i].prog_id == id)
				return true;
	return false;
}
