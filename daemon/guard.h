/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard: on every policy interface a row that names its policy, and programs that ask the rules; and behind
 * them the backstop, for the moment when an interface has none yet.  It needs no child, no socket and no key, so it
 * stands before all of them and while they come and go:
 *
 *   guard_open     rules, rows, programs, backstop, for the interfaces that are there
 *   guard_links    at once when a device came, went, was renamed: the new one is guarded, before anything else
 *   guard_look     now and then, because nobody is told of a program that was put in front of ours
 *   guard_close    everything stays as it is
 *
 * An interface that was renamed is guarded under its new name too: what went out there yesterday was protected.
 */
#ifndef ADIT_GUARD_H
#define ADIT_GUARD_H

#include "conf.h"
#include "link.h"
#include "place.h"
#include "programs.h"

struct guard;

/* The group of a device that has our programs, when it had none ("ip link show" tells it). */
#define GUARD_GROUP 0xad17

/* 0, -ENOMEM, or why the rules cannot be written; an interface in trouble is told and tried again by guard_look.
 * conf stays the caller's. */
int guard_open(const char *instance, const struct conf *conf, struct programs *programs, struct guard **ret);
void guard_close(struct guard *g);

void guard_links(struct guard *g, const struct link_news *news);
void guard_look(struct guard *g);
/* After a change of netfilter's rules. */
void guard_netfilter(struct guard *g);

/* Programs, rows and rules stand wherever a policy interface is, or the backstop does where they cannot. */
bool guard_stands(const struct guard *g);
/* An orderly end: nothing of a protected flow passes by an interface of that name, whatever device it is, until
 * guard_open. */
void guard_leave(struct guard *g);

/* What is attached to a policy interface, for those who show it; NULL: it is none.  XDP's also by the device below it. */
const struct tc_place *guard_tc(const struct guard *g, unsigned ifindex);
const struct xdp_place *guard_xdp(const struct guard *g, unsigned ifindex);
/* The ifindexes whose rows and programs are the guard's; how many. */
unsigned guard_rows(const struct guard *g, __u32 *ifindexes, unsigned max);

/* How the program of an interface is attached to its device: as configured, if that can be. */
enum xdp_mode guard_xdp_mode(const struct conf_interface *conf, const struct link *device);

/* The row of an interface as the guard writes it: no socket yet. */
struct adit_port guard_row(const struct conf_interface *conf, const struct link *link);

#endif
