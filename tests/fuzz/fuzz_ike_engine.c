/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz-sources: ike/ike_reason.c ike/v2/[a-z]*.c */
/* The state machine against a peer who knows the keys and says anything: the input is a sequence of plaintext
 * payload chains, sealed as the peer would, in any exchange, as request or response, at any time. */
#include "v2/sa.h"

#include <stdlib.h>

struct side_of {
	struct ike *ike;
	struct endpoint at;
	uint32_t spi;
	struct side_of *other;
	bool deliver;
	uint8_t got[IKE_MESSAGE_MAX];
	size_t got_len;
	int installed;
};

static uint64_t clock_ms = 1000;
static uint64_t dice;

static uint64_t env_now(void *self)
{
	(void)self;
	return clock_ms;
}

static int env_random(void *self, void *buf, size_t len)
{
	uint8_t *p = buf;

	(void)self;
	while (len--) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		*p++ = dice >> 56;
	}
	return 0;
}

static void env_send(void *self, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *octets, size_t len)
{
	struct side_of *s = self;

	(void)local;
	(void)remote;
	if (len > sizeof(s->got))
		abort();
	memcpy(s->got, octets, len);
	s->got_len = len;
}

static uint32_t env_alloc_spi(void *self)
{
	return ++((struct side_of *)self)->spi;
}

static void env_free_spi(void *self, uint32_t spi)
{
	(void)self;
	if (!spi)
		abort();
}

static int env_install(void *self, const struct child_sa *c, enum ike_direction dir)
{
	struct side_of *s = self;

	if (!c->in.enc_len || !c->out.enc_len || !c->n_local || !c->n_remote || c->n_local > IKE_MAX_TS)
		abort();
	s->installed += dir == IKE_IN;
	return 0;
}

static void env_remove(void *self, const struct child_sa *c, enum ike_reason why)
{
	(void)c;
	(void)why;
	if (--((struct side_of *)self)->installed < 0)
		abort();
}

static void env_moved(void *self, const struct child_sa *c)
{
	(void)self;
	(void)c;
}

static void env_event(void *self, const struct ike_event *e)
{
	(void)self;
	if (e->payloads && strlen(e->payloads) >= MSG_TEXT_MAX)
		abort();
}

static struct side_of side[2];

static void hand_over_last(struct side_of *from)
{
	size_t len = from->got_len;

	from->got_len = 0;
	if (len)
		ike_receive(from->other->ike, &from->other->at, &from->at, from->got, len);
}

static void setup(void)
{
	static const struct ike_proposal ike_p = {
		.n = 3, .t = {{1, 20, 128}, {2, 5, 0}, {4, 31, 0}}
	  };
	static const struct ike_proposal esp_p = {.n = 1, .t = {{1, 20, 128}}};
	char detail[IKE_DETAIL_MAX];
	int i;

	dice = 1;
	for (i = 0; i < 2; i++) {
		struct ike_env env = {.self = &side[i],
				      .now_ms = env_now,
				      .random = env_random,
				      .send = env_send,
				      .alloc_spi = env_alloc_spi,
				      .free_spi = env_free_spi,
				      .child_install = env_install,
				      .child_remove = env_remove,
				      .child_moved = env_moved,
				      .event = env_event};
		struct ike_child_conf child = {
			.rule = 1, .name = "c", .n_local = 1, .n_remote = 1, .n_esp = 1};
		struct ike_peer_conf conf = {.name = "p", .psk = "x", .psk_len = 1, .n_ike = 1};

		memset(&side[i], 0, sizeof(side[i]));
		side[i].other = &side[!i];
		side[i].spi = 0x1000;
		side[i].at = (struct endpoint){addr_from_v4(i ? "\12\0\0\1" : "\12\0\0\2"), 500};
		conf.local_addr = side[i].at.addr;
		conf.remote_addr = addr_from_v4(i ? "\12\0\0\2" : "\12\0\0\1");
		conf.ike[0] = ike_p;
		conf.nat_traversal = true;
		child.esp[0] = esp_p;
		child.local[0] = child.remote[0] = (struct ike_ts){.port_max = 65535};
		child.local[0].addrs =
			(struct addr_range){addr_from_v4("\12\1\0\0"), addr_from_v4("\12\2\377\377")};
		child.remote[0] = child.local[0];
		child.pfs_group = i ? 31 : 0;
		conf.n_children = 1;
		conf.children = &child;
		if (ike_new(&env, NULL, &side[i].ike) || ike_peer_add(side[i].ike, &conf, detail))
			abort();
	}
}

/* One chain, sealed with A's keys, into B. */
static void say(struct ike_sa *a, struct ike_sa *b, uint8_t how, uint8_t exchange, uint8_t first,
		struct span chain)
{
	struct msg_header h = {spi_i(a), spi_r(a), 0, 0, EXCH_AUTH + exchange % 3, 0, 0, 0};
	uint8_t buf[2048], out[2560], iv[SK_IV_MAX] = {0};
	struct chain c = {.w = wr_of(buf, sizeof(buf))};
	size_t len;

	h.flags = (a->initiator ? FLAG_INITIATOR : 0) | (how & 1 ? FLAG_RESPONSE : 0);
	h.id = how & 1 ? b->req.id : b->expect_id;
	if (how & 1 && b->req.task)
		h.exchange = b->req.exchange;
	wr_span(&c.w, chain);
	c.first = chain.len ? first : 0;
	len = sk_seal(&a->suite, &a->keys.sk[side_ours(a)], &h, &c, iv, out, sizeof(out));
	if (len)
		ike_receive(side[1].ike, &side[1].at, &side[0].at, out, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	uint8_t stop = rd_u8(&r) % 4, steps = 0;
	struct ike_sa *a, *b;
	uint64_t spi_b;

	setup();
	ike_initiate(side[0].ike, 1, NULL);
	hand_over_last(&side[0]);
	hand_over_last(&side[1]);
	a = side[0].ike->sas;
	b = side[1].ike->sas;
	if (!a || !b || !a->have_keys)
		abort();
	spi_b = b->spi_ours;
	if (stop) {
		hand_over_last(&side[0]);
		hand_over_last(&side[1]);
	}
	/* With a request of B's outstanding, a response to it can be anything too. */
	if (stop == 2 && b->children)
		ike_child_expiring(side[1].ike, b->children->sa.spi_in);
	if (stop == 3) {
		b->want_rekey = true;
		pump(side[1].ike, b);
	}
	while (r.left && !r.bad && steps++ < 8) {
		uint8_t how = rd_u8(&r), exchange = rd_u8(&r), first = rd_u8(&r);
		uint16_t len = rd_be16(&r) % 1024;

		b = sa_by_ours(side[1].ike, spi_b);
		if (!b || !b->have_keys)
			break;
		say(a, b, how, exchange, first, rd_take(&r, len < r.left ? len : r.left));
		clock_ms += (how >> 1) * 100;
		ike_tick(side[1].ike);
	}
	if (ike_next_ms(side[1].ike) < clock_ms) {
		ike_tick(side[1].ike);
		if (ike_next_ms(side[1].ike) < clock_ms)
			abort(); /* a timer that stays due is a busy loop */
	}
	ike_shutdown(side[1].ike);
	if (side[1].installed)
		abort();
	ike_free(side[0].ike);
	ike_free(side[1].ike);
	return 0;
}
