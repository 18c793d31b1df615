// SPDX-License-Identifier: BSD-2-Clause
/* Answers of the daemon as people read them, word for word: golden/NAME.json becomes golden/NAME.txt.
 * With ADIT_GOLDEN=write in the environment the .txt files are written instead of compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl.h"
#include "fake.h"

#define FOLDER	   "tests/ctl/golden/"
#define GOLDEN_MAX 32768

static const struct {
	const char *name;
	const char *args[4];
	const char *request; /* without the schema, which all have */
	int code;
} t[] = {
	{"status",	   {NULL},		   "\"verb\":\"status\"",			  CTL_OK	},
	{"status-long",	{"status"},		    "\"verb\":\"status\"",			   CTL_WARNING},
	{"status-empty",	 {"status"},	     "\"verb\":\"status\"",			    CTL_OK	  },
	{"ike",		{"show", "ike"},	 "\"verb\":\"show\",\"object\":\"ike\"",	 CTL_OK     },
	{"sa",	       {"show", "sa"},	       "\"verb\":\"show\",\"object\":\"sa\"",	      CTL_OK	    },
	{"sa-long",	    {"show", "sa"},	    "\"verb\":\"show\",\"object\":\"sa\"",	   CTL_OK	 },
	{"statistics",     {"show", "statistics"}, "\"verb\":\"show\",\"object\":\"statistics\"", CTL_OK	    },
	{"statistics-all",
	 {"show", "statistics", "--all"},
	 "\"verb\":\"show\",\"object\":\"statistics\"",					   CTL_OK     },
	{"interface",      {"show", "interface"},  "\"verb\":\"show\",\"object\":\"interface\"",  CTL_OK	 },
	{"acl",		{"show", "acl"},	 "\"verb\":\"show\",\"object\":\"acl\"",	 CTL_OK     },
	{"policy",	   {"show", "policy"},     "\"verb\":\"show\",\"object\":\"policy\"",	  CTL_OK	},
	{"peer",		 {"show", "peer"},	   "\"verb\":\"show\",\"object\":\"peer\"",	    CTL_OK	  },
	{"errors",	   {"show", "errors"},     "\"verb\":\"show\",\"object\":\"errors\"",	  CTL_OK	},
	{"up",	       {"up", "hq"},	     "\"verb\":\"up\",\"name\":\"hq\"",		CTL_OK     },
	{"up-failed",      {"up", "map1/10/5"},	   "\"verb\":\"up\",\"name\":\"map1/10/5\"",	     CTL_FAULT  },
};

#define N (sizeof(t) / sizeof(t[0]))

static char *slurp(const char *name, const char *ending, char *buf)
{
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), FOLDER "%s.%s", name, ending);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s cannot be read; run this from the top of the tree", path);
	n = fread(buf, 1, GOLDEN_MAX - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

static void compare(const char *name, const char *got)
{
	char path[128], buf[GOLDEN_MAX];
	const char *mode = getenv("ADIT_GOLDEN");
	FILE *f;

	if (!mode || strcmp(mode, "write")) {
		assert_string_equal(got, slurp(name, "txt", buf));
		return;
	}
	snprintf(path, sizeof(path), FOLDER "%s.txt", name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(got, f);
	fclose(f);
}

static void answers_read_well(void **state)
{
	char reply[GOLDEN_MAX], want[256], *line, *rest;
	size_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		struct run r;

		fake_run(&r, slurp(t[i].name, "json", reply), t[i].args);
		snprintf(want, sizeof(want), "{\"schema\":1,%s}\n", t[i].request);
		assert_string_equal(r.request, want);
		assert_int_equal(r.code, t[i].code);
		compare(t[i].name, r.out);
		assert_string_equal(r.err, t[i].code == CTL_FAULT ? "adit: hq: no proposal in common\n" : "");
		/* Nothing steers a terminal, nothing is false that is only unknown, lines fit. */
		assert_null(strchr(r.out, '\033'));
		assert_null(strstr(r.out, "false"));
		assert_null(strstr(r.out, "null"));
		for (line = strtok_r(r.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			assert_true(strlen(line) <= 80);
		run_free(&r);
	}
}

/* --json: the lines of the daemon, untouched, but for the last one. */
static void json_comes_as_it_came(void **state)
{
	char reply[GOLDEN_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		const char *args[6] = {"--json", "--color=always"};
		struct run r;
		char *last;

		memcpy(args + 2, t[i].args, 3 * sizeof(args[0]));
		fake_run(&r, slurp(t[i].name, "json", reply), args);
		assert_int_equal(r.code, t[i].code);
		/* A failure is an answer too. */
		if (t[i].code != CTL_FAULT) {
			last = strstr(reply, "{\"schema\":1,\"done\"");
			assert_non_null(last);
			*last = '\0';
		}
		assert_string_equal(r.out, reply);
		run_free(&r);
	}
}

static void colour_only_when_asked(void **state)
{
	char reply[GOLDEN_MAX];
	struct run r;

	(void)state;
	fake_run(&r, slurp("status", "json", reply), (const char *[]){"--color", "always", NULL});
	assert_non_null(strstr(r.out, "\033[32mup\033[0m "));
	assert_non_null(strstr(r.out, "\033[31mdown\033[0m "));
	run_free(&r);
	/* Not a terminal. */
	fake_run(&r, reply, (const char *[]){"--color=auto", NULL});
	assert_null(strchr(r.out, '\033'));
	run_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_read_well),
		cmocka_unit_test(json_comes_as_it_came),
		cmocka_unit_test(colour_only_when_asked),
	};

	return cmocka_run_group_tests(tests, fake_open, fake_close);
}
