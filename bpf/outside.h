/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Frames from the untrusted side. */
#ifndef ADIT_BPF_OUTSIDE_H
#define ADIT_BPF_OUTSIDE_H

#include "exempt.h"
#include "flow.h"
#include "icmp_error.h"
#include "parse.h"
#include "reason.h"

#define UNKNOWN_SPI_WINDOW_NS 100000000 /* one event per window and CPU */

/* An ESP packet in a frame. */
struct esp_found {
	__u32 off; /* of the ESP header in the frame */
	__u32 len; /* of ESP, from the IP and UDP lengths: the frame may be padded */
	__u32 spi;
	__u32 src_port, dst_port; /* 0 = plain ESP */
};

/* Would the kernel deliver this to itself?  With forwarding off it never does anything else. */
static __always_inline bool ask_for_us(void *ctx, const struct packet *p)
{
	struct bpf_fib_lookup fib = {};
	long ret;

	/* Routes do not say it of groups: they may be for us, for others, or both.  Nothing of ours comes to one. */
	if (p->key.family == 4 ? is_v4_group(&p->key.local) : is_v6_group(&p->key.local))
		return false;
	fib.ifindex = p->key.ifindex;
	if (p->key.family == 4) {
		fib.family = FAMILY_INET;
		fib.ipv4_src = p->key.remote.d[3];
		fib.ipv4_dst = p->key.local.d[3];
	} else {
		fib.family = FAMILY_INET6;
		memcpy(fib.ipv6_src, p->key.remote.d, 16);
		memcpy(fib.ipv6_dst, p->key.local.d, 16);
	}
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return ret == BPF_FIB_LKUP_RET_NOT_FWDED || ret == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

__noinline int frame_is_for_us(struct xdp_md *ctx, const struct packet *p)
{
	return p && ask_for_us(ctx, p);
}

__noinline int skb_is_for_us(struct __sk_buff *ctx, const struct packet *p)
{
	return p && ask_for_us(ctx, p);
}

/* how: PARSE_SKB or not. */
static __always_inline bool is_for_us(void *ctx, const struct packet *p, __u32 how)
{
	return how & PARSE_SKB ? skb_is_for_us(ctx, p) : frame_is_for_us(ctx, p);
}

/* Neighbour discovery that is not for us would be forwarded. */
static __always_inline __u32 exempt_inbound(void *ctx, const struct packet *p, __u32 how)
{
	__u32 why = exempt_by_destination(p, &p->key.local);

	if (!why && is_neighbour_discovery(p) && is_for_us(ctx, p, how))
		why = ADIT_PASS_DISCOVERY;
	return why;
}

/* What arrives in clear meets the SPD with both ends exchanged (RFC 4301 5.2 step 3): what our own rules would have
 * protected on its way out must not come in as clear text, nor what they discard.  IKE and NAT keepalives to ourselves are never protected (4.4.1). */
static __always_inline __u32 front_recheck(const struct packet *p)
{
	const struct flow *f;

	if (!p->key.policy) /* no policy interface: a VLAN beside ours */
		return ADIT_PASS_CLEAR;
	if (p->exempt)
		return p->exempt;
	f = flow_verdict(&p->key);
	if (!f)
		return ADIT_DROP_NO_POLICY;
	return f->action == ADIT_PROTECT ? ADIT_DROP_FRONT_RECHECK : clear_verdict(f);
}

/* The same, and what an ICMP error quotes must not have left protected either.  What the way to a peer has to say of our
 * own ESP belongs to IKE and path MTU discovery, whatever the rules want of its addresses. */
static __always_inline __u32 clear_recheck(void *ctx, const struct packet *p, __u32 how)
{
	__u32 recheck = front_recheck(p), quoted;

	if (!p->key.policy || !is_icmp_error(p))
		return recheck;
	quoted = quote_recheck(ctx, p, how);
	if (quoted == ADIT_PASS_OUTER_ERROR)
		return is_for_us(ctx, p, how) ? quoted : recheck;
	return is_pass(recheck) && quoted ? quoted : recheck;
}

/* Passes as why when it is for us; on its way through it is clear text like any other. */
static __always_inline __u32 pass_ours(void *ctx, const struct packet *p, __u32 why, __u32 how)
{
	__u32 recheck = front_recheck(p);

	return is_pass(recheck) || is_for_us(ctx, p, how) ? why : recheck;
}

/* Fragments of IKE and ESP for us are the kernel's to reassemble.  The later ones of a UDP datagram do not
 * say whose they are; without a first one that passed they come to nothing. */
static __always_inline __u32 take_fragment(void *ctx, const struct packet *p, __u32 how)
{
	__u8 protocol = p->key.protocol;
	bool ike = p->key.local_port == IKE_PORT || p->key.local_port == IKE_NATT_PORT;
	__u32 recheck;

	if (protocol == IPPROTO_ESP || (protocol == IPPROTO_UDP && (p->fragment == FRAGMENT_LATER || ike)))
		return pass_ours(ctx, p, ADIT_PASS_FRAGMENT, how);
	recheck = clear_recheck(ctx, p, how);
	return is_pass(recheck) ? ADIT_PASS_FRAGMENT : recheck;
}

/* Not for us.  Any octets may be sent to port 4500 or as protocol 50: policy judges them like all others. */
static __always_inline __u32 transit_esp(const struct packet *p)
{
	__u32 recheck = front_recheck(p);

	return is_pass(recheck) ? ADIT_PASS_TRANSIT_ESP : recheck;
}

/* ESP whose SPI is not ours: on its way through, or for us and lost. */
__noinline int refuse_spi(struct xdp_md *ctx, const struct packet *p, struct esp_found *esp)
{
	struct adit_event *event;

	if (!p || !esp)
		return ADIT_DROP_MALFORMED;
	if (!is_for_us(ctx, p, 0))
		return transit_esp(p);
	if (!limit_allows(LIMIT_UNKNOWN_SPI, UNKNOWN_SPI_WINDOW_NS, 1))
		return ADIT_DROP_UNKNOWN_SPI;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return ADIT_DROP_UNKNOWN_SPI;
	event->kind = ADIT_EVENT_UNKNOWN_SPI;
	event->spi = esp->spi;
	event->src = p->key.remote.addr;
	event->dst = p->key.local.addr;
	event->src_port = esp->src_port;
	event->dst_port = esp->dst_port;
	event->ifindex = p->key.ifindex;
	bpf_ringbuf_submit(event, 0);
	return ADIT_DROP_UNKNOWN_SPI;
}

/* Cut the frame down to ESP and put the note in front. */
static __always_inline __u32 write_open_note(struct xdp_md *ctx, const struct packet *p,
					     const struct esp_found *esp, __u32 index)
{
	int frame = frame_len(ctx), keep = esp->off + esp->len;
	struct adit_note *note;
	void *data;

	if (frame > keep && bpf_xdp_adjust_tail(ctx, keep - frame))
		return ADIT_DROP_NO_ROOM;
	if (bpf_xdp_adjust_head(ctx, esp->off) || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return ADIT_DROP_NO_ROOM;
	note = (void *)(long)ctx->data_meta;
	data = (void *)(long)ctx->data;
	if ((void *)(note + 1) > data)
		return ADIT_DROP_NO_ROOM;
	note->magic = ADIT_NOTE_MAGIC;
	note->kind = ADIT_NOTE_OPEN;
	note->flags = 0;
	note->id = index;
	note->open.peer_port = esp->src_port;
	note->open.tos = p->tos;
	memcpy(note->open.pad, "\0\0\0\0", sizeof(note->open.pad));
	memcpy(&note->open.peer, &p->key.remote, sizeof(note->open.peer));
	return ADIT_TO_WORKER_OPEN;
}

static __always_inline __u32 take_esp(struct xdp_md *ctx, const struct packet *p, struct esp_found *esp,
				      const struct adit_port *port, __u32 *socket)
{
	const struct adit_sa_in *sa;
	__u32 why;

	sa = bpf_map_lookup_elem(&sa_in, &esp->spi);
	if (!sa || !address_equal(&sa->local, &p->key.local))
		return refuse_spi(ctx, p, esp);
	if (esp->len < ESP_LEAST)
		return ADIT_DROP_RUNT;
	if (esp->len & 3)
		return ADIT_DROP_MALFORMED; /* RFC 4303 2.4: it ends on a 4-octet boundary */
	if (port->flags & ADIT_PORT_NO_SOCKET)
		return ADIT_PASS_SLOW_ESP;
	if (port->slot == ADIT_NO_SLOT)
		return ADIT_DROP_NO_WORKER;
	*socket = socket_index(port->slot, ctx->rx_queue_index);
	if (!worker_listens(*socket))
		return ADIT_DROP_NO_WORKER;
	why = write_open_note(ctx, p, esp, sa->index);
	return why;
}

static __always_inline __u32 take_plain_esp(struct xdp_md *ctx, const struct packet *p,
					    const struct adit_port *port, __u32 *socket)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct esp_found esp = {.off = p->l4, .len = p->l3 + p->len - p->l4};
	__be32 *spi;

	spi = data + (p->l4 & 0xfff);
	if (esp.len < ESP_HEADER || (void *)(spi + 2) > end)
		return ADIT_DROP_RUNT;
	esp.spi = bpf_ntohl(*spi);
	return take_esp(ctx, p, &esp, port, socket);
}

/* RFC 3948 2: a keepalive, IKE behind a zero marker, or ESP. */
static __always_inline __u32 take_natt(struct xdp_md *ctx, const struct packet *p,
				       const struct adit_port *port, __u32 *socket)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct esp_found esp = {.src_port = p->key.remote_port, .dst_port = p->key.local_port};
	struct udphdr *udp;
	__be32 *spi;
	__u32 len;

	udp = data + (p->l4 & 0xfff);
	if ((void *)(udp + 1) > end)
		return ADIT_DROP_RUNT;
	len = bpf_ntohs(udp->len);
	if (len < sizeof(*udp) || p->l4 + len > p->l3 + p->len)
		return ADIT_DROP_MALFORMED;
	len -= sizeof(*udp);
	if (len < sizeof(*spi)) {
		if (!is_for_us(ctx, p, 0))
			return front_recheck(p);
		if (len == 1 && (void *)(udp + 1) + 1 <= end && *(__u8 *)(udp + 1) == 0xff)
			return ADIT_DROP_KEEPALIVE;
		return ADIT_DROP_RUNT;
	}
	spi = (void *)(udp + 1);
	if ((void *)(spi + 1) > end)
		return ADIT_DROP_RUNT;
	if (!*spi)
		return pass_ours(ctx, p, ADIT_PASS_IKE, 0);
	esp.off = p->l4 + sizeof(*udp);
	esp.len = len;
	esp.spi = bpf_ntohl(*spi);
	return take_esp(ctx, p, &esp, port, socket);
}

