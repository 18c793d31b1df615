/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a tunnel: NAT, liveness, deletes, restarts, and what strangers throw at it. */
#include "pair.h"

#include "v2/message.h"

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

/* ---- NAT ----------------------------------------------------------------------------------- */

static void nat(void **state)
{
	unsigned who;

	(void)state;
	for (who = 1; who < 4; who++) {
		plan_default(&plan);
		if (who & 1)
			addr_parse("203.0.113.1", &plan.peer[1].remote_addr);
		if (who & 2)
			addr_parse("203.0.113.2", &plan.peer[0].remote_addr);
		pair_start(&p, &plan, who);
		p.e[0].natted = who & 1;
		p.e[1].natted = who & 2;
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_run(&p);
		assert_one_sa(&p);
		assert_children(&p, 1);
		struct child_sa *a = &p.e[0].kids[0].sa, *b = &p.e[1].kids[0].sa;
		assert_true(a->udp_encap && b->udp_encap);
		assert_int_equal(a->behind_nat, who & 1);
		assert_int_equal(b->behind_nat, who >> 1);
		assert_int_equal(a->local.port, 4500);
		assert_int_equal(b->remote.port, who & 1 ? 24500 : 4500);
		/* Only the ends behind a NAT keep its mapping alive, every 20 s. */
		pair_pass_time(&p, 61000);
		assert_int_equal(p.e[1].keepalives, who & 1 ? 3 : 0);
		assert_int_equal(p.e[0].keepalives, who & 2 ? 3 : 0);
		/* Requests find their way both ways. */
		assert_int_equal(ike_terminate(p.e[1].ike, "left", NULL), 0);
		pair_run(&p);
		assert_int_equal(p.e[0].n_kids, 0);
		pair_stop(&p);
	}
}

/* The NAT gives out another port: an authentic packet moves the SA, a forged one does not. */
static void nat_rebinds(void **state)
{
	struct endpoint elsewhere;
	struct datagram d;

	(void)state;
	plan_default(&plan);
	addr_parse("203.0.113.1", &plan.peer[1].remote_addr);
	plan.peer[0].dpd.idle_s = 30;
	pair_start(&p, &plan, 1);
	p.e[0].natted = true;
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	p.now += 30000;
	ike_tick(p.e[0].ike);
	p.wire[0] = p.wire[--p.n_wire]; /* the liveness check */
	p.n_wire = 1;
	d = p.wire[0];
	d.octets[d.len - 1] ^= 1;
	d.from.port = 31000;
	ike_receive(p.e[1].ike, &(struct endpoint){p.e[1].addr, 4500}, &d.from, d.octets + 4, d.len - 4);
	assert_int_equal(p.e[1].moved, 0);
	p.wire[0].from.port = 30000;
	p.e[0].nat_shift = 30000 - 4500;
	pair_run(&p);
	assert_int_equal(p.e[1].moved, 1);
	assert_int_equal(p.e[1].kids[0].sa.remote.port, 30000);
	/* ESP that the worker opened says the same; who is not behind a NAT does not move. */
	elsewhere = p.e[1].kids[0].sa.remote;
	elsewhere.port = 30001;
	ike_peer_moved(p.e[1].ike, p.e[1].kids[0].sa.spi_in, &elsewhere);
	assert_int_equal(p.e[1].kids[0].sa.remote.port, 30001);
	ike_peer_moved(p.e[0].ike, p.e[0].kids[0].sa.spi_in, &elsewhere);
	assert_int_equal(p.e[0].moved, 0);
	pair_stop(&p);
}

static void no_nat_no_move(void **state)
{
	struct datagram d;

	(void)state;
	plan_default(&plan);
	plan.peer[0].dpd.idle_s = 30;
	up(1);
	p.now += 30000;
	ike_tick(p.e[0].ike);
	d = p.wire[0];
	p.n_wire = 0;
	d.from.port = 31000;
	ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	/* Answered where it came from (RFC 7296 2.11), but nobody moves. */
	assert_int_equal(p.n_wire, 1);
	assert_int_equal(p.wire[0].to.port, 31000);
	assert_int_equal(p.e[1].moved, 0);
	pair_stop(&p);
}

static void force_encap(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.peer[0].force_encap = true;
	up(1);
	assert_true(p.e[0].kids[0].sa.udp_encap);
	assert_true(p.e[1].kids[0].sa.udp_encap);
	pair_stop(&p);
}

