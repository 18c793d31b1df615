// SPDX-License-Identifier: BSD-2-Clause
/* The loop over a fake: what comes in, what goes out where, what is counted and told, and that no frame is
 * ever lost or in two places. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

static struct fake *k;
static struct sa *peer; /* the other end's outbound SA, to make what we open */
static struct sad *peer_sad;
static struct adit_sa_stats peer_stats[ADIT_SAS_MAX];

static int setup(void **state)
{
	struct adit_msg_sa_add m;

	(void)state;
	k = fake_new();
	m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, true);
	fake_sa(k, &m);
	assert_int_equal(sad_new(peer_stats, &peer_sad), 0);
	assert_int_equal(sad_add(peer_sad, &m), 0);
	peer = sad_get(peer_sad, 1);
	m = sa_message(ADIT_IN, ADIT_SUITE_AES_GCM16_256, true);
	fake_sa(k, &m);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(k);
	sad_free(peer_sad);
	return 0;
}

static void seal_comes(const uint8_t *inner, uint32_t len, uint8_t flags)
{
	struct frame f = seal_frame(fake_chunk(k), &peer->crypt, 1, 4, false, inner, len);

	note_at(&f)->n.flags |= flags;
	fake_receive(k, &f);
}

static struct frame open_frame(const uint8_t *inner, uint32_t len)
{
	struct frame f = seal_frame(fake_chunk(k), &peer->crypt, 1, 4, false, inner, len);
	struct adit_note note = frame_note(&f);

	assert_int_equal(esp_seal(peer, &f, &note, 1), ADIT_SEALED);
	turn_round(&f, 2, 0);
	return f;
}

static void open_comes(const uint8_t *inner, uint32_t len)
{
	struct frame f = open_frame(inner, len);

	fake_receive(k, &f);
}

/* The same as the kernel would have put it together from fragments: by ike's hands. */
static void knocks(const uint8_t *inner, uint32_t len)
{
	struct frame f = open_frame(inner, len);

	fake_knock(k, f.data - sizeof(struct adit_note), f.len + sizeof(struct adit_note));
	k->where[(f.data - k->memory) / 2048] = FREE;
}

static void hold_comes(uint32_t rule, uint32_t l3_off, const uint8_t *ip, uint32_t len)
{
	struct frame f = {.data = fake_chunk(k) + 256, .len = l3_off + len, .room = 2048 - 256};
	struct adit_note note = {
		.magic = ADIT_NOTE_MAGIC,
		.kind = ADIT_NOTE_HOLD,
		.id = rule,
		.hold = {.l3_off = (uint16_t)l3_off, .family = ip[0] >> 4},
	};

	memcpy(f.data - 32, &note, 32);
	memset(f.data, 0xee, l3_off);
	memcpy(f.data, "\x02\1\1\1\1\1\x02\2\2\2\2\2", 12);
	memcpy(f.data + l3_off, ip, len);
	fake_receive(k, &f);
}

static void command(uint32_t type, uint32_t id)
{
	struct adit_msg_id m = {.type = type, .id = id};

	fake_command(k, &m, sizeof(m));
	work_commands(&k->work);
}

static void seals(void **state)
{
	uint8_t inner[100];

	(void)state;
	packet_v4(inner, 17, 100);
	unfinish(inner, 100);
	seal_comes(inner, 100, 0);
	packet_v4(inner, 17, 100);
	seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->n_sent, 2);
	assert_int_equal(k->sent_slot[0], 1);
	assert_int_equal(k->reasons[ADIT_SEALED], 2);
	assert_int_equal(k->reasons[ADIT_CHECKSUM_FINISHED], 1);
	assert_int_equal(k->stats[1].packets, 2);
	assert_int_equal(get32(k->sent[1].data + 38), 2);
}

/* What BPF made whole (an ICMP error, say) only has to leave. */
static void sends_as_is(void **state)
{
	uint8_t inner[100];

	(void)state;
	packet_v4(inner, 17, 100);
	seal_comes(inner, 100, 0);
	note_at(&k->rx[0])->n.kind = ADIT_NOTE_SEND;
	fake_run(k);
	assert_int_equal(k->n_sent, 1);
	assert_int_equal(k->sent_slot[0], 1);
	assert_int_equal(k->reasons[ADIT_SENT_AS_IS], 1);
	assert_memory_equal(k->sent[0].data + 34 + 16, inner, 100);
	assert_int_equal(k->stats[1].packets, 0);
}

