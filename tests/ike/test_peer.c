/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that has the keys and no manners: what is sealed properly and yet wrong. */
#include "pair.h"

#include "v2/sa.h"

static struct pair p;
static struct plan plan;
static struct ike_sa *a, *b;

static void up(void)
{
	plan_default(&plan);
	plan.child[0][0].pfs_group = plan.child[1][0].pfs_group = 31;
	pair_start(&p, &plan, 5);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	a = p.e[0].ike->sas;
	b = p.e[1].ike->sas;
}

/* A says it to B, sealed.  B's reply, opened, stands in ret; false: silence. */
static bool say(uint8_t exchange, uint32_t id, const struct chain *c, struct msg *ret)
{
	static uint8_t out[4096], got[4096], clear[4096], iv[SK_IV_MAX] = {0xee};
	struct msg_header h = {spi_i(a), spi_r(a), 0, 0, exchange, FLAG_INITIATOR, id, 0};
	struct endpoint from = {p.e[0].addr, 500}, to = {p.e[1].addr, 500};
	struct span inside;
	size_t n;

	iv[7]++;
	n = sk_seal(&a->suite, &a->keys.sk[SIDE_I], &h, c, iv, out, sizeof(out));
	assert_true(n > 0);
	p.n_wire = 0;
	ike_receive(p.e[1].ike, &to, &from, out, n);
	if (!p.n_wire)
		return false;
	n = p.wire[0].len;
	memcpy(got, p.wire[0].octets, n);
	p.n_wire = 0;
	assert_int_equal(msg_parse_header(got, n, ret), 0);
	assert_int_equal(msg_parse_chain(ret, ret->h.next, (struct span){got + 28, n - 28}), 0);
	assert_int_equal(sk_open(&a->suite, &a->keys.sk[SIDE_R], ret, clear, &inside), 0);
	ret->have = 0;
	assert_int_equal(msg_parse_chain(ret, ret->sk_next, inside), 0);
	assert_true(msg_is_response(ret));
	assert_int_equal(ret->h.id, id);
	return true;
}

static struct chain chain;
static uint8_t buf[4096];

static struct chain *fresh(void)
{
	chain_begin(&chain, buf, sizeof(buf));
	return &chain;
}

