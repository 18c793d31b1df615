// SPDX-License-Identifier: BSD-2-Clause
#include "bed.h"

#include <string.h>

struct fake *k;
struct sa *peer;
static struct sad *peer_sad;
static struct adit_sa_stats peer_stats[ADIT_SAS_MAX];

int setup(void **state)
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

int teardown(void **state)
{
	(void)state;
	fake_free(k);
	sad_free(peer_sad);
	return 0;
}

void seal_comes(const uint8_t *inner, uint32_t len, uint8_t flags)
{
	struct frame f = seal_frame(fake_chunk(k), &peer->crypt, 1, 4, false, inner, len);

	note_at(&f)->n.flags |= flags;
	fake_receive(k, &f);
}

struct frame open_frame(const uint8_t *inner, uint32_t len)
{
	struct frame f = seal_frame(fake_chunk(k), &peer->crypt, 1, 4, false, inner, len);
	struct adit_note note = frame_note(&f);

	assert_int_equal(esp_seal(peer, &f, &note, 1), ADIT_SEALED);
	turn_round(&f, 2, 0);
	return f;
}

void open_comes(const uint8_t *inner, uint32_t len)
{
	struct frame f = open_frame(inner, len);

	fake_receive(k, &f);
}

void knocks(const uint8_t *inner, uint32_t len)
{
	struct frame f = open_frame(inner, len);

	fake_knock(k, f.data - sizeof(struct adit_note), f.len + sizeof(struct adit_note));
	k->where[(f.data - k->memory) / 2048] = FREE;
}

void hold_comes(uint32_t rule, uint32_t l3_off, const uint8_t *ip, uint32_t len)
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

void command(uint32_t type, uint32_t id)
{
	struct adit_msg_id m = {.type = type, .id = id};

	fake_command(k, &m, sizeof(m));
	work_commands(&k->work);
}
