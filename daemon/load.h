/* SPDX-License-Identifier: BSD-2-Clause */
/* How programs and maps come into the kernel, and where the maps are pinned.  For the files behind programs.h. */
#ifndef ADIT_LOAD_H
#define ADIT_LOAD_H

#include "programs.h"

struct programs {
	struct adit_bpf *skel;
	char instance[16];
	char dir[128]; /* of the pins */
};

/* Another copy of one program, with the maps of `of`; load_free_copy when it is attached. */
int load_copy(const struct programs *of, enum program which, struct programs *copy);
void load_free_copy(struct programs *copy);

void load_pin_dir(const char *instance, char *dir, size_t size);
/* Where they are while maps are made anew. */
#define LOAD_ASIDE_SIZE 136
void load_aside_dir(const char *dir, char aside[LOAD_ASIDE_SIZE]);
void load_remove_pins(const char *dir);
/* What libbpf warns of is not printed; programs_load passes it on. */
void load_hush(void);

#endif
