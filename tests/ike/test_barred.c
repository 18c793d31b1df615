/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer whose key or configuration cannot be used: nothing is negotiated with it, in either direction, and it
 * costs nobody else anything. */
#include "pair.h"

#include "v2/sa.h"

#include <errno.h>

#define SENTENCE "psk file bad.psk (adit.conf:14) is empty: write the key there"

static struct pair p;
static struct plan plan;
static struct ike_peer_conf bad;
static struct ike_child_conf bad_child;

static unsigned counted(int end, enum ike_reason why)
{
	return ike_counters(p.e[end].ike)[why];
}

static uint32_t sas(int end)
{
	struct ike_totals totals;

	ike_totals(p.e[end].ike, &totals);
	return totals.sas;
}

/* B's other peer, as it would be configured: it calls from A's address as bad.example, for rule 20. */
static void plan_bad(void)
{
	bad = plan.peer[1];
	strcpy(bad.name, "bad");
	bad.remote_id = plan_id(2, "bad.example");
	bad.n_children = 1;
	bad.children = &bad_child;
	bad_child = plan.child[1][0];
	bad_child.rule = 20;
	strcpy(bad_child.name, "bad");
	bad_child.local[0] = plan_ts("10.4.0.0/16");
	bad_child.remote[0] = plan_ts("10.3.0.0/16");
}

static void bar(void)
{
	assert_int_equal(ike_peer_bar(p.e[1].ike, &bad, IKE_WHY_NO_KEY, SENTENCE), 0);
}

/* A as that peer: another identity, another rule, and a key. */
static void a_calls_as_bad(const char *key, const char *ike)
{
	struct ike_peer_conf conf = plan.peer[0];
	struct ike_child_conf child = plan.child[0][0];
	char detail[IKE_DETAIL_MAX];

	strcpy(conf.name, "as-bad");
	conf.local_id = plan_id(2, "bad.example");
	conf.psk_len = strlen(key);
	memcpy(conf.psk, key, conf.psk_len);
	plan_proposal(&conf.ike[0], ike);
	conf.children = &child;
	conf.n_children = 1;
	child.rule = 20;
	strcpy(child.name, "bad");
	child.local[0] = plan_ts("10.3.0.0/16");
	child.remote[0] = plan_ts("10.4.0.0/16");
	assert_int_equal(ike_peer_add(p.e[0].ike, &conf, detail), 0);
	assert_int_equal(ike_initiate(p.e[0].ike, 20, NULL), 0);
	pair_pass_time(&p, 10000);
}

/* What is known of it is what was said when it was barred, whatever happened since. */
static void assert_sentence(enum ike_reason why, const char *text, uint64_t when_ms)
{
	const struct ike_failure *f = ike_last_failure(p.e[1].ike, "bad");

	assert_non_null(f);
	assert_int_equal(f->why, why);
	assert_string_equal(f->detail, text);
	assert_true(f->current);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->when_ms, when_ms);
}

static void peer_of_sa(void *self, const struct ike_sa_view *v)
{
	if (v->state != IKE_CLOSING)
		assert_string_not_equal(v->peer, self);
}

/* By address and identity each alone and both, whoever is listed first, with the bad peer's own key and with
 * the good one's: the good peer's tunnel comes up, the bad peer's call is refused as its own. */
static void called_by_both(void **state)
{
	static const char *const keys[] = {"swordfish", "whatever it was"};
	unsigned n;

	(void)state;
	for (n = 0; n < 64; n++) {
		bool good_any = n & 1, bad_any = n & 2, good_any_id = n & 4, bad_first = n & 8;
		bool other_order = n & 16;
		const char *key = keys[n >> 5];
		uint64_t when;

		plan_default(&plan);
		plan_bad();
		if (good_any)
			plan.peer[1].remote_addr = (struct addr){0};
		if (bad_any)
			bad.remote_addr = (struct addr){0};
		if (good_any_id)
			plan.peer[1].remote_id = (struct ike_id){0};
		pair_start(&p, &plan, n);
		if (bad_first) { /* the list is searched from the last that was added */
			char detail[IKE_DETAIL_MAX];
			struct ike_peer_conf good = plan.peer[1];

			good.children = plan.child[1];
			assert_int_equal(ike_peer_remove(p.e[1].ike, "left"), 0);
			bar();
			assert_int_equal(ike_peer_add(p.e[1].ike, &good, detail), 0);
		} else {
			bar();
		}
		when = p.now;
		if (other_order)
			a_calls_as_bad(key, "E20/256P5D31");
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_pass_time(&p, 10000);
		if (!other_order)
			a_calls_as_bad(key, "E20/256P5D31");

		assert_children(&p, 1);
		assert_string_equal(p.e[1].kids[0].sa.peer, "left");
		assert_int_equal(p.e[1].kids[0].sa.rule, 10);
		assert_null(ike_last_failure(p.e[1].ike, "left"));
		assert_true(counted(1, IKE_WHY_NO_KEY) >= 2);
		assert_sentence(IKE_WHY_NO_KEY, SENTENCE, when);
		ike_each_sa(p.e[1].ike, peer_of_sa, "bad");
		assert_int_equal(ike_last_failure(p.e[0].ike, "as-bad")->why, IKE_WHY_AUTH_REMOTE);
		assert_true(ike_last_failure(p.e[0].ike, "as-bad")->current);
		pair_pass_time(&p, 60000);
		assert_children(&p, 1);
		pair_stop(&p);
	}
}

