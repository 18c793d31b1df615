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

static enum fate lose_all(struct pair *pp, struct datagram *d)
{
	(void)pp;
	(void)d;
	return LOSE;
}

static const struct {
	const char *name;
	enum { PSK, OUR_PROOF, CHILD, SILENCE, MANY } what;
	enum ike_reason why;
	unsigned after_s;
	uint32_t rule; /* of the last word; 0: the whole peer */
} finals[] = {
	{"refused by the responder",	     PSK,	  IKE_WHY_AUTH_REMOTE, 0,  0 },
	{"refused by us",		  OUR_PROOF, IKE_WHY_AUTH,	   0,  0 },
	{"only the child is refused",      CHILD,     IKE_WHY_TS,		 0,  10},
	{"nobody answers",		   SILENCE,   IKE_WHY_TIMEOUT,     70, 0 },
	{"two rules wait for one attempt", MANY,	 IKE_WHY_TIMEOUT,	  70, 0 },
};

/* Whoever waits for a tunnel hears exactly once that it does not come, and the other end, which was not asked
 * for anything, never says so. */
static void said_once(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		plan_default(&plan);
		if (finals[i].what == PSK)
			memcpy(plan.peer[1].psk, "Swordfish", 9);
		if (finals[i].what == CHILD)
			plan.child[1][0].remote[0] = plan_ts("10.9.0.0/16");
		if (finals[i].what == MANY) {
			plan.peer[0].n_children = 2;
			plan.child[0][1] = plan.child[0][0];
			plan.child[0][1].rule = 20;
			strcpy(plan.child[0][1].name, "other");
		}
		pair_start(&p, &plan, i + 1);
		if (finals[i].after_s)
			p.fate = lose_all;
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		if (finals[i].what == MANY)
			assert_int_equal(ike_initiate(p.e[0].ike, 20, NULL), 0);
		if (finals[i].what == OUR_PROOF) {
			while (p.count < 3)
				pair_deliver(&p, 0);
			p.e[0].ike->peers->conf.psk[0] ^= 1;
		}
		pair_run(&p);
		pair_pass_time(&p, finals[i].after_s * 1000);
		if (p.e[0].finals != 1 || p.e[0].why != finals[i].why || p.e[0].final_rule != finals[i].rule)
			fail_msg("%s: %u times, %s, rule %u", finals[i].name, p.e[0].finals,
				 ike_reason_name(p.e[0].why), p.e[0].final_rule);
		assert_int_equal(p.e[1].finals, 0);
		assert_true(ike_last_failure(p.e[0].ike, "right")->current);
		assert_int_equal(ike_last_failure(p.e[0].ike, "right")->why, finals[i].why);
		pair_stop(&p);
	}
}

/* A child asked for when its IKE SA dies has failed too, and one that is kept up comes back. */
static void asked_of_a_dying_sa(void **state)
{
	(void)state;
	plan_two_children(&plan);
	plan.child[0][0].start_auto = plan.child[0][1].start_auto = true;
	pair_start(&p, &plan, 1);
	while (p.e[0].n_kids < 1)
		pair_deliver(&p, 0);
	assert_int_equal(p.n_wire, 1); /* CREATE_CHILD_SA for the second */
	p.fate = lose_all;
	pair_pass_time(&p, 70000);
	assert_int_equal(p.e[0].n_kids, 0);
	assert_int_equal(p.e[0].final_rule, 20);
	p.fate = NULL;
	pair_pass_time(&p, 400000);
	assert_int_equal(p.e[0].n_kids, 2);
	pair_stop(&p);
}

/* A peer that is back is back for all rules, whatever each had to wait for alone. */
static void all_return_at_once(void **state)
{
	(void)state;
	plan_two_children(&plan);
	plan.child[0][0].start_auto = plan.child[0][1].start_auto = true;
	pair_start(&p, &plan, 1);
	p.fate = lose_all;
	pair_pass_time(&p, 300000);
	while (sas(0))
		pair_pass_time(&p, 1000);
	p.fate = NULL;
	/* The peer calls, for one of the two. */
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
	pair_run(&p);
	assert_int_equal(p.e[0].n_kids, 2);
	pair_stop(&p);
}

/* ---- the operator changes his mind --------------------------------------------------------- */

/* Down and up again at once, after each message of the beginning and with a full window: it is up in the end,
 * whether it is kept up or was called by a packet. */