/* The interface a frame belongs to: this one, or the VLAN device above it; 0 = a VLAN that is none of ours. */
static __always_inline __u32 logical_ifindex(struct xdp_md *ctx, const struct packet *p)
{
	struct adit_vlan_key key = {.lower_ifindex = ctx->ingress_ifindex, .tag = p->tag};
	const __u32 *ifindex;

	if (p->tag == TAG_NONE)
		return ctx->ingress_ifindex;
	ifindex = bpf_map_lookup_elem(&vlan_ports, &key);
	return ifindex ? *ifindex : 0;
}

static __always_inline __u32 take_outside(struct xdp_md *ctx, struct packet *p, __u32 *socket)
{
	const struct adit_port *port;
	__u32 why, ifindex;

	why = parse_frame(ctx, p, PARSE_INBOUND);
	if (why)
		return why;
	p->key.kind = FLOW_IN;
	p->key.ifindex = ifindex = logical_ifindex(ctx, p);
	if (!ifindex)
		return ADIT_PASS_CLEAR;
	/* Such as a member of a bond, where a program that was attached to the bond runs in native mode. */
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return ADIT_DROP_NO_POLICY;
	p->key.policy = port->policy;
	p->exempt = exempt_inbound(ctx, p, 0);
	if (p->fragment)
		return take_fragment(ctx, p, 0);
	if (p->key.protocol == IPPROTO_ESP)
		return take_plain_esp(ctx, p, port, socket);
	if (p->key.protocol == IPPROTO_UDP && p->key.local_port == IKE_NATT_PORT)
		return take_natt(ctx, p, port, socket);
	if (p->key.protocol == IPPROTO_UDP && p->key.local_port == IKE_PORT)
		return pass_ours(ctx, p, ADIT_PASS_IKE, 0);
	return clear_recheck(ctx, p, 0);
}

#endif
