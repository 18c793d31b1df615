// SPDX-License-Identifier: BSD-2-Clause
/* The bare forwarder: what AF_XDP gives when nothing is done with a frame, or only the cipher's work.
 *
 * One UMEM on both devices, so a frame goes from IN to OUT without a copy in user space.  Its life: fill
 * ring of IN, receive ring of IN, transmit ring of OUT, completion ring of OUT, and back.
 */
#include "xskfwd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <xdp/xsk.h>

#include "bench/forward.skel.h"
#include "gcm.h"

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* linux/if_xdp.h of 6.17 */
#endif

#define FRAME	 2048
#define FRAMES	 8192
#define RING	 4096
#define BATCH	 256
#define INFLIGHT 2048 /* more than this waiting to leave: push before taking more in */
#define ETH_LEN	 14
#define BUSY_S	 3 /* the kernel lets go of an ended process's queue some time after its end */

struct forwarder {
	struct forward_bpf *bpf;
	struct bpf_link *link;
	uint8_t *area;
	struct xsk_umem *umem;
	struct xsk_socket *in, *out;
	struct xsk_ring_prod in_fill, out_fill, tx;
	struct xsk_ring_cons in_comp, out_comp, rx;
	struct gcm *gcm;
	enum work work;
	unsigned inflight;
	uint64_t idle[FRAMES]; /* done with, not yet back in the fill ring */
	unsigned n_idle;
	uint64_t received, sent;
};

static void forwarder_free(struct forwarder *f)
{
	if (!f)
		return;
	bpf_link__destroy(f->link);
	xsk_socket__delete(f->out);
	xsk_socket__delete(f->in);
	if (f->umem)
		xsk_umem__delete(f->umem);
	if (f->area != MAP_FAILED)
		munmap(f->area, (size_t)FRAME * FRAMES);
	forward_bpf__destroy(f->bpf);
	gcm_free(f->gcm);
	free(f);
}

/* Kernels without it send 32 frames a call. */
static void raise_tx_budget(struct xsk_socket *xsk)
{
	int budget = BATCH;

	if (setsockopt(xsk_socket__fd(xsk), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget)))
		fprintf(stderr, "xskfwd: this kernel has no XDP_MAX_TX_SKB_BUDGET\n");
}