/* The ordering promise of adit/msg.h, and what happens without. */
static void commands_come_first(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, true);
	uint8_t inner[100];

	(void)state;
	sad_flush(k->work.sad);
	packet_v4(inner, 17, 100);
	seal_comes(inner, 100, 0);
	fake_command(k, &m, sizeof(m));
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_SEALED], 1);

	/* the index is taken over by another SA, and frames for both are on their way */
	seal_comes(inner, 100, 0);
	m.spi = TEST_SPI + 1;
	fake_command(k, &m, sizeof(m));
	seal_comes(inner, 100, 0);
	put32(k->rx[1].data + 34, TEST_SPI + 1);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_SEALED], 3);

	seal_comes(inner, 100, 0); /* still the old SPI */
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_SEALED], 3);
	assert_int_equal(k->reasons[ADIT_DROP_STALE_SA], 1);
	command(ADIT_MSG_SA_DEL, 1);
	seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_STALE_SA], 2);
	assert_int_equal(fake_count(k, LOOP), 0);
}

static void opens_fast(void **state)
{
	uint8_t inner[200], *f;

	(void)state;
	packet_v4(inner, 17, 100);
	open_comes(inner, 100);
	packet_v6(inner, 17, 100);
	k->answer.vlan = 0;
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->n_sent, 2);
	assert_int_equal(k->sent_slot[0], 3);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], 2);
	f = k->sent[0].data;
	assert_int_equal(k->sent[0].len, 114);
	assert_memory_equal(f, "\2\0\0\0\0\x08\2\0\0\0\0\x09\x08\0", 14);
	assert_int_equal(f[14 + 8], 62);
	assert_true(sums_right(f + 14, 100));
	assert_int_equal(get16(k->sent[1].data + 12), 0x86dd);
	assert_int_equal(k->sent[1].data[14 + 7], 62);
}

static void opens_into_a_vlan(void **state)
{
	uint8_t inner[200], *f;

	(void)state;
	k->answer.vlan = 42;
	packet_v4(inner, 17, 100);
	open_comes(inner, 100);
	fake_run(k);
	f = k->sent[0].data;
	assert_int_equal(k->sent[0].len, 118);
	assert_memory_equal(f, "\2\0\0\0\0\x08\2\0\0\0\0\x09\x81\0\0\x2a\x08\0", 18);
	assert_true(sums_right(f + 18, 100));
}

/* Everything that is not a plain forward out of a port of ours goes to the kernel, untouched. */
static void opens_to_the_kernel(void **state)
{
	static const char *const dsts[] = {"224.0.0.5", "255.255.255.255", "127.0.0.1", "0.0.0.1"};
	static const char *const dsts6[] = {"ff02::1", "fe80::1"};
	uint8_t inner[1600];
	uint32_t i, want = 0;
	struct adit_addr a;

	(void)state;
	for (i = 0; i < 4; i++, want++) {
		packet_v4(inner, 17, 100);
		a = addr_v4(dsts[i]);
		memcpy(inner + 16, a.octets + 12, 4);
		sum_header(inner);
		open_comes(inner, 100);
	}
	for (i = 0; i < 2; i++, want++) {
		packet_v6(inner, 17, 100);
		a = addr_v6(dsts6[i]);
		memcpy(inner + 24, a.octets, 16);
		open_comes(inner, 100);
	}
	packet_v4(inner, 17, 100); /* the last hop: the kernel has to say so */
	inner[8] = 1;
	sum_header(inner);
	open_comes(inner, 100);
	want++;
	packet_v4(inner, 17, 100); /* router alert */
	inner[0] = 0x46;
	memcpy(inner + 20, "\x94\x04\0\0", 4);
	sum_header(inner);
	open_comes(inner, 100);
	want++;
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], want);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], 0);
	for (i = 0; i < want; i++) {
		assert_int_equal(k->sent_slot[i], 5);
		assert_memory_equal(k->sent[i].data, "\0\0\0\0\0\x14\0\0\0\0\0\x15", 12);
	}
	assert_int_equal(k->sent[6].data[14 + 8], 1);
}

