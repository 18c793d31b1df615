// SPDX-License-Identifier: BSD-2-Clause
/* What a configuration becomes: every value in its place, defaults, rules in the order they are tried. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf.h"
#include "keys.h"
#include "log.h"
#include "scratch.h"

#include <adit/suite.h>

static const char full[] =
	"# a comment; with a semicolon\n"
	"adit { log debug }\n"
	"interface wan0 { policy map1; mtu 1400; df-bit clear; tcp-mss 1200; xdp generic; zero-copy off }\n"
	"interface ppp0 {\n\tpolicy map1\n\ttcp-mss off\n}\n"
	"interface lan0 { role inside; fast-path off }\n"
	"ike-proposal strong { encryption aes256gcm16 aes128gcm16; prf sha512 sha256; dh x25519 ecp256; "
	"lifetime 8h }\n"
	"ike-proposal old { encryption aes128 aes256cbc; integrity sha256; dh group14; lifetime 8h }\n"
	"esp-proposal fast { encryption aes256gcm16; esn yes; lifetime 90m; "
	"replay-window off }\n"
	"esp-proposal cbc { encryption aes256 aes192; integrity sha256; esn no }\n"
	"esp-proposal cbc2 { encryption aes128; integrity sha512 sha256; esn no }\n"
	"peer hq\n{\n"
	"\tlocal 1.1.1.1; remote 2.1.1.1\n"
	"\tlocal-id \"fqdn:branch\"; remote-id email:vpn@hq.example\n"
	"\tpsk file:hq.psk; ike strong old; nat-traversal force\n"
	"\tdpd { idle off; retries 7 }\n"
	"}\n"
	"peer roadwarrior { remote any; remote-id any; psk \"file:hq.psk\"; ike strong; nat-traversal no }\n"
	"peer six { local 2001:db8::1; remote 2001:db8::2; psk file:hq.psk; ike strong; local-id "
	"keyid:00ff10 }\n"
	"acl lan {\n"
	"  10 permit tcp 10.1.1.7 port 80 -> 10.1.3.0/24 port 1000-2000\n"
	"  5 permit ip 10.1.1.0/24->10.1.2.0/24 }\n"
	"acl v6 { 1 permit udp 2001:db8:1::/48 -> any; 2 permit 99 any -> 10.9.0.0/16 }\n"
	"policy map1 { unmatched drop\n"
	"  20 isakmp { peer six; acl v6; esp cbc cbc2; trigger auto }\n"
	"  10 isakmp { peer hq; acl lan; esp fast; pfs ecp384 }\n"
	"  30 isakmp { peer roadwarrior; acl v6b; esp fast }\n}\n"
	"acl v6b { 100 deny ip any->any\n1 permit ip 2001:db8:7::/48 -> 2001:db8:8::/48 }";

static struct conf *load(const char *text)
{
	static struct conf_diag diag;
	struct conf *c = NULL;

	if (conf_load(scratch_write("adit.conf", text, 0644), &c, &diag) || diag.warnings) {
		conf_diag_print(&diag, stderr);
		fail();
	}
	return c;
}

static void every_value_lands_in_its_place(void **state)
{
	struct conf *c = load(full);
	const struct conf_peer *hq = c->peers[0], *any = c->peers[1], *six = c->peers[2];
	char buf[300];

	(void)state;
	assert_int_equal(c->adit.log, LOG_LEVEL_DEBUG);

	assert_int_equal(c->n_interfaces, 3);
	assert_string_equal(c->interfaces[0]->name, "wan0");
	assert_ptr_equal(c->interfaces[0]->policy, c->policies[0]);
	assert_int_equal(c->interfaces[0]->mtu, 1400);
	assert_int_equal(c->interfaces[0]->df_bit, CONF_DF_CLEAR);
	assert_int_equal(c->interfaces[0]->tcp_mss, 1200);
	assert_int_equal(c->interfaces[0]->xdp, CONF_XDP_GENERIC);
	assert_int_equal(c->interfaces[0]->zero_copy, CONF_OFF);
	assert_int_equal(c->interfaces[1]->tcp_mss, CONF_MSS_OFF);
	assert_int_equal(c->interfaces[1]->mtu, 0);
	assert_int_equal(c->interfaces[2]->role, CONF_INSIDE);
	assert_int_equal(c->interfaces[2]->fast_path, CONF_OFF);
	assert_int_equal(c->interfaces[2]->tcp_mss, CONF_MSS_AUTO);
	assert_null(c->interfaces[2]->policy);
	/* Places: written ones are exact, the others are nowhere. */
	assert_int_equal(c->interfaces[0]->loc.line, 3);
	assert_int_equal(c->interfaces[0]->loc.col, 11);
	assert_int_equal(c->interfaces[0]->at.mtu.line, 3);
	assert_int_equal(c->interfaces[0]->at.mtu.col, 35);
	assert_int_equal(c->interfaces[0]->at.fast_path.line, 0);
	assert_int_equal(c->interfaces[1]->at.tcp_mss.line, 6);
	assert_int_equal(c->interfaces[1]->at.tcp_mss.col, 10);

	assert_int_equal(c->ike_proposals[0]->encryption.n, 2);
	assert_int_equal(c->ike_proposals[0]->encryption.v[1].id, 20);
	assert_int_equal(c->ike_proposals[0]->encryption.v[1].key_bits, 128);
	assert_int_equal(c->ike_proposals[0]->prf.v[0].id, 7);
	assert_int_equal(c->ike_proposals[0]->dh.v[0].id, 31);
	assert_int_equal(c->ike_proposals[0]->lifetime_s, 28800);
	assert_int_equal(c->ike_proposals[0]->integrity.n, 0);
	assert_int_equal(c->ike_proposals[1]->encryption.v[1].id, 12);
	assert_int_equal(c->ike_proposals[1]->integrity.v[0].id, 12);
	assert_int_equal(c->ike_proposals[1]->prf.v[0].id, 5);
	assert_int_equal(c->ike_proposals[1]->dh.v[0].id, 14);

	assert_int_equal(c->esp_proposals[0]->protocol, 50);
	assert_int_equal(c->esp_proposals[0]->esn, CONF_ESN_YES);
	assert_int_equal(c->esp_proposals[0]->lifetime_s, 5400);
	assert_int_equal(c->esp_proposals[0]->replay_window, 0);
	assert_int_equal(c->esp_proposals[1]->replay_window, 1024);
	assert_true(c->esp_proposals[1]->lifetime_bytes == 0);
	assert_int_equal(c->esp_proposals[1]->esn, CONF_ESN_NO);

	assert_int_equal(hq->version, 2);
	assert_string_equal(conf_id_str(&hq->local_id, buf, sizeof(buf)), "fqdn:branch");
	assert_string_equal(conf_id_str(&hq->remote_id, buf, sizeof(buf)), "email:vpn@hq.example");
	assert_int_equal(hq->remote_id.len, 14);
	assert_int_equal(hq->n_ike, 2);
	assert_ptr_equal(hq->ike[1], c->ike_proposals[1]);
	assert_int_equal(hq->nat_traversal, CONF_NAT_FORCE);
	assert_int_equal(hq->dpd.idle_s, 0);
	assert_int_equal(hq->dpd.interval_s, 10);
	assert_int_equal(hq->dpd.retries, 7);
	assert_true(any->remote_any && any->local_any && any->remote_id.type == CONF_ID_NONE);
	assert_int_equal(any->dpd.idle_s, 30);
	assert_int_equal(any->nat_traversal, CONF_NAT_NO);
	assert_string_equal(conf_id_str(&six->local_id, buf, sizeof(buf)), "keyid:00ff10");
	/* Not written: the peer has to prove the address that we call. */
	assert_string_equal(conf_id_str(&six->remote_id, buf, sizeof(buf)), "address:2001:db8::2");
	assert_int_equal(six->remote_id.type, CONF_ID_IPV6);

	assert_int_equal(c->policies[0]->deny_action, CONF_BYPASS);
	assert_int_equal(c->policies[0]->unmatched, CONF_DROP);
	assert_int_equal(c->policies[0]->entries[0]->pfs.v[0].id, 20);
	assert_int_equal(c->policies[0]->entries[1]->n_esp, 2);
	assert_int_equal(c->policies[0]->entries[1]->pfs.n, 0);
	assert_int_equal(c->policies[0]->entries[1]->trigger, CONF_ON_START);
	conf_free(c);
}