static int open_sockets(struct forwarder *f, const char *in, const char *out)
{
	struct xsk_umem_config umem = {.fill_size = RING, .comp_size = RING, .frame_size = FRAME};
	struct xsk_socket_config config = {.rx_size = RING,
					   .tx_size = RING,
					   .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
					   .bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
	int err;

	f->area = mmap(NULL, (size_t)FRAME * FRAMES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (f->area == MAP_FAILED)
		return failed(-errno, "memory for frames", in);
	err = xsk_umem__create(&f->umem, f->area, (uint64_t)FRAME * FRAMES, &f->in_fill, &f->in_comp, &umem);
	if (err)
		return failed(err, "UMEM", in);
	err = xsk_socket__create(&f->in, in, 0, f->umem, &f->rx, NULL, &config);
	if (err)
		return failed(err, "AF_XDP socket", in);
	err = xsk_socket__create_shared(&f->out, out, 0, f->umem, NULL, &f->tx, &f->out_fill, &f->out_comp,
					&config);
	if (err)
		return failed(err, "AF_XDP socket", out);
	raise_tx_budget(f->out);
	return 0;
}

static void refill(struct forwarder *f)
{
	uint32_t room = xsk_prod_nb_free(&f->in_fill, f->n_idle), at;
	uint32_t n = room < f->n_idle ? room : f->n_idle;

	if (!n || xsk_ring_prod__reserve(&f->in_fill, n, &at) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&f->in_fill, at++) = f->idle[--f->n_idle];
	xsk_ring_prod__submit(&f->in_fill, n);
}

static void collect(struct forwarder *f)
{
	uint32_t at, n = xsk_ring_cons__peek(&f->out_comp, BATCH, &at);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr = *xsk_ring_cons__comp_addr(&f->out_comp, at++);

		f->idle[f->n_idle++] = addr - addr % FRAME;
	}
	xsk_ring_cons__release(&f->out_comp, n);
	f->inflight -= n;
}

static void push(struct forwarder *f)
{
	if (f->inflight)
		sendto(xsk_socket__fd(f->out), NULL, 0, MSG_DONTWAIT, NULL, 0);
}

static void work_on(struct forwarder *f, uint8_t *frame, uint32_t len)
{
	if (len <= ETH_LEN)
		return;
	switch (f->work) {
	case WORK_SEAL:
		gcm_seal(f->gcm, frame + ETH_LEN, gcm_sealed_len(len - ETH_LEN));
		break;
	case WORK_OPEN:
		gcm_open(f->gcm, frame + ETH_LEN, gcm_sealed_len(len - ETH_LEN));
		break;
	case WORK_NONE:
		break;
	}
}

/* One turn.  When nothing may be taken in, what waits is pushed: in copy mode nothing leaves unasked. */
static void forward(struct forwarder *f)
{
	uint32_t n = 0, in_at, out_at;

	collect(f);
	refill(f);
	if (f->inflight <= INFLIGHT)
		n = xsk_ring_cons__peek(&f->rx, BATCH, &in_at);
	if (!n) {
		if (xsk_ring_prod__needs_wakeup(&f->in_fill))
			recvfrom(xsk_socket__fd(f->in), NULL, 0, MSG_DONTWAIT, NULL, NULL);
		push(f);
		return;
	}
	if (xsk_ring_prod__reserve(&f->tx, n, &out_at) != n) {
		xsk_ring_cons__cancel(&f->rx, n);
		push(f);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *in = xsk_ring_cons__rx_desc(&f->rx, in_at++);
		struct xdp_desc *out = xsk_ring_prod__tx_desc(&f->tx, out_at++);

		work_on(f, f->area + in->addr, in->len);
		*out = (struct xdp_desc){.addr = in->addr, .len = in->len};
	}
	xsk_ring_prod__submit(&f->tx, n);
	xsk_ring_cons__release(&f->rx, n);
	f->inflight += n;
	f->received += n;
	push(f);
}

static int forwarder_new(const struct options *o, struct forwarder **ret)
{
	struct forwarder *f = calloc(1, sizeof(*f));
	int err, fd, queue = 0;

	if (!f)
		return -ENOMEM;
	f->area = MAP_FAILED;
	f->work = o->work;
	f->bpf = forward_bpf__open_and_load();
	if (!f->bpf) {
		err = failed(-errno, "BPF program", "forward");
		goto fail;
	}
	err = gcm_new(&f->gcm);
	if (err)
		goto fail;
	err = open_sockets(f, o->arg[0], o->arg[1]);
	if (err)
		goto fail;
	for (uint64_t i = 0; i < FRAMES; i++)
		f->idle[f->n_idle++] = i * FRAME;
	refill(f);
	fd = xsk_socket__fd(f->in);
	err = bpf_map_update_elem(bpf_map__fd(f->bpf->maps.sockets), &queue, &fd, BPF_ANY);
	if (err) {
		err = failed(err, "XSKMAP", o->arg[0]);
		goto fail;
	}
	err = attach_xdp(f->bpf->progs.bench_forward, o->arg[0], &f->link);
	if (err)
		goto fail;
	*ret = f;
	return 0;
fail:
	forwarder_free(f);
	return err;
}

int run_forwarder(const struct options *o)
{
	double give_up = now_s() + BUSY_S;
	struct forwarder *f = NULL;
	int err;

	while ((err = forwarder_new(o, &f)) == -EBUSY && !stopped && now_s() < give_up)
		usleep(100000);
	if (err)
		return err;
	puts("ready");
	fflush(stdout);
	while (!stopped)
		forward(f);
	printf("{\"forwarded\": %llu}\n", (unsigned long long)f->received);
	forwarder_free(f);
	return 0;
}