static void delivery_follows_the_kernel(void **state)
{
	uint8_t inner[1600];

	(void)state;
	packet_v4(inner, 17, 100);
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->asked, 1);
	k->now_ns += DELIVER_AGE_NS / 2;
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->asked, 1);
	k->now_ns += DELIVER_AGE_NS;
	k->answer.slot = ADIT_NO_SLOT;
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->asked, 2);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], 2);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 1);

	/* no route, no neighbour, no answer */
	k->answer.slot = 3;
	k->answer.result = 7;
	k->now_ns += 2 * DELIVER_AGE_NS;
	open_comes(inner, 100);
	fake_run(k);
	k->answer.result = 0;
	k->no_answer = true;
	k->now_ns += 2 * DELIVER_AGE_NS;
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 3);
	k->no_answer = false;

	/* the parent switches the fast path off and on; the cache is void */
	worker_shared_begin(&k->shared);
	k->shared.ports[3].flags = 0;
	worker_shared_end(&k->shared);
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 4);
	worker_shared_begin(&k->shared);
	k->shared.ports[3].flags = ADIT_PORT_FAST_PATH;
	open_comes(inner, 100);
	fake_run(k); /* half written: the old word holds */
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 5);
	k->shared.ports[3].mtu = 99;
	worker_shared_end(&k->shared);
	open_comes(inner, 100); /* too long for the port */
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 6);
	worker_shared_begin(&k->shared);
	k->shared.ports[3].mtu = 1500;
	worker_shared_end(&k->shared);
	k->answer.mtu = 99; /* too long for the route */
	open_comes(inner, 100);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_OPENED_KERNEL], 7);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], 2);
}

static void duplicates_in_one_batch(void **state)
{
	uint8_t inner[100];
	struct frame a, b;

	(void)state;
	packet_v4(inner, 17, 100);
	a = open_frame(inner, 100);
	b = (struct frame){.data = fake_chunk(k) + 256, .room = 2048 - 256};
	memcpy(b.data - 32, a.data - 32, a.len + 32);
	b.len = a.len;
	fake_receive(k, &a);
	fake_receive(k, &b);
	fake_run(k);
	assert_int_equal(k->n_sent, 1);
	assert_int_equal(k->reasons[ADIT_DROP_REPLAY], 1);
	assert_int_equal(k->stats[2].replay_drops, 1);
}

static void bad_notes(void **state)
{
	uint8_t inner[100];
	struct frame f;

	(void)state;
	packet_v4(inner, 17, 100);
	f = open_frame(inner, 100);
	f.data[-32] ^= 1; /* magic */
	fake_receive(k, &f);
	f = open_frame(inner, 100);
	f.data[-30] = 9; /* kind */
	fake_receive(k, &f);
	seal_comes(inner, 100, 0);
	note_at(&k->rx[2])->n.seal.esp_off = 30;
	seal_comes(inner, 100, 0);
	note_at(&k->rx[3])->n.seal.esp_off = 60000;
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_NO_NOTE], 4);

	f = open_frame(inner, 100);
	f.len = 7;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_ESP_LENGTH], 1);
	seal_comes(inner, 100, 0);
	note_at(&k->rx[0])->n.seal.inner_len = 101;
	seal_comes(inner, 100, 0); /* the inner header says another length than the note */
	note_at(&k->rx[1])->n.seal.inner_len = 99;
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_INNER], 2);
	/* an inbound SA does not seal, an outbound one does not open */
	seal_comes(inner, 100, 0);
	note_at(&k->rx[0])->n.id = 2;
	f = open_frame(inner, 100);
	note_at(&f)->n.id = 1;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_STALE_SA], 2);
	assert_int_equal(k->n_sent, 0);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

