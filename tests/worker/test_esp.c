// SPDX-License-Identifier: BSD-2-Clause
#include "help.h"

#include <stdlib.h>
#include <string.h>

#define NOW 12345

static struct adit_sa_stats stats[ADIT_SAS_MAX];
static struct sad *sad;
static struct sa *out, *in;

static void ends(uint32_t suite, bool esn)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, suite, esn);

	assert_int_equal(sad_add(sad, &m), 0);
	m = sa_message(ADIT_IN, suite, esn);
	assert_int_equal(sad_add(sad, &m), 0);
	out = sad_get(sad, 1);
	in = sad_get(sad, 2);
	assert_non_null(out);
	assert_non_null(in);
}

static int setup(void **state)
{
	(void)state;
	return sad_new(stats, &sad);
}

static int teardown(void **state)
{
	(void)state;
	sad_free(sad);
	return 0;
}

static enum adit_reason seal(struct frame *f)
{
	struct adit_note note = frame_note(f);

	return esp_seal(out, f, &note, NOW);
}

static enum adit_reason opens(struct frame f, struct opened *o)
{
	return esp_open(in, &f, 0, NOW, o);
}

/* An ESP packet around text (trailer included) with that number, as a peer may send it. */
static struct frame crafted(uint8_t *chunk, uint64_t seq, const uint8_t *text, uint32_t len)
{
	struct frame f = {.data = chunk + 256, .room = 2048 - 256};

	put32(f.data, TEST_SPI);
	put32(f.data + 4, (uint32_t)seq);
	assert_int_equal(out->crypt.engine->iv(&out->crypt, f.data + 8, seq), 0);
	memcpy(f.data + 8 + out->crypt.iv_len, text, len);
	assert_int_equal(out->crypt.engine->seal(&out->crypt, f.data, len, (uint32_t)(seq >> 32)), 0);
	f.len = 8 + out->crypt.iv_len + len + out->crypt.icv_len;
	return f;
}

static uint32_t trailer(uint8_t *text, uint32_t len, uint8_t next)
{
	uint8_t pad = 0;

	while ((len + 2) % out->crypt.align)
		text[len++] = ++pad;
	text[len++] = pad;
	text[len++] = next;
	return len;
}

static void there_and_back(void **state)
{
	uint8_t chunk[2048], inner[1500];
	uint32_t suite, esn, shape, len;

	(void)state;
	for (suite = 1; suite < ADIT_SUITE_COUNT; suite++) {
		for (esn = 0; esn < 2; esn++) {
			ends(suite, esn);
			for (shape = 0; shape < 8; shape++) {
				bool v6 = shape & 1, udp = shape & 2;
				int outer = shape & 4 ? 6 : 4;

				for (len = v6 ? 48 : 28; len < 1400; len += len < 120 ? 1 : 211) {
					uint32_t total;
					struct opened o;
					struct frame f;

					if (v6)
						packet_v6(inner, 17, len);
					else
						packet_v4(inner, 17, len);
					f = seal_frame(chunk, &out->crypt, 1, outer, udp, inner, len);
					assert_int_equal(seal(&f), ADIT_SEALED);
					total = outer == 4 ? get16(f.data + 16) + 14u
							   : get16(f.data + 18) + 54u;
					assert_int_equal(f.len, total);
					if (outer == 6 && udp)
						assert_true(sums_right(f.data + 14, f.len - 14));
					turn_round(&f, 2, 0);
					assert_int_equal(esp_open(in, &f, 0, NOW, &o), ADIT_REASON_NONE);
					assert_true(o.newest);
					assert_int_equal(f.len, len);
					assert_ptr_equal(f.data, o.inner.ip);
					assert_memory_equal(f.data, inner, len);
				}
			}
			assert_int_equal(out->seq, in->replay.top);
			assert_int_equal(stats[1].packets, out->seq);
			assert_int_equal(stats[2].packets, out->seq);
			assert_int_equal(stats[1].octets, stats[2].octets);
			assert_int_equal(stats[2].sequence, out->seq);
			assert_int_equal(stats[2].last_ns, NOW);
		}
	}
}

static void what_is_on_the_wire(void **state)
{
	uint8_t chunk[2048], inner[64], *esp;
	struct frame f;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_256, true);
	out->seq = 0x1fffffffe;
	packet_v4(inner, 17, 41);
	f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 41);
	assert_int_equal(seal(&f), ADIT_SEALED);
	esp = f.data + 34;
	assert_int_equal(get32(esp), TEST_SPI);
	assert_int_equal(get32(esp + 4), 0xffffffff); /* only the low half is sent */
	assert_int_equal(get32(esp + 8), 1);	      /* the IV has both */
	assert_int_equal(get32(esp + 12), 0xffffffff);
	assert_int_equal(out->crypt.engine->name[0], in->crypt.engine->name[0]);
	/* padding 1, pad length 1, next header 4: 41 + 1 + 2 is a multiple of 4 */
	in->replay.top = 0x1fffffff0;
	assert_int_equal(in->crypt.engine->open(&in->crypt, esp, 44, 1), 0);
	assert_memory_equal(esp + 16 + 41, "\1\1\4", 3);
	assert_int_equal(f.len, 34 + 16 + 44 + 16);
}