static void down_and_up(void **state)
{
	struct ike_selector packet = {.proto = 6, .sport = 4000, .dport = 80};
	unsigned n, kind;
	uint32_t before;

	(void)state;
	addr_parse("10.1.0.1", &packet.src);
	addr_parse("10.2.0.1", &packet.dst);
	for (kind = 0; kind < 8; kind++)
		for (n = 0; n <= 5; n++) {
			plan_default(&plan);
			plan.child[0][0].start_auto = kind & 1;
			plan.peer[0].dpd.idle_s = 10;
			plan.peer[0].dpd.interval_s = 100;
			pair_start(&p, &plan, n + 1);
			assert_int_equal(ike_initiate(p.e[0].ike, 10, kind & 1 ? NULL : &packet), 0);
			while (p.count < n && p.n_wire)
				pair_deliver(&p, 0);
			if (n == 5) {
				p.now += 10000;
				ike_tick(p.e[0].ike);
				assert_int_equal(p.n_wire, 1); /* the liveness check */
			}
			before = p.e[0].n_kids ? p.e[0].kids[0].sa.spi_in : 0;
			assert_int_equal(ike_terminate(p.e[0].ike, "right", kind & 4 ? "net" : NULL), 0);
			assert_int_equal(ike_initiate(p.e[0].ike, 10, kind & 2 ? NULL : &packet), 0);
			pair_pass_time(&p, 5000);
			assert_children(&p, 1);
			assert_int_not_equal(p.e[0].kids[0].sa.spi_in, before);
			/* B may still wait for what A dropped half way. */
			assert_int_equal(count_sas(&p.e[0], IKE_UP), 1);
			assert_int_equal(count_sas(&p.e[1], IKE_UP), 1);
			assert_int_equal(sas(0), 1);
			assert_int_equal(p.e[0].finals, 0);
			pair_stop(&p);
		}
}

/* Whom we cannot call: an SA that is on its way out is nothing to ask for a child. */
static void peer_without_address(void **state)
{
	(void)state;
	plan_default(&plan);
	memset(&plan.peer[1].remote_addr, 0, sizeof(struct addr));
	plan.child[1][0].start_auto = true;
	plan.peer[1].dpd.idle_s = 10;
	pair_start(&p, &plan, 1);
	pair_pass_time(&p, 100000);
	assert_int_equal(p.count, 0);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), -113);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	/* Lost at the other end's word, asked for again on the SA that stands. */
	assert_int_equal(ike_terminate(p.e[0].ike, "right", "net"), 0);
	pair_pass_time(&p, 3000);
	assert_children(&p, 1);
	p.now += 10000;
	ike_tick(p.e[1].ike);
	assert_int_equal(p.n_wire, 1);
	assert_int_equal(ike_terminate(p.e[1].ike, "left", NULL), 0);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), -113);
	pair_run(&p);
	assert_children(&p, 0);
	/* The peer calls again. */
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* ---- strangers' words ---------------------------------------------------------------------- */

/* A first message from A's address, to B, that nobody vouches for. */
static void forge_first(const char *proposal, uint16_t group, uint8_t spi)
{
	struct endpoint from = {p.e[0].addr, 500}, to = {p.e[1].addr, 500};
	struct msg_header h = {.spi_i = 0xabcd00 + spi, .exchange = EXCH_INIT, .flags = FLAG_INITIATOR};
	struct proposals theirs = {.protocol = PROTO_IKE, .n = 1};
	static const uint8_t zero[64] = {9};
	uint8_t buf[1024], octets[1024];
	struct chain c;
	size_t len;

	plan_proposal(&theirs.p[0], proposal);
	chain_begin(&c, buf, sizeof(buf));
	proposals_write(&c, &theirs, NULL, 0);
	chain_ke(&c, group, zero, group == 31 ? 32 : 64);
	chain_add(&c, PL_NONCE, zero, 32);
	len = msg_finish(&h, &c, octets, sizeof(octets));
	assert_true(len > 0);
	ike_receive(p.e[1].ike, &to, &from, octets, len);
}

/* It is told, but settles nothing, and a tunnel that stands does not look broken. */
static void a_stranger_settles_nothing(void **state)
{
	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	forge_first("E12/128I12P5D31", 31, 1);
	assert_int_equal(p.e[1].failures, 1);
	assert_int_equal(p.e[1].finals, 0);
	assert_int_equal(ike_last_failure(p.e[1].ike, "left")->why, IKE_WHY_PROPOSAL_IKE);
	assert_false(ike_last_failure(p.e[1].ike, "left")->current);
	pair_stop(&p);

	/* With no tunnel it is the best reason there is, and the engine's own attempt goes on. */
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
	forge_first("E12/128I12P5D31", 31, 1);
	assert_true(ike_last_failure(p.e[1].ike, "left")->current);
	assert_int_equal(p.e[1].finals, 0);
	pair_run(&p);
	assert_children(&p, 1);
	assert_false(ike_last_failure(p.e[1].ike, "left")->current);
	pair_stop(&p);
}

/* A responder's log begins with the request, told once an SA stands for it, and not before. */
static void first_request_is_told(void **state)
{
	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	forge_first("E12/128I12P5D31", 31, 1);
	assert_int_equal(p.e[1].received, 0);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	p.n_wire = 1;
	p.wire[0] = p.wire[1];
	pair_deliver(&p, 0);
	assert_int_equal(p.e[1].received, 1);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(p.e[1].received, 2);
	pair_stop(&p);
}

