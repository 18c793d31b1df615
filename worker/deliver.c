// SPDX-License-Identifier: BSD-2-Clause
#include "deliver.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#define ETHERNET  14
#define VLAN	  4
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define IP_HEADER 40 /* the longer of the two */

struct hop {
	uint64_t asked_ns; /* 0: never */
	struct adit_addr dst;
	uint32_t slot; /* ADIT_NO_SLOT: the kernel's */
	uint16_t mtu;
	uint16_t vlan, vlan_type; /* id 0: no tag */
	uint8_t macs[12];	  /* as they stand in the frame: destination, source */
};

struct deliver {
	struct fib fib;
	uint32_t kernel_slot;
	const struct worker_shared *shared;
	uint32_t seen_version;
	uint32_t again_slot;
	struct worker_shared_port ports[ADIT_PORTS_MAX]; /* our copy */
	struct hop hops[DELIVER_CACHE];
};

int deliver_new(const struct fib *fib, uint32_t kernel_slot, uint32_t again_slot,
		const struct worker_shared *shared, struct deliver **ret)
{
	struct deliver *d;

	if (kernel_slot >= ADIT_PORTS_MAX || again_slot >= ADIT_PORTS_MAX)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	if (fib)
		d->fib = *fib;
	d->kernel_slot = kernel_slot;
	d->again_slot = again_slot;
	d->shared = shared;
	d->seen_version = UINT32_MAX; /* odd: never one that was copied */
	deliver_look(d);
	*ret = d;
	return 0;
}

void deliver_free(struct deliver *d)
{
	free(d);
}

/* The parent writes under an odd version; a copy made across a change is thrown away and made next round. */
void deliver_look(struct deliver *d)
{
	uint32_t version = __atomic_load_n(&d->shared->version, __ATOMIC_ACQUIRE);
	struct worker_shared_port copy[ADIT_PORTS_MAX];

	if (version == d->seen_version || version & 1)
		return;
	memcpy(copy, d->shared->ports, sizeof(copy));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&d->shared->version, __ATOMIC_RELAXED) != version)
		return;
	memcpy(d->ports, copy, sizeof(copy));
	memset(d->hops, 0, sizeof(d->hops));
	d->seen_version = version;
}

static uint32_t hash(const struct adit_addr *a)
{
	uint64_t high, low;

	memcpy(&high, a->octets, 8);
	memcpy(&low, a->octets + 8, 8);
	low = (low ^ high * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
	return (uint32_t)(low >> 40) & (DELIVER_CACHE - 1);
}

static void ask(struct deliver *d, struct hop *hop, const struct inner *in, uint64_t now_ns)
{
	struct adit_fib_answer a;

	hop->asked_ns = now_ns;
	hop->dst = inner_dst(in);
	hop->slot = ADIT_NO_SLOT;
	if (!d->fib.ask(d->fib.self, in, &a) || a.result != BPF_FIB_LKUP_RET_SUCCESS ||
	    a.slot >= ADIT_PORTS_MAX)
		return;
	hop->slot = a.slot;
	hop->mtu = a.mtu;
	hop->vlan = a.vlan;
	hop->vlan_type = a.vlan_type;
	memcpy(hop->macs, a.dmac, 6);
	memcpy(hop->macs + 6, a.smac, 6);
}

/* Multicast, broadcast, this network, loopback, link-local: never a plain forward. */
static bool plain_unicast(const struct inner *in)
{
	const uint8_t *dst = in->ip + (in->family == 4 ? 16 : 24);

	if (in->family == 4)
		return dst[0] != 0 && dst[0] != 127 && dst[0] < 224;
	return dst[0] != 0xff && !(dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80);
}

/* NULL: the kernel's business. */
static const struct hop *fast_hop(struct deliver *d, const struct inner *in, uint64_t now_ns)
{
	const struct worker_shared_port *port;
	struct adit_addr dst;
	struct hop *hop;

	if (!d->fib.ask || in->options || !plain_unicast(in))
		return NULL;
	dst = inner_dst(in);
	hop = &d->hops[hash(&dst)];
	if (hop->asked_ns == 0 || now_ns - hop->asked_ns > DELIVER_AGE_NS || !addr_same(&hop->dst, &dst))
		ask(d, hop, in, now_ns);
	if (hop->slot == ADIT_NO_SLOT)
		return NULL;
	port = &d->ports[hop->slot];
	if (!(port->flags & ADIT_PORT_FAST_PATH) || in->len > port->mtu || (hop->mtu && in->len > hop->mtu))
		return NULL;
	return hop;
}

static uint16_t type_of(const struct inner *in)
{
	return in->family == 4 ? TYPE_IPV4 : TYPE_IPV6;
}

enum adit_reason deliver_route(struct deliver *d, struct frame *f, struct inner *in, uint64_t now_ns,
			       uint32_t *slot)
{
	const struct hop *hop = fast_hop(d, in, now_ns);
	uint8_t *eth;

	/* With the last hop used up the kernel has to answer the sender. */
	if (hop && inner_decrement_ttl(in)) {
		eth = frame_push(f, hop->vlan ? ETHERNET + VLAN : ETHERNET);
		memcpy(eth, hop->macs, 12);
		if (hop->vlan) {
			put16(eth + 12, hop->vlan_type);
			put16(eth + 14, hop->vlan);
			eth += VLAN;
		}
		put16(eth + 12, type_of(in));
		*slot = hop->slot;
		return ADIT_OPENED_FAST;
	}
	if (in->len > d->ports[d->kernel_slot].mtu)
		return ADIT_DROP_TOO_LONG;
	eth = frame_push(f, ETHERNET);
	memcpy(eth, d->ports[d->again_slot].mac, 6);
	memcpy(eth + 6, d->ports[d->kernel_slot].mac, 6);
	put16(eth + 12, type_of(in));
	*slot = d->kernel_slot;
	return ADIT_OPENED_KERNEL;
}

bool fib_ask_bpf(void *self, const struct inner *in, struct adit_fib_answer *ret)
{
	uint8_t data[ETHERNET + IP_HEADER] = {0}, out[sizeof(data)] = {0};
	struct bpf_test_run_opts run = {
		.sz = sizeof(run),
		.data_in = data,
		.data_size_in = sizeof(data),
		.data_out = out,
		.data_size_out = sizeof(out),
		.repeat = 1,
	};

	put16(data + 12, type_of(in));
	memcpy(data + ETHERNET, in->ip, in->len < IP_HEADER ? in->len : IP_HEADER);
	if (bpf_prog_test_run_opts(*(int *)self, &run) || run.retval != XDP_PASS ||
	    run.data_size_out < sizeof(*ret))
		return false;
	memcpy(ret, out, sizeof(*ret));
	return true;
}