static void refused_for_what_it_is(void **state)
{
	static const struct {
		const char *what;
		const char *text; /* behind the inner packet, which is 40 octets of IPv4 or 60 of IPv6 */
		int inner;
		uint32_t off;
		uint8_t bit;
		enum adit_reason why;
	} t[] = {
		{"good",			 "01020204", 4, 0,  0,    ADIT_REASON_NONE  },
		{"good v6",			    "01020229", 6, 0,  0,	 ADIT_REASON_NONE	 },
		{"TFC padding",
		 "0000000000000000"
		 "01020204",				 4, 0,  0,	  ADIT_REASON_NONE  },
		{"dummy",			  "0102023b", 4, 0,  0,    ADIT_DUMMY	 },
		{"dummy of noise",		   "0000003b", 4, 0,  0xff, ADIT_DUMMY	     },
		{"padding not 1, 2",	     "01010204", 4, 0,  0,	  ADIT_DROP_PADDING },
		{"padding of zeroes",	      "00000204", 4, 0,	0,	   ADIT_DROP_PADDING },
		{"pad length beyond the text",   "0102ff04", 4, 0,	 0,    ADIT_DROP_PADDING },
		{"IPv6 called IPv4",	     "01020204", 6, 0,  0,	  ADIT_DROP_INNER	 },
		{"IPv4 called IPv6",	     "01020229", 4, 0,  0,	  ADIT_DROP_INNER	 },
		{"transport mode",		   "01020211", 4, 0,  0,	ADIT_DROP_INNER   },
		{"version 5",		      "01020204", 4, 0,	0x10, ADIT_DROP_INNER   },
		{"header too long",		    "01020204", 4, 0,  0x0a, ADIT_DROP_INNER   },
		{"longer than the text",	 "01020204", 4, 3,  0x10, ADIT_DROP_INNER	},
		{"header checksum",		    "01020204", 4, 11, 0x01, ADIT_DROP_INNER   },
		{"source outside the selectors", "01020204", 4, 12, 0,    ADIT_DROP_SELECTOR},
	};
	uint8_t chunk[2048], text[128], behind[16];
	struct opened o;
	uint32_t len, n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t drops, packets;
		struct frame f;

		ends(ADIT_SUITE_AES_GCM16_128, false);
		if (t[i].why == ADIT_DROP_SELECTOR)
			in->selectors.remote[0].min = in->selectors.remote[0].max;
		len = t[i].inner == 4 ? packet_v4(text, 17, 40) : packet_v6(text, 17, 60);
		text[t[i].off] ^= t[i].bit;
		n = (uint32_t)unhex(t[i].text, behind);
		memcpy(text + len, behind, n);
		f = crafted(chunk, 1, text, len + n);
		assert_int_equal(esp_open(in, &f, 0, NOW, &o), t[i].why);
		assert_int_equal(in->replay.top, 1); /* authentic, all of them */
		drops = stats[2].selector_drops + stats[2].other_drops;
		packets = stats[2].packets;
		assert_int_equal(packets, t[i].why == ADIT_REASON_NONE);
		assert_int_equal(drops, t[i].why != ADIT_REASON_NONE && t[i].why != ADIT_DUMMY);
		if (t[i].why == ADIT_REASON_NONE)
			assert_int_equal(f.len, len);
	}
}

/* RFC 4303 2.4: up to 255 octets of padding are legal, whatever the alignment needs. */
static void long_padding(void **state)
{
	uint8_t chunk[2048], text[512];
	struct opened o;
	uint32_t pad, i;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_128, false);
	for (pad = 0; pad < 256; pad++) {
		packet_v4(text, 17, 42);
		for (i = 0; i < pad; i++)
			text[42 + i] = (uint8_t)(i + 1);
		text[42 + pad] = (uint8_t)pad;
		text[43 + pad] = 4;
		assert_int_equal(opens(crafted(chunk, pad + 1, text, 44 + pad), &o), ADIT_REASON_NONE);
		assert_int_equal(o.inner.len, 42);
	}
}

