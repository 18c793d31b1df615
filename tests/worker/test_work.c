// SPDX-License-Identifier: BSD-2-Clause
/* The loop over a fake: what comes in, what goes out where, what is counted and told, and that no frame is
 * ever lost or in two places. */
#include "bed.h"

#include <stdlib.h>
#include <string.h>

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
	k->answer.vlan_type = 0x8100;
	packet_v4(inner, 17, 100);
	open_comes(inner, 100);
	fake_run(k);
	f = k->sent[0].data;
	assert_int_equal(k->sent[0].len, 118);
	assert_memory_equal(f, "\2\0\0\0\0\x08\2\0\0\0\0\x09\x81\0\0\x2a\x08\0", 18);
	assert_true(sums_right(f + 18, 100));
}

static void opens_into_a_vlan_of_802_1ad(void **state)
{
	uint8_t inner[200], *f;

	(void)state;
	k->answer.vlan = 42;
	k->answer.vlan_type = 0x88a8;
	packet_v6(inner, 17, 100);
	open_comes(inner, 100);
	fake_run(k);
	f = k->sent[0].data;
	assert_int_equal(k->sent[0].len, 118);
	assert_memory_equal(f, "\2\0\0\0\0\x08\2\0\0\0\0\x09\x88\xa8\0\x2a\x86\xdd", 18);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(seals),
		BED_TEST(sends_as_is),
		BED_TEST(commands_come_first),
		BED_TEST(opens_fast),
		BED_TEST(opens_into_a_vlan),
		BED_TEST(opens_into_a_vlan_of_802_1ad),
		BED_TEST(opens_to_the_kernel),
		BED_TEST(delivery_follows_the_kernel),
		BED_TEST(duplicates_in_one_batch),
		BED_TEST(bad_notes),
		BED_TEST(rings_full_and_ports_gone),
		BED_TEST(peer_moves),
		BED_TEST(lifetimes),
		BED_TEST(the_end),
		BED_TEST(frames_are_conserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
