/* SPDX-License-Identifier: BSD-2-Clause */
/* `adit`, the command line.  A whole run is one call, so that a test can make it. */
#ifndef ADIT_CTL_H
#define ADIT_CTL_H

#include <stdbool.h>
#include <stdio.h>

#define CTL_SCHEMA 1

enum ctl_exit {
	CTL_OK = 0,
	CTL_WARNING = 1,
	CTL_FAULT = 2,	      /* a fault was found, or what was asked for failed */
	CTL_UNKNOWN = 3,      /* could not be found out */
	CTL_USAGE = 64,	      /* EX_USAGE */
	CTL_UNREACHABLE = 69, /* EX_UNAVAILABLE */
};

/* What the command line said. */
struct ctl {
	FILE *out, *err;
	char socket[108];
	bool json, color, all;
	int patience_s;		/* without a word of the daemon; 0: what fits the verb */
	bool keys_markdown;	/* check: print the table of keys, for docs/configuration.md */
	const char *verb, *arg; /* arg: NULL or the word after the verb */
};

int ctl_run(int argc, char **argv, FILE *out, FILE *err);

#endif
