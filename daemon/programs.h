/* SPDX-License-Identifier: BSD-2-Clause */
/* The BPF programs and maps of this instance: loaded, pinned, attached.
 *
 * Programs are attached to devices, not to links of ours, and stay when every process of ours is gone: what
 * policy protects is then dropped, not sent in clear.  Maps are pinned below /sys/fs/bpf/adit/INSTANCE/ and found again by the next
 * start, so that there is no moment without rules.  unload.h is the only way out.
 */
#ifndef ADIT_PROGRAMS_H
#define ADIT_PROGRAMS_H

#include <adit/maps.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

struct programs;

enum xdp_mode { XDP_MODE_AUTO, XDP_MODE_NATIVE, XDP_MODE_GENERIC };
/* How a TC program is attached: tcx where the kernel has it, else a filter of the qdisc clsact. */
enum tc_mode { TC_MODE_TCX, TC_MODE_CLSACT };
enum program {
	PROGRAM_OUTSIDE,
	PROGRAM_INSIDE,
	PROGRAM_INTERNAL,
	PROGRAM_EGRESS,
	PROGRAM_INGRESS,
	PROGRAM_FIB
};

/* Mounts bpffs where it is missing.  On failure why says what the kernel or libbpf said. */
int programs_load(const char *instance, char *why, size_t why_size, struct programs **ret);
/* Closes descriptors; attached programs and pinned maps stay. */
void programs_free(struct programs *p);

int programs_map_fd(const struct programs *p, const char *map);
int programs_fd(const struct programs *p, enum program which);

/* In a child: every descriptor of a map or program that is not among these is closed. */
void programs_keep_fds(struct programs *p, const int *fds, unsigned n);

int programs_set_host(struct programs *p, const struct adit_host *host);
int programs_set_port(struct programs *p, __u32 ifindex, const struct adit_port *port);
/* Interfaces of an earlier configuration that are not among these lose programs and entry. */
void programs_keep_ports(struct programs *p, const __u32 *ifindexes, unsigned n);
/* 0 or -errno. */
int programs_get_port(struct programs *p, __u32 ifindex, struct adit_port *ret);
/* The next one; *ifindex is 0 for the first.  False: there is none. */
bool programs_next_port(struct programs *p, __u32 *ifindex, struct adit_port *ret);
/* Of a device that is gone: its row, not its programs. */
void programs_forget_port(struct programs *p, __u32 ifindex);
int programs_set_socket(struct programs *p, __u32 slot, __u32 queue, int xsk_fd);

/* Takes the place of one of this instance; another owner's program is left alone: -EBUSY.  native says what it became.
 */
int programs_attach_xdp(struct programs *p, enum program which, __u32 ifindex, enum xdp_mode mode,
			bool *native);
/* PROGRAM_EGRESS; and PROGRAM_INGRESS on a policy interface that XDP cannot guard, as those without Ethernet.  In front
 * of all others, with no moment in between without ours when ours was there.  -EBUSY: behind another one, which nothing
 * can be put in front of.  -EEXIST, -EOPNOTSUPP: not at all; programs_look_tc says what is in the way. */
int programs_attach_tc(struct programs *p, enum program which, __u32 ifindex, enum tc_mode *mode);

/* Who decides on an interface. */
enum standing {
	STANDING_NONE,	 /* ours is not there */
	STANDING_BEHIND, /* it is, but is asked only when another one lets it be */
	STANDING_FIRST,
};

/* What stands where ours should, or in front of it. */
struct obstacle {
	__u32 id;		     /* of a program; 0: something else */
	char name[BPF_OBJ_NAME_LEN]; /* of that program */
	char what[112];		     /* `the TC program "other" (id 7)`; "": nothing */
	char remove[112];	     /* what to type to be rid of it */
};

/* Somebody's tool may have taken ours away, or put another one there: programs can be asked as often as one likes. */
enum standing programs_look_xdp(const struct programs *p, __u32 ifindex, struct obstacle *o);
enum standing programs_look_tc(const struct programs *p, enum program which, __u32 ifindex,
			       struct obstacle *o);
/* Is that TC program, of another, still there, be it behind ours? */
bool programs_has_tc(enum program which, __u32 ifindex, __u32 id);

/* Takes ours away where it has become needless. */
void programs_detach_xdp(const struct programs *p, __u32 ifindex);
void programs_detach_tc(const struct programs *p, enum program which, __u32 ifindex);

#endif
