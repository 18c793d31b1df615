/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of rows itself, compiled into this program in place of the library's copy. */
#include "help.h"

#include "v2/steps.c"

#define ROWS (sizeof(steps) / sizeof(steps[0]))

/* An SA that a row marks GONE skips sa_end: keys stay, nobody is told, nothing frees it. */
static void no_row_ends_an_sa(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		assert_int_not_equal(steps[i].then, SA_GONE);
		assert_int_not_equal(steps[i].then, SA_NEW);
		assert_int_not_equal(steps[i].on, SA_GONE);
		assert_non_null(steps[i].run);
	}
}

/* Every row can be met: some message passes all rows before it. */
static void every_row_is_met(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		struct msg m = {
			.have = steps[i].needs,
			.h = {.exchange = steps[i].exchange, .flags = steps[i].response ? FLAG_RESPONSE : 0}
		    };

		assert_int_equal(steps[i].needs & steps[i].never, 0);
		assert_ptr_equal(step_find(steps[i].on, &m), &steps[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_row_ends_an_sa),
		cmocka_unit_test(every_row_is_met),
	};

	return cmocka_run_group_tests_name("ike steps", tests, NULL, NULL);
}