/* Nobody else can be meant: it ends at the first message, which leaves nothing behind. */
static void called_by_it_alone(void **state)
{
	unsigned kind;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		static const char *const offer[] = {"E20/256P5D31", "E12/256I12P5D14"};
		uint64_t when;

		plan_default(&plan);
		plan_bad();
		if (kind & 1)
			bad.remote_addr = (struct addr){0};
		pair_start(&p, &plan, kind);
		assert_int_equal(ike_peer_remove(p.e[1].ike, "left"), 0);
		bar();
		when = p.now;
		a_calls_as_bad("swordfish", offer[kind >> 1]);
		assert_int_equal(sas(1), 0);
		assert_int_equal(p.e[1].n_kids, 0);
		assert_true(counted(1, IKE_WHY_NO_KEY) >= 2);
		assert_sentence(IKE_WHY_NO_KEY, SENTENCE, when);
		assert_int_equal(ike_last_failure(p.e[0].ike, "as-bad")->why, IKE_WHY_PROPOSAL_IKE);
		pair_stop(&p);
	}
}

/* A call that only the bad peer's proposals fit is its call: the good one must not be blamed. */
static void its_proposals_tell_its_calls(void **state)
{
	uint64_t when;

	(void)state;
	plan_default(&plan);
	plan_bad();
	plan_proposal(&bad.ike[0], "E12/256I12P5D14");
	pair_start(&p, &plan, 1);
	bar();
	when = p.now;
	a_calls_as_bad("swordfish", "E12/256I12P5D14");
	assert_null(ike_last_failure(p.e[1].ike, "left"));
	assert_sentence(IKE_WHY_NO_KEY, SENTENCE, when);
	assert_int_equal(sas(1), 0);
	assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
	pair_pass_time(&p, 10000);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* Peers that cannot be told apart are one to a caller: the one that has a key answers. */
static void of_twins_the_good_one_answers(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < 4; n++) {
		struct ike_peer_conf good;
		char detail[IKE_DETAIL_MAX];

		plan_default(&plan);
		if (n & 1)
			plan.peer[1].remote_addr = (struct addr){0};
		plan_bad();
		bad.remote_id = plan.peer[1].remote_id;
		pair_start(&p, &plan, n);
		bar();
		if (n & 2) {
			good = plan.peer[1];
			good.children = plan.child[1];
			assert_int_equal(ike_peer_remove(p.e[1].ike, "left"), 0);
			assert_int_equal(ike_peer_add(p.e[1].ike, &good, detail), 0);
		}
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_pass_time(&p, 5000);
		assert_children(&p, 1);
		assert_string_equal(p.e[1].kids[0].sa.peer, "left");
		pair_stop(&p);
	}
}

