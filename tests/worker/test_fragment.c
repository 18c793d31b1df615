// SPDX-License-Identifier: BSD-2-Clause
/* Inner packets that are cut before they are sealed. */
#include "bed.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(fragments),
		BED_TEST(fragment_envelopes),
		BED_TEST(fragments_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