/* Every length from nothing to a whole packet, every suite: refused, and nothing is read beyond it (ASan). */
static void short_packets(void **state)
{
	uint8_t chunk[2048], inner[64];
	uint32_t suite, n;
	struct frame f;

	(void)state;
	packet_v4(inner, 17, 40);
	for (suite = 1; suite < ADIT_SUITE_COUNT; suite++) {
		ends(suite, true);
		f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
		assert_int_equal(seal(&f), ADIT_SEALED);
		turn_round(&f, 2, 0);
		for (n = 8; n < f.len; n++) {
			uint8_t *exact = malloc(n);
			struct frame cut = {.data = exact, .len = n, .room = (uint16_t)n};
			struct opened o;
			enum adit_reason why;

			memcpy(exact, f.data, n);
			why = esp_open(in, &cut, 0, NOW, &o);
			assert_true(why == ADIT_DROP_ESP_LENGTH || why == ADIT_DROP_INTEGRITY);
			free(exact);
		}
		assert_int_equal(in->replay.top, 0);
		assert_int_equal(stats[2].packets, 0);
	}
}

/* An authentic packet whose text is nothing but a trailer, or less than that says. */
static void short_texts(void **state)
{
	uint8_t chunk[2048], text[32] = {0};
	struct opened o;
	uint32_t n;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_128, false);
	for (n = 2; n < 24; n++) {
		uint32_t i;

		for (i = 0; i + 2 < n; i++)
			text[i] = (uint8_t)(i + 1);
		text[n - 2] = (uint8_t)(n - 2);
		text[n - 1] = 4;
		assert_int_equal(opens(crafted(chunk, n, text, n), &o), ADIT_DROP_INNER);
	}
	text[0] = 1;
	text[1] = 4;
	assert_int_equal(opens(crafted(chunk, 30, text, 2), &o), ADIT_DROP_PADDING);
}

static void forged(void **state)
{
	uint8_t chunk[2048], inner[64], copy[256];
	struct opened o;
	struct frame f;
	uint32_t i;

	(void)state;
	packet_v4(inner, 17, 40);
	for (i = 0; i < 2; i++) {
		ends(i ? ADIT_SUITE_AES_CBC256_SHA256 : ADIT_SUITE_AES_GCM16_256, false);
		f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
		assert_int_equal(seal(&f), ADIT_SEALED);
		turn_round(&f, 2, 0);
		memcpy(copy, f.data, f.len);

		/* a far number, not authentic: the window stays where it is */
		put32(f.data + 4, 0xf0000000);
		assert_int_equal(opens(f, &o), ADIT_DROP_INTEGRITY);
		assert_int_equal(in->replay.top, 0);
		memcpy(f.data, copy, f.len);
		f.data[f.len - 1] ^= 1;
		assert_int_equal(opens(f, &o), ADIT_DROP_INTEGRITY);
		assert_int_equal(stats[2].integrity_drops, 2);

		/* the real one still comes through, once */
		memcpy(f.data, copy, f.len);
		assert_int_equal(opens(f, &o), ADIT_REASON_NONE);
		memcpy(f.data, copy, f.len);
		assert_int_equal(opens(f, &o), ADIT_DROP_REPLAY);
		assert_int_equal(stats[2].replay_drops, 1);
		/* number zero is never sent */
		put32(f.data + 4, 0);
		assert_int_equal(opens(f, &o), ADIT_DROP_REPLAY);
	}
}

/* ESN across 2^32 with losses, disorder and a repetition. */
static void esn_wraps(void **state)
{
	static const struct {
		uint64_t seq;
		enum adit_reason why;
		bool newest;
	} t[] = {
		{0x0fffffff0, 0,		 true },
		 {0x0fffffffd, 0,		  true },
		  {0x100000001, 0,		   true },
		{0x0fffffffe, 0,		 false},
		 {0x100000000, 0,		  false},
		  {0x100000000, ADIT_DROP_REPLAY, false},
		{0x1000003f0, 0,		 true },
		 {0x0fffffff1, 0,		  false},
		  {0x100000010, 0,		   false},
	};
	uint8_t chunk[2048], text[64];
	struct opened o;
	uint32_t len;
	size_t i;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_256, true);
	in->replay.top = 0x0ffffffe0;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		packet_v4(text, 17, 40);
		len = trailer(text, 40, 4);
		o.newest = false;
		assert_int_equal(opens(crafted(chunk, t[i].seq, text, len), &o), t[i].why);
		assert_int_equal(o.newest, t[i].newest);
	}
}

