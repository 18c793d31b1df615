// SPDX-License-Identifier: BSD-2-Clause
#include "reload.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char instance[16], dir[64];
static pid_t parent;

/* What a parent does between SIGHUP and its last word. */
enum play { TAKES_IT, REFUSES_IT, ENDS_ANOTHER_FIRST, DIES };

static void play_parent(enum play play, int ready_fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), sig;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/control", dir);
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4) || write(ready_fd, "", 1) != 1)
		_exit(1);
	for (;;) {
		sigwait(&set, &sig);
		if (play == ENDS_ANOTHER_FIRST)
			reload_ended(instance, false);
		reload_began(instance);
		if (play == DIES)
			_exit(0);
		reload_ended(instance, play != REFUSES_IT);
	}
}

static void start(enum play play)
{
	int ready[2];
	char octet;

	assert_return_code(pipe(ready), errno);
	parent = fork();
	if (parent == 0)
		play_parent(play, ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static int ask(void)
{
	int status = reload_ask(instance);

	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	return status;
}

static int setup(void **state)
{
	(void)state;
	signal(SIGCHLD, SIG_IGN); /* a zombie can still be sent signals */
	snprintf(instance, sizeof(instance), "t%d", getpid() % 1000000);
	snprintf(dir, sizeof(dir), "/run/adit/%s", instance);
	mkdir("/run/adit", 0755);
	return mkdir(dir, 0700);
}

static int teardown(void **state)
{
	static const char *const names[] = {"control", "reload", "reload.lock"};
	char path[96];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void outcome(void **state)
{
	static const struct {
		enum play play;
		int status;
	} t[] = {
		{TAKES_IT,	   EXIT_SUCCESS},
		{REFUSES_IT,	     EXIT_FAILURE},
		{ENDS_ANOTHER_FIRST, EXIT_SUCCESS},
		{DIES,	       EXIT_FAILURE},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		start(t[i].play);
		if (ask() != t[i].status)
			fail_msg("row %zu", i);
	}
}

static void nobody_runs(void **state)
{
	(void)state;
	assert_int_equal(reload_ask("t-nobody"), EXIT_FAILURE);
	start(TAKES_IT); /* dies, and leaves its socket */
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	assert_int_equal(reload_ask(instance), EXIT_FAILURE);
}

/* Who was killed while it waited leaves a socket, and its turn goes to the next. */
static void asked_before(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/reload", dir);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), errno);
	close(fd);
	start(TAKES_IT);
	assert_int_equal(ask(), EXIT_SUCCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(outcome, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(asked_before, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