static void rules_stand_in_the_order_they_are_tried(void **state)
{
	static const char *const want[] = {
		"map1/10/5 permit v4 0 10.1.1.0/24 0-65535 10.1.2.0/24 0-65535",
		"map1/10/10 permit v4 6 10.1.1.7/32 80-80 10.1.3.0/24 1000-2000",
		"map1/20/1 permit v6 17 2001:db8:1::/48 0-65535 ::/0 0-65535",
		"map1/20/2 permit v4 99 0.0.0.0/0 0-65535 10.9.0.0/16 0-65535",
		"map1/30/1 permit v6 0 2001:db8:7::/48 0-65535 2001:db8:8::/48 0-65535",
		"map1/30/100 deny both 0 ::/0 0-65535 ::/0 0-65535",
	};
	struct conf *c = load(full);
	char text[256], local[RANGE_STRLEN], remote[RANGE_STRLEN];
	size_t i;

	(void)state;
	assert_int_equal(c->n_rules, 6);
	assert_int_equal(c->policies[0]->n_rules, 6);
	for (i = 0; i < c->n_rules; i++) {
		const struct conf_acl_rule *m = c->rules[i].match;

		snprintf(text, sizeof(text), "%s %s %s %u %s %u-%u %s %u-%u", c->rules[i].name,
			 m->permit ? "permit" : "deny",
			 m->family == AF_INET	 ? "v4"
			 : m->family == AF_INET6 ? "v6"
						 : "both",
			 m->protocol, range_str(&m->local, local), m->local_port[0], m->local_port[1],
			 range_str(&m->remote, remote), m->remote_port[0], m->remote_port[1]);
		assert_string_equal(text, want[i]);
	}
	assert_ptr_equal(conf_find_rule(c, "map1/10/10"), &c->rules[1]);
	assert_null(conf_find_rule(c, "map1/10/11"));
	assert_ptr_equal(conf_find_peer(c, "six"), c->peers[2]);
	assert_null(conf_find_peer(c, "si"));
	conf_free(c);
}

