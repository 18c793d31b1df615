// SPDX-License-Identifier: BSD-2-Clause
#include "help.h"

#include "replay.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 1024

static void table(void **state)
{
	static const struct {
		uint64_t seq;
		bool fresh;
	} t[] = {
		{0,			 false},
		{1,			 true },
		{1,			 false}, /* zero never, once, not twice */
		{9,			 true },
		{8,			 true },
		{8,			 false}, /* late but inside */
		{WINDOW + 9,		     true },
		{9,			 false},
		{10,			true }, /* 9 just fell out, 10 just did not */
		{5 * WINDOW,		     true },
		{4 * WINDOW,		     false}, /* a jump forgets everything */
		{4 * WINDOW + 1,		 true },
		{5 * WINDOW - 63,		  true },
		{5 * WINDOW - 64,		  true },
		{1ull << 40,		     true },
		{(1ull << 40) - WINDOW,	false},
		{(1ull << 40) - WINDOW + 1, true },
	};
	struct replay r;
	size_t i;

	(void)state;
	replay_init(&r, WINDOW);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(replay_fresh(&r, t[i].seq), t[i].fresh);
		assert_int_equal(replay_mark(&r, t[i].seq), t[i].fresh);
	}
}

/* A forged packet is only ever asked about. */
static void asking_moves_nothing(void **state)
{
	struct replay r, before;

	(void)state;
	replay_init(&r, 64);
	assert_true(replay_mark(&r, 100));
	before = r;
	assert_true(replay_fresh(&r, UINT32_MAX));
	assert_false(replay_fresh(&r, 1));
	assert_memory_equal(&r, &before, sizeof(r));
}

/* The naive version remembers every number. */
struct naive {
	uint64_t top;
	uint8_t *seen;
};

static bool naive_fresh(const struct naive *n, uint32_t window, uint64_t seq)
{
	return seq != 0 && (seq > n->top || (n->top - seq < window && !n->seen[seq]));
}

static void random_walk(void **state)
{
	static const uint32_t windows[] = {1, 32, 63, 64, 65, 128, 1000, 1024, 4096, 8192};
	const uint64_t last = 1 << 22;
	struct naive n;
	struct replay r;
	size_t i;

	(void)state;
	n.seen = malloc(last);
	assert_non_null(n.seen);
	for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		memset(n.seen, 0, last);
		n.top = 0;
		replay_init(&r, windows[i]);
		while (n.top < last - 20000) {
			uint32_t how = rnd_below(100), reach = windows[i] + windows[i] / 2 + 70;
			uint64_t seq =
				how < 50   ? n.top + 1 + rnd_below(3)
				: how < 97 ? n.top - rnd_below(reach > n.top ? (uint32_t)n.top + 1 : reach)
				: how < 99 ? n.top + rnd_below(3000)
					   : n.top + rnd_below(20000);
			bool fresh = naive_fresh(&n, windows[i], seq);

			assert_int_equal(replay_fresh(&r, seq), fresh);
			assert_int_equal(replay_mark(&r, seq), fresh);
			if (fresh)
				n.seen[seq] = 1;
			if (seq > n.top)
				n.top = seq;
			assert_int_equal(r.top, n.top);
		}
	}
	free(n.seen);
}

static void infers_the_high_half(void **state)
{
	static const struct {
		uint64_t top;
		uint32_t low;
		uint64_t seq;
	} t[] = {
		{0,	    1,	       1		},
		{0,	    0xffffffff, 0		 }, /* before the first: nothing */
		{100,	      5,		 5	  },
		{100,	      0xfffffff0, 0	   },
		{0x0fffffff0, 0x5,	   0x100000005}, /* across the edge, ahead */
		{0x0fffffff0, 0xffffff00, 0x0ffffff00}, /* just behind */
		{0x100000005, 0xfffffffe, 0x0fffffffe}, /* across the edge, behind */
		{0x100000005, 0x6,	   0x100000006},
		{0x100000005, 0xfffffc05, 0x1fffffc05}, /* bottom - 1 is ahead */
		{0x100000005, 0xfffffc06, 0x0fffffc06}, /* bottom is inside */
		{0x2000003ff, 0x0,	   0x200000000}, /* window just fits into the subspace */
		{0x2000003fe, 0xffffffff, 0x1ffffffff},
		{0x27fffffff, 0x7ffffc00, 0x27ffffc00},
		{0x27fffffff, 0x7ffffbff, 0x37ffffbff},
	};
	struct replay r;
	size_t i;

	(void)state;
	replay_init(&r, WINDOW);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r.top = t[i].top;
		assert_int_equal(replay_infer(&r, t[i].low), t[i].seq);
	}
}

static void the_check_can_be_off(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r, 0);
	assert_true(replay_mark(&r, 5));
	assert_true(replay_fresh(&r, 5));
	assert_true(replay_mark(&r, 5));
	assert_true(replay_mark(&r, 3));
	assert_int_equal(r.top, 5);
	r.top = 0x100000005;
	assert_int_equal(replay_infer(&r, 0xf0000000), 0x0f0000000);
	assert_int_equal(replay_infer(&r, 0x10), 0x100000010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(asking_moves_nothing),
		cmocka_unit_test(random_walk),
		cmocka_unit_test(infers_the_high_half),
		cmocka_unit_test(the_check_can_be_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
