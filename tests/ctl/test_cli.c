// SPDX-License-Identifier: BSD-2-Clause
/* Usage, exit codes, daemons that are not there or talk nonsense, and the offline check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "ctl.h"
#include "fake.h"

#define DONE "{\"schema\":1,\"done\":true,\"exit\":0}\n"

static void usage_is_64_and_says_why(void **state)
{
	static const struct {
		const char *args[4];
		const char *err;
	} t[] = {
		{{"statsu"},
		 "adit: there is no verb \"statsu\" (did you mean \"status\"?). See \"adit help\".\n"	     },
		{{"frobnicate"},	 "adit: there is no verb \"frobnicate\". See \"adit help\".\n"	      },
		{{"show"},		   "adit: show needs OBJECT [--all]. See \"adit help\".\n"		  },
		{{"show", "interfaces"},
		 "adit: there is no \"interfaces\" to show (did you mean \"interface\"?). See \"adit "
		 "help\".\n"										    },
		{{"up"},		 "adit: up needs NAME. See \"adit help\".\n"			    },
		{{"up", "a", "b"},	   "adit: \"b\" is too much after up. See \"adit help\".\n"		   },
		{{"status", "x"},	  "adit: \"x\" is too much after status. See \"adit help\".\n"	      },
		{{"help", "shwo"},
		 "adit: there is no verb \"shwo\" (did you mean \"show\"?). See \"adit help\".\n"		 },
		{{"--colour=never"},     "adit: there is no option \"--colour=never\". See \"adit help\".\n"	},
		{{"--color=sometimes"},
		 "adit: --color is auto, always or never, not \"sometimes\". See \"adit help\".\n"		  },
		{{"-t", "0"},	      "adit: --timeout is 1 to 3600 seconds, not \"0\". See \"adit help\".\n"},
		{{"-i"},		 "adit: -i needs a value. See \"adit help\".\n"			       },
		{{"-i", "../x"},	 "adit: \"../x\" is no name of an instance. See \"adit help\".\n"	 },
		{{"-i", ".."},	       "adit: \"..\" is no name of an instance. See \"adit help\".\n"	     },
		{{"up", "\xff"},	 "adit: that is no name of a peer or a rule. See \"adit help\".\n"	  },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct run r;

		plain_run(&r, t[i].args);
		assert_string_equal(r.err, t[i].err);
		assert_string_equal(r.out, "");
		assert_int_equal(r.code, CTL_USAGE);
		run_free(&r);
	}
}

static void version_names_the_engines(const char *out)
{
	json_t *j = json_loads(out, 0, NULL);
	const json_t *crypto = json_object_get(j, "crypto");

	assert_non_null(json_string_value(json_object_get(crypto, "openssl")));
	assert_non_null(json_string_value(json_object_get(crypto, "aes_gcm")));
	assert_non_null(json_string_value(json_object_get(crypto, "other")));
#ifdef HAVE_IPSEC_MB
	assert_non_null(json_string_value(json_object_get(crypto, "ipsec_mb")));
#else
	assert_true(json_is_null(json_object_get(crypto, "ipsec_mb")));
#endif
	json_decref(j);
}

static void help_and_version_need_no_daemon(void **state)
{
	static const char *const verbs[] = {"status", "show", "up", "down", "check", "version", "help"};
	char head[64];
	struct run r;
	size_t i;

	(void)state;
	plain_run(&r, (const char *[]){"help", NULL});
	assert_int_equal(r.code, CTL_OK);
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		struct run one, same;

		assert_non_null(strstr(r.out, verbs[i]));
		plain_run(&one, (const char *[]){"help", verbs[i], NULL});
		plain_run(&same, (const char *[]){verbs[i], "--help", NULL});
		snprintf(head, sizeof(head), "usage: adit %s ", verbs[i]);
		assert_memory_equal(one.out, head, strlen(head));
		assert_string_equal(one.out, same.out);
		assert_int_equal(one.code + same.code, CTL_OK);
		run_free(&one);
		run_free(&same);
	}
	run_free(&r);
	plain_run(&r, (const char *[]){"version", NULL});
	assert_memory_equal(r.out, "adit ", 5);
	assert_non_null(strstr(r.out, "\nbuilt with "));
	run_free(&r);
	plain_run(&r, (const char *[]){"--json", "version", NULL});
	version_names_the_engines(r.out);
	run_free(&r);
}

/* With --json an object with "error" comes on stdout whatever happened. */
static void expect_failure(struct run *r, int code, const char *err)
{
	json_t *j = json_loads(r->out, 0, NULL);
	char want[600];

	snprintf(want, sizeof(want), "adit: %s\n", err);
	assert_string_equal(r->err, want);
	assert_int_equal(r->code, code);
	assert_string_equal(json_string_value(json_object_get(j, "error")), err);
	assert_int_equal(json_integer_value(json_object_get(j, "exit")), code);
	json_decref(j);
	run_free(r);
}