static void rings_full_and_ports_gone(void **state)
{
	uint8_t inner[100];
	uint32_t i;

	(void)state;
	packet_v4(inner, 17, 100);
	k->ring = 3;
	for (i = 0; i < 10; i++)
		seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_SEALED], 3);
	assert_int_equal(k->reasons[ADIT_DROP_TX_FULL], 7);
	k->slots = 1;
	seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_NO_PORT], 1);
	seal_comes(inner, 100, 0);
	note_at(&k->rx[0])->n.seal.slot = ADIT_NO_SLOT;
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_NO_PORT], 2);
}

static void peer_moves(void **state)
{
	struct adit_addr there = addr_v4("203.0.113.9");
	uint8_t inner[100];
	struct frame f, late;

	(void)state;
	packet_v4(inner, 17, 100);
	open_comes(inner, 100); /* as negotiated: all zero in this test */
	late = open_frame(inner, 100);
	fake_run(k);
	assert_int_equal(k->n_events, 0);

	/* ike does not listen: it is told again a second later */
	k->deaf = true;
	f = open_frame(inner, 100);
	note_at(&f)->n.open.peer = there;
	note_at(&f)->n.open.peer_port = 4501;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->n_events, 0);
	k->deaf = false;
	f = open_frame(inner, 100);
	note_at(&f)->n.open.peer = there;
	note_at(&f)->n.open.peer_port = 4501;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->n_events, 0); /* same second */
	k->now_ns += 1000000000;
	f = open_frame(inner, 100);
	note_at(&f)->n.open.peer = there;
	note_at(&f)->n.open.peer_port = 4501;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->n_events, 1);
	assert_int_equal(k->events[0].type, ADIT_MSG_PEER_MOVED);
	assert_int_equal(k->events[0].peer_moved.index, 2);
	assert_int_equal(k->events[0].peer_moved.remote_port, 4501);
	assert_memory_equal(&k->events[0].peer_moved.remote, &there, 16);

	/* a late packet from the old place is no move back, and neither is a forged one */
	k->now_ns += 2000000000;
	fake_receive(k, &late);
	f = open_frame(inner, 100);
	f.data[f.len - 1] ^= 1;
	fake_receive(k, &f);
	fake_run(k);
	assert_int_equal(k->n_events, 1);
	assert_int_equal(k->reasons[ADIT_DROP_INTEGRITY], 1);
}

static void lifetimes(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, false);
	uint8_t inner[100];
	uint32_t i;

	(void)state;
	m.soft_packets = 5;
	fake_sa(k, &m);
	packet_v4(inner, 17, 100);
	for (i = 0; i < 4; i++)
		seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->n_events, 0);
	k->deaf = true;
	seal_comes(inner, 100, 0);
	fake_run(k);
	k->deaf = false;
	k->now_ns += 1000000000;
	for (i = 0; i < 4; i++)
		seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->n_events, 1);
	assert_int_equal(k->events[0].type, ADIT_MSG_LIFETIME);
	assert_int_equal(k->events[0].lifetime.index, 1);
	assert_int_equal(k->events[0].lifetime.hard, 0);

	sad_get(k->work.sad, 1)->seq = UINT32_MAX - 1;
	for (i = 0; i < 4; i++)
		seal_comes(inner, 100, 0);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_SEQ_EXHAUSTED], 3);
	assert_int_equal(k->n_events, 2);
	assert_int_equal(k->events[1].lifetime.hard, 1);
}

