/* SPDX-License-Identifier: BSD-2-Clause */
/* Conversations of two complete ends: setting up, with everything that can go wrong on the way. */
#include "pair.h"

#include "v2/message.h"

static struct pair p;
static struct plan plan;

static void begin(uint64_t seed)
{
	pair_start(&p, &plan, seed);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
}

static void plain(void **state)
{
	(void)state;
	plan_default(&plan);
	begin(1);
	assert_int_equal(p.n_wire, 1);
	pair_run(&p);
	assert_int_equal(p.count, 4);
	assert_one_sa(&p);
	assert_children(&p, 1);
	assert_true(p.e[0].kids[0].sa.esn);
	assert_int_equal(p.e[0].kids[0].sa.in.enc_len, 20);
	assert_false(p.e[0].kids[0].sa.udp_encap);
	assert_int_equal(p.e[0].failures + p.e[1].failures, 0);
	/* Once is enough. */
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	assert_int_equal(p.n_wire, 0);
	assert_int_equal(ike_initiate(p.e[0].ike, 11, NULL), -2);
	pair_stop(&p);
}

/* ---- every suite --------------------------------------------------------------------------- */

static const struct {
	const char *ike, *esp;
	uint16_t pfs;
} suites[] = {
	{"E20/256P5D31",	 "E20/256",    0},
	      {"E20/128P7D19",    "E20/128",	  0},
	{"E12/256I12P5D19", "E12/256I12", 0},
	      {"E12/128I12P5D14", "E12/128I12", 0},
	{"E12/256I13P6D20", "E12/256I13", 0},
	      {"E12/192I14P7D31", "E12/192I14", 0},
};

