/* SPDX-License-Identifier: BSD-2-Clause */
/* Rekeying of children and of the IKE SA: alone, with losses, and both ends at once. */
#include "pair.h"

#include <stdlib.h>

static struct pair p;
static struct plan plan;

static void up(uint64_t seed)
{
	pair_start(&p, &plan, seed);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 1);
}

static struct child_sa carried(int end)
{
	struct kid *k = carrying(&p.e[end], 10);

	assert_non_null(k);
	return k->sa;
}

/* While anything is going on both ends can always send, on something the other end can open. */
static void assert_no_gap(void)
{
	int i;
	unsigned j;

	for (i = 0; i < 2; i++) {
		struct kid *k = carrying(&p.e[i], 10);
		bool there = false;

		assert_non_null(k);
		for (j = 0; j < p.e[!i].n_kids; j++)
			there |= p.e[!i].kids[j].in && p.e[!i].kids[j].sa.spi_in == k->sa.spi_out;
		assert_true(there);
	}
}

static void run_without_gap(void)
{
	while (p.n_wire) {
		pair_deliver(&p, 0);
		assert_no_gap();
	}
}

static enum fate lose_nth(struct pair *pp, struct datagram *d)
{
	(void)d;
	return (int)pp->count == pp->target ? LOSE : PASS;
}

static enum fate double_all(struct pair *pp, struct datagram *d)
{
	(void)pp;
	(void)d;
	return TWICE;
}

static void child(void **state)
{
	struct child_sa before;
	int who, pfs;

	(void)state;
	for (who = 0; who < 2; who++)
		for (pfs = 0; pfs < 3; pfs++) {
			plan_default(&plan);
			plan.child[0][0].pfs_group = plan.child[1][0].pfs_group = pfs == 1   ? 31
										  : pfs == 2 ? 20
											     : 0;
			up(who + 1);
			before = carried(0);
			ike_child_expiring(p.e[who].ike, p.e[who].kids[0].sa.spi_in);
			run_without_gap();
			assert_one_sa(&p);
			assert_children(&p, 1);
			assert_int_not_equal(carried(0).spi_in, before.spi_in);
			assert_int_equal(carried(0).replaces_spi_in, before.spi_in);
			assert_int_equal(p.e[0].child_why, IKE_WHY_REKEYED);
			assert_int_equal(p.e[0].failures + p.e[1].failures, 0);
			pair_stop(&p);
		}
}

/* A PFS mismatch shows at the first rekey only (IKE_AUTH has no group): said clearly, and the child lives on.
 */
static void pfs_mismatch(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].pfs_group = 31;
	plan.child[1][0].pfs_group = 19;
	up(1);
	ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(ike_last_failure(p.e[1].ike, "left")->why, IKE_WHY_PROPOSAL_CHILD);
	assert_non_null(strstr(ike_last_failure(p.e[1].ike, "left")->detail, "ecp-256"));
	assert_non_null(strstr(ike_last_failure(p.e[1].ike, "left")->detail, "x25519"));
	pair_stop(&p);
}

static void by_lifetime(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].lifetime_s = plan.child[1][0].lifetime_s = 100;
	plan.peer[0].lifetime_s = plan.peer[1].lifetime_s = 330;
	up(3);
	pair_pass_time(&p, 2000000);
	assert_one_sa(&p);
	assert_children(&p, 1);
	assert_true(p.e[0].child_ups > 20);
	assert_true(p.e[0].ups > 6);
	assert_int_equal(p.e[0].failures + p.e[1].failures, 0);
	pair_stop(&p);
}