static void fragments(void **state)
{
	static const uint16_t mtus[] = {1400, 576, 100, 68};
	uint8_t inner[1500], whole[1500], got[1500];
	uint32_t m, i, options;

	(void)state;
	for (m = 0; m < 4; m++) {
		for (options = 0; options < 2; options++) {
			uint32_t pieces = 0, data = 0, ihl = options ? 32 : 20;
			struct sa *sa = sad_get(k->work.sad, 1);

			sa->inner_mtu = mtus[m];
			packet_v4(inner, 17, 1480);
			if (options) { /* one that is copied (0x94), one that is not (0x44 timestamp), end */
				inner[0] = 0x48;
				memcpy(inner + 20, "\x44\x04\x05\0\x94\x04\0\0\0\0\0\0", 12);
				put16(inner + 32 + 4, 1480 - 32);
				store_sum(inner, 1480);
				sum_header(inner);
			}
			memcpy(whole, inner, 1480);
			unfinish(inner, 1480);
			memset(k->reasons, 0, sizeof(k->reasons));
			seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
			fake_run(k);
			assert_int_equal(k->reasons[ADIT_FRAGMENTED], 1);
			assert_int_equal(k->reasons[ADIT_CHECKSUM_FINISHED], 1);
			assert_int_equal(k->reasons[ADIT_SEALED], k->n_sent);
			pieces = k->n_sent;
			for (i = 0; i < pieces; i++) {
				struct frame f = k->sent[i];
				uint32_t here, off, n;
				struct opened o;

				/* the envelope is right for this piece */
				assert_int_equal(get16(f.data + 16), f.len - 14);
				assert_int_equal(get16(f.data + 18) == 100, i == 0);
				frame_skip(&f, 34);
				assert_int_equal(esp_open(sad_get(k->work.sad, 2), &f, 0, 1, &o), 0);
				assert_true(f.len <= mtus[m]);
				here = (f.data[0] & 15) * 4u;
				assert_int_equal(here, i == 0 ? ihl : options ? 24 : 20);
				off = get16(f.data + 6);
				assert_int_equal(off >> 13, i + 1 < pieces ? 1 : 0);
				n = f.len - here;
				assert_true(i + 1 == pieces || n % 8 == 0);
				assert_int_equal((off & 0x1fff) * 8, data);
				memcpy(got + data, f.data + here, n);
				data += n;
			}
			assert_int_equal(data, 1480 - ihl);
			assert_memory_equal(got, whole + ihl, data);
			fake_complete(k);
		}
	}
}

static uint32_t header_sum(const uint8_t *ip)
{
	uint32_t sum = 0, i;

	for (i = 0; i < 20; i += 2)
		sum += get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void fragment_envelopes(void **state)
{
	uint8_t inner[1500];
	uint32_t outer, udp, i;

	(void)state;
	packet_v4(inner, 6, 1480);
	for (outer = 4; outer <= 6; outer += 2) {
		for (udp = 0; udp < 2; udp++) {
			struct frame f =
				seal_frame(fake_chunk(k), &peer->crypt, 1, (int)outer, udp, inner, 1480);
			uint32_t ip_len = outer == 4 ? 20 : 40;

			note_at(&f)->n.flags |= ADIT_NOTE_FRAGMENT;
			fake_receive(k, &f);
			fake_run(k);
			assert_int_equal(k->n_sent, 2);
			for (i = 0; i < 2; i++) {
				const uint8_t *ip = k->sent[i].data + 14;
				uint32_t len = k->sent[i].len - 14;

				if (outer == 4) {
					assert_int_equal(get16(ip + 2), len);
					assert_int_equal(header_sum(ip), 0xffff);
				} else {
					assert_int_equal(get16(ip + 4), len - 40);
				}
				if (udp)
					assert_int_equal(get16(ip + ip_len + 4), len - ip_len);
				if (udp && outer == 6)
					assert_true(sums_right(ip, len));
			}
			fake_complete(k);
		}
	}
}

static void fragments_refused(void **state)
{
	uint8_t inner[1500];
	struct opened o;
	struct frame f;

	(void)state;
	packet_v4(inner, 17, 1480); /* a piece of a fragment stays one */
	put16(inner + 6, 0x2000 | 100);
	sum_header(inner);
	seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
	fake_run(k);
	assert_int_equal(k->n_sent, 2);
	f = k->sent[1];
	frame_skip(&f, 34);
	assert_int_equal(esp_open(sad_get(k->work.sad, 2), &f, 0, 1, &o), 0);
	assert_int_equal(get16(f.data + 6), 0x2000 | (100 + 1376 / 8));
	fake_complete(k);

	put16(inner + 6, 0x4000); /* DF */
	sum_header(inner);
	seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
	packet_v6(inner, 17, 1480);
	seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_TOO_BIG], 2);

	sad_get(k->work.sad, 1)->inner_mtu = 27; /* no eight octets fit */
	packet_v4(inner, 17, 1480);
	seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_TOO_BIG], 3);

	sad_get(k->work.sad, 1)->inner_mtu = 40; /* 91 pieces */
	seal_comes(inner, 1480, ADIT_NOTE_FRAGMENT);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_NO_FRAME], 1);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

