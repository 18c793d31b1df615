// SPDX-License-Identifier: BSD-2-Clause
#include <adit/version.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto_facts.h"
#include "log.h"
#include "parent.h"
#include "reload.h"
#include "unload.h"

static const char usage[] =
	"usage: aditd [-i NAME] -f FILE     run in the foreground with this configuration\n"
	"       aditd [-i NAME] --reload    have a running instance read its configuration again, and wait\n"
	"                                   for the outcome: fails if the one before stays in force\n"
	"       aditd [-i NAME] --unload    remove programs and maps of a stopped instance;\n"
	"                                   what policy protected passes in clear from then on\n"
	"                                   exit status: 0 nothing is left, 66 nothing was there,\n"
	"                                   75 the instance runs, 1 something is left\n"
	"       aditd [-i NAME] --guard -f FILE   only guard, and end: what policy protects is blocked\n"
	"       aditd --version             and the crypto engines in it\n"
	"  -f, --file FILE      configuration, /etc/adit/adit.conf if not given\n"
	"  -i, --instance NAME  several can run on one machine; \"adit\" if not given\n"
	"  SIGHUP is the same as --reload without waiting, SIGTERM ends.\n";

#define INSTANCE_MAX 12 /* "NAME0x" is a device name */

/* The name goes into paths and device names. */
static bool valid_instance(const char *name)
{
	return *name && strlen(name) <= INSTANCE_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       strlen(name);
}

static int version(void)
{
	char text[CRYPTO_TEXT];
	struct crypto_facts facts;

	crypto_facts(&facts);
	printf("aditd " ADIT_VERSION "\n%s\n", crypto_facts_str(&facts, text));
	if (crypto_facts_warning(&facts, text))
		printf("WARN %s\n", text);
	if (crypto_facts_note(&facts, text))
		printf("NOTE %s\n", text);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"file",	 required_argument, NULL, 'f'},
		{"instance", required_argument, NULL, 'i'},
		{"reload",   no_argument,	NULL, 'r'},
		{"unload",   no_argument,	NULL, 'u'},
		{"guard",	  no_argument,       NULL, 'g'},
		{"version",  no_argument,	 NULL, 'V'},
		{"help",	 no_argument,	      NULL, 'h'},
		{NULL,       0,		  NULL, 0	 },
	};
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	const char *file = "/etc/adit/adit.conf", *instance = "adit";
	bool remove_only = false, reload_only = false, guard_only = false;
	int c;

	while ((c = getopt_long(argc, argv, "f:i:hV", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			file = optarg;
			break;
		case 'i':
			instance = optarg;
			break;
		case 'u':
			remove_only = true;
			break;
		case 'r':
			reload_only = true;
			break;
		case 'g':
			guard_only = true;
			break;
		case 'V':
			return version();
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind != argc || !valid_instance(instance)) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	if (geteuid() != 0) {
		fputs("aditd: must be started by root; its children give that up at once\n", stderr);
		return EX_NOPERM;
	}
	if (reload_only)
		return reload_ask(instance);
	if (remove_only)
		return unload_run(instance);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	log_open(instance, "parent", LOG_LEVEL_INFO);
	return guard_only ? parent_guard(instance, file) : parent_run(instance, file);
}