static void critical(void **state)
{
	struct msg m;

	(void)state;
	up();
	chain_add(fresh(), 99, "x", 1);
	assert_true(say(EXCH_INFO, 2, &chain, &m)); /* unknown: skipped */
	assert_int_equal(m.n_notify, 0);
	chain_add(fresh(), 99, "x", 1);
	buf[1] = 0x80;
	assert_true(say(EXCH_INFO, 3, &chain, &m));
	assert_non_null(msg_notify(&m, N_UNSUPPORTED_CRITICAL_PAYLOAD));
	assert_int_equal(msg_notify(&m, N_UNSUPPORTED_CRITICAL_PAYLOAD)->data.p[0], 99);
	chain_add(fresh(), PL_NONCE, "short", 5);
	assert_true(say(EXCH_INFO, 4, &chain, &m));
	assert_non_null(msg_notify(&m, N_INVALID_SYNTAX));
	/* None of it hurt. */
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* Window 1: only the next id; the last one only as the very same octets (each say has a new IV). */
static void window(void **state)
{
	struct msg m;

	(void)state;
	up();
	assert_false(say(EXCH_INFO, 3, fresh(), &m));
	assert_false(say(EXCH_INFO, 1, fresh(), &m));
	assert_false(say(EXCH_INFO, 0, fresh(), &m));
	assert_false(say(EXCH_INFO, 0xffffffff, fresh(), &m));
	assert_true(say(EXCH_INFO, 2, fresh(), &m));
	assert_false(say(EXCH_INFO, 2, fresh(), &m));
	chain_notify(fresh(), N_SET_WINDOW_SIZE, "\0\0\0\x10", 4);
	assert_true(say(EXCH_INFO, 3, &chain, &m));
	assert_false(say(EXCH_INFO, 5, fresh(), &m));
	assert_true(say(EXCH_INFO, 4, fresh(), &m));
	assert_children(&p, 1);
	pair_stop(&p);
}

static void notifies_in_requests(void **state)
{
	static const uint16_t types[] = {1,	7,     14,    9999,  16385, 16396, 16397, 16399, 16403,
					 16404, 16406, 16417, 16418, 16420, 16430, 16431, 40960, 65535};
	struct msg m;
	uint32_t id = 2;
	size_t i;

	(void)state;
	up();
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		chain_notify(fresh(), types[i], "data", 4);
		assert_true(say(EXCH_INFO, id++, &chain, &m));
		assert_int_equal(m.have, 0);
	}
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

static void put_delete(uint8_t protocol, const char *body, size_t len)
{
	chain_open(&chain, PL_DELETE);
	wr_u8(&chain.w, protocol);
	wr_put(&chain.w, body, len);
	chain_close(&chain);
}

/* Unknown SPIs, AH, the same SPI twice, and IKE twice in one message (libreswan CVE-2023-38712). */
static void odd_deletes(void **state)
{
	char body[3 + 8] = {4, 0, 2};
	struct msg m;

	(void)state;
	up();
	fresh();
	put_delete(PROTO_ESP, "\4\0\1\1\2\3\4", 7);
	assert_true(say(EXCH_INFO, 2, &chain, &m));
	assert_int_equal(m.n_del, 0);
	fresh();
	put_delete(PROTO_AH, "\4\0\1\1\2\3\4", 7);
	assert_true(say(EXCH_INFO, 3, &chain, &m));
	assert_int_equal(p.e[1].n_kids, 1);
	struct wr w = wr_of(body + 3, 8);
	wr_be32(&w, p.e[0].kids[0].sa.spi_in);
	wr_be32(&w, p.e[0].kids[0].sa.spi_in);
	fresh();
	put_delete(PROTO_ESP, body, sizeof(body));
	put_delete(PROTO_ESP, body, sizeof(body));
	assert_true(say(EXCH_INFO, 4, &chain, &m));
	assert_int_equal(m.n_del, 1);
	assert_int_equal(m.del[0].count, 1);
	assert_int_equal(p.e[1].n_kids, 0);
	fresh();
	put_delete(PROTO_IKE, "\0\0\0", 3);
	put_delete(PROTO_IKE, "\0\0\0", 3);
	chain_notify(&chain, N_AUTHENTICATION_FAILED, NULL, 0);
	assert_true(say(EXCH_INFO, 5, &chain, &m));
	assert_int_equal(count_sas(&p.e[1], IKE_UP), 0);
	assert_false(say(EXCH_INFO, 6, fresh(), &m));
	pair_stop(&p);
}

static void put_child(const char *spi, bool ke, uint16_t group)
{
	static const uint8_t nonce[32] = {1}, zero[32];
	struct proposals ours;

	proposals_child(&plan.child[1][0], ke ? 31 : 0, &ours);
	proposals_write(&chain, &ours, spi, 4);
	chain_add(&chain, PL_NONCE, nonce, sizeof(nonce));
	if (ke)
		chain_ke(&chain, group, zero, sizeof(zero));
	ts_write(&chain, PL_TSI, plan.child[0][0].local, 1);
	ts_write(&chain, PL_TSR, plan.child[0][0].remote, 1);
}

static void odd_children(void **state)
{
	uint8_t spi[4];
	struct wr w = wr_of(spi, 4);
	struct msg m;

	(void)state;
	up();
	wr_be32(&w, p.e[0].kids[0].sa.spi_in);
	/* A replacement of what is not there; named with an absent or odd SPI and protocol (CVE-2023-38710).
	 */
	chain_notify_spi(fresh(), N_REKEY_SA, PROTO_ESP, "\1\2\3\4", 4);
	put_child("abcd", true, 31);
	assert_true(say(EXCH_CHILD, 2, &chain, &m));
	assert_non_null(msg_notify(&m, N_CHILD_SA_NOT_FOUND));
	assert_int_equal(msg_notify(&m, N_CHILD_SA_NOT_FOUND)->spi.len, 4);
	chain_notify_spi(fresh(), N_REKEY_SA, 0, "", 0);
	put_child("abcd", true, 31);
	assert_true(say(EXCH_CHILD, 3, &chain, &m));
	assert_non_null(msg_notify(&m, N_CHILD_SA_NOT_FOUND));
	chain_notify_spi(fresh(), N_REKEY_SA, 1, "12345678", 8);
	put_child("abcd", true, 31);
	assert_true(say(EXCH_CHILD, 4, &chain, &m));
	assert_non_null(msg_notify(&m, N_CHILD_SA_NOT_FOUND));
	/* No group where one is due, another group, a value that gives a zero secret, a reserved SPI. */
	put_child((fresh(), "abcd"), false, 0);
	assert_true(say(EXCH_CHILD, 5, &chain, &m));
	assert_non_null(msg_notify(&m, N_NO_PROPOSAL_CHOSEN));
	put_child((fresh(), "abcd"), true, 19);
	assert_true(say(EXCH_CHILD, 6, &chain, &m));
	assert_non_null(msg_notify(&m, N_INVALID_KE_PAYLOAD));
	assert_memory_equal(msg_notify(&m, N_INVALID_KE_PAYLOAD)->data.p, "\0\x1f", 2);
	put_child((fresh(), "abcd"), true, 31);
	assert_true(say(EXCH_CHILD, 7, &chain, &m));
	assert_non_null(msg_notify(&m, N_INVALID_SYNTAX));
	put_child((fresh(), "\0\0\0\xff"), true, 31);
	assert_true(say(EXCH_CHILD, 8, &chain, &m));
	assert_non_null(msg_error(&m));
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* A proposal without the ESN type is answered without it: an answer holds one transform of each type that was
 * offered and nothing else (RFC 7296 3.3.6).  Offered, it is answered. */
static void esn_not_offered(void **state)
{
	char text[PROPOSAL_TEXT_MAX];
	struct proposals ours;
	struct msg m;
	int with;

	(void)state;
	for (with = 0; with < 2; with++) {
		up();
		plan_proposal(&ours.p[0], with ? "E20/128D31N0" : "E20/128D31");
		ours.protocol = PROTO_ESP;
		ours.n = 1;
		proposals_write(fresh(), &ours, "abcd", 4);
		chain_add(&chain, PL_NONCE, buf, 32);
		chain_ke(&chain, 31, (uint8_t[32]){9}, 32);
		ts_write(&chain, PL_TSI, plan.child[0][0].local, 1);
		ts_write(&chain, PL_TSR, plan.child[0][0].remote, 1);
		assert_true(say(EXCH_CHILD, 2, &chain, &m));
		assert_null(msg_error(&m));
		proposal_offer_text(m.sa, text);
		assert_string_equal(text, with ? "aes-gcm-16-128/x25519/no-esn" : "aes-gcm-16-128/x25519");
		pair_stop(&p);
	}
}

/* One child, replaced twice by the peer (strongSwan #2945): the second one is told to wait. */
static void rekeyed_twice(void **state)
{
	uint8_t spi[4], pub[32] = {9};
	struct wr w = wr_of(spi, 4);
	struct proposals ours;
	struct msg m;
	int i;

	(void)state;
	up();
	wr_be32(&w, p.e[0].kids[0].sa.spi_in);
	for (i = 0; i < 2; i++) {
		chain_notify_spi(fresh(), N_REKEY_SA, PROTO_ESP, spi, 4);
		proposals_child(&plan.child[1][0], 31, &ours);
		proposals_write(&chain, &ours, i ? "abce" : "abcd", 4);
		chain_add(&chain, PL_NONCE, buf, 32);
		chain_ke(&chain, 31, pub, sizeof(pub));
		ts_write(&chain, PL_TSI, plan.child[0][0].local, 1);
		ts_write(&chain, PL_TSR, plan.child[0][0].remote, 1);
		assert_true(say(EXCH_CHILD, 2 + i, &chain, &m));
		assert_int_equal(msg_error(&m) ? msg_error(&m)->type : 0, i ? N_TEMPORARY_FAILURE : 0);
	}
	assert_int_equal(p.e[1].n_kids, 2);
	/* It never deletes the old one: we do, and outbound moved long before. */
	assert_int_equal(carrying(&p.e[1], 10)->sa.replaces_spi_in, 0);
	p.now += 5000;
	ike_tick(p.e[1].ike);
	assert_int_not_equal(carrying(&p.e[1], 10)->sa.replaces_spi_in, 0);
	p.n_wire = 0;
	p.now += 56000;
	ike_tick(p.e[1].ike);
	assert_int_equal(p.n_wire, 1);
	pair_stop(&p);
}

/* Before IKE_AUTH only IKE_AUTH is read (libreswan CVE-2019-12312), and without a proof nothing comes up. */
static void before_auth(void **state)
{
	static const uint8_t exchanges[] = {EXCH_CHILD, EXCH_INFO, 38, 43};
	struct msg m;
	size_t i;

	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 5);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_deliver(&p, 0);
	pair_deliver(&p, 0);
	a = p.e[0].ike->sas;
	b = p.e[1].ike->sas;
	for (i = 0; i < sizeof(exchanges); i++)
		assert_false(say(exchanges[i], 1, fresh(), &m));
	assert_int_equal(count_sas(&p.e[1], IKE_HALF_OPEN), 1);
	/* The shape of EAP: IDi and no AUTH. */
	chain_add(fresh(), PL_IDI, "\2\0\0\0left.example", 16);
	put_child("abcd", false, 0);
	assert_true(say(EXCH_AUTH, 1, &chain, &m));
	assert_non_null(msg_error(&m));
	assert_int_equal(m.have & MSG_BIT(PL_AUTH), 0);
	assert_int_equal(count_sas(&p.e[1], IKE_UP), 0);
	assert_int_equal(count_sas(&p.e[1], IKE_HALF_OPEN), 0);
	assert_int_equal(p.e[1].n_kids, 0);
	pair_stop(&p);
}

/* Method, length and value of AUTH all count; a failed attempt still counts against the limits for a while.
 */
static void bad_proofs(void **state)
{
	static const struct {
		uint8_t method;
		size_t len;
	} rows[] = {
		{2,  0 },
		{2,  31},
		 {2,  32},
		  {2,  33},
		   {1,  32},
		    {14, 32},
		      {0,  32}
	     };
	uint8_t body[4 + 64] = {0};
	struct ike_totals totals;
	struct msg m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plan_default(&plan);
		pair_start(&p, &plan, i + 1);
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_deliver(&p, 0);
		pair_deliver(&p, 0);
		a = p.e[0].ike->sas;
		chain_add(fresh(), PL_IDI, "\2\0\0\0left.example", 16);
		body[0] = rows[i].method;
		chain_add(&chain, PL_AUTH, body, 4 + rows[i].len);
		put_child("abcd", false, 0);
		assert_true(say(EXCH_AUTH, 1, &chain, &m));
		assert_non_null(msg_notify(&m, N_AUTHENTICATION_FAILED));
		assert_int_equal(m.have, MSG_BIT(PL_NOTIFY));
		assert_int_equal(p.e[1].n_kids, 0);
		assert_int_equal(p.e[1].why, IKE_WHY_AUTH);
		ike_totals(p.e[1].ike, &totals);
		assert_int_equal(totals.half_open, 1);
		p.now += 31000;
		ike_tick(p.e[1].ike);
		ike_totals(p.e[1].ike, &totals);
		assert_int_equal(totals.sas, 0);
		assert_int_equal(totals.half_open, 0);
		pair_stop(&p);
	}
}