/* Neither by itself, nor for a packet, nor for the operator; and each is told at once. */
static void it_never_calls(void **state)
{
	struct ike_selector packet = {.proto = 6, .sport = 4000, .dport = 80};

	(void)state;
	plan_default(&plan);
	plan_bad();
	bad_child.start_auto = true;
	addr_parse("10.4.0.1", &packet.src);
	addr_parse("10.3.0.1", &packet.dst);
	pair_start(&p, &plan, 1);
	bar();
	assert_int_equal(p.e[1].finals, 1);
	assert_int_equal(p.e[1].final_rule, 0);
	assert_int_equal(p.e[1].why, IKE_WHY_NO_KEY);
	assert_int_equal(ike_initiate(p.e[1].ike, 20, NULL), -ENOKEY);
	assert_int_equal(ike_initiate(p.e[1].ike, 20, &packet), -ENOKEY);
	assert_int_equal(ike_terminate(p.e[1].ike, "bad", NULL), 0);
	assert_int_equal(ike_terminate(p.e[1].ike, "bad", "bad"), 0);
	assert_int_equal(ike_initiate(p.e[1].ike, 20, NULL), -ENOKEY);
	pair_pass_time(&p, 3600 * 1000);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.e[1].finals, 1);
	assert_int_equal(sas(1), 0);
	assert_sentence(IKE_WHY_NO_KEY, SENTENCE, 1000000);
	/* The other one still does. */
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), 0);
	pair_run(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* What ike_peer_add refuses can be barred: the unusable parts are not looked at again. */
static void unusable_configurations(void **state)
{
	char detail[IKE_DETAIL_MAX];
	unsigned kind;

	(void)state;
	for (kind = 0; kind < 5; kind++) {
		plan_default(&plan);
		plan_bad();
		switch (kind) {
		case 0:
			plan_proposal(&bad.ike[0], "E20/256P5D2");
			break;
		case 1:
			bad.n_ike = IKE_MAX_PROPOSALS + 1;
			break;
		case 2:
			bad.ike[0].n = IKE_MAX_TRANSFORMS + 1;
			break;
		case 3:
			plan_proposal(&bad_child.esp[0], "I12");
			break;
		case 4:
			bad_child.n_local = IKE_MAX_TS + 1;
			break;
		}
		pair_start(&p, &plan, kind);
		assert_int_equal(ike_peer_add(p.e[1].ike, &bad, detail), -EINVAL);
		assert_int_equal(ike_peer_bar(p.e[1].ike, &bad, IKE_WHY_BAD_PEER, detail), 0);
		assert_int_equal(ike_initiate(p.e[1].ike, 20, NULL), -ENOKEY);
		a_calls_as_bad("swordfish", "E20/256P5D31");
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_pass_time(&p, 10000);
		assert_children(&p, 1);
		assert_string_equal(p.e[1].kids[0].sa.peer, "left");
		assert_null(ike_last_failure(p.e[1].ike, "left"));
		assert_sentence(IKE_WHY_BAD_PEER, detail, 1000000);
		pair_stop(&p);
	}
	plan_default(&plan);
	plan_bad();
	pair_start(&p, &plan, 1);
	bad.name[0] = '\0';
	assert_int_equal(ike_peer_bar(p.e[1].ike, &bad, IKE_WHY_NO_KEY, SENTENCE), -EINVAL);
	strcpy(bad.name, "bad");
	bad.n_children = IKE_MAX_CHILDREN + 1;
	assert_int_equal(ike_peer_bar(p.e[1].ike, &bad, IKE_WHY_NO_KEY, SENTENCE), -EINVAL);
	pair_stop(&p);
}

/* A key that goes bad ends what stands on it; barred twice is barred for the later reason; mended it works. */
static void barred_and_mended(void **state)
{
	struct ike_peer_conf good;
	char detail[IKE_DETAIL_MAX];

	(void)state;
	plan_default(&plan);
	plan.child[1][0].start_auto = true;
	pair_start(&p, &plan, 1);
	pair_run(&p);
	assert_children(&p, 1);
	good = plan.peer[1];
	good.children = plan.child[1];
	assert_int_equal(ike_peer_bar(p.e[1].ike, &good, IKE_WHY_NO_KEY, SENTENCE), 0);
	pair_pass_time(&p, 40000);
	assert_int_equal(p.e[0].n_kids, 0);
	assert_int_equal(p.e[1].n_kids, 0);
	assert_int_equal(sas(0), 0);
	assert_int_equal(sas(1), 0);
	assert_int_equal(ike_peer_bar(p.e[1].ike, &good, IKE_WHY_NO_KEY, "another reason"), 0);
	assert_string_equal(ike_last_failure(p.e[1].ike, "left")->detail, "another reason");
	assert_int_equal(ike_last_failure(p.e[1].ike, "left")->count, 1);
	assert_int_equal(ike_initiate(p.e[1].ike, 10, NULL), -ENOKEY);
	assert_int_equal(ike_peer_add(p.e[1].ike, &good, detail), 0);
	assert_null(ike_last_failure(p.e[1].ike, "left"));
	pair_run(&p);
	assert_one_sa(&p);
	assert_children(&p, 1);
	pair_stop(&p);
}

/* Should an SA ever stand for a peer without a key, an empty one proves nothing, even to another empty one. */
static void an_empty_key_proves_nothing(void **state)
{
	unsigned who;

	(void)state;
	for (who = 1; who < 4; who++) {
		plan_default(&plan);
		pair_start(&p, &plan, 1);
		assert_int_equal(ike_initiate(p.e[0].ike, 10, NULL), 0);
		pair_deliver(&p, 0);
		if (who & 1)
			p.e[0].ike->peers->conf.psk_len = 0;
		if (who & 2)
			p.e[1].ike->peers->conf.psk_len = 0;
		pair_pass_time(&p, 5000);
		assert_int_equal(p.e[0].n_kids, 0);
		assert_int_equal(p.e[1].n_kids, 0);
		pair_stop(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(called_by_both),
		cmocka_unit_test(called_by_it_alone),
		cmocka_unit_test(its_proposals_tell_its_calls),
		cmocka_unit_test(of_twins_the_good_one_answers),
		cmocka_unit_test(it_never_calls),
		cmocka_unit_test(unusable_configurations),
		cmocka_unit_test(barred_and_mended),
		cmocka_unit_test(an_empty_key_proves_nothing),
	};

	return cmocka_run_group_tests_name("ike barred", tests, NULL, NULL);
}
