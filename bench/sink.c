// SPDX-License-Identifier: BSD-2-Clause
/* Counting what arrives, and keeping what a gateway sealed. */
#include "xskfwd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "bench/capture.skel.h"
#include "bench/sink.skel.h"
#include "pool.h"

struct seen {
	uint64_t frames, octets, first_ns, last_ns, stamped;
};

static struct seen sum_and_clear(int map, struct seen *per_cpu, int cpus)
{
	struct seen all = {0};
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(map, &zero, per_cpu))
		return all;
	for (int i = 0; i < cpus; i++) {
		all.frames += per_cpu[i].frames;
		all.octets += per_cpu[i].octets;
		all.stamped += per_cpu[i].stamped;
		if (per_cpu[i].frames && (!all.first_ns || per_cpu[i].first_ns < all.first_ns))
			all.first_ns = per_cpu[i].first_ns;
		if (per_cpu[i].last_ns > all.last_ns)
			all.last_ns = per_cpu[i].last_ns;
		per_cpu[i] = (struct seen){0};
	}
	return all;
}

/* A line on stdin asks; after "clear" it starts anew.  The rate is between the first and the last stamped
 * frame. */
static void answer(int map, struct seen *per_cpu, int cpus, bool clear)
{
	struct seen s = sum_and_clear(map, per_cpu, cpus);
	double seconds = (s.last_ns - s.first_ns) * 1e-9;
	uint32_t zero = 0;

	if (clear)
		bpf_map_update_elem(map, &zero, per_cpu, BPF_ANY);
	printf("{\"frames\": %llu, \"octets\": %llu, \"seconds\": %.6f, \"mpps\": %.4f}\n",
	       (unsigned long long)s.frames, (unsigned long long)s.octets, seconds,
	       seconds > 0 ? (s.stamped - 1) / seconds * 1e-6 : 0);
	fflush(stdout);
}

int run_sink(const struct options *o)
{
	int err, map, cpus = libbpf_num_possible_cpus();
	struct seen *per_cpu = NULL;
	struct bpf_link *link = NULL;
	struct sink_bpf *bpf = sink_bpf__open();
	char line[16];

	if (!bpf)
		return failed(-errno, "BPF program", "sink");
	bpf->rodata->count_all = o->count_all;
	err = sink_bpf__load(bpf);
	if (err) {
		failed(err, "BPF program", "sink");
		goto out;
	}
	err = -ENOMEM;
	per_cpu = cpus > 0 ? calloc(cpus, sizeof(*per_cpu)) : NULL;
	if (!per_cpu)
		goto out;
	err = attach_xdp(bpf->progs.bench_sink, o->arg[0], &link);
	if (err)
		goto out;
	map = bpf_map__fd(bpf->maps.counts);
	puts("ready");
	fflush(stdout);
	while (!stopped && fgets(line, sizeof(line), stdin))
		answer(map, per_cpu, cpus, !strcmp(line, "clear\n"));
out:
	free(per_cpu);
	bpf_link__destroy(link);
	sink_bpf__destroy(bpf);
	return err;
}

/* The pool outlives the process: a gigabyte is not made anew for every trial. */
static int pool_prepare(struct bpf_map *pool, const struct options *o)
{
	int fd = bpf_obj_get(o->pool), err;

	err = bpf_map__set_max_entries(pool, o->frames);
	if (!err)
		err = bpf_map__set_value_size(pool, sizeof(struct pool_slot) + o->slot_octets);
	if (!err && fd >= 0)
		err = bpf_map__reuse_fd(pool, fd);
	if (fd >= 0)
		close(fd);
	return err ? failed(err, "pool", o->pool) : 0;
}

int run_capture(const struct options *o)
{
	struct capture_bpf *bpf = capture_bpf__open();
	struct pollfd asked = {.fd = STDIN_FILENO, .events = POLLIN};
	struct bpf_link *link = NULL;
	uint64_t captured;
	int err;

	if (!bpf)
		return failed(-errno, "BPF program", "capture");
	bpf->rodata->slot_octets = o->slot_octets;
	err = pool_prepare(bpf->maps.pool, o);
	if (err)
		goto out;
	err = capture_bpf__load(bpf);
	if (err) {
		failed(err, "BPF program", "capture");
		goto out;
	}
	if (access(o->pool, F_OK)) {
		err = bpf_map__pin(bpf->maps.pool, o->pool);
		if (err) {
			failed(err, "pin", o->pool);
			goto out;
		}
	}
	err = attach_xdp(bpf->progs.bench_capture, o->arg[0], &link);
	if (err)
		goto out;
	puts("ready");
	fflush(stdout);
	/* Anything on stdin, also its end, says that no more will come; what comes to a full pool is dropped.
	 */
	poll(&asked, 1, -1);
	bpf_link__destroy(link);
	link = NULL;
	captured = bpf->bss->captured;
	printf("{\"frames\": %llu}\n", (unsigned long long)(captured < o->frames ? captured : o->frames));
out:
	bpf_link__destroy(link);
	capture_bpf__destroy(bpf);
	return err;
}
