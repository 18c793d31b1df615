// SPDX-License-Identifier: BSD-2-Clause
#include "notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"

static int manager = -1;

/* Listens as systemd does; '@' in front makes the name abstract. */
static void listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	memcpy(at.sun_path, name, strlen(name));
	if (*name == '@')
		at.sun_path[0] = '\0';
	else
		unlink(name);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(bind(manager, (struct sockaddr *)&at,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			   errno);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* The next message, or "" if there is none. */
static const char *heard(void)
{
	static char message[512];
	ssize_t len = recv(manager, message, sizeof(message) - 1, 0);

	message[len > 0 ? len : 0] = '\0';
	return message;
}

static int setup(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@adit/test/%d", getpid());
	listen_at(name);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	return 0;
}

static void abstract(void **state)
{
	(void)state;
	notify_open();
	notify_ready();
	assert_string_equal(heard(), "READY=1");
	notify_stopping();
	assert_string_equal(heard(), "STOPPING=1");
	assert_string_equal(heard(), "");
}

static void path(void **state)
{
	char name[64];

	(void)state;
	close(manager);
	snprintf(name, sizeof(name), "/tmp/adit-test-notify.%d", getpid());
	listen_at(name);
	notify_open();
	notify_ready();
	assert_string_equal(heard(), "READY=1");
	unlink(name);
}

/* A child that is forked or started later must not speak for us. */
static void alone(void **state)
{
	(void)state;
	setenv("WATCHDOG_USEC", "4000000", 1);
	notify_open();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
}

static void nobody_listens(void **state)
{
	char longer[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	unsetenv("NOTIFY_SOCKET");
	notify_open();
	notify_ready();
	setenv("NOTIFY_SOCKET", longer, 1);
	notify_open();
	notify_ready();
	setenv("NOTIFY_SOCKET", "", 1);
	notify_open();
	notify_ready();
	assert_string_equal(heard(), "");
}

static void status(void **state)
{
	char longer[1000];

	(void)state;
	notify_open();
	notify_status("%s is up", "one");
	assert_string_equal(heard(), "STATUS=one is up");
	notify_status("one is up");
	assert_string_equal(heard(), "");
	notify_status("two");
	assert_string_equal(heard(), "STATUS=two");
	notify_status("one is up");
	assert_string_equal(heard(), "STATUS=one is up");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	notify_status("%s", longer);
	assert_int_equal(strlen(heard()), strlen("STATUS=") + 255);
}

/* READY=1 at the end of a reload would open the gates that the first one has not opened yet. */
static void reload(void **state)
{
	uint64_t began_ms = clock_ms();
	unsigned long long usec;

	(void)state;
	notify_open();
	notify_reloading();
	notify_reloaded();
	assert_string_equal(heard(), "");
	notify_ready();
	assert_string_equal(heard(), "READY=1");
	notify_reloading();
	assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec / 1000 >= began_ms && usec / 1000 <= clock_ms());
	notify_reloaded();
	assert_string_equal(heard(), "READY=1");
}

static void watchdog(void **state)
{
	static const struct {
		const char *usec;
		int pid; /* 0: not told, 1: ours, 2: another's */
		unsigned least, most;
	} t[] = {
		{NULL,	       0, 0, 0},
		   {"0",		 0, 0, 0},
		      {"x",	    1, 0, 0},
		{"4000",	 0, 2, 6}, /* every 2 ms: again after 3 ms */
		{"4000",	 1, 2, 6},
		   {"4000",	    2, 0, 0},
		      {"3600000000", 1, 1, 1},
	};
	char name[64], pid[16];
	size_t i;

	(void)state;
	snprintf(name, sizeof(name), "@adit/test/%d", getpid());
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		unsigned n = 0, rounds;

		setenv("NOTIFY_SOCKET", name, 1);
		if (t[i].usec)
			setenv("WATCHDOG_USEC", t[i].usec, 1);
		snprintf(pid, sizeof(pid), "%d", t[i].pid == 1 ? getpid() : 1);
		if (t[i].pid)
			setenv("WATCHDOG_PID", pid, 1);
		notify_open();
		for (rounds = 0; rounds < 3; rounds++) {
			notify_alive();
			notify_alive();
			usleep(3000);
		}
		while (strcmp(heard(), "WATCHDOG=1") == 0)
			n++;
		if (n < t[i].least || n > t[i].most)
			fail_msg("row %zu: %u signs of life", i, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(abstract, setup, teardown),
		cmocka_unit_test_setup_teardown(path, setup, teardown),
		cmocka_unit_test_setup_teardown(alone, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(status, setup, teardown),
		cmocka_unit_test_setup_teardown(reload, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
