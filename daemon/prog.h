/* SPDX-License-Identifier: BSD-2-Clause */
/* A BPF program that the kernel has, whoever loaded it. */
#ifndef ADIT_PROG_H
#define ADIT_PROG_H

#include <linux/bpf.h>
#include <stdbool.h>

/* 0: it cannot be told. */
__u32 prog_id(int fd);
bool prog_name(__u32 id, char name[BPF_OBJ_NAME_LEN]);
bool prog_is_ours(__u32 id);

#endif