/* ---- liveness and ends --------------------------------------------------------------------- */

static enum fate lose_all(struct pair *pp, struct datagram *d)
{
	(void)pp;
	(void)d;
	return LOSE;
}

static void dead_peer(void **state)
{
	uint64_t t;

	(void)state;
	plan_default(&plan);
	plan.peer[0].dpd.idle_s = 20;
	plan.peer[0].dpd.interval_s = 10;
	plan.peer[0].dpd.retries = 4;
	up(1);
	pair_pass_time(&p, 200000);
	assert_one_sa(&p); /* an answering peer lives */
	assert_children(&p, 1);
	p.fate = lose_all;
	t = p.now;
	while (p.e[0].n_kids && p.now < t + 200000)
		pair_pass_time(&p, 1000);
	assert_true(p.now - t >= 40000 && p.now - t <= 75000);
	assert_int_equal(p.e[0].child_why, IKE_WHY_DPD);
	assert_int_equal(ike_last_failure(p.e[0].ike, "right")->why, IKE_WHY_DPD);
	assert_int_equal(count_sas(&p.e[0], IKE_UP), 0);
	pair_stop(&p);
}

/* Of two SAs one is given up.  A peer that does not know it any more is not asked for long. */
static void redundant_and_unknown(void **state)
{
	struct ike_totals totals[2];
	unsigned i;

	(void)state;
	plan_default(&plan);
	for (i = 0; i < 2; i++) {
		plan.peer[i].dpd.idle_s = 600;
		plan.peer[i].dpd.interval_s = 1;
		plan.peer[i].dpd.retries = 2;
	}
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
	pair_run(&p);
	assert_int_equal(count_sas(&p.e[0], IKE_UP), 2);
	p.fate = lose_all;
	pair_pass_time(&p, 7000);
	for (i = 0; i < 2; i++)
		ike_totals(p.e[i].ike, &totals[i]);
	assert_int_equal(totals[0].sas + totals[1].sas, 3);
	assert_int_equal(count_kids(&p.e[0]) + count_kids(&p.e[1]), 3);
	pair_stop(&p);
}

/* A child that is kept up comes back after the peer restarts, and INITIAL_CONTACT clears what it left. */
static void peer_restarts(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	pair_start(&p, &plan, 1);
	pair_run(&p);
	assert_children(&p, 1);
	/* A loses its memory; B still has the old SA. */
	struct ike_peer_conf conf = plan.peer[0];
	char detail[IKE_DETAIL_MAX];
	struct pair *fresh = calloc(1, sizeof(*fresh));

	pair_start(fresh, &plan, 99);
	fresh->n_wire = 0;
	ike_free(p.e[0].ike);
	ike_free(fresh->e[1].ike);
	p.e[0].ike = fresh->e[0].ike;
	fresh->e[0].pair = &p;
	ike_peer_clear(p.e[0].ike);
	p.e[0].n_kids = 0;
	conf.children = plan.child[0];
	fresh->e[0].next_spi += 100;
	fresh->n_wire = 0;
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), 0);
	assert_int_equal(p.n_wire, 1);
	pair_run(&p);
	assert_int_equal(p.e[1].down_why, IKE_WHY_INITIAL_CONTACT);
	assert_int_equal(count_sas(&p.e[1], IKE_UP), 1);
	assert_int_equal(p.e[1].n_kids, 1);
	assert_int_equal(fresh->e[0].n_kids, 1);
	assert_int_equal(p.e[1].kids[0].sa.spi_out, fresh->e[0].kids[0].sa.spi_in);
	pair_stop(&p);
	free(fresh);
}

