/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon that gives one prepared answer, and one run of `adit` against it. */
#ifndef ADIT_TEST_FAKE_H
#define ADIT_TEST_FAKE_H

#include <stdbool.h>

struct run {
	int code;
	char *out, *err;
	char request[1024]; /* what the daemon was asked; "" when it was not */
};

int fake_open(void **state); /* cmocka group setup: a folder for the socket */
int fake_close(void **state);
const char *fake_socket(void);

/* reply NULL: the daemon reads, then says nothing. */
void fake_run(struct run *r, const char *reply, const char *const *args);
/* Without a daemon. */
void plain_run(struct run *r, const char *const *args);
void run_free(struct run *r);

#endif