#define TAIL                                                                                               \
	"ike-proposal i { encryption aes256gcm16; dh x25519 } esp-proposal e { encryption aes256gcm16 }\n" \
	"peer hq { remote 2.1.1.1; psk file:hq.psk; ike i }\n"                                             \
	"policy m { 10 isakmp { peer hq; acl a; esp e } }\ninterface wan0 { policy m }\n"

static void a_rule_keeps_its_id_when_others_come_and_go(void **state)
{
	struct conf *one = load("acl a { 7 permit ip 10.0.0.0/16 -> 10.2.0.0/16 }\n" TAIL);
	struct conf *two = load("acl a { 3 permit ip 10.7.0.0/16 -> 10.8.0.0/16\n7 permit ip 10.0.0.0/16 -> "
				"10.2.0.0/16 }\n" TAIL);
	uint32_t id = conf_find_rule(one, "m/10/7")->id;

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(conf_find_rule(two, "m/10/7")->id, id);
	assert_int_not_equal(conf_find_rule(two, "m/10/3")->id, id);
	/* FNV-1a of the name: a version that computes something else renames every rule. */
	assert_int_equal(id, 0xbfb61b42);
	conf_free(one);
	conf_free(two);
}

static void many_rules_have_many_ids(void **state)
{
	static struct conf_diag diag;
	size_t n = 0, room = 1 << 18, i, j;
	char *text = malloc(room);
	struct conf *c;

	(void)state;
	n += snprintf(text + n, room - n, "%s", TAIL "acl a { 1 permit ip 10.0.0.0/24 -> 10.255.0.0/24 }\n");
	for (i = 0; i < 16; i++)
		n += snprintf(text + n, room - n, "peer p%zu { remote 2.2.2.%zu; psk file:hq.psk; ike i }\n",
			      i, i + 1);
	n += snprintf(text + n, room - n, "policy big {");
	for (i = 0; i < 16; i++)
		n += snprintf(text + n, room - n, "%zu isakmp { peer p%zu; acl a%zu; esp e }\n", i + 1, i, i);
	n += snprintf(text + n, room - n, "}\ninterface wan1 { policy big }\n");
	for (i = 0; i < 16; i++) {
		n += snprintf(text + n, room - n, "acl a%zu {\n", i);
		for (j = 0; j < 62; j++)
			n += snprintf(text + n, room - n, "%zu permit ip 10.0.0.0/16 -> 10.%zu.%zu.0/24\n",
				      j + 1, i, j);
		n += snprintf(text + n, room - n, "}\n");
	}
	c = load(text);
	assert_int_equal(c->n_rules, 1 + 16 * 62);
	for (i = 0; i < c->n_rules; i++)
		for (j = 0; j < i; j++)
			assert_int_not_equal(c->rules[i].id, c->rules[j].id);
	conf_free(c);

	/* One peer with all of them is more than IKE serves. */
	n = snprintf(text, room, "%s", TAIL "acl a {\n");
	for (j = 0; j < 65; j++)
		n += snprintf(text + n, room - n, "%zu permit ip 10.0.0.0/16 -> 10.1.%zu.0/24\n", j + 1, j);
	snprintf(text + n, room - n, "}\n");
	assert_int_equal(conf_load(scratch_write("adit.conf", text, 0644), &c, &diag), -EINVAL);
	assert_int_equal(diag.n, 1);
	assert_string_equal(diag.v[0].text,
			    "rule m/10/65: peer \"hq\" has more than 64 permit rules with this one");
	free(text);
}

