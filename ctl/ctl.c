// SPDX-License-Identifier: BSD-2-Clause
#include "ctl.h"

#include <adit/version.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "client.h"
#include "crypto_facts.h"
#include "diag.h"
#include "show.h"

#define READ_WAIT_S   10
#define CHANGE_WAIT_S 90 /* longer than the daemon waits for a peer */

struct verb {
	const char *name, *args;
	int min, max; /* words after it */
	int (*run)(const struct ctl *ctl);
	const char *summary, *help;
};

static int run_status(const struct ctl *ctl);
static int run_show(const struct ctl *ctl);
static int run_change(const struct ctl *ctl);
static int run_version(const struct ctl *ctl);
static int run_help(const struct ctl *ctl);

static const struct verb verbs[] = {
	{"status",  "",	       0, 0, run_status,	 "what runs, a line for every rule that protects",
	 "Shows the instance, its interfaces and every rule that protects traffic: its state, why it\n"
	 "is down, its age, octets in and out, drops, and when the last packet came in.\n"
	 "WARN is what somebody has to mend; exit 1 while there is one.\n"									  },
	{"show",	 "OBJECT [--all]", 1, 1, run_show,	   "one kind of object in full",
	 "OBJECT is one of:\n"
	 "  ike         IKE SAs and the last failure of each peer\n"
	 "  sa          child SAs, each direction with its counters\n"
	 "  statistics  why packets passed or were dropped; --all shows zero counters too\n"
	 "  interface   interfaces, how XDP is attached, why the fast path is on or off\n"
	 "  acl         acl rules and how often each matched\n"
	 "  policy      policies and their entries\n"
	 "  peer        peers as configured\n"
	 "  errors      the last failure of each peer\n"										      },
	{"up",      "NAME",	       1, 1, run_change,	 "connect a peer or one rule, live",
	 "NAME is a rule (map1/10/5), a peer (all its rules), or a beginning that only one peer has.\n"
	 "Prints every step as it happens.  Exit 0 when everything asked for is up, 2 when not.\n"						  },
	{"down",	 "NAME",		 1, 1, run_change,  "disconnect a peer or one rule, live",
	 "NAME as for up.  A rule with \"trigger auto\" connects again.\n"									  },
	{"check",	  "[FILE]",	    0, 1, check_file,  "check a configuration, without the daemon",
	 "Reads FILE (/etc/adit/adit.conf) and the keys it names as the daemon would, and prints all\n"
	 "that is wrong with them.  No key is kept or shown.\n"
	 "Exit 0 no problem, 1 warnings, 2 errors, 3 the file cannot be read.\n"								},
	{"version", "",		0, 0, run_version, "version of this program, and the crypto engines in it",
	 "Prints the version, which crypto engines this build has and which this CPU is given.\n"						 },
	{"help",	 "[VERB]",	   0, 1, run_help,	   "this, or more on one verb",				"Prints what a verb does.\n"},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct {
	const char *name;
	show_fn *print;
} objects[] = {
	{"ike",	show_ike	},
	{"sa",	       show_sa	      },
	{"statistics", show_statistics},
	{"interface",  show_interface },
	{"acl",	show_acl	},
	{"policy",	   show_policy    },
	{"peer",	 show_peer	  },
	{"errors",	   show_errors    },
};

#define N_OBJECTS (sizeof(objects) / sizeof(objects[0]))

static int usage(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int usage(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	fputs("adit: ", ctl->err);
	va_start(ap, fmt);
	vfprintf(ctl->err, fmt, ap);
	va_end(ap);
	fputs(". See \"adit help\".\n", ctl->err);
	return CTL_USAGE;
}

static const struct verb *verb_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int unknown_verb(const struct ctl *ctl, const char *name)
{
	struct guess g = {.word = name};
	char maybe[64];
	size_t i;

	for (i = 0; i < N_VERBS; i++)
		guess_offer(&g, verbs[i].name);
	return usage(ctl, "there is no verb \"%.64s\"%s", name, guess_text(&g, maybe, sizeof(maybe)));
}

/* ---- reading ------------------------------------------------------------------------------- */

struct reading {
	const struct ctl *ctl;
	show_fn *print;
	bool answered;
};

static int on_answer(void *self, const char *line, const json_t *obj)
{
	struct reading *r = self;
	struct show s = {
		.t = {.f = r->ctl->out, .color = r->ctl->color},
			 .all = r->ctl->all
	   };

	if (r->answered) {
		fprintf(r->ctl->err, "adit: the daemon sent two answers\n");
		return CTL_UNKNOWN;
	}
	r->answered = true;
	if (r->ctl->json)
		fprintf(r->ctl->out, "%s\n", line);
	else
		r->print(&s, obj);
	return 0;
}

static int read_object(const struct ctl *ctl, const char *verb, const char *object, show_fn *print)
{
	struct reading r = {.ctl = ctl, .print = print};
	json_t *request = json_pack("{s:i,s:s,s:s*}", "schema", CTL_SCHEMA, "verb", verb, "object", object);
	int code = request ? client_ask(ctl, request, ctl->patience_s ? ctl->patience_s : READ_WAIT_S,
					on_answer, &r)
			   : CTL_UNKNOWN;

	json_decref(request);
	if (code == CTL_OK && !r.answered) {
		fprintf(ctl->err, "adit: the daemon had no answer\n");
		return CTL_UNKNOWN;
	}
	return code;
}

static int run_status(const struct ctl *ctl)
{
	return read_object(ctl, "status", NULL, show_status);
}

static int run_show(const struct ctl *ctl)
{
	struct guess g = {.word = ctl->arg};
	char maybe[64];
	size_t i;

	for (i = 0; i < N_OBJECTS; i++) {
		if (strcmp(objects[i].name, ctl->arg) == 0)
			return read_object(ctl, "show", objects[i].name, objects[i].print);
		guess_offer(&g, objects[i].name);
	}
	return usage(ctl, "there is no \"%.64s\" to show%s", ctl->arg, guess_text(&g, maybe, sizeof(maybe)));
}

/* ---- changing ------------------------------------------------------------------------------ */

static int on_event(void *self, const char *line, const json_t *obj)
{
	const struct ctl *ctl = self;
	const json_t *ms = json_object_get(obj, "time_ms");
	char text[1024], kind[64];

	if (ctl->json) {
		fprintf(ctl->out, "%s\n", line);
	} else {
		value_str(obj, "event", kind, sizeof(kind));
		fprintf(ctl->out, "%8.3fs  %s%s%s\n",
			json_is_integer(ms) ? json_integer_value(ms) / 1000.0 : 0.0,
			strcmp(kind, "progress") ? kind : "", strcmp(kind, "progress") ? ": " : "",
			value_str(obj, "text", text, sizeof(text)));
	}
	fflush(ctl->out);
	return 0;
}

static int run_change(const struct ctl *ctl)
{
	json_t *request =
		json_pack("{s:i,s:s,s:s}", "schema", CTL_SCHEMA, "verb", ctl->verb, "name", ctl->arg);
	int code;

	/* Only what is not UTF-8 cannot be packed, and no name is. */
	if (!request)
		return usage(ctl, "that is no name of a peer or a rule");
	code = client_ask(ctl, request, ctl->patience_s ? ctl->patience_s : CHANGE_WAIT_S, on_event,
			  (void *)ctl);
	json_decref(request);
	if (code == CTL_OK && !ctl->json)
		fprintf(ctl->out, "%s is %s\n", ctl->arg, ctl->verb);
	return code;
}

/* ---- about itself -------------------------------------------------------------------------- */

static int version_json(const struct ctl *ctl, const struct crypto_facts *f, const char *warning,
			const char *note)
{
	json_t *j = json_pack("{s:i,s:s,s:{s:s?,s:s?,s:s,s:s,s:s,s:s?,s:s?}}", "schema", CTL_SCHEMA,
			      "version", ADIT_VERSION, "crypto", "ipsec_mb",
			      f->mb_built ? f->mb_version : NULL, "ipsec_mb_routine",
			      *f->mb_routine ? f->mb_routine : NULL, "openssl", f->openssl_version, "aes_gcm",
			      f->gcm, "other", f->rest, "warning", warning, "note", note);
	int err = !j || json_dumpf(j, ctl->out, JSON_COMPACT);

	fputc('\n', ctl->out);
	json_decref(j);
	return err ? CTL_UNKNOWN : CTL_OK;
}

static int run_version(const struct ctl *ctl)
{
	char text[CRYPTO_TEXT + 8], warning[CRYPTO_TEXT], note[CRYPTO_TEXT];
	const struct text t = {.f = ctl->out, .color = ctl->color};
	struct crypto_facts facts;
	const char *warns, *notes;

	crypto_facts(&facts);
	warns = crypto_facts_warning(&facts, warning);
	notes = crypto_facts_note(&facts, note);
	if (ctl->json)
		return version_json(ctl, &facts, warns, notes);
	fprintf(ctl->out, "adit " ADIT_VERSION "\n");
	text_wrapped(&t, TINT_NONE, 0, crypto_facts_str(&facts, text));
	if (warns || notes) {
		snprintf(text, sizeof(text), "%s %s", warns ? "WARN" : "NOTE", warns ? warns : notes);
		text_wrapped(&t, TINT_WARN, 0, text);
	}
	return CTL_OK;
}

static int help_all(const struct ctl *ctl)
{
	size_t i;

	fprintf(ctl->out,
		"usage: adit [-i NAME] [-s SOCKET] [--json] [--color auto|always|never] [VERB]\n\n");
	for (i = 0; i < N_VERBS; i++)
		fprintf(ctl->out, "  %-7s %-15s %s\n", verbs[i].name, verbs[i].args, verbs[i].summary);
	fprintf(ctl->out, "\n"
			  "  -i, --instance NAME  which daemon (adit); its socket is /run/adit/NAME/control\n"
			  "  -s, --socket PATH    the socket itself\n"
			  "  -j, --json           the answer as JSON, one object on one line\n"
			  "      --color WHEN     auto: on a terminal, unless NO_COLOR is set\n"
			  "\n"
			  "Exit: 0 fine, 1 warning, 2 fault or failure, 3 could not be found out, 64 usage,\n"
			  "69 no daemon. Without a verb: status.\n");
	return CTL_OK;
}

static int help_one(const struct ctl *ctl, const struct verb *v)
{
	fprintf(ctl->out, "usage: adit %s %s\n\n%s", v->name, v->args, v->help);
	return CTL_OK;
}

static int run_help(const struct ctl *ctl)
{
	const struct verb *v = ctl->arg ? verb_find(ctl->arg) : NULL;

	if (ctl->arg && !v)
		return unknown_verb(ctl, ctl->arg);
	return v ? help_one(ctl, v) : help_all(ctl);
}

/* ---- the command line ---------------------------------------------------------------------- */

enum { OPT_COLOR = 256, OPT_ALL, OPT_KEYS };

static const struct option options[] = {
	{"instance",	     required_argument, NULL, 'i'	 },
	{"socket",	   required_argument, NULL, 's'      },
	{"json",		 no_argument,	      NULL, 'j'      },
	{"color",	  required_argument, NULL, OPT_COLOR},
	{"all",		no_argument,	     NULL, OPT_ALL  },
	{"keys-markdown", no_argument,       NULL, OPT_KEYS },
	{"help",		 no_argument,	      NULL, 'h'      },
	{"version",	    no_argument,	 NULL, 'V'	  },
	{NULL,	       0,		  NULL, 0	 },
};

static bool want_color(const struct ctl *ctl, const char *when)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (strcmp(when, "auto"))
		return strcmp(when, "always") == 0;
	return isatty(fileno(ctl->out)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static int set_socket(struct ctl *ctl, const char *instance, const char *path)
{
	int len;

	if (!*instance || strlen(instance) > 31 || strspn(instance, ".") == strlen(instance) ||
	    strchr(instance, '/'))
		return usage(ctl, "\"%.64s\" is no name of an instance", instance);
	if (path)
		len = snprintf(ctl->socket, sizeof(ctl->socket), "%s", path);
	else
		len = snprintf(ctl->socket, sizeof(ctl->socket), "/run/adit/%s/control", instance);
	if (len <= 0 || (size_t)len >= sizeof(ctl->socket))
		return usage(ctl, "the path of a socket has 1 to %zu characters", sizeof(ctl->socket) - 1);
	return 0;
}

static int run_verb(struct ctl *ctl, char **words, int n, bool help)
{
	const struct verb *v = verb_find(n ? words[0] : "status");

	if (!v)
		return unknown_verb(ctl, words[0]);
	if (help)
		return n ? help_one(ctl, v) : help_all(ctl);
	n = n ? n - 1 : 0;
	if (n < v->min)
		return usage(ctl, "%s needs %s", v->name, v->args);
	if (n > v->max)
		return usage(ctl, "\"%.64s\" is too much after %s", words[1 + v->max], v->name);
	ctl->verb = v->name;
	ctl->arg = n ? words[1] : NULL;
	return v->run(ctl);
}

int ctl_run(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl ctl = {.out = out, .err = err};
	const char *instance = "adit", *path = NULL, *color = "auto";
	bool help = false, version = false;
	int c;

	optind = 0; /* a run before this one may have left it anywhere */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":i:s:t:jhV", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			instance = optarg;
			break;
		case 's':
			path = optarg;
			break;
		case 'j':
			ctl.json = true;
			break;
		case 't':
			ctl.patience_s = strspn(optarg, "0123456789") == strlen(optarg) ? atoi(optarg) : 0;
			if (ctl.patience_s < 1 || ctl.patience_s > 3600)
				return usage(&ctl, "--timeout is 1 to 3600 seconds, not \"%.64s\"", optarg);
			break;
		case 'h':
			help = true;
			break;
		case 'V':
			version = true;
			break;
		case OPT_COLOR:
			color = optarg;
			break;
		case OPT_ALL:
			ctl.all = true;
			break;
		case OPT_KEYS:
			ctl.keys_markdown = true;
			break;
		case ':':
			return usage(&ctl, "%s needs a value", argv[optind - 1]);
		default:
			return usage(&ctl, "there is no option \"%s\"", argv[optind - 1]);
		}
	}
	if (strcmp(color, "auto") && strcmp(color, "always") && strcmp(color, "never"))
		return usage(&ctl, "--color is auto, always or never, not \"%.64s\"", color);
	ctl.color = want_color(&ctl, color);
	c = set_socket(&ctl, instance, path);
	if (c)
		return c;
	return version ? run_version(&ctl) : run_verb(&ctl, argv + optind, argc - optind, help);
}
