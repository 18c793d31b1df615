/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Writes the envelope around an inner packet and the note in front of it: RFC 4303 2, RFC 4301 5.1.2, RFC
 * 3948 2.1, RFC 6040 4.1 (normal mode). */
#ifndef ADIT_BPF_ENVELOPE_H
#define ADIT_BPF_ENVELOPE_H

#include "nexthop.h"
#include "reason.h"

/* Beside the flags of the note: send it through the kernel and let that fragment the envelope. */
#define SEAL_VIA_KERNEL 0x100

struct v4_esp {
	struct iphdr ip;
	__be32 esp[2];
};

struct v4_udp_esp {
	struct iphdr ip;
	struct udphdr udp;
	__be32 esp[2];
};

struct v6_esp {
	struct ipv6hdr ip;
	__be32 esp[2];
};

struct v6_udp_esp {
	struct ipv6hdr ip;
	struct udphdr udp;
	__be32 esp[2];
};

/* RFC 6864 4.1: with DF the identification means nothing; without it no two CPUs may use the same soon. */
static __always_inline __u16 next_id(struct envelope *e)
{
	return e->id++ << 3 | (bpf_get_smp_processor_id() & 7);
}

static __always_inline void finish_v4(struct iphdr *ip, struct envelope *e, const struct packet *p,
				      __u32 total, __u32 how)
{
	bool df = e->df == ADIT_DF_SET || (e->df == ADIT_DF_COPY && p->df);

	ip->tos = p->tos;
	ip->tot_len = bpf_htons(total);
	if (df && !(how & SEAL_VIA_KERNEL))
		ip->frag_off = bpf_htons(IP_DF);
	else
		ip->id = bpf_htons(next_id(e));
	ip->check = ~csum_fold((__u64)e->sum + bpf_htons(p->tos) + ip->tot_len + ip->frag_off + ip->id);
}

static __always_inline void finish_v6(struct ipv6hdr *ip, const struct packet *p, __u32 total)
{
	*(__be32 *)ip = bpf_htonl(0x60000000 | (__u32)p->tos << 20);
	ip->payload_len = bpf_htons(total - sizeof(*ip));
}

static __always_inline __u32 outer_len(const struct envelope *e)
{
	return (e->v6 ? sizeof(struct v6_esp) : sizeof(struct v4_esp)) + (e->udp ? sizeof(struct udphdr) : 0);
}

/* total: of the outer IP packet.  False when the frame is too short, which it is not. */
static __always_inline bool write_outer(void *at, void *end, struct envelope *e, const struct packet *p,
					__u32 total, __u32 how)
{
	struct v4_udp_esp *v4u = at;
	struct v6_udp_esp *v6u = at;
	struct v4_esp *v4 = at;
	struct v6_esp *v6 = at;

	if (!e->v6 && e->udp) {
		if ((void *)(v4u + 1) > end)
			return false;
		memcpy(v4u, e->outer, sizeof(*v4u));
		v4u->udp.len = bpf_htons(total - sizeof(v4u->ip));
		finish_v4(&v4u->ip, e, p, total, how);
	} else if (!e->v6) {
		if ((void *)(v4 + 1) > end)
			return false;
		memcpy(v4, e->outer, sizeof(*v4));
		finish_v4(&v4->ip, e, p, total, how);
	} else if (e->udp) {
		if ((void *)(v6u + 1) > end)
			return false;
		memcpy(v6u, e->outer, sizeof(*v6u));
		v6u->udp.len = bpf_htons(total - sizeof(v6u->ip));
		finish_v6(&v6u->ip, p, total);
	} else {
		if ((void *)(v6 + 1) > end)
			return false;
		memcpy(v6, e->outer, sizeof(*v6));
		finish_v6(&v6->ip, p, total);
	}
	return true;
}

static __always_inline bool write_link_header(void *data, void *end, const struct envelope *e, __u32 link)
{
	if (data + ETH_HLEN > end)
		return false;
	memcpy(data, e->link, ETH_HLEN);
	if (link == ETH_HLEN)
		return true;
	if (data + ETH_HLEN + 4 > end)
		return false;
	memcpy(data + ETH_HLEN, e->link + ETH_HLEN, 4);
	return true;
}

static __always_inline bool write_kernel_link(void *data, void *end, const struct adit_host *h)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return false;
	memcpy(eth->h_dest, h->internal_mac, 6);
	own_mac(eth->h_source);
	eth->h_proto = bpf_htons(ETH_P_IP);
	return true;
}

static __always_inline __u32 write_seal_note(struct xdp_md *ctx, const struct envelope *e,
					     const struct packet *p, __u32 sa, __u32 link, __u32 slot,
					     __u32 flags)
{
	struct adit_note *note;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return ADIT_DROP_NO_ROOM;
	note = (void *)(long)ctx->data_meta;
	if ((void *)(note + 1) > (void *)(long)ctx->data)
		return ADIT_DROP_NO_ROOM;
	note->magic = ADIT_NOTE_MAGIC;
	note->kind = ADIT_NOTE_SEAL;
	note->flags = flags | (p->key.family == 6 ? ADIT_NOTE_INNER_V6 : 0) |
		      (e->v6 && e->udp ? ADIT_NOTE_UDP_SUM : 0);
	note->id = sa;
	note->seal.slot = slot;
	note->seal.l3_off = link;
	note->seal.esp_off = link + outer_len(e) - ESP_HEADER;
	note->seal.inner_len = p->len;
	__builtin_memset(note->seal.pad, 0, sizeof(note->seal.pad));
	return ADIT_TO_WORKER_SEAL;
}

/* From here on the frame changes.  Link padding behind the inner packet stays: the note says where it ends.
 * how: flags for the note, and SEAL_VIA_KERNEL (outer IPv4 only). */
static __always_inline __u32 seal(struct xdp_md *ctx, struct envelope *e, const struct packet *p, __u32 sa,
				  __u32 how)
{
	const struct adit_host *h = host_facts();
	__u32 mask = (__u32)e->align - 1;
	__u32 cipher = (p->len + 2 + mask) & ~mask;
	__u32 total = outer_len(e) + e->iv_len + cipher + e->icv_len;
	bool kernel = how & SEAL_VIA_KERNEL;
	__u32 link = e->tagged && !kernel ? ETH_HLEN + 4 : ETH_HLEN;
	int front = link + outer_len(e) + e->iv_len;
	void *data, *end;

	if (!h || total > 65535)
		return ADIT_DROP_TOO_BIG;
	if (bpf_xdp_adjust_head(ctx, (int)p->l3 - front))
		return ADIT_DROP_NO_ROOM;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (!(kernel ? write_kernel_link(data, end, h) : write_link_header(data, end, e, link)) ||
	    !write_outer(data + link, end, e, p, total, how))
		return ADIT_DROP_NO_ROOM;
	return write_seal_note(ctx, e, p, sa, link, kernel ? h->internal_slot : e->slot, how);
}

#endif