static void a_missing_daemon_is_69(void **state)
{
	char want[512];
	struct run r;

	(void)state;
	plain_run(&r, (const char *[]){"-s", "/no/such/control", "--json", NULL});
	expect_failure(
		&r, CTL_UNREACHABLE,
		"no daemon answers at /no/such/control: No such file or directory. Start it with \"systemctl "
		"start aditd\", or name another instance with -i.");
	plain_run(&r, (const char *[]){"-i", "no-such-instance", "-j", "show", "sa", NULL});
	expect_failure(&r, CTL_UNREACHABLE,
		       "no daemon answers at /run/adit/no-such-instance/control: No such file or directory. "
		       "Start it "
		       "with \"systemctl start aditd\", or name another instance with -i.");
	/* A socket that nobody listens on any more. */
	snprintf(want, sizeof(want),
		 "no daemon answers at %s: Connection refused. Start it with \"systemctl start aditd\", or "
		 "name "
		 "another instance with -i.",
		 fake_socket());
	fclose(fopen(fake_socket(), "w"));
	plain_run(&r, (const char *[]){"-s", fake_socket(), "-j", NULL});
	expect_failure(&r, CTL_UNREACHABLE, want);
	unlink(fake_socket());
}

static void nonsense_is_3(void **state)
{
	static const struct {
		const char *reply, *err;
	} t[] = {
		{"",					     "the daemon hung up before it was done (only root may ask it)"},
		{"{\"schema\":1",				  "the daemon hung up before it was done (only root may ask it)"},
		{"hello\n",				      "the daemon sent something that is no JSON object"	      },
		{"[1,2]\n" DONE,				 "the daemon sent something that is no JSON object"		   },
		{"{\"a\":1,\"a\":2}\n" DONE,		     "the daemon sent something that is no JSON object"	       },
		{"{\"schema\":2,\"rules\":[]}\n" DONE,
		 "the daemon speaks schema 2, this adit knows 1: they are of two versions"					  },
		{"{\"schema\":1,\"done\":true}\n",		   "the daemon did not say how it ended"				},
		{"{\"schema\":1,\"done\":true,\"exit\":4711}\n", "the daemon did not say how it ended"			      },
		{NULL,					   "the daemon said nothing for 1 seconds"			      },
	};
	struct run r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		fake_run(&r, t[i].reply, (const char *[]){"-j", "-t", "1", "status", NULL});
		expect_failure(&r, CTL_UNKNOWN, t[i].err);
	}
	/* Half an answer is printed as far as it came, but it is no success. */
	fake_run(&r, "{\"schema\":1,\"sas\":[]}\n", (const char *[]){"show", "sa", NULL});
	assert_int_equal(r.code, CTL_UNKNOWN);
	run_free(&r);
	fake_run(&r, DONE, (const char *[]){"status", NULL});
	assert_int_equal(r.code, CTL_UNKNOWN);
	assert_string_equal(r.err, "adit: the daemon had no answer\n");
	run_free(&r);
	fake_run(&r, "{\"schema\":1}\n{\"schema\":1}\n" DONE, (const char *[]){"status", NULL});
	assert_int_equal(r.code, CTL_UNKNOWN);
	run_free(&r);
	/* The daemon's own words and code. */
	fake_run(&r, "{\"schema\":1,\"done\":true,\"exit\":64,\"error\":\"no such verb\\u0007\"}\n",
		 (const char *[]){"status", NULL});
	assert_string_equal(r.err, "adit: no such verb?\n");
	assert_int_equal(r.code, 64);
	run_free(&r);
}

static void a_long_answer_is_read_to_its_end(void **state)
{
	size_t n = 3000000, len;
	char *reply = malloc(n + 128);
	struct run r;

	(void)state;
	len = sprintf(reply, "{\"schema\":1,\"rules\":[\"");
	memset(reply + len, 'x', n);
	sprintf(reply + len + n, "\"]}\n" DONE);
	fake_run(&r, reply, (const char *[]){"-j", NULL});
	assert_int_equal(r.code, CTL_OK);
	assert_int_equal(strlen(r.out), len + n + strlen("\"]}\n"));
	free(reply);
	run_free(&r);
}

#define GOOD                                                     \
	"interface wan0 { policy m }\n"                          \
	"ike-proposal i { encryption aes256gcm16; dh x25519 }\n" \
	"esp-proposal e { encryption aes256gcm16 }\n"            \
	"peer hq { remote 2.1.1.1; psk file:%s; ike i }\n"       \
	"policy m { 10 isakmp { peer hq; acl a; esp e } }\n"     \
	"acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }\n"