static void ecn_and_mss(void **state)
{
	uint8_t chunk[2048], text[128];
	struct opened o;
	struct frame f;
	uint32_t len;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_256, false);
	packet_v4(text, 17, 40);
	len = trailer(text, 40, 4);
	f = crafted(chunk, 1, text, len);
	assert_int_equal(esp_open(in, &f, 3, NOW, &o), ADIT_DROP_ECN);

	packet_v4(text, 17, 40);
	text[1] = 2;
	sum_header(text);
	len = trailer(text, 40, 4);
	f = crafted(chunk, 2, text, len);
	assert_int_equal(esp_open(in, &f, 3, NOW, &o), ADIT_REASON_NONE);
	assert_int_equal(f.data[1], 3);
	assert_true(sums_right(f.data, 40));

	in->mss4 = 1300;
	packet_v4(text, 6, 44);
	text[32] = 0x60;
	text[33] = 0x02;
	memcpy(text + 40, "\x02\x04\x05\xb4", 4);
	store_sum(text, 44);
	len = trailer(text, 44, 4);
	f = crafted(chunk, 3, text, len);
	assert_int_equal(esp_open(in, &f, 0, NOW, &o), ADIT_REASON_NONE);
	assert_int_equal(get16(f.data + 42), 1300);
	assert_true(sums_right(f.data, 44));
}

/* RFC 4303 3.3.3: never wrap. */
static void sequence_ends(void **state)
{
	uint8_t chunk[2048], inner[64];
	uint32_t esn;
	struct frame f;

	(void)state;
	packet_v4(inner, 17, 40);
	for (esn = 0; esn < 2; esn++) {
		ends(ADIT_SUITE_AES_GCM16_256, esn);
		out->seq = (esn ? UINT64_MAX : UINT32_MAX) - 1;
		f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
		assert_int_equal(seal(&f), ADIT_SEALED);
		f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
		assert_int_equal(seal(&f), ADIT_DROP_SEQ_EXHAUSTED);
		assert_int_equal(out->seq, out->last);
		assert_int_equal(get32(f.data + 38), 0);
	}
	ends(ADIT_SUITE_AES_GCM16_256, true);
	out->seq = UINT32_MAX;
	f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
	assert_int_equal(seal(&f), ADIT_SEALED);
	assert_int_equal(out->seq, 0x100000000);
}

static void no_room(void **state)
{
	uint8_t chunk[2048], inner[64];
	struct frame f;

	(void)state;
	ends(ADIT_SUITE_AES_GCM16_256, true);
	packet_v4(inner, 17, 40);
	f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
	f.room = (uint16_t)(34 + esp_sealed_len(&out->crypt, 40) - 1);
	assert_int_equal(seal(&f), ADIT_DROP_NO_ROOM);
	assert_int_equal(out->seq, 0);
	f.room++;
	assert_int_equal(seal(&f), ADIT_SEALED);

	/* a note that lies */
	f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
	note_at(&f)->n.seal.inner_len = 41;
	assert_int_equal(seal(&f), ADIT_DROP_NO_NOTE);
	f = seal_frame(chunk, &out->crypt, 1, 4, false, inner, 40);
	note_at(&f)->n.seal.esp_off = 2000;
	assert_int_equal(seal(&f), ADIT_DROP_NO_NOTE);
}

static void sad_refuses(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, true);

	(void)state;
	m.index = 0;
	assert_int_not_equal(sad_add(sad, &m), 0);
	m.index = ADIT_SAS_MAX;
	assert_int_not_equal(sad_add(sad, &m), 0);
	m.index = 5;
	m.suite = 200;
	assert_int_not_equal(sad_add(sad, &m), 0);
	assert_null(sad_get(sad, 5));
	m.suite = ADIT_SUITE_AES_GCM16_256;
	m.locals = 200;
	assert_int_not_equal(sad_add(sad, &m), 0);
	m.locals = 1;
	m.direction = 3;
	assert_int_not_equal(sad_add(sad, &m), 0);
	m.direction = ADIT_OUT;
	assert_int_equal(sad_add(sad, &m), 0);
	assert_non_null(sad_get(sad, 5));
	assert_null(sad_get(sad, ADIT_SAS_MAX));
	assert_null(sad_get(sad, UINT32_MAX));
}

static void sad_wipes(void **state)
{
	static const struct sa zero;
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_CBC256_SHA512, true);
	struct sa *sa;

	(void)state;
	assert_int_equal(sad_add(sad, &m), 0);
	sa = sad_get(sad, 1);
	sad_del(sad, 1);
	assert_null(sad_get(sad, 1));
	assert_memory_equal(sa, &zero, sizeof(zero));
	sad_del(sad, 1);
	sad_del(sad, UINT32_MAX);
	assert_int_equal(sad_add(sad, &m), 0);
	sad_flush(sad);
	assert_memory_equal(sa, &zero, sizeof(zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(what_is_on_the_wire),
		cmocka_unit_test(refused_for_what_it_is),
		cmocka_unit_test(long_padding),
		cmocka_unit_test(short_packets),
		cmocka_unit_test(short_texts),
		cmocka_unit_test(forged),
		cmocka_unit_test(esn_wraps),
		cmocka_unit_test(ecn_and_mss),
		cmocka_unit_test(sequence_ends),
		cmocka_unit_test(no_room),
		cmocka_unit_test(sad_refuses),
		cmocka_unit_test(sad_wipes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
