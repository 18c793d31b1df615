/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Writes the envelope around an inner packet and the note in front of it: RFC 4303 2, RFC 4301 5.1.2, RFC 3948 2.1,
 * RFC 6040 4.1 (normal mode). */
#ifndef ADIT_BPF_ENVELOPE_H
#define ADIT_BPF_ENVELOPE_H

#include "nexthop.h"
#include "reason.h"

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

static __always_inline void finish_v4(struct iphdr *ip, struct envelope *e, const struct packet *p, __u32 total)
{
	bool df = e->df == ADIT_DF_SET || (e->df == ADIT_DF_COPY && p->df);

	ip->tos = p->tos;
	ip->tot_len = bpf_htons(total);
	if (df)
		ip->frag_off = bpf_htons(IP_DF);
	else
		ip->id = bpf_htons(e->id++); /* RFC 6864 4.1: with DF it means nothing */
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
					__u32 total)
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
		finish_v4(&v4u->ip, e, p, total);
	} else if (!e->v6) {
		if ((void *)(v4 + 1) > end)
			return false;
		memcpy(v4, e->outer, sizeof(*v4));
		finish_v4(&v4->ip, e, p, total);
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

static __always_inline __u32 write_seal_note(struct xdp_md *ctx, const struct envelope *e, const struct packet *p,
					     __u32 sa, __u32 link, __u32 flags)
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
	note->seal.slot = e->slot;
	note->seal.l3_off = link;
	note->seal.esp_off = link + outer_len(e) - ESP_HEADER;
	note->seal.inner_len = p->len;
	__builtin_memset(note->seal.pad, 0, sizeof(note->seal.pad));
	return ADIT_TO_WORKER_SEAL;
}

/* From here on the frame changes.  Link padding behind the inner packet stays: the note says where it ends. */
static __always_inline __u32 seal(struct xdp_md *ctx, struct envelope *e, const struct packet *p, __u32 sa,
				  __u32 flags)
{
	__u32 mask = (__u32)e->align - 1;
	__u32 cipher = (p->len + 2 + mask) & ~mask;
	__u32 total = outer_len(e) + e->iv_len + cipher + e->icv_len;
	__u32 link = e->vlan ? ETH_HLEN + 4 : ETH_HLEN;
	int front = link + outer_len(e) + e->iv_len;
	void *data, *end;

	if (total > 65535)
		return ADIT_DROP_TOO_BIG;
	if (bpf_xdp_adjust_head(ctx, (int)p->l3 - front))
		return ADIT_DROP_NO_ROOM;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (!write_link_header(data, end, e, link) || !write_outer(data + link, end, e, p, total))
		return ADIT_DROP_NO_ROOM;
	return write_seal_note(ctx, e, p, sa, link, flags);
}

#endif
