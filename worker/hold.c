// SPDX-License-Identifier: BSD-2-Clause
#include "hold.h"

#include "inner.h"

#include <adit/msg.h>
#include <errno.h>
#include <stdlib.h>

#define ETHERNET  14
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd

/* Frames stand in the order they came, in one row: it is short, and nothing here is a fast path. */
struct waiting {
	struct frame frame;
	uint32_t rule;
	uint64_t since_ns;
};

/* When ike was last asked on behalf of a rule; the oldest makes room. */
struct asked {
	uint32_t rule;
	uint64_t at_ns;
};

struct hold {
	struct events events;
	uint32_t n;
	struct waiting waiting[HOLD_ALL];
	struct asked asked[HOLD_ALL];
};

int hold_new(const struct events *events, struct hold **ret)
{
	struct hold *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->events = *events;
	*ret = h;
	return 0;
}

void hold_free(struct hold *h)
{
	free(h);
}

bool hold_empty(const struct hold *h)
{
	return h->n == 0;
}

static void acquire(const struct hold *h, uint32_t rule, const struct inner *in)
{
	struct adit_msg_acquire m = {
		.type = ADIT_MSG_ACQUIRE,
		.rule = rule,
		.src = inner_src(in),
		.dst = inner_dst(in),
		.src_port = in->src_port,
		.dst_port = in->dst_port,
		.protocol = in->protocol,
	};

	(void)event_tell(&h->events, &m, sizeof(m));
}

static bool may_ask(struct hold *h, uint32_t rule, uint64_t now_ns)
{
	struct asked *a = &h->asked[0], *i;

	for (i = h->asked; i < h->asked + HOLD_ALL; i++) {
		if (i->at_ns && i->rule == rule) {
			a = i;
			break;
		}
		if (i->at_ns < a->at_ns)
			a = i;
	}
	if (a->at_ns && now_ns - a->at_ns < HOLD_ACQUIRE_NS)
		return false;
	a->rule = rule;
	a->at_ns = now_ns;
	return true;
}

void hold_ask_anew(struct hold *h, uint32_t rule)
{
	uint32_t i;

	for (i = 0; i < HOLD_ALL; i++)
		if (h->asked[i].rule == rule)
			h->asked[i].at_ns = 0;
}

static bool room_for(const struct hold *h, uint32_t rule)
{
	uint32_t i, same = 0;

	for (i = 0; i < h->n; i++)
		same += h->waiting[i].rule == rule;
	return h->n < HOLD_ALL && same < HOLD_PER_RULE;
}

/* VLAN tags were the LAN's; what meets adit_internal again has none. */
static void plain_ethernet(struct frame *f, uint32_t l3_off, uint8_t family)
{
	uint8_t macs[12];

	memcpy(macs, f->data, sizeof(macs));
	frame_skip(f, l3_off - ETHERNET);
	memcpy(f->data, macs, sizeof(macs));
	put16(f->data + 12, family == 4 ? TYPE_IPV4 : TYPE_IPV6);
}

enum adit_reason hold_add(struct hold *h, const struct frame *f, const struct adit_note *note,
			  uint64_t now_ns)
{
	uint32_t l3_off = note->hold.l3_off, rule = note->id;
	struct waiting *w;
	struct inner in;

	if (l3_off < ETHERNET || l3_off >= f->len || inner_parse(f->data + l3_off, f->len - l3_off, &in))
		return ADIT_DROP_INNER;
	if (may_ask(h, rule, now_ns))
		acquire(h, rule, &in);
	if (!room_for(h, rule))
		return ADIT_DROP_HOLD_FULL;

	w = &h->waiting[h->n++];
	w->frame = *f;
	w->rule = rule;
	w->since_ns = now_ns;
	plain_ethernet(&w->frame, l3_off, in.family);
	return ADIT_HELD;
}

enum which { OF_RULE, LATE, ALL };

static uint32_t take(struct hold *h, enum which which, uint32_t rule, uint64_t now_ns, struct frame *ret,
		     uint32_t max)
{
	uint32_t i, kept = 0, n = 0;

	for (i = 0; i < h->n; i++) {
		const struct waiting *w = &h->waiting[i];
		bool wanted = which == ALL ||
			      (which == OF_RULE ? w->rule == rule : now_ns - w->since_ns >= HOLD_NS);

		if (wanted && n < max)
			ret[n++] = w->frame;
		else
			h->waiting[kept++] = *w;
	}
	h->n = kept;
	return n;
}

uint32_t hold_take(struct hold *h, uint32_t rule, struct frame *ret, uint32_t max)
{
	return take(h, OF_RULE, rule, 0, ret, max);
}

uint32_t hold_take_late(struct hold *h, uint64_t now_ns, struct frame *ret, uint32_t max)
{
	return take(h, LATE, 0, now_ns, ret, max);
}

uint32_t hold_take_all(struct hold *h, struct frame *ret, uint32_t max)
{
	return take(h, ALL, 0, 0, ret, max);
}
