// SPDX-License-Identifier: BSD-2-Clause
#include "notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define PER_LIMIT 4 /* signs of life in the time after which silence is death; systemd asks for 2 at least */

static struct {
	struct sockaddr_un to;
	socklen_t to_len; /* 0: nobody listens */
	uint64_t alive_every_ms, alive_at_ms;
	bool ready;
	char status[256];
} manager;

static void tell(const char *lines)
{
	int fd;

	if (!manager.to_len)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&manager.to, manager.to_len);
	close(fd);
}

static void take_address(const char *path)
{
	size_t len = strlen(path);

	if (!len || len >= sizeof(manager.to.sun_path))
		return;
	manager.to.sun_family = AF_UNIX;
	memcpy(manager.to.sun_path, path, len);
	if (*path == '@') /* an abstract name; its length counts, there is no end of string */
		manager.to.sun_path[0] = '\0';
	manager.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* WATCHDOG_PID is missing or ours; somebody else's was inherited by mistake. */
static uint64_t watchdog_ms(const char *usec, const char *pid)
{
	if (!usec || (pid && strtoumax(pid, NULL, 10) != (uintmax_t)getpid()))
		return 0;
	return strtoumax(usec, NULL, 10) / 1000;
}

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	uint64_t limit_ms = watchdog_ms(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));

	memset(&manager, 0, sizeof(manager));
	if (path)
		take_address(path);
	if (limit_ms)
		manager.alive_every_ms = limit_ms / PER_LIMIT + 1;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_ready(void)
{
	manager.ready = true;
	tell("READY=1");
}

/* The time is what "Type=notify-reload" (systemd 253) needs to tell this reload from one before; "notify" ignores it. */
void notify_reloading(void)
{
	struct timespec now;
	char lines[80];

	if (!manager.ready)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	tell(lines);
}

void notify_reloaded(void)
{
	if (manager.ready)
		tell("READY=1");
}

void notify_stopping(void)
{
	tell("STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
	char lines[sizeof("STATUS=") + sizeof(manager.status)] = "STATUS=";
	char *sentence = lines + strlen(lines);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(manager.status), fmt, ap);
	va_end(ap);
	if (strcmp(sentence, manager.status) == 0)
		return;
	memcpy(manager.status, sentence, sizeof(manager.status));
	tell(lines);
}

void notify_alive(void)
{
	uint64_t now = clock_ms();

	if (!manager.alive_every_ms || now < manager.alive_at_ms)
		return;
	manager.alive_at_ms = now + manager.alive_every_ms;
	tell("WATCHDOG=1");
}
