/* SPDX-License-Identifier: BSD-2-Clause */
/* The benchmark's tool: what an AF_XDP gateway can be measured against, and with. */
#ifndef BENCH_XSKFWD_H
#define BENCH_XSKFWD_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>
#include <bpf/libbpf.h>

enum work { WORK_NONE, WORK_SEAL, WORK_OPEN };

struct options {
	const char *arg[2];
	enum work work;	      /* fwd */
	bool count_all;	      /* sink */
	unsigned slot_octets; /* capture */
	const char *pool;     /* where the pool of frames is pinned */
	const char *anchor;   /* gen: an interface that is down, see gen.c */
	unsigned frames, size, rate;
	double seconds;
	uint8_t to_mac[6], from_mac[6];
	struct in_addr from, to;
};

/* Each prints "ready" when it is set up, one line of JSON when it is asked or ends, and returns 0 or -errno.
 */
int run_forwarder(const struct options *o);
int run_generator(const struct options *o);
int run_sink(const struct options *o);
int run_capture(const struct options *o);

extern volatile bool stopped; /* by a signal */

double now_s(void);
/* Reported to stderr with what and where. */
int failed(int err, const char *what, const char *where);
/* Native XDP on ifname; it goes when the link is destroyed or the process ends. */
int attach_xdp(struct bpf_program *prog, const char *ifname, struct bpf_link **ret);

#endif