/* Replies to strangers, and stored ones to whoever repeats a request, go out, are counted and fill no log. */
static void a_flood_fills_no_log(void **state)
{
	struct datagram d;
	unsigned i, sent;

	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	d = p.wire[0];
	pair_deliver(&p, 0);
	p.now += 1000;
	sent = p.e[1].sent;
	for (i = 0; i < 100; i++)
		ike_receive(p.e[1].ike, &d.to, &d.from, d.octets, d.len);
	assert_int_equal(p.n_wire, 101);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_DUPLICATE], 100);
	assert_true(p.e[1].sent > sent && p.e[1].sent <= sent + 10);
	p.now += 1000;
	sent = p.e[1].sent;
	for (i = 0; i < 100; i++)
		forge_first("E20/256P5D31", 19, i);
	assert_int_equal(p.n_wire, 201);
	assert_true(p.e[1].sent > sent && p.e[1].sent <= sent + 10);
	/* What an SA stands behind is told all the same. */
	sent = p.e[1].sent;
	p.n_wire = 1;
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(p.e[1].sent, sent + 1);
	pair_stop(&p);
}

/* The answer to A's IKE_SA_INIT that is an error in clear, as the peer or anybody on the way can send it. */
static void refuse_in_clear(const struct datagram *ask, uint16_t notify)
{
	struct msg_header h = {.exchange = EXCH_INIT, .flags = FLAG_RESPONSE};
	uint8_t buf[64], octets[128];
	struct chain c;
	struct rd r = rd_of(ask->octets, 8);
	size_t len;

	h.spi_i = rd_be64(&r);
	chain_begin(&c, buf, sizeof(buf));
	chain_notify(&c, notify, NULL, 0);
	len = msg_finish(&h, &c, octets, sizeof(octets));
	assert_true(len > 0);
	ike_receive(p.e[0].ike, &ask->from, &ask->to, octets, len);
}

static enum fate lose_first(struct pair *pp, struct datagram *d)
{
	(void)d;
	return pp->count < 1 ? LOSE : PASS;
}

/* A refusal in clear proves nothing (RFC 7296 2.21.1), so the peer gets a few seconds to answer otherwise; they
 * are few, as somebody waits.  A peer that does answer is not shut out by a forger, at any point of the
 * schedule. */
static void refused_in_clear(void **state)
{
	static const unsigned after_ms[] = {0, 900, 1100, 8000, 20000};
	struct datagram ask;
	size_t i;

	(void)state;
	plan_default(&plan);
	for (i = 0; i < sizeof(after_ms) / sizeof(after_ms[0]); i++) {
		pair_start(&p, &plan, i + 1);
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		ask = p.wire[0];
		p.fate = lose_all;
		pair_pass_time(&p, after_ms[i]);
		refuse_in_clear(&ask, N_NO_PROPOSAL_CHOSEN);
		assert_int_equal(p.e[0].finals, 0);
		pair_pass_time(&p, 2000);
		refuse_in_clear(&ask, N_NO_PROPOSAL_CHOSEN);
		pair_pass_time(&p, 3500);
		assert_int_equal(p.e[0].finals, 1);
		assert_int_equal(p.e[0].why, IKE_WHY_PROPOSAL_IKE);
		assert_int_equal(sas(0), 0);
		assert_true(ike_last_failure(p.e[0].ike, "right")->current);
		pair_stop(&p);

		pair_start(&p, &plan, i + 1);
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		p.fate = lose_all;
		pair_pass_time(&p, after_ms[i]);
		refuse_in_clear(&ask, N_NO_PROPOSAL_CHOSEN);
		/* One more message of ours is lost, the next gets through. */
		p.count = 0;
		p.fate = lose_first;
		pair_pass_time(&p, 6000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_int_equal(p.e[0].finals, 0);
		pair_stop(&p);
	}
	/* From then on the forger's word is forgotten, with its deadline. */
	plan.limits[1].cookie_above = 1;
	pair_start(&p, &plan, 1);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	refuse_in_clear(&p.wire[0], N_NO_PROPOSAL_CHOSEN);
	while (p.count < 4)
		pair_deliver(&p, 0);
	p.n_wire = 0; /* IKE_AUTH is lost a few times */
	p.fate = lose_all;
	pair_pass_time(&p, 10000);
	p.fate = NULL;
	pair_pass_time(&p, 20000);
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_error),
		cmocka_unit_test(said_once),
		cmocka_unit_test(asked_of_a_dying_sa),
		cmocka_unit_test(all_return_at_once),
		cmocka_unit_test(down_and_up),
		cmocka_unit_test(peer_without_address),
		cmocka_unit_test(a_stranger_settles_nothing),
		cmocka_unit_test(first_request_is_told),
		cmocka_unit_test(a_flood_fills_no_log),
		cmocka_unit_test(refused_in_clear),
	};

	return cmocka_run_group_tests_name("ike ends", tests, NULL, NULL);
}
