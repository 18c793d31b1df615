/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* A pool of captured frames, shared by the program that fills it and the one that sends from it. */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include <linux/types.h>

/* The octets of the frame follow; how much room there is for them is set when the map is made. */
struct pool_slot {
	__u32 len;
	__u32 spare;
};

#endif
