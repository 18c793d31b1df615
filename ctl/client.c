// SPDX-License-Identifier: BSD-2-Clause
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define LINE_MAX_OCTETS (16u << 20) /* of one answer line; ten thousand SAs need less */

struct wire {
	int fd;
	char *buf;
	size_t n, room;
	size_t line; /* octets of the line handed out last: they go before the next one */
};

/* One object in every case, so that who reads JSON need not read stderr. */
static int fail(const struct ctl *ctl, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct ctl *ctl, int code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(ctl->err, "adit: %s\n", text);
	if (ctl->json) {
		json_t *j = json_pack("{s:i,s:b,s:i,s:s}", "schema", CTL_SCHEMA, "done", 1, "exit", code,
				      "error", text);

		if (j)
			json_dumpf(j, ctl->out, JSON_COMPACT);
		fputc('\n', ctl->out);
		json_decref(j);
	}
	return code;
}

static int reach(const struct ctl *ctl, int *fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", ctl->socket);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return fail(ctl, CTL_UNKNOWN, "socket: %s", strerror(errno));
	if (connect(*fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return CTL_OK;
	err = errno;
	close(*fd);
	if (err == EACCES || err == EPERM)
		return fail(ctl, CTL_UNREACHABLE, "%s: %s. Only root may ask the daemon; try sudo.",
			    ctl->socket, strerror(err));
	return fail(ctl, CTL_UNREACHABLE,
		    "no daemon answers at %s: %s. Start it with \"systemctl start aditd\", or name another "
		    "instance with -i.",
		    ctl->socket, strerror(err));
}

static int send_line(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	text[len++] = '\n'; /* instead of the NUL: the text is only octets from here on */
	while (sent < len) {
		n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += n;
	}
	free(text);
	return sent == len ? 0 : -EPIPE;
}

static int wait_readable(int fd, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left;
	int n;

	do {
		left = until_ms - (int64_t)clock_ms();
		n = left > 0 ? poll(&p, 1, left) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

static int grow(struct wire *w)
{
	size_t room = w->room ? w->room * 2 : 65536;
	char *more;

	if (w->room >= LINE_MAX_OCTETS)
		return -EMSGSIZE;
	more = realloc(w->buf, room);
	if (!more)
		return -ENOMEM;
	w->buf = more;
	w->room = room;
	return 0;
}

/* The next line, NUL-terminated, valid until the next call.  -EPIPE: the other end closed. */
static int next_line(struct wire *w, int64_t until_ms, char **ret)
{
	char *end;
	size_t searched = 0;
	ssize_t got;
	int err;

	memmove(w->buf, w->buf + w->line, w->n - w->line);
	w->n -= w->line;
	w->line = 0;
	for (;;) {
		end = w->n > searched ? memchr(w->buf + searched, '\n', w->n - searched) : NULL;
		if (end) {
			*end = '\0';
			w->line = end + 1 - w->buf;
			*ret = w->buf;
			return 0;
		}
		searched = w->n;
		err = w->n == w->room ? grow(w) : 0;
		if (!err)
			err = wait_readable(w->fd, until_ms);
		if (err)
			return err;
		got = read(w->fd, w->buf + w->n, w->room - w->n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 && errno != ECONNRESET ? -errno : -EPIPE;
		w->n += got;
	}
}

static int finish(const struct ctl *ctl, const char *line, const json_t *obj)
{
	const json_t *code = json_object_get(obj, "exit");
	char error[1024];

	if (!json_is_integer(code) || json_integer_value(code) < 0 || json_integer_value(code) > 125)
		return fail(ctl, CTL_UNKNOWN, "the daemon did not say how it ended");
	if (value_known(obj, "error")) {
		fprintf(ctl->err, "adit: %s\n", value_str(obj, "error", error, sizeof(error)));
		if (ctl->json)
			fprintf(ctl->out, "%s\n", line);
	}
	return json_integer_value(code);
}

static int one_line(const struct ctl *ctl, const char *line, client_line *on_line, void *self, bool *done)
{
	json_error_t where;
	json_t *obj = json_loads(line, JSON_REJECT_DUPLICATES, &where);
	const json_t *schema = json_object_get(obj, "schema");
	int code;

	if (!json_is_object(obj)) {
		json_decref(obj);
		return fail(ctl, CTL_UNKNOWN, "the daemon sent something that is no JSON object");
	}
	if (schema && json_integer_value(schema) != CTL_SCHEMA)
		code = fail(ctl, CTL_UNKNOWN,
			    "the daemon speaks schema %" JSON_INTEGER_FORMAT
			    ", this adit knows %d: they are of two versions",
			    json_integer_value(schema), CTL_SCHEMA);
	else if (json_is_true(json_object_get(obj, "done"))) {
		*done = true;
		code = finish(ctl, line, obj);
	} else {
		code = on_line(self, line, obj);
	}
	json_decref(obj);
	return code;
}

static int broken(const struct ctl *ctl, int err, int patience_s)
{
	if (err == -EPIPE)
		return fail(ctl, CTL_UNKNOWN, "the daemon hung up before it was done (only root may ask it)");
	if (err == -ETIMEDOUT)
		return fail(ctl, CTL_UNKNOWN, "the daemon said nothing for %d seconds", patience_s);
	if (err == -EMSGSIZE)
		return fail(ctl, CTL_UNKNOWN, "the daemon's answer has no end");
	return fail(ctl, CTL_UNKNOWN, "%s: %s", ctl->socket, strerror(-err));
}

int client_ask(const struct ctl *ctl, const json_t *request, int patience_s, client_line *on_line, void *self)
{
	struct wire w = {.fd = -1};
	bool done = false;
	char *line = NULL;
	int code, err;

	code = reach(ctl, &w.fd);
	if (code)
		return code;
	err = send_line(w.fd, request);
	if (!err)
		err = grow(&w);
	while (!err && !code && !done) {
		err = next_line(&w, clock_ms() + patience_s * 1000LL, &line);
		if (!err)
			code = one_line(ctl, line, on_line, self, &done); /* NOLINT: next_line made it anew */
	}
	if (err)
		code = broken(ctl, err, patience_s);
	free(w.buf);
	close(w.fd);
	return code;
}
