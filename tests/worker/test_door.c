// SPDX-License-Identifier: BSD-2-Clause
/* ESP that came to sockets and not to a ring: opened as strictly, and never in the way of the rings. */
#include "bed.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(opens_at_the_door),
		BED_TEST(refuses_at_the_door),
		BED_TEST(a_crowd_at_the_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
