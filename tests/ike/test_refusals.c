/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ends do not agree on: who says no, what is remembered about it, and what stays up. */
#include "pair.h"

static struct pair p;
static struct plan plan;

static void begin(uint64_t seed)
{
	pair_start(&p, &plan, seed);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
}

static void assert_nothing(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(count_sas(&p.e[i], IKE_UP), 0);
		assert_int_equal(p.e[i].n_kids, 0);
		assert_int_equal(p.e[i].spis_out, 0);
	}
}

static void assert_failure(int end, enum ike_reason why, const char *part)
{
	const struct ike_failure *f = ike_last_failure(p.e[end].ike, end ? "left" : "right");

	assert_non_null(f);
	if (f->why != why || !strstr(f->detail, part))
		fail_msg("end %d: %s: %s", end, ike_reason_name(f->why), f->detail);
	assert_true(f->current);
}

static void wrong_psk(void **state)
{
	(void)state;
	plan_default(&plan);
	memcpy(plan.peer[1].psk, "Swordfish", 9);
	begin(1);
	pair_run(&p);
	assert_nothing();
	assert_failure(0, IKE_WHY_AUTH_REMOTE, "left.example");
	assert_failure(1, IKE_WHY_AUTH, "left.example");
	pair_stop(&p);
}

/* The responder is the wrong one: it believed us, so it is told. */
static void wrong_psk_of_responder(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.peer[0].remote_id = plan_id(2, "other.example");
	plan.peer[1].local_id = plan_id(2, "right.example");
	begin(1);
	pair_run(&p);
	/* We asked for other.example by IDr, which the responder is not. */
	assert_nothing();
	assert_failure(1, IKE_WHY_ID, "other.example");
	pair_stop(&p);

	plan_default(&plan);
	plan.peer[0].remote_id = plan_id(2, "other.example");
	memset(&plan.peer[1].local_id, 0, sizeof(plan.peer[1].local_id));
	begin(1);
	pair_run(&p);
	assert_nothing();
	pair_stop(&p);
}

static void id_mismatch(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.peer[1].remote_id = plan_id(2, "third.example");
	begin(1);
	pair_run(&p);
	assert_nothing();
	assert_failure(1, IKE_WHY_ID, "ours fqdn:third.example; theirs fqdn:left.example");
	assert_failure(0, IKE_WHY_AUTH_REMOTE, "");
	/* The same octets as another type are another identity. */
	pair_stop(&p);
	plan_default(&plan);
	plan.peer[1].remote_id = plan_id(3, "left.example");
	begin(1);
	pair_run(&p);
	assert_nothing();
	assert_failure(1, IKE_WHY_ID, "user-fqdn:left.example");
	pair_stop(&p);
}

static void ike_proposals(void **state)
{
	(void)state;
	plan_default(&plan);
	plan_proposal(&plan.peer[1].ike[0], "E12/256I12P5D31");
	begin(1);
	pair_run(&p);
	assert_nothing();
	assert_failure(1, IKE_WHY_PROPOSAL_IKE,
		       "ours aes-cbc-256/sha256-128/prf-sha256/x25519; theirs aes-gcm-16-256");
	assert_failure(0, IKE_WHY_PROPOSAL_IKE, "aes-gcm-16-256");
	/* Not believed, so tried some more; the reason stays the better one. */
	pair_pass_time(&p, 5000);
	assert_int_equal(p.e[0].finals, 1);
	assert_failure(0, IKE_WHY_PROPOSAL_IKE, "aes-gcm-16-256");
	assert_int_equal(count_sas(&p.e[0], IKE_CONNECTING), 0);
	pair_stop(&p);
}

static void no_peer(void **state)
{
	(void)state;
	plan_default(&plan);
	addr_parse("203.0.113.77", &plan.peer[1].remote_addr);
	begin(1);
	pair_run(&p);
	assert_nothing();
	assert_int_equal(ike_last_failure(p.e[1].ike, "")->why, IKE_WHY_NO_PEER);
	assert_non_null(strstr(ike_last_failure(p.e[1].ike, "")->detail, "192.0.2.1"));
	pair_stop(&p);
}

/* RFC 7296 2.21.2: only the child fails, the IKE SA stands. */
static void child_refused(void **state)
{
	(void)state;
	plan_default(&plan);
	plan_proposal(&plan.child[1][0].esp[0], "E20/256");
	begin(1);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 0);
	assert_failure(0, IKE_WHY_PROPOSAL_CHILD, "aes-gcm-16-128");
	assert_failure(1, IKE_WHY_PROPOSAL_CHILD, "ours aes-gcm-16-256/esn/no-esn; theirs aes-gcm-16-128");
	pair_stop(&p);

	plan_default(&plan);
	plan.child[1][0].remote[0] = plan_ts("10.9.0.0/16");
	begin(1);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 0);
	assert_failure(0, IKE_WHY_TS, "10.1.0.0/16");
	assert_failure(1, IKE_WHY_TS,
		       "ours local 10.2.0.0/16, remote 10.9.0.0/16; theirs 10.2.0.0/16, 10.1.0.0/16");
	pair_stop(&p);
}

