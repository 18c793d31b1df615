// SPDX-License-Identifier: BSD-2-Clause
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t chunk_of(const struct fake *k, const struct frame *f)
{
	size_t off = (size_t)(f->data - k->memory);

	assert_true(off < (size_t)FAKE_CHUNKS * 2048);
	assert_true((off & 2047) + f->len <= 2048);
	return (uint32_t)(off / 2048);
}

static void pass_on(struct fake *k, const struct frame *f, enum fake_where from, enum fake_where to)
{
	uint32_t chunk = chunk_of(k, f);

	assert_int_equal(k->where[chunk], from);
	k->where[chunk] = to;
}

static uint32_t fake_sources(void *self)
{
	(void)self;
	return 1;
}

static uint32_t fake_recv(void *self, uint32_t source, struct frame *in, uint32_t max)
{
	struct fake *k = self;
	uint32_t n = k->n_rx < max ? k->n_rx : max, i;

	assert_int_equal(source, 0);
	for (i = 0; i < n; i++) {
		in[i] = k->rx[i];
		pass_on(k, &in[i], WAITING_RX, LOOP);
	}
	memmove(k->rx, k->rx + n, (k->n_rx - n) * sizeof(k->rx[0]));
	k->n_rx -= n;
	return n;
}

static void fake_drop(void *self, const struct frame *f, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		pass_on(self, &f[i], LOOP, FREE);
}

static int fake_send(void *self, uint32_t slot, const struct frame *out, uint32_t n)
{
	struct fake *k = self;
	uint32_t i, take = n < k->ring ? n : k->ring;

	if (slot >= k->slots) {
		fake_drop(self, out, n);
		return -ENODEV;
	}
	for (i = 0; i < take; i++) {
		assert_true(k->n_sent < FAKE_SENT);
		pass_on(k, &out[i], LOOP, SENT);
		k->sent_slot[k->n_sent] = slot;
		k->sent[k->n_sent++] = out[i];
	}
	fake_drop(self, out + take, n - take);
	return (int)take;
}

static bool fake_get(void *self, struct frame *ret)
{
	struct fake *k = self;
	uint32_t i;

	for (i = 0; i < FAKE_CHUNKS && k->where[i] != FREE; i++)
		;
	if (i == FAKE_CHUNKS)
		return false;
	k->where[i] = LOOP;
	*ret = (struct frame){.data = k->memory + i * 2048 + 256, .room = 2048 - 256};
	return true;
}

static void fake_kick(void *self)
{
	(void)self;
}

static void fake_wait(void *self, const int *fds, uint32_t n, int timeout_ms)
{
	(void)self, (void)fds, (void)n, (void)timeout_ms;
}

static const struct io fake_io = {
	.sources = fake_sources,
	.recv = fake_recv,
	.send = fake_send,
	.drop = fake_drop,
	.get = fake_get,
	.kick = fake_kick,
	.wait = fake_wait,
};

static bool tell(void *self, const void *message, size_t len)
{
	struct fake *k = self;

	if (k->deaf)
		return false;
	assert_true(k->n_events < FAKE_EVENTS);
	memcpy(&k->events[k->n_events++], message, len);
	return true;
}

static int next_command(void *self, union adit_msg *ret)
{
	struct fake *k = self;

	if (k->next_command == k->n_commands)
		return k->gone ? 0 : -EAGAIN;
	*ret = k->commands[k->next_command++];
	return ret->type == ADIT_MSG_SA_ADD ? (int)sizeof(ret->sa_add) : (int)sizeof(ret->id);
}

static int next_at_door(void *self, uint8_t *ret, uint32_t room)
{
	struct fake *k = self;
	uint32_t len;

	if (k->next_knock == k->n_knocks)
		return -EAGAIN;
	len = k->knock_len[k->next_knock];
	memcpy(ret, k->knock[k->next_knock++], len < room ? len : room);
	return (int)len;
}

static bool ask(void *self, const struct inner *in, struct adit_fib_answer *ret)
{
	struct fake *k = self;

	(void)in;
	k->asked++;
	*ret = k->answer;
	return !k->no_answer;
}

struct fake *fake_new(void)
{
	struct fake *k = calloc(1, sizeof(*k));
	struct fib fib = {.ask = ask};
	uint32_t i;

	assert_non_null(k);
	fib.self = k;
	k->memory = malloc((size_t)FAKE_CHUNKS * 2048);
	assert_non_null(k->memory);
	k->ring = BATCH;
	k->slots = FAKE_SLOTS;
	k->now_ns = 1000000000000;
	for (i = 0; i < FAKE_SLOTS; i++) {
		k->shared.ports[i].mac[5] = (uint8_t)(0x10 + i);
		k->shared.ports[i].mtu = 1500;
		k->shared.ports[i].flags = ADIT_PORT_FAST_PATH;
	}
	k->answer = (struct adit_fib_answer){
		.slot = 3, .mtu = 1500, .smac = {2, 0, 0, 0, 0, 9},
			    .dmac = {2, 0, 0, 0, 0, 8}
	      };

	k->work.io = &fake_io;
	k->work.io_self = k;
	k->work.events = (struct events){.tell = tell, .self = k};
	k->work.commands = (struct commands){.next = next_command, .self = k};
	k->work.door = (struct door){.next = next_at_door, .self = k};
	k->work.reasons = k->reasons;
	k->work.again_slot = 4;
	assert_int_equal(sad_new(k->stats, &k->work.sad), 0);
	assert_int_equal(hold_new(&k->work.events, &k->work.hold), 0);
	assert_int_equal(deliver_new(&fib, 5, 4, &k->shared, &k->work.deliver), 0);
	return k;
}

void fake_free(struct fake *k)
{
	sad_free(k->work.sad);
	hold_free(k->work.hold);
	deliver_free(k->work.deliver);
	free(k->memory);
	free(k);
}

uint8_t *fake_chunk(struct fake *k)
{
	struct frame f = {0};

	assert_true(fake_get(k, &f));
	pass_on(k, &f, LOOP, WAITING_RX);
	return f.data - 256;
}

void fake_receive(struct fake *k, const struct frame *f)
{
	assert_int_equal(k->where[chunk_of(k, f)], WAITING_RX);
	k->rx[k->n_rx++] = *f;
}

void fake_command(struct fake *k, const void *message, size_t len)
{
	assert_true(k->n_commands < FAKE_EVENTS);
	memcpy(&k->commands[k->n_commands++], message, len);
}

void fake_knock(struct fake *k, const void *octets, uint32_t len)
{
	assert_true(k->n_knocks < FAKE_KNOCKS && len <= sizeof(k->knock[0]));
	memcpy(k->knock[k->n_knocks], octets, len);
	k->knock_len[k->n_knocks++] = len;
}

void fake_run(struct fake *k)
{
	while (work_round(&k->work, k->now_ns))
		;
}

void fake_sa(struct fake *k, const struct adit_msg_sa_add *m)
{
	assert_int_equal(sad_add(k->work.sad, m), 0);
}

void fake_complete(struct fake *k)
{
	while (k->n_sent)
		pass_on(k, &k->sent[--k->n_sent], SENT, FREE);
}

uint32_t fake_count(const struct fake *k, enum fake_where where)
{
	uint32_t i, n = 0;

	for (i = 0; i < FAKE_CHUNKS; i++)
		n += k->where[i] == where;
	return n;
}