static void holds_and_releases(void **state)
{
	struct adit_addr src = addr_v4("10.1.1.2"), dst = addr_v4("10.1.2.2");
	uint8_t ip[100];
	uint32_t i;

	(void)state;
	packet_v4(ip, 17, 100);
	for (i = 0; i < 3; i++)
		hold_comes(7, 14 + 4 * i, ip, 100); /* with no, one and two VLAN tags */
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_HELD], 3);
	assert_int_equal(k->n_sent, 0);
	assert_int_equal(k->n_events, 1);
	assert_int_equal(k->events[0].type, ADIT_MSG_ACQUIRE);
	assert_int_equal(k->events[0].acquire.rule, 7);
	assert_int_equal(k->events[0].acquire.src_port, 4660);
	assert_int_equal(k->events[0].acquire.dst_port, 22136);
	assert_int_equal(k->events[0].acquire.protocol, 17);
	assert_memory_equal(&k->events[0].acquire.src, &src, 16);
	assert_memory_equal(&k->events[0].acquire.dst, &dst, 16);

	command(ADIT_MSG_RELEASE, 8); /* another rule */
	assert_int_equal(k->n_sent, 0);
	command(ADIT_MSG_RELEASE, 7);
	assert_int_equal(k->n_sent, 3);
	assert_int_equal(k->reasons[ADIT_RELEASED], 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(k->sent_slot[i], 4);
		assert_int_equal(k->sent[i].len, 114);
		assert_memory_equal(k->sent[i].data, "\x02\1\1\1\1\1\x02\2\2\2\2\2\x08\0", 14);
		assert_memory_equal(k->sent[i].data + 14, ip, 100);
	}
	fake_complete(k);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);

	/* a frame that missed the release asks at once, the next one not within the second */
	hold_comes(7, 14, ip, 100);
	hold_comes(7, 14, ip, 100);
	fake_run(k);
	assert_int_equal(k->n_events, 2);
	command(ADIT_MSG_DISCARD, 7);
	assert_int_equal(k->reasons[ADIT_DROP_NO_SA], 2);
	hold_comes(7, 14, ip, 100);
	fake_run(k);
	assert_int_equal(k->n_events, 2);
	k->now_ns += 1000000000;
	hold_comes(7, 14, ip, 100);
	fake_run(k);
	assert_int_equal(k->n_events, 3);
	command(ADIT_MSG_FLUSH, 0);
	assert_int_equal(k->reasons[ADIT_DROP_NO_SA], 4);
	assert_null(sad_get(k->work.sad, 1));
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

static void hold_bounds(void **state)
{
	uint8_t ip[60];
	uint32_t i, rule;

	(void)state;
	packet_v4(ip, 17, 60);
	for (i = 0; i < HOLD_PER_RULE + 10; i++)
		hold_comes(1, 14, ip, 60);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_HELD], HOLD_PER_RULE);
	assert_int_equal(k->reasons[ADIT_DROP_HOLD_FULL], 10);
	for (rule = 2; rule < 20; rule++)
		for (i = 0; i < HOLD_PER_RULE; i++)
			hold_comes(rule, 14, ip, 60);
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_HELD], HOLD_ALL);
	assert_int_equal(k->n_events, 19); /* ike hears of each, even of those that cannot wait */

	k->now_ns += HOLD_NS - 1;
	work_tick(&k->work, k->now_ns);
	assert_int_equal(k->reasons[ADIT_DROP_HOLD_TIMEOUT], 0);
	k->now_ns++;
	work_tick(&k->work, k->now_ns);
	assert_int_equal(k->reasons[ADIT_DROP_HOLD_TIMEOUT], HOLD_ALL);
	assert_true(hold_empty(k->work.hold));
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

