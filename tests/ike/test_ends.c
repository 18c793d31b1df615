/* SPDX-License-Identifier: BSD-2-Clause */
/* How attempts and SAs end, what is tried again, and who is told that it is over. */
#include "pair.h"

#include "v2/sa.h"

static struct pair p;
static struct plan plan;

static uint32_t sas(int end)
{
	struct ike_totals totals;

	ike_totals(p.e[end].ike, &totals);
	return totals.sas;
}

/* ---- an attempt fails ---------------------------------------------------------------------- */

/* An error instead of IKE_AUTH ends the attempt: nothing is left of it, and what is kept up is tried again. */
static void auth_error(void **state)
{
	(void)state;
	plan_default(&plan);
	memcpy(plan.peer[1].psk, "Swordfish", 9);
	plan.child[0][0].start_auto = true;
	pair_start(&p, &plan, 1);
	pair_run(&p);
	assert_int_equal(p.e[0].failures, 1);
	assert_int_equal(sas(0), 0);
	assert_int_equal(p.e[0].spis_out, 0);
	pair_pass_time(&p, 2500);
	assert_int_equal(p.e[0].failures, 2);
	/* Slower each time, and no more SAs than the one under way. */
	pair_pass_time(&p, 600000);
	assert_true(p.e[0].failures >= 6 && p.e[0].failures < 20);
	assert_true(sas(0) <= 1);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_error),
	};

	return cmocka_run_group_tests_name("ike ends", tests, NULL, NULL);
}