static void ike_sa(void **state)
{
	int who;

	(void)state;
	for (who = 0; who < 2; who++) {
		plan_default(&plan);
		plan.peer[who].lifetime_s = 1000;
		up(who + 1);
		struct child_sa before = carried(0);
		while (p.e[0].ups < 2)
			pair_pass_time(&p, 10000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_int_equal(carried(0).spi_in, before.spi_in);
		assert_int_equal(p.e[0].child_downs, 0);
		/* The new one works in both directions, counted from zero again. */
		ike_child_expiring(p.e[who].ike, p.e[who].kids[0].sa.spi_in);
		pair_run(&p);
		assert_children(&p, 1);
		assert_int_equal(ike_terminate(p.e[!who].ike, who ? "right" : "left", NULL), 0);
		pair_run(&p);
		assert_children(&p, 0);
		pair_stop(&p);
	}
}

static void begin_ike_rekey(int end)
{
	/* Through the clock, as in life. */
	while (!p.n_wire) {
		uint64_t t = ike_next_ms(p.e[end].ike);

		assert_true(t != UINT64_MAX);
		p.now = t > p.now ? t : p.now + 1;
		ike_tick(p.e[end].ike);
	}
}

/* Wishes that a child has while its IKE SA is being replaced move with it and are granted at once. */
static void wishes_move(void **state)
{
	struct child_sa before;
	int kind, who;

	(void)state;
	for (who = 0; who < 2; who++)
		for (kind = 0; kind < 2; kind++) {
			plan_default(&plan);
			plan.peer[0].lifetime_s = 1000;
			plan.peer[1].dpd.idle_s = 10;
			plan.peer[1].dpd.interval_s = 600;
			up(who + 1);
			before = carried(0);
			begin_ike_rekey(0);
			if (who)
				ike_tick(p.e[1].ike); /* a liveness check: B's window is full */
			if (kind)
				assert_int_equal(ike_terminate(p.e[who].ike, who ? "left" : "right", "net"),
						 0);
			else
				ike_child_expiring(p.e[who].ike, p.e[who].kids[0].sa.spi_in);
			pair_run(&p);
			assert_one_sa(&p);
			assert_int_equal(p.e[0].ups, 2);
			assert_children(&p, !kind);
			if (!kind)
				assert_int_not_equal(carried(0).spi_in, before.spi_in);
			pair_stop(&p);
		}
}

/* The datapath refuses to send on the successor: the tunnel stays on the old one and tries again, and one that
 * is lost for it comes back. */
static void out_fails(void **state)
{
	struct child_sa before;

	(void)state;
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	up(1);
	before = carried(0);
	p.e[0].fail_out = 1;
	ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(carried(0).spi_in, before.spi_in);
	assert_int_equal(p.e[0].child_why, IKE_WHY_INSTALL);
	pair_pass_time(&p, 11000);
	assert_children(&p, 1);
	assert_int_not_equal(carried(0).spi_in, before.spi_in);
	pair_pass_time(&p, 100000);
	assert_children(&p, 1);
	pair_stop(&p);

	/* At the other end, which switches when the old one is deleted. */
	plan_default(&plan);
	plan.child[1][0].start_auto = true;
	pair_start(&p, &plan, 2);
	pair_run(&p);
	p.e[1].fail_out = 1;
	ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
	pair_run(&p);
	assert_int_equal(p.e[1].fail_out, 0);
	pair_pass_time(&p, 10000);
	assert_children(&p, 1);
	pair_stop(&p);

	/* And the first of all. */
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	pair_start(&p, &plan, 3);
	p.e[0].fail_out = 1;
	pair_run(&p);
	assert_children(&p, 0);
	assert_int_equal(p.e[0].child_ups, 0);
	assert_int_equal(p.e[0].finals, 1);
	pair_pass_time(&p, 10000);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* What the operator ends while the IKE SA is being replaced stays ended: the wish goes to the successor, or the
 * peer's rekey has to wait. */
static void ended_while_rekeying(void **state)
{
	int theirs;

	(void)state;
	for (theirs = 0; theirs < 2; theirs++) {
		plan_default(&plan);
		plan.peer[0].lifetime_s = 1000;
		plan.peer[1].dpd.idle_s = 10;
		plan.peer[1].dpd.interval_s = 600;
		up(theirs + 1);
		begin_ike_rekey(0);
		if (theirs)
			ike_tick(p.e[1].ike); /* a liveness check: B's window is full */
		assert_int_equal(p.n_wire, 1 + theirs);
		assert_int_equal(ike_terminate(p.e[theirs].ike, theirs ? "left" : "right", NULL), 0);
		pair_run(&p);
		assert_children(&p, 0);
		assert_int_equal(count_sas(&p.e[0], IKE_UP) + count_sas(&p.e[1], IKE_UP), 0);
		assert_int_equal(p.e[theirs].child_why, IKE_WHY_OPERATOR);
		assert_int_equal(p.e[!theirs].child_why, IKE_WHY_PEER_DELETE);
		pair_stop(&p);
	}
}

/* Each message of a rekey lost in turn, or all of them doubled: one of everything is left. */
static void losses(void **state)
{
	int kind, n;

	(void)state;
	for (kind = 0; kind < 2; kind++)
		for (n = -1; n < 4; n++) {
			plan_default(&plan);
			plan.peer[0].lifetime_s = kind ? 1000 : 0;
			up(n + 2);
			if (kind)
				begin_ike_rekey(0);
			else
				ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
			p.count = 0;
			p.target = n;
			p.fate = n < 0 ? double_all : lose_nth;
			pair_pass_time(&p, 30000);
			assert_one_sa(&p);
			assert_children(&p, 1);
			pair_stop(&p);
		}
}

/* Both ends rekey the same child at once, in every order of delivery, with many nonces. */
static void child_collision(void **state)
{
	unsigned order, i, redundant = 0;

	(void)state;
	for (order = 0; order < 512; order++) {
		plan_default(&plan);
		up(order + 1);
		ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
		ike_child_expiring(p.e[1].ike, p.e[1].kids[0].sa.spi_in);
		for (i = 0; i < 9 && p.n_wire; i++) {
			pair_deliver(&p, order >> i & 1 ? p.n_wire - 1 : 0);
			assert_no_gap();
		}
		pair_pass_time(&p, 20000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_no_gap();
		redundant += p.e[0].child_ups + p.e[1].child_ups > 4;
		pair_stop(&p);
	}
	assert_true(redundant > 0);
}

/* The same with one of the messages lost. */
static void child_collision_with_loss(void **state)
{
	int n;

	(void)state;
	for (n = 0; n < 10; n++) {
		plan_default(&plan);
		up(n + 1);
		ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
		ike_child_expiring(p.e[1].ike, p.e[1].kids[0].sa.spi_in);
		p.count = 0;
		p.target = n;
		p.fate = lose_nth;
		pair_pass_time(&p, 30000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_no_gap();
		pair_stop(&p);
	}
}

static void ike_collision(void **state)
{
	unsigned order, i;

	(void)state;
	for (order = 0; order < 256; order++) {
		plan_default(&plan);
		plan.peer[0].lifetime_s = plan.peer[1].lifetime_s = 1000;
		up(order + 1);
		/* Both clocks strike before either hears the other. */
		p.now += 905000;
		ike_tick(p.e[0].ike);
		ike_tick(p.e[1].ike);
		assert_int_equal(p.n_wire, 2);
		for (i = 0; i < 8 && p.n_wire; i++)
			pair_deliver(&p, order >> i & 1 ? p.n_wire - 1 : 0);
		pair_pass_time(&p, 20000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_int_equal(p.e[0].child_downs + p.e[1].child_downs, 0);
		pair_stop(&p);
	}
}

/* One rekeys the child while the other rekeys the IKE SA, or deletes the child. */
static void mixed(void **state)
{
	unsigned order, i, kind;

	(void)state;
	for (order = 0; order < 256; order++)
		for (kind = 0; kind < 2; kind++) {
			plan_default(&plan);
			plan.peer[1].lifetime_s = kind ? 0 : 1000;
			up(order + 1);
			p.now += 905000;
			ike_child_expiring(p.e[0].ike, p.e[0].kids[0].sa.spi_in);
			if (kind)
				assert_int_equal(ike_terminate(p.e[1].ike, "left", "net"), 0);
			else
				ike_tick(p.e[1].ike);
			for (i = 0; i < 8 && p.n_wire; i++)
				pair_deliver(&p, order >> i & 1 ? p.n_wire - 1 : 0);
			pair_pass_time(&p, 30000);
			assert_one_sa(&p);
			/* Deleted for good, or rekeyed before the delete could name the new one. */
			if (kind)
				assert_true(p.e[0].n_kids <= 1 && p.e[0].n_kids == p.e[1].n_kids);
			else
				assert_children(&p, 1);
			pair_stop(&p);
		}
}

/* Everything at once, at random, for long: many seeds, lossy and doubling wire, short lifetimes, operators
 * who change their minds.  In the end, on a good wire, there is one IKE SA and one child. */
static enum fate at_random(struct pair *pp, struct datagram *d)
{
	(void)pp;
	(void)d;
	return rand() % 8 == 0 ? LOSE : rand() % 8 == 1 ? TWICE : PASS;
}

static void random_walk(void **state)
{
	unsigned seed, i;

	(void)state;
	for (seed = 1; seed <= 60; seed++) {
		srand(seed);
		plan_default(&plan);
		for (i = 0; i < 2; i++) {
			plan.child[i][0].lifetime_s = 40;
			plan.child[i][0].start_auto = i == seed % 2 || seed % 3 == 0;
			plan.peer[i].lifetime_s = 110;
			plan.peer[i].dpd.idle_s = 10;
		}
		pair_start(&p, &plan, seed);
		p.fate = at_random;
		for (i = 0; i < 150; i++) {
			unsigned n = rand() % 6;

			while (n-- && p.n_wire)
				pair_deliver(&p, rand() % p.n_wire);
			p.now += rand() % 1500;
			ike_tick(p.e[0].ike);
			ike_tick(p.e[1].ike);
			if (rand() % 30 == 0 && p.e[i % 2].n_kids)
				ike_child_expiring(p.e[i % 2].ike, p.e[i % 2].kids[0].sa.spi_in);
			if (rand() % 60 == 0)
				ike_terminate(p.e[i % 2].ike, i % 2 ? "left" : "right",
					      rand() % 2 ? "net" : NULL);
			if (rand() % 20 == 0)
				ike_initiate(p.e[i % 2].ike, 10, NULL);
		}
		p.fate = NULL;
		ike_initiate(p.e[0].ike, 10, NULL);
		pair_pass_time(&p, 700000);
		ike_initiate(p.e[0].ike, 10, NULL);
		pair_pass_time(&p, 5000);
		assert_int_equal(count_sas(&p.e[0], IKE_UP), 1);
		assert_int_equal(count_sas(&p.e[1], IKE_UP), 1);
		assert_no_gap();
		assert_true(p.e[0].n_kids <= 2);
		pair_stop(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child),
		cmocka_unit_test(pfs_mismatch),
		cmocka_unit_test(by_lifetime),
		cmocka_unit_test(ike_sa),
		cmocka_unit_test(out_fails),
		cmocka_unit_test(wishes_move),
		cmocka_unit_test(ended_while_rekeying),
		cmocka_unit_test(losses),
		cmocka_unit_test(child_collision),
		cmocka_unit_test(child_collision_with_loss),
		cmocka_unit_test(ike_collision),
		cmocka_unit_test(mixed),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests_name("ike rekey", tests, NULL, NULL);
}