static void files_that_are_none(void **state)
{
	static struct conf_diag diag;
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load("/no/such/adit.conf", &c, &diag), -ENOENT);
	assert_string_equal(diag.v[0].text, "No such file or directory");
	assert_int_equal(conf_load("/dev/null", &c, &diag), -EINVAL);
	assert_int_equal(conf_load(scratch_dir(), &c, &diag), -EINVAL);
	assert_string_equal(diag.v[0].text, "not a regular file");
	assert_null(c);
	conf_free(NULL);
}

/* What may be written can be done: there is no word that the datapath lacks. */
static void every_esp_pair_is_a_suite(void **state)
{
	unsigned encr, bits, integ;

	(void)state;
	for (encr = 0; encr < 64; encr++)
		for (bits = 0; bits <= 256; bits += 64)
			for (integ = 0; integ < 64; integ++) {
				bool aead = encr == 20, found = false;

				if (!conf_alg_name(CONF_ENCRYPTION, encr, bits) ||
				    (aead ? integ : !conf_alg_name(CONF_INTEGRITY, integ, 0)))
					continue;
#define X(suite, name, e, b, i, ...) found |= encr == (e) && bits == (b) && integ == (i);
				ADIT_SUITES(X)
#undef X
				if (!found)
					fail_msg("no suite for cipher %u-%u, integrity %u", encr, bits,
						 integ);
			}
}

static void quantities_carry_units(void **state)
{
	static const struct {
		const char *text;
		unsigned s;
		uint64_t octets;
	} q[] = {
		{"lifetime 3600s; lifetime-bytes 1024kB", 3600,	1 << 20      },
		{"lifetime 1h; lifetime-bytes 1843200kb", 3600,	1800ULL << 20},
		{"lifetime 90m; lifetime-bytes 2GB",	     5400,	   2ULL << 30   },
		{"lifetime 30d; lifetime-bytes 1TB",	     2592000, 1ULL << 40	},
		{"lifetime 10s; lifetime-bytes off",	     10,	 0		  },
	};
	static struct conf_diag diag;
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
		struct conf *c = NULL;

		snprintf(text, sizeof(text),
			 "interface wan0 { policy m } policy m { } esp-proposal e { encryption aes128gcm16; "
			 "%s }",
			 q[i].text);
		assert_int_equal(conf_parse(text, strlen(text), "q", &c, &diag), 0);
		assert_int_equal(c->esp_proposals[0]->lifetime_s, q[i].s);
		assert_true(c->esp_proposals[0]->lifetime_bytes == q[i].octets);
		conf_free(c);
	}
}

/* Every key has a default that parses or says why it has none, and the names that C uses are the file's. */
static void the_table_holds_together(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < keys_n; i++) {
		assert_true((keys[i].flags & KEY_REQUIRED) ? !keys[i].def : keys[i].def != NULL);
		assert_true(keys[i].help && strlen(keys[i].help) > 8);
		for (j = 0; j < i; j++)
			assert_false(keys[i].block == keys[j].block &&
				     strcmp(keys[i].name, keys[j].name) == 0);
	}
	assert_string_equal(conf_alg_name(CONF_ENCRYPTION, 20, 256), "aes256gcm16");
	assert_string_equal(conf_alg_name(CONF_ENCRYPTION, 12, 128), "aes128");
	assert_string_equal(conf_alg_name(CONF_INTEGRITY, 14, 0), "sha512");
	assert_string_equal(conf_alg_name(CONF_PRF, 5, 0), "sha256");
	assert_string_equal(conf_alg_name(CONF_DH, 14, 0), "modp2048");
	assert_null(conf_alg_name(CONF_DH, 2, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_lands_in_its_place),
		cmocka_unit_test(rules_stand_in_the_order_they_are_tried),
		cmocka_unit_test(a_rule_keeps_its_id_when_others_come_and_go),
		cmocka_unit_test(many_rules_have_many_ids),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(every_esp_pair_is_a_suite),
		cmocka_unit_test(quantities_carry_units),
		cmocka_unit_test(the_table_holds_together),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