static void every_suite(void **state)
{
	size_t i;
	int s;

	(void)state;
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		plan_default(&plan);
		for (s = 0; s < 2; s++) {
			plan_proposal(&plan.peer[s].ike[0], suites[i].ike);
			plan_proposal(&plan.child[s][0].esp[0], suites[i].esp);
		}
		begin(i);
		pair_run(&p);
		assert_one_sa(&p);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* ---- loss, doubling, crossing -------------------------------------------------------------- */

static enum fate lose_nth(struct pair *pp, struct datagram *d)
{
	(void)d;
	return (int)pp->count == pp->target ? LOSE : PASS;
}

static enum fate double_nth(struct pair *pp, struct datagram *d)
{
	(void)d;
	return (int)pp->count == pp->target ? TWICE : PASS;
}

static enum fate double_all(struct pair *pp, struct datagram *d)
{
	(void)pp;
	(void)d;
	return TWICE;
}

/* Whatever single message is lost, a retransmission makes it good and nothing exists twice. */
static void each_lost(void **state)
{
	int n;

	(void)state;
	for (n = 0; n < 4; n++) {
		plan_default(&plan);
		begin(n);
		p.fate = lose_nth;
		p.target = n;
		pair_pass_time(&p, 5000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_int_equal(p.e[0].ups, 1);
		assert_int_equal(p.e[1].ups, 1);
		assert_true(p.e[0].retransmits >= 1);
		pair_stop(&p);
	}
}

static void each_doubled(void **state)
{
	int n;

	(void)state;
	for (n = -1; n < 4; n++) {
		plan_default(&plan);
		begin(n + 1);
		p.fate = n < 0 ? double_all : double_nth;
		p.target = n;
		pair_pass_time(&p, 40000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		assert_int_equal(p.e[0].child_ups + p.e[1].child_ups, 2);
		pair_stop(&p);
	}
}

/* Repeated messages are the same octets; the pauses double. */
static void retransmits(void **state)
{
	struct datagram first;
	uint64_t pauses[8], last;
	unsigned n = 0;

	(void)state;
	plan_default(&plan);
	begin(1);
	first = p.wire[0];
	last = p.now;
	for (;;) {
		p.n_wire = 0;
		if (ike_next_ms(p.e[0].ike) == UINT64_MAX || n == 8)
			break;
		p.now = ike_next_ms(p.e[0].ike);
		ike_tick(p.e[0].ike);
		if (!p.n_wire)
			break;
		assert_int_equal(p.n_wire, 1);
		assert_int_equal(p.wire[0].len, first.len);
		assert_memory_equal(p.wire[0].octets, first.octets, first.len);
		pauses[n++] = p.now - last;
		last = p.now;
	}
	assert_int_equal(n, 5);
	assert_int_equal(pauses[0], 1000);
	assert_int_equal(pauses[4], 16000);
	assert_int_equal(p.e[0].why, IKE_WHY_TIMEOUT);
	assert_int_equal(count_sas(&p.e[0], IKE_CONNECTING), 0);
	assert_non_null(ike_last_failure(p.e[0].ike, "right"));
	pair_stop(&p);
}

/* A reply comes again for a repeated request, octet by octet, and only for the very same one. */
static void replies_repeat(void **state)
{
	struct datagram request, reply;

	(void)state;
	plan_default(&plan);
	begin(1);
	pair_deliver(&p, 0);
	pair_deliver(&p, 0);
	request = p.wire[0]; /* IKE_AUTH */
	pair_deliver(&p, 0);
	reply = p.wire[0];
	p.n_wire = 0;
	ike_receive(p.e[1].ike, &request.to, &request.from, request.octets, request.len);
	assert_int_equal(p.n_wire, 1);
	assert_int_equal(p.wire[0].len, reply.len);
	assert_memory_equal(p.wire[0].octets, reply.octets, reply.len);
	request.octets[request.len - 1] ^= 1;
	p.n_wire = 0;
	ike_receive(p.e[1].ike, &request.to, &request.from, request.octets, request.len);
	assert_int_equal(p.n_wire, 0);
	assert_int_equal(p.e[1].n_kids, 1);
	pair_stop(&p);
}

/* Both begin at once, in every interleaving of eight deliveries: both work, and one IKE SA is left. */
static void crossed(void **state)
{
	unsigned order, i;

	(void)state;
	for (order = 0; order < 256; order++) {
		plan_default(&plan);
		begin(order);
		assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
		for (i = 0; i < 8 && p.n_wire; i++)
			pair_deliver(&p, order >> i & 1 ? p.n_wire - 1 : 0);
		pair_pass_time(&p, 10000);
		assert_one_sa(&p);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* ---- IKE_SA_INIT: cookie, group, limits ---------------------------------------------------- */

static void cookie(void **state)
{
	struct ike_totals totals;

	(void)state;
	plan_default(&plan);
	plan.limits[1].cookie_above = 1;
	begin(1);
	pair_deliver(&p, 0);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.sas, 0); /* nothing is remembered */
	pair_run(&p);
	assert_int_equal(p.count, 6);
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

static void put_cookie_of(struct datagram *with, const struct datagram *from)
{
	struct msg m;

	assert_int_equal(msg_parse_header(from->octets, from->len, &m), 0);
	assert_int_equal(m.h.next, PL_NOTIFY);
	memcpy(with->octets + 28, from->octets + 28, 8 + 33);
}

/* A cookie is good for one address, SPI and nonce, and for two minutes or so. */
static void cookie_bound(void **state)
{
	struct datagram a, b, with;
	struct ike_totals totals;
	uint64_t bad;

	(void)state;
	plan_default(&plan);
	plan.limits[1].cookie_above = 1;
	begin(1);
	pair_deliver(&p, 0);
	pair_deliver(&p, 0);
	assert_int_equal(p.n_wire, 1);
	with = a = p.wire[0]; /* IKE_SA_INIT with a cookie */
	p.n_wire = 0;
	bad = ike_counters(p.e[1].ike)[IKE_WHY_COOKIE];

	with.from.addr.b[15] ^= 1;
	ike_receive(p.e[1].ike, &with.to, &with.from, with.octets, with.len);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_COOKIE], ++bad);
	with = a;
	with.octets[7] ^= 1;
	ike_receive(p.e[1].ike, &with.to, &with.from, with.octets, with.len);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_COOKIE], ++bad);
	with = a;
	with.octets[28 + 8 + 20] ^= 1;
	ike_receive(p.e[1].ike, &with.to, &with.from, with.octets, with.len);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_COOKIE], ++bad);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.sas, 0);
	/* Another negotiation's cookie does not help. */
	assert_int_equal(ike_terminate(p.e[0].ike, "right", NULL), 0);
	p.n_wire = 0;
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_deliver(&p, 0);
	pair_deliver(&p, 0);
	b = p.wire[0];
	p.n_wire = 0;
	with = b;
	put_cookie_of(&with, &a);
	ike_receive(p.e[1].ike, &with.to, &with.from, with.octets, with.len);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_COOKIE], ++bad);
	/* One rotation later it still holds, after two it does not. */
	p.n_wire = 0;
	p.now += 130000;
	ike_receive(p.e[1].ike, &b.to, &b.from, b.octets, b.len);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.sas, 1);
	p.now += 40000;
	ike_tick(p.e[1].ike);
	p.now += 130000;
	ike_receive(p.e[1].ike, &a.to, &a.from, a.octets, a.len);
	p.now += 130000;
	ike_receive(p.e[1].ike, &a.to, &a.from, a.octets, a.len);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.sas, 0);
	pair_stop(&p);
}

