/* SPDX-License-Identifier: BSD-2-Clause */
/* A BPF program that the kernel has, whoever loaded it.
 *
 * Ours are known by what they are, not by where they were pinned: their names begin with adit_, and their map `host` has
 * the name of the instance.  So one instance never takes another's for its own, and those of a daemon whose pins are
 * gone, or in a file system that is not seen from here, are found all the same. */
#ifndef ADIT_PROG_H
#define ADIT_PROG_H

#include <linux/bpf.h>
#include <stdbool.h>

/* 0: it cannot be told. */
__u32 prog_id(int fd);
bool prog_name(__u32 id, char name[BPF_OBJ_NAME_LEN]);
/* Of any instance. */
bool prog_is_adit(__u32 id);
bool prog_is_of(__u32 id, const char *instance);
/* The BPF link that holds it on this interface; 0: none, it was attached without. */
__u32 prog_link(__u32 id, __u32 ifindex);

#endif