static void esn_differs(void **state)
{
	(void)state;
	plan_default(&plan);
	plan.child[0][0].n_esn = 1; /* wants it */
	plan.child[1][0].n_esn = 0; /* has none */
	begin(1);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 0);
	assert_failure(1, IKE_WHY_PROPOSAL_CHILD, "esn");
	pair_stop(&p);
}

static void narrowed(void **state)
{
	struct ike_selector packet = {.proto = 17, .sport = 4000, .dport = 53};

	(void)state;
	plan_default(&plan);
	plan.child[1][0].remote[0] = plan_ts("10.1.4.0/24");
	plan.child[1][0].local[0].proto = plan.child[1][0].remote[0].proto = 17;
	begin(1);
	pair_run(&p);
	assert_children(&p, 1);
	struct ike_ts want = plan_ts("10.1.4.0/24");
	want.proto = 17;
	assert_memory_equal(&p.e[0].kids[0].sa.local_ts[0], &want, sizeof(want));
	pair_stop(&p);

	/* With the triggering packet in front the answer still is the whole. */
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	addr_parse("10.1.4.7", &packet.src);
	addr_parse("10.2.4.7", &packet.dst);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, &packet), 0);
	pair_run(&p);
	assert_children(&p, 1);
	want = plan_ts("10.1.0.0/16");
	assert_memory_equal(&p.e[0].kids[0].sa.local_ts[0], &want, sizeof(want));
	assert_int_equal(p.e[0].kids[0].sa.n_local, 1);
	pair_stop(&p);
}

/* The packet decides between two rules of the same peer. */
static void rule_of_packet(void **state)
{
	struct ike_selector packet = {.proto = 6, .sport = 4000, .dport = 80};

	(void)state;
	plan_two_children(&plan);
	pair_start(&p, &plan, 1);
	addr_parse("10.3.0.1", &packet.src);
	addr_parse("10.4.0.1", &packet.dst);
	assert_int_equal(ike_initiate(p.e[0].ike, 20, &packet), 0);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(p.e[1].kids[0].sa.rule, 20);
	/* The other rule rides on the same IKE SA. */
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 2);
	assert_int_equal(ike_terminate(p.e[0].ike, "right", "other"), 0);
	pair_run(&p);
	assert_children(&p, 1);
	assert_int_equal(p.e[0].kids[0].sa.rule, 10);
	assert_one_sa(&p);
	pair_stop(&p);
}

/* The datapath refuses: the peer must not keep half a tunnel. */
static void install_fails(void **state)
{
	int who;

	(void)state;
	for (who = 0; who < 2; who++) {
		plan_default(&plan);
		pair_start(&p, &plan, 1);
		p.e[who].fail_install = 1;
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_run(&p);
		assert_one_sa(&p);
		assert_children(&p, 0);
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_pass_time(&p, 5000);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* A peer known by identity alone, among others that share the address. */
static void peer_by_identity(void **state)
{
	struct ike_peer_conf other;
	char detail[IKE_DETAIL_MAX];

	(void)state;
	plan_default(&plan);
	memset(&plan.peer[1].remote_addr, 0, sizeof(struct addr));
	pair_start(&p, &plan, 1);
	other = plan.peer[1];
	strcpy(other.name, "stranger");
	other.remote_id = plan_id(2, "stranger.example");
	memcpy(other.psk, "different", 9);
	other.n_children = 0;
	assert_int_equal(ike_peer_add(p.e[1].ike, &other, detail), 0);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), -113);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 1);
	assert_string_equal(p.e[1].kids[0].sa.peer, "left");
	pair_stop(&p);
}

static void bad_configuration(void **state)
{
	char detail[IKE_DETAIL_MAX];
	struct ike_peer_conf conf;

	(void)state;
	plan_default(&plan);
	pair_start(&p, &plan, 1);
	conf = plan.peer[0];
	conf.children = plan.child[0];
	strcpy(conf.name, "x");
	conf.psk_len = 0;
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), -22);
	conf.psk_len = 9;
	plan_proposal(&conf.ike[0], "E20/256P5D2");
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), -22);
	assert_non_null(strstr(detail, "modp-1024"));
	plan_proposal(&conf.ike[0], "E12/256P5D31");
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), -22);
	plan_proposal(&conf.ike[0], "E12/256E20/256I12P5D31");
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), -22);
	assert_non_null(strstr(detail, "mixes AEAD"));
	plan_proposal(&conf.ike[0], "E20/256P5D31");
	plan_proposal(&plan.child[0][0].esp[0], "I12");
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), -22);
	pair_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_psk),	    cmocka_unit_test(wrong_psk_of_responder),
		cmocka_unit_test(id_mismatch),	    cmocka_unit_test(ike_proposals),
		cmocka_unit_test(no_peer),	    cmocka_unit_test(child_refused),
		cmocka_unit_test(esn_differs),	    cmocka_unit_test(narrowed),
		cmocka_unit_test(rule_of_packet),   cmocka_unit_test(install_fails),
		cmocka_unit_test(peer_by_identity), cmocka_unit_test(bad_configuration),
	};

	return cmocka_run_group_tests_name("ike refusals", tests, NULL, NULL);
}
