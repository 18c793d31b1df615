// SPDX-License-Identifier: BSD-2-Clause
#include "help.h"

#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNT "nobody"

/* What becomes of a child that runs body: its exit status, or minus the signal that ended it. */
static int child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		body();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void finish(void)
{
	static const struct confine_call calls[] = {
		{"exit_group", 0, 0,     0},
		{"getpid",	   0, 0,	 0},
		{"write",	  0, ~0ull, 2},
		{"mmap",	 2, 4,     0},
	};

	if (confine_finish(calls, 4))
		_exit(9);
}

static void allowed(void)
{
	finish();
	syscall(SYS_getpid);
	syscall(SYS_write, 2, "", 0);
	syscall(SYS_mmap, NULL, 4096, 3, 0x22, -1, 0);
}

static void not_listed(void)
{
	finish();
	syscall(SYS_getppid);
}

static void other_argument(void)
{
	finish();
	syscall(SYS_write, 1, "", 0);
}

static void executable_memory(void)
{
	finish();
	syscall(SYS_mmap, NULL, 4096, 7, 0x22, -1, 0);
}

static void flags(void)
{
	static const struct confine_call calls[] = {
		{"exit_group", 0, 0, 0},
		{"prctl",	  0, 0, 0},
	};

	if (confine_finish(calls, 2))
		_exit(9);
	syscall(SYS_exit_group,
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 8);
}

static void misspelt(void)
{
	static const struct confine_call calls[] = {
		{"exit_groop", 0, 0, 0}
	       };

	_exit(confine_finish(calls, 1) == -EINVAL ? 0 : 8);
}

static void system_calls(void **state)
{
	(void)state;
	assert_int_equal(child(allowed), 0);
	assert_int_equal(child(not_listed), -SIGSYS);
	assert_int_equal(child(other_argument), -SIGSYS);
	assert_int_equal(child(executable_memory), -SIGSYS);
	assert_int_equal(child(flags), 0);
	assert_int_equal(child(misspelt), 0);
}

static void become(void)
{
	uid_t r, e, s;

	if (confine_user(ACCOUNT))
		_exit(7);
	if (getresuid(&r, &e, &s) || r == 0 || r != e || e != s || getgroups(0, NULL) != 0)
		_exit(6);
	if (setuid(0) == 0 || open("/etc/shadow", O_RDONLY) >= 0)
		_exit(5);
	if (prctl(PR_CAPBSET_READ, 0, 0, 0, 0) != 0)
		_exit(4);
}

static void no_such_account(void)
{
	_exit(confine_user("no-such-account-here") == -ENOENT ? 0 : 8);
}

static void twice(void)
{
	_exit(confine_user(ACCOUNT) == 0 && confine_user(ACCOUNT) != 0 ? 0 : 8);
}

static void accounts(void **state)
{
	(void)state;
	assert_int_equal(child(no_such_account), 0);
	if (getuid() != 0) {
		print_message("needs: root\n");
		skip();
	}
	assert_int_equal(child(become), 0);
	assert_int_equal(child(twice), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_calls),
		cmocka_unit_test(accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