static void deletes(void **state)
{
	int who;

	(void)state;
	for (who = 0; who < 2; who++) {
		plan_default(&plan);
		up(who + 1);
		assert_int_equal(ike_terminate(p.e[who].ike, who ? "left" : "right", NULL), 0);
		pair_run(&p);
		assert_children(&p, 0);
		assert_int_equal(count_sas(&p.e[0], IKE_UP) + count_sas(&p.e[1], IKE_UP), 0);
		assert_int_equal(p.e[!who].child_why, IKE_WHY_PEER_DELETE);
		assert_int_equal(ike_initiate(p.e[who].ike, 10, NULL), 0);
		pair_run(&p);
		assert_one_sa(&p);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* Both delete at once; each answers, nothing is named twice, nothing is left. */
static void deletes_cross(void **state)
{
	const char *child;

	(void)state;
	for (child = "net";; child = NULL) {
		plan_default(&plan);
		up(7);
		assert_int_equal(ike_terminate(p.e[0].ike, "right", child), 0);
		assert_int_equal(ike_terminate(p.e[1].ike, "left", child), 0);
		pair_run(&p);
		assert_children(&p, 0);
		assert_int_equal(count_sas(&p.e[0], IKE_UP), child ? 1 : 0);
		assert_int_equal(count_sas(&p.e[1], IKE_UP), child ? 1 : 0);
		pair_stop(&p);
		if (!child)
			break;
	}
}

/* What is kept up returns after the peer's delete, but not after our operator's. */
static void kept_up(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	pair_start(&p, &plan, 1);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(ike_terminate(p.e[1].ike, "left", NULL), 0);
	pair_run(&p);
	assert_children(&p, 0);
	pair_pass_time(&p, 3000);
	assert_children(&p, 1);
	assert_int_equal(ike_terminate(p.e[0].ike, "right", NULL), 0);
	pair_pass_time(&p, 600000);
	assert_children(&p, 0);
	pair_stop(&p);
}

static void datapath_lost(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	pair_start(&p, &plan, 1);
	pair_run(&p);
	p.e[0].n_kids = 0;
	ike_datapath_lost(p.e[0].ike);
	pair_run(&p);
	assert_int_equal(p.e[1].n_kids, 0);
	pair_pass_time(&p, 3000);
	assert_one_sa(&p);
	assert_int_equal(p.e[0].n_kids, 1);
	assert_int_equal(p.e[1].n_kids, 1);
	pair_stop(&p);
}

static void shutdown_deletes(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].start_auto = true;
	up(1);
	ike_shutdown(p.e[0].ike);
	pair_run(&p);
	assert_children(&p, 0);
	assert_int_equal(count_sas(&p.e[1], IKE_UP), 0);
	pair_pass_time(&p, 100000);
	assert_children(&p, 0);
	pair_stop(&p);
}

/* A changed child goes at both ends, an unchanged one stays; a changed key ends the IKE SA. */
static void reload(void **state)
{
	struct ike_peer_conf conf;
	char detail[IKE_DETAIL_MAX];

	(void)state;
	plan_default(&plan);
	up(1);
	conf = plan.peer[0];
	conf.children = plan.child[0];
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), 0);
	pair_run(&p);
	assert_children(&p, 1);
	plan.child[0][0].lifetime_s = 77;
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), 0);
	pair_run(&p);
	assert_children(&p, 0);
	assert_one_sa(&p);
	conf.psk[0] ^= 1;
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), 0);
	pair_run(&p);
	assert_int_equal(count_sas(&p.e[1], IKE_UP), 0);
	assert_int_equal(ike_peer_remove(p.e[0].ike, "nobody"), -2);
	pair_stop(&p);
}

/* ---- strangers ----------------------------------------------------------------------------- */

struct state {
	char text[1024];
};

static void describe_sa(void *self, const struct ike_sa_view *sa)
{
	struct state *s = self;
	size_t at = strlen(s->text);

	snprintf(s->text + at, sizeof(s->text) - at, "%s %llx %llx %d %u;", sa->state_name,
		 (unsigned long long)sa->spi_ours, (unsigned long long)sa->spi_theirs, sa->remote.port,
		 sa->children);
}

static void describe(struct end *e, struct state *s)
{
	memset(s, 0, sizeof(*s));
	ike_each_sa(e->ike, describe_sa, s);
}

/* Every bit of every message of a conversation, flipped, at every point: it changes nothing at the receiver
 * (the very first message excepted, which nothing protects yet), and then the real one works. */