static void hold_refuses(void **state)
{
	uint8_t ip[60];

	(void)state;
	packet_v4(ip, 17, 60);
	ip[2] = 0xff; /* longer than it is */
	hold_comes(1, 14, ip, 60);
	packet_v4(ip, 17, 60);
	hold_comes(1, 13, ip, 60);
	hold_comes(1, 14, ip, 60);
	note_at(&k->rx[2])->n.hold.l3_off = 500;
	fake_run(k);
	assert_int_equal(k->reasons[ADIT_DROP_INNER], 3);
	assert_int_equal(k->n_events, 0);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

/* ike goes: the worker ends; what it reads that is no message it ignores. */
static void the_end(void **state)
{
	struct adit_msg_id odd = {.type = 99, .id = 1};

	(void)state;
	fake_command(k, &odd, sizeof(odd));
	work_commands(&k->work);
	assert_false(k->work.stop);
	k->gone = true;
	work_commands(&k->work);
	assert_true(k->work.stop);
}

static void at_the_door(uint32_t n)
{
	assert_int_equal(work_door(&k->work, k->now_ns), n);
	k->n_knocks = k->next_knock = 0;
}

/* As good as a ring's frame: opened, checked, delivered, and a peer that moved is told of. */
static void opens_at_the_door(void **state)
{
	struct adit_addr there = addr_v4("203.0.113.9");
	struct adit_note *note = (struct adit_note *)k->knock[1];
	uint8_t inner[1500];

	(void)state;
	packet_v4(inner, 17, 1500);
	knocks(inner, 1500);
	at_the_door(1);
	assert_int_equal(k->n_sent, 1);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], 1);
	assert_int_equal(k->sent_slot[0], 3);
	assert_int_equal(k->sent[0].len, 1514);
	assert_memory_equal(k->sent[0].data + 14 + 20, inner + 20, 1480);
	assert_int_equal(k->n_events, 0);

	knocks(inner, 1500);
	knocks(inner, 1500);
	note->open.peer = there;
	note->open.peer_port = 31000;
	at_the_door(2);
	assert_int_equal(k->n_events, 1);
	assert_int_equal(k->events[0].peer_moved.remote_port, 31000);
	assert_memory_equal(&k->events[0].peer_moved.remote, &there, sizeof(there));
	assert_int_equal(k->stats[2].packets, 3);
	at_the_door(0);
}

static void refuses_at_the_door(void **state)
{
	const struct adit_note empty = {.magic = ADIT_NOTE_MAGIC, .kind = ADIT_NOTE_OPEN, .id = 2};
	struct adit_note *note = (struct adit_note *)k->knock[0];
	uint8_t inner[1500];
	struct frame f;

	(void)state;
	packet_v4(inner, 17, 100);
	knocks(inner, 100);
	k->knock[0][32] ^= 1; /* another SPI than that of the SA under this index */
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_STALE_SA], 1);

	knocks(inner, 100);
	k->knock[0][32 + 20] ^= 1;
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_INTEGRITY], 1);

	f = open_frame(inner, 100); /* came by the ring before, and again by the door */
	fake_knock(k, f.data - 32, f.len + 32);
	fake_receive(k, &f);
	fake_run(k);
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_REPLAY], 1);

	knocks(inner, 100);
	k->knock_len[0] = 32 + 2048 - 256 + 4;
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_TOO_LONG], 1);
	packet_v4(inner, 17, 1500);
	k->shared.ports[5].mtu = 1499; /* fits the frame, but not the internal pair */
	k->no_answer = true;
	k->shared.version += 2;
	knocks(inner, 1500);
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_TOO_LONG], 2);

	packet_v4(inner, 17, 100);
	knocks(inner, 100);
	note->kind = ADIT_NOTE_SEND; /* ike may not send */
	at_the_door(1);
	knocks(inner, 100);
	note->kind = ADIT_NOTE_SEAL;
	at_the_door(1);
	knocks(inner, 100);
	note->magic = 0;
	at_the_door(1);
	fake_knock(k, inner, 31);
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_NO_NOTE], 4);
	fake_knock(k, &empty, sizeof(empty));
	at_the_door(1);
	assert_int_equal(k->reasons[ADIT_DROP_ESP_LENGTH], 1);

	assert_int_equal(k->n_sent, 1);
	fake_complete(k);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
}