/* B answers A's request number id, sealed. */
static void answer(uint32_t id, const struct chain *c)
{
	static uint8_t out[4096], iv[SK_IV_MAX] = {0xdd};
	struct msg_header h = {spi_i(b), spi_r(b), 0, 0, EXCH_CHILD, FLAG_RESPONSE, id, 0};
	struct endpoint from = {p.e[1].addr, 500}, to = {p.e[0].addr, 500};
	size_t n;

	iv[7]++;
	n = sk_seal(&b->suite, &b->keys.sk[SIDE_R], &h, c, iv, out, sizeof(out));
	assert_true(n > 0);
	ike_receive(p.e[0].ike, &to, &from, out, n);
}

/* A peer that asks for another group whichever it gets is asked twice in a row, not forever; being asked again
 * with another group once is no failure. */
static void rekey_group_loop(void **state)
{
	uint8_t group[2] = {0};
	unsigned asked = 0, round;

	(void)state;
	plan_default(&plan);
	plan_proposal(&plan.peer[0].ike[0], "E20/256P5D31D19");
	plan.peer[0].lifetime_s = 1000;
	pair_start(&p, &plan, 5);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	a = p.e[0].ike->sas;
	b = p.e[1].ike->sas;
	p.now += 905000;
	ike_tick(p.e[0].ike);
	for (round = 0; round < 2; round++) {
		asked = 0;
		while (p.n_wire && asked < 10) {
			assert_int_equal(a->req.task, TASK_REKEY_IKE);
			p.n_wire = 0;
			group[1] = a->offered.dh_group == 31 ? 19 : 31;
			chain_notify(fresh(), N_INVALID_KE_PAYLOAD, group, 2);
			answer(a->req.id, &chain);
			asked++;
			ike_tick(p.e[0].ike);
			assert_int_equal(p.e[0].failures, round + (asked > 1));
		}
		assert_int_equal(asked, 2);
		p.now += 10000;
		ike_tick(p.e[0].ike);
	}
	assert_int_equal(count_sas(&p.e[0], IKE_UP), 1);
	assert_int_equal(p.e[0].finals, 0);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(critical),
		cmocka_unit_test(window),
		cmocka_unit_test(notifies_in_requests),
		cmocka_unit_test(odd_deletes),
		cmocka_unit_test(odd_children),
		cmocka_unit_test(esn_not_offered),
		cmocka_unit_test(rekeyed_twice),
		cmocka_unit_test(rekey_group_loop),
		cmocka_unit_test(before_auth),
		cmocka_unit_test(bad_proofs),
	};

	return cmocka_run_group_tests_name("ike peer", tests, NULL, NULL);
}
