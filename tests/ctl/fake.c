// SPDX-License-Identifier: BSD-2-Clause
#include "fake.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"

#define ARGS_MAX 16

static char dir[64], path[96];

struct daemon {
	int fd;
	const char *reply;
	char request[1024];
};

int fake_open(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	snprintf(dir, sizeof(dir), "/tmp/adit-ctl-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/control", dir);
	return 0;
}

int fake_close(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

const char *fake_socket(void)
{
	return path;
}

static void put_reply(int fd, const char *reply)
{
	size_t n = strlen(reply), half = n / 2;

	/* In two pieces: an answer need not come in one read. */
	if (send(fd, reply, half, MSG_NOSIGNAL) != (ssize_t)half)
		return;
	usleep(2000);
	if (send(fd, reply + half, n - half, MSG_NOSIGNAL) < 0)
		return;
}

static void *serve(void *self)
{
	struct daemon *d = self;
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	size_t n = 0;
	ssize_t got;
	int fd;

	if (poll(&p, 1, 5000) != 1)
		return NULL;
	fd = accept(d->fd, NULL, NULL);
	while (n + 1 < sizeof(d->request) && !memchr(d->request, '\n', n)) {
		got = read(fd, d->request + n, sizeof(d->request) - 1 - n);
		if (got <= 0)
			break;
		n += got;
	}
	if (d->reply)
		put_reply(fd, d->reply);
	else
		got = read(fd, d->request + n, 1); /* until adit hangs up */
	close(fd);
	return NULL;
}

void plain_run(struct run *r, const char *const *args)
{
	char *argv[ARGS_MAX + 2] = {(char *)"adit"};
	size_t out_len, err_len;
	FILE *out, *err;
	int argc = 1;

	memset(r, 0, sizeof(*r));
	out = open_memstream(&r->out, &out_len);
	err = open_memstream(&r->err, &err_len);
	while (*args && argc < ARGS_MAX)
		argv[argc++] = (char *)*args++;
	r->code = ctl_run(argc, argv, out, err);
	fclose(out);
	fclose(err);
}

void fake_run(struct run *r, const char *reply, const char *const *args)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct daemon d = {.reply = reply};
	const char *all[ARGS_MAX] = {"-s", path};
	pthread_t thread;
	size_t i;

	for (i = 0; args[i] && i + 3 < ARGS_MAX; i++)
		all[i + 2] = args[i];
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	d.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(d.fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(d.fd, 1) ||
	    pthread_create(&thread, NULL, serve, &d))
		abort();
	plain_run(r, all);
	pthread_join(thread, NULL);
	close(d.fd);
	unlink(path);
	snprintf(r->request, sizeof(r->request), "%s", d.request);
}

void run_free(struct run *r)
{
	free(r->out);
	free(r->err);
}