static void flipped_bits(void **state)
{
	struct state before, after;
	size_t i;

	(void)state;
	plan_default(&plan);
	plan.limits[1].half_open_per_source = 1;
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_deliver(&p, 0);
	while (p.n_wire) {
		struct datagram d = p.wire[0], copy;
		struct end *e = addr_eq(&d.to.addr, &p.e[0].addr) ? &p.e[0] : &p.e[1];
		unsigned kids = p.e[0].n_kids + p.e[1].n_kids, sent = p.n_wire;

		/* An IKE_SA_INIT answer is not protected either: whoever sees our SPI can spoil it. */
		for (i = 0; i < d.len * 8 && d.octets[18] != EXCH_INIT; i++) {
			copy = d;
			copy.octets[i / 8] ^= 1 << i % 8;
			describe(e, &before);
			ike_receive(e->ike, &copy.to, &copy.from, copy.octets, copy.len);
			describe(e, &after);
			assert_string_equal(before.text, after.text);
			assert_int_equal(p.e[0].n_kids + p.e[1].n_kids, kids);
			p.n_wire = sent;
		}
		pair_deliver(&p, 0);
	}
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* Noise with a valid header and our SPIs, long and short. */
static void garbage(void **state)
{
	struct state before, after;
	uint8_t octets[256];
	struct datagram d;
	unsigned i, j;
	uint64_t x = 88172645463325252u;

	(void)state;
	plan_default(&plan);
	plan.peer[0].dpd.idle_s = 10;
	up(1);
	p.now += 10000;
	ike_tick(p.e[0].ike);
	d = p.wire[0];
	pair_run(&p);
	describe(&p.e[1], &before);
	for (i = 0; i < 20000; i++) {
		size_t len = 28 + i % 200;

		for (j = 28; j < len; j++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			octets[j] = x;
		}
		memcpy(octets, d.octets, 28);
		octets[16] = i % 3 ? 46 : x >> 8;
		octets[18] = 34 + (x >> 16) % 5;
		octets[19] = i & 1 ? 0x08 : x >> 24;
		octets[23] = (x >> 32) % 6;
		octets[24] = octets[25] = 0;
		octets[26] = len >> 8;
		octets[27] = len;
		ike_receive(p.e[1].ike, &d.to, &d.from, octets, len);
		p.n_wire = 0;
	}
	describe(&p.e[1], &after);
	assert_string_equal(before.text, after.text);
	assert_int_equal(ike_terminate(p.e[1].ike, "left", NULL), 0);
	pair_run(&p);
	assert_children(&p, 0);
	pair_stop(&p);
}

static void versions(void **state)
{
	struct datagram d;

	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	d = p.wire[0];
	p.n_wire = 0;
	d.octets[17] = 0x30;
	ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	assert_int_equal(p.n_wire, 1);
	assert_int_equal(p.wire[0].octets[17], 0x20);
	assert_int_equal(p.wire[0].octets[28 + 7], N_INVALID_MAJOR_VERSION);
	p.n_wire = 0;
	d.octets[17] = 0x10; /* another engine's */
	ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	assert_int_equal(p.n_wire, 0);
	d.octets[17] = 0x21; /* a newer minor version is read as 2.0 */
	ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	assert_int_equal(count_sas(&p.e[1], IKE_HALF_OPEN), 1);
	/* Requests of exchanges that have no place yet, and unknown ones. */
	pair_stop(&p);
}

/* An unprotected error reply costs little and is rationed. */
static void complaints_are_rationed(void **state)
{
	struct datagram d;
	unsigned i;

	(void)state;
	plan_default(&plan);
	plan.peer[0].dpd.idle_s = 10;
	up(1);
	p.now += 10000;
	ike_tick(p.e[0].ike);
	d = p.wire[0];
	p.n_wire = 0;
	for (i = 0; i < 100; i++) {
		d.octets[8] = i + 1;
		d.octets[10] ^= 1 + i % 7;
		d.octets[9] = i ^ 0x55;
		ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	}
	assert_int_equal(p.n_wire, 10);
	assert_true(p.wire[0].len < d.len);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nat),
		cmocka_unit_test(nat_rebinds),
		cmocka_unit_test(no_nat_no_move),
		cmocka_unit_test(force_encap),
		cmocka_unit_test(dead_peer),
		cmocka_unit_test(redundant_and_unknown),
		cmocka_unit_test(peer_restarts),
		cmocka_unit_test(deletes),
		cmocka_unit_test(deletes_cross),
		cmocka_unit_test(kept_up),
		cmocka_unit_test(datapath_lost),
		cmocka_unit_test(shutdown_deletes),
		cmocka_unit_test(reload),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(garbage),
		cmocka_unit_test(versions),
		cmocka_unit_test(complaints_are_rationed),
	};

	return cmocka_run_group_tests_name("ike life", tests, NULL, NULL);
}
