/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the generator and its BPF program agree on. */
#ifndef BENCH_GENERATE_H
#define BENCH_GENERATE_H

#define GEN_HEADERS 42 /* Ethernet, IPv4, UDP: what a gateway may rewrite in place */
#define GEN_INPUT   64 /* how long a frame is before the pool's program gives it its own length */
#define GEN_BURST   64 /* the kernel's own batch for live frames */

#endif
