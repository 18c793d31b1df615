// SPDX-License-Identifier: BSD-2-Clause
/* Packets that wait for an SA: how many, how long, and where they go. */
#include "bed.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(holds_and_releases),
		BED_TEST(hold_bounds),
		BED_TEST(hold_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
