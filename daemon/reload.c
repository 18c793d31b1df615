// SPDX-License-Identifier: BSD-2-Clause
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

#define RUN_DIR	    "/run/adit"
#define PATIENCE_MS 50000 /* two children that do not end by themselves, and all that is opened anew */
#define LOOK_MS	    1000

enum word { BEGAN = 'b', IN_FORCE = 'y', NOT_IN_FORCE = 'n' };

static void path_of(const char *instance, const char *name, struct sockaddr_un *un)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), RUN_DIR "/%.40s/%s", instance, name);
}

/* ---- the parent ----------------------------------------------------------------------------- */

static void say(const char *instance, enum word word)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;
	char octet = (char)word;

	if (fd < 0)
		return;
	path_of(instance, "reload", &un);
	sendto(fd, &octet, 1, MSG_NOSIGNAL, (struct sockaddr *)&un, sizeof(un));
	close(fd);
}

void reload_began(const char *instance)
{
	say(instance, BEGAN);
}

void reload_ended(const char *instance, bool in_force)
{
	say(instance, in_force ? IN_FORCE : NOT_IN_FORCE);
}

/* ---- who asks --------------------------------------------------------------------------------- */

/* The parent's PID: it is who listens at the control socket. */
static pid_t parent_of(const char *instance)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	struct sockaddr_un un;

	if (fd < 0)
		return 0;
	path_of(instance, "control", &un);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		who.pid = 0;
	close(fd);
	return who.pid;
}

/* One at a time: the next waits here until the one before has its answer. */
static int take_turn(const char *instance)
{
	struct sockaddr_un un;
	int fd;

	path_of(instance, "reload.lock", &un);
	fd = open(un.sun_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_for_answer(const char *instance)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;

	path_of(instance, "reload", &un);
	unlink(un.sun_path); /* of one that was killed; it is our turn */
	if (fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof(un))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The end of a reload that we saw begin: of another one that was under way, the file may have been the old one. */
static enum word await(int fd, pid_t parent)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t until = clock_ms() + PATIENCE_MS;
	bool began = false;
	char octet;

	while (clock_ms() < until && kill(parent, 0) == 0) {
		if (poll(&p, 1, LOOK_MS) <= 0 || recv(fd, &octet, 1, 0) != 1)
			continue;
		if (octet == BEGAN)
			began = true;
		else if (began)
			return octet == IN_FORCE ? IN_FORCE : NOT_IN_FORCE;
	}
	return 0;
}

static int ask(const char *instance, pid_t parent, int fd)
{
	struct sockaddr_un un;
	enum word word = 0;

	if (kill(parent, SIGHUP) == 0)
		word = await(fd, parent);
	path_of(instance, "reload", &un);
	unlink(un.sun_path);
	if (word == IN_FORCE) {
		printf("instance %s: the configuration is in force\n", instance);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "aditd: instance %s: %s\n", instance,
		word ? "the configuration is not used, the one before stays; the log says why"
		     : "no answer: it ended, or is busy; the log says more");
	return EXIT_FAILURE;
}

int reload_ask(const char *instance)
{
	pid_t parent = parent_of(instance);
	int turn, fd, status;

	if (parent <= 0) {
		fprintf(stderr, "aditd: instance %s does not run\n", instance);
		return EXIT_FAILURE;
	}
	turn = take_turn(instance);
	fd = listen_for_answer(instance);
	if (turn < 0 || fd < 0) {
		fprintf(stderr, "aditd: instance %s cannot be asked: %s\n", instance, strerror(errno));
		return EXIT_FAILURE;
	}
	status = ask(instance, parent, fd);
	close(fd);
	close(turn);
	return status;
}