/* The rings get their turn; and with no frame left the door is emptied all the same. */
static void a_crowd_at_the_door(void **state)
{
	uint8_t inner[100];
	uint32_t i;

	(void)state;
	packet_v4(inner, 17, 100);
	for (i = 0; i < BATCH + 10; i++)
		knocks(inner, 100);
	assert_int_equal(work_door(&k->work, k->now_ns), BATCH);
	at_the_door(10);
	assert_int_equal(k->reasons[ADIT_OPENED_FAST], BATCH + 10);

	knocks(inner, 100);
	knocks(inner, 100);
	for (i = 0; i < FAKE_CHUNKS; i++)
		if (k->where[i] == FREE)
			k->where[i] = WAITING_RX;
	at_the_door(2);
	assert_int_equal(k->reasons[ADIT_DROP_NO_FRAME], 2);
	assert_int_equal(k->stats[2].packets, BATCH + 10);
}

/* N random batches of everything, in a memory that runs short: every chunk is in exactly one place. */
static void frames_are_conserved(void **state)
{
	uint8_t ip[1500];
	uint32_t round, i;

	(void)state;
	sad_get(k->work.sad, 1)->inner_mtu = 300;
	for (round = 0; round < 400; round++) {
		uint32_t room = fake_count(k, FREE), n = rnd_below(300);

		k->ring = rnd_below(BATCH) + 1;
		for (i = 0; i < n && i < room; i++) {
			uint32_t len = 100 + rnd_below(1300);

			packet_v4(ip, 17, len);
			switch (rnd_below(6)) {
			case 0:
				seal_comes(ip, len, 0);
				break;
			case 1:
				seal_comes(ip, len, ADIT_NOTE_FRAGMENT);
				break;
			case 2:
				open_comes(ip, len);
				break;
			case 3:
				hold_comes(rnd_below(20), 14, ip, len);
				break;
			case 4:
				seal_comes(ip, len, 0);
				note_at(&k->rx[k->n_rx - 1])->n.id = rnd_below(4);
				break;
			case 5:
				open_comes(ip, len);
				k->rx[k->n_rx - 1].data[rnd_below(60)] ^= 1;
				break;
			}
		}
		k->n_events = 0;
		k->now_ns += rnd_below(2000000000);
		fake_run(k);
		k->n_commands = k->next_command = 0;
		if (rnd_below(3) == 0)
			command(rnd_below(2) ? ADIT_MSG_RELEASE : ADIT_MSG_DISCARD, rnd_below(20));
		work_tick(&k->work, k->now_ns);
		/* nothing stays with the loop but what the hold queue has */
		assert_int_equal(fake_count(k, LOOP) == 0, hold_empty(k->work.hold));
		assert_true(fake_count(k, LOOP) <= HOLD_ALL);
		assert_int_equal(fake_count(k, SENT), k->n_sent);
		if (rnd_below(2) || k->n_sent > FAKE_SENT / 4)
			fake_complete(k);
	}
	k->now_ns += HOLD_NS;
	work_tick(&k->work, k->now_ns);
	fake_complete(k);
	assert_int_equal(fake_count(k, FREE), FAKE_CHUNKS);
	assert_true(k->reasons[ADIT_SEALED] && k->reasons[ADIT_FRAGMENTED] && k->reasons[ADIT_RELEASED] &&
		    k->reasons[ADIT_DROP_HOLD_TIMEOUT] && k->reasons[ADIT_DROP_TX_FULL] &&
		    k->reasons[ADIT_DROP_STALE_SA] && k->reasons[ADIT_OPENED_FAST]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(seals),
		T(sends_as_is),
		T(commands_come_first),
		T(opens_fast),
		T(opens_into_a_vlan),
		T(opens_to_the_kernel),
		T(delivery_follows_the_kernel),
		T(duplicates_in_one_batch),
		T(bad_notes),
		T(rings_full_and_ports_gone),
		T(peer_moves),
		T(opens_at_the_door),
		T(refuses_at_the_door),
		T(a_crowd_at_the_door),
		T(lifetimes),
		T(fragments),
		T(fragment_envelopes),
		T(fragments_refused),
		T(holds_and_releases),
		T(hold_bounds),
		T(hold_refuses),
		T(the_end),
		T(frames_are_conserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