/* Our first group is not theirs: INVALID_KE_PAYLOAD names one, with and without cookies in between. */
static void invalid_ke(void **state)
{
	int with_cookie;

	(void)state;
	for (with_cookie = 0; with_cookie < 2; with_cookie++) {
		plan_default(&plan);
		plan_proposal(&plan.peer[0].ike[0], "E20/256P5D31D19D14");
		plan_proposal(&plan.peer[1].ike[0], "E20/256P5D14");
		plan.limits[1].cookie_above = with_cookie;
		begin(1);
		pair_run(&p);
		assert_int_equal(p.count, with_cookie ? 8 : 6);
		assert_one_sa(&p);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* A responder that never stops asking for something else is left alone in the end. */
static void endless_cookies(void **state)
{
	uint8_t octets[128];
	unsigned i, sent = 0;

	(void)state;
	plan_default(&plan);
	begin(1);
	for (i = 0; i < 50; i++) {
		struct datagram d = p.wire[0];
		struct msg_header h = {0, 0, 0, 0, EXCH_INIT, FLAG_RESPONSE, 0, 0};
		struct rd r = rd_of(d.octets, 8);
		struct chain c;
		uint8_t buf[64];
		size_t n;

		sent += p.n_wire;
		p.n_wire = 0;
		h.spi_i = rd_be64(&r);
		chain_begin(&c, buf, sizeof(buf));
		chain_notify(&c, N_COOKIE, &i, sizeof(i));
		n = msg_finish(&h, &c, octets, sizeof(octets));
		ike_receive(p.e[0].ike, &d.from, &d.to, octets, n);
	}
	assert_int_equal(sent, 6);
	assert_int_equal(p.e[0].why, IKE_WHY_COOKIE_LOOP);
	pair_stop(&p);
}

/* What a stranger may claim in clear is noted; the negotiation goes on with the real peer. */
static void clear_errors_do_not_kill(void **state)
{
	static const uint16_t errors[] = {N_NO_PROPOSAL_CHOSEN, N_INVALID_SYNTAX, N_AUTHENTICATION_FAILED,
					  N_INVALID_MAJOR_VERSION, N_INVALID_IKE_SPI};
	uint8_t octets[128], buf[64];
	struct datagram d;
	struct chain c;
	size_t i, n;

	(void)state;
	plan_default(&plan);
	begin(1);
	d = p.wire[0];
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct msg_header h = {0, 0, 0, 0, EXCH_INIT, FLAG_RESPONSE, 0, 0};
		struct rd r = rd_of(d.octets, 8);

		h.spi_i = rd_be64(&r);
		chain_begin(&c, buf, sizeof(buf));
		chain_notify(&c, errors[i], NULL, 0);
		n = msg_finish(&h, &c, octets, sizeof(octets));
		ike_receive(p.e[0].ike, &d.from, &d.to, octets, n);
	}
	assert_int_equal(p.e[0].failures, 5);
	assert_int_equal(count_sas(&p.e[0], IKE_CONNECTING), 1);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 1);
	assert_false(ike_last_failure(p.e[0].ike, "right")->current);
	pair_stop(&p);
}

static void half_open_flood(void **state)
{
	struct ike_totals totals;
	struct datagram d;
	unsigned i;

	(void)state;
	plan_default(&plan);
	memset(&plan.peer[1].remote_addr, 0, sizeof(struct addr));
	plan.limits[1].cookie_above = 1000000;
	plan.limits[1].half_open = 40;
	plan.limits[1].half_open_per_source = 4;
	begin(1);
	d = p.wire[0];
	p.n_wire = 0;
	for (i = 0; i < 300; i++) {
		struct datagram forged = d;

		forged.octets[0] = i;
		forged.octets[1] = i >> 8;
		forged.from.addr.b[15] = i / 10; /* ten from each */
		ike_receive(p.e[1].ike, &forged.to, &forged.from, forged.octets, forged.len);
		p.n_wire = 0;
	}
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.half_open, 40);
	assert_int_equal(totals.sas, 40);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_HALF_OPEN_SOURCE], 54);
	assert_int_equal(ike_counters(p.e[1].ike)[IKE_WHY_HALF_OPEN], 206);
	/* They go by themselves. */
	p.now += 30001;
	ike_tick(p.e[1].ike);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.half_open, 0);
	p.now += 31000;
	ike_tick(p.e[1].ike);
	ike_totals(p.e[1].ike, &totals);
	assert_int_equal(totals.sas, 0);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),	   cmocka_unit_test(every_suite),
		cmocka_unit_test(each_lost),	   cmocka_unit_test(each_doubled),
		cmocka_unit_test(retransmits),	   cmocka_unit_test(replies_repeat),
		cmocka_unit_test(crossed),	   cmocka_unit_test(cookie),
		cmocka_unit_test(cookie_bound),	   cmocka_unit_test(invalid_ke),
		cmocka_unit_test(endless_cookies), cmocka_unit_test(clear_errors_do_not_kill),
		cmocka_unit_test(half_open_flood),
	};

	return cmocka_run_group_tests_name("ike conversation", tests, NULL, NULL);
}