/* The first word, when it is there. */
static void replace(char *text, size_t size, const char *word, const char *by)
{
	char *at = strstr(text, word), rest[512];

	if (!at)
		return;
	snprintf(rest, sizeof(rest), "%s", at + strlen(word));
	snprintf(at, size - (at - text), "%s%s", by, rest);
}

static void check_needs_no_daemon(void **state)
{
	static const struct {
		const char *more;
		int code, errors, warnings;
		const char *out;
		const char *key;
	} t[] = {
		{"",				     CTL_OK,	     0, 0, "FILE: no problem (interfaces 1, peers 1, rules 1)\n", NULL			      },
		{"acl b { 1 permit ip ::/0 -> ::/0 }\n", CTL_WARNING, 0, 1,
		 "FILE:7:5: warning: acl \"b\" is used by no policy\n1 problem (0 errors)\n",				      NULL			  },
		{"adit { lgo info }",		      CTL_FAULT,	 1, 0,
		 "FILE:7:8: error: unknown key \"lgo\" in adit (did you mean \"log\"?)\n1 problem (1 "
		 "error)\n",												       NULL		       },
		{"",				     CTL_FAULT,	1, 0,
		 "FILE:4:31: error: psk file KEY ends in a carriage return: store it with Unix line ends\n"
		 "1 problem (1 error)\n",											  "correct horse battery\r\n"},
		{"",				     CTL_FAULT,	1, 0,
		 "FILE:4:31: error: psk file KEY holds something after hex: that is no hexadecimal digit\n"
		 "1 problem (1 error)\n",											  "hex:zz112233445566778899" },
		{"",				     CTL_WARNING, 0, 1,
		 "FILE:4:31: warning: psk file KEY holds a key of only 8 octets: a short key can be guessed "
		 "by "
		 "whoever sees one handshake\n1 problem (0 errors)\n",							     "hex:0011223344556677"     },
	};
	char dir[] = "/tmp/adit-check-XXXXXX", file[64], psk[64], want[512];
	const char *rest;
	struct run r;
	json_t *j;
	size_t i;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/a.conf", dir);
	snprintf(psk, sizeof(psk), "%s/psk", dir);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		f = fopen(psk, "w");
		fputs(t[i].key ? t[i].key : "correct horse battery", f);
		fclose(f);
		chmod(psk, 0600);
		f = fopen(file, "w");
		fprintf(f, GOOD "%s", psk, t[i].more);
		fclose(f);
		plain_run(&r, (const char *[]){"check", file, NULL});
		rest = strstr(t[i].out, "FILE") + 4;
		snprintf(want, sizeof(want), "%s%s", file, rest);
		replace(want, sizeof(want), "KEY", psk);
		assert_string_equal(r.out, want);
		assert_int_equal(r.code, t[i].code);
		run_free(&r);
		plain_run(&r, (const char *[]){"check", "--json", file, NULL});
		assert_int_equal(r.code, t[i].code);
		j = json_loads(r.out, 0, NULL);
		assert_int_equal(json_integer_value(json_object_get(j, "errors")), t[i].errors);
		assert_int_equal(json_integer_value(json_object_get(j, "warnings")), t[i].warnings);
		assert_int_equal(json_array_size(json_object_get(j, "problems")),
				 t[i].errors + t[i].warnings);
		json_decref(j);
		run_free(&r);
	}
	unlink(psk);
	unlink(file);
	rmdir(dir);
	plain_run(&r, (const char *[]){"check", file, NULL});
	assert_int_equal(r.code, CTL_UNKNOWN);
	snprintf(want, sizeof(want), "%s: error: No such file or directory\n1 problem (1 error)\n", file);
	assert_string_equal(r.out, want);
	run_free(&r);
}

/* docs/configuration.md carries what the parser's own table says. */
static void the_manual_is_the_table(void **state)
{
	static char doc[65536];
	FILE *f = fopen("docs/configuration.md", "r");
	struct run r;

	(void)state;
	assert_non_null(f);
	doc[fread(doc, 1, sizeof(doc) - 1, f)] = '\0';
	fclose(f);
	plain_run(&r, (const char *[]){"check", "--keys-markdown", NULL});
	assert_int_equal(r.code, CTL_OK);
	assert_non_null(strstr(r.out, "| `df-bit` | copy, set, clear | `copy` |"));
	if (!strstr(doc, r.out))
		fail_msg("docs/configuration.md is old: put in what \"adit check --keys-markdown\" prints");
	run_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_is_64_and_says_why),
		cmocka_unit_test(help_and_version_need_no_daemon),
		cmocka_unit_test(a_missing_daemon_is_69),
		cmocka_unit_test(nonsense_is_3),
		cmocka_unit_test(a_long_answer_is_read_to_its_end),
		cmocka_unit_test(check_needs_no_daemon),
		cmocka_unit_test(the_manual_is_the_table),
	};

	return cmocka_run_group_tests(tests, fake_open, fake_close);
}
