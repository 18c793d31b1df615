// SPDX-License-Identifier: BSD-2-Clause
#include "control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "log.h"
#include "report.h"

#define CLIENTS_MAX 16
#define REQUEST_MAX 4096 /* octets of a request line */
#define WAIT_RULES  64
#define UP_WAIT_S   60 /* longer than all retransmissions of one exchange */
#define DOWN_WAIT_S 5
#define IDLE_S	    30

struct client {
	struct client *next;
	struct control *control;
	struct bufferevent *bev;
	const struct conf_peer *peer; /* waits for rules of this one; NULL: does not wait */
	uint64_t began_ms;
	uint32_t rules[WAIT_RULES];
	unsigned n_rules;
	bool want_up, failed, closing;
	char error[IKE_DETAIL_MAX + 128];
};

struct control {
	struct gateway *g;
	struct evconnlistener *listener;
	struct client *clients;
	unsigned n_clients;
};

/* ---- one client ---------------------------------------------------------------------------- */

static void drop_client(struct client *cl)
{
	struct client **at = &cl->control->clients;

	while (*at != cl)
		at = &(*at)->next;
	*at = cl->next;
	cl->control->n_clients--;
	bufferevent_free(cl->bev);
	free(cl);
}

static void put_json(struct client *cl, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (text) {
		bufferevent_write(cl->bev, text, strlen(text));
		bufferevent_write(cl->bev, "\n", 1);
	}
	free(text);
	json_decref(j);
}

static void finish(struct client *cl, int code, const char *error)
{
	json_t *j = json_pack("{s:i,s:b,s:i}", "schema", 1, "done", 1, "exit", code);

	if (error && *error)
		json_object_set_new(j, "error", json_string(error));
	put_json(cl, j);
	cl->closing = true;
	cl->peer = NULL;
	bufferevent_disable(cl->bev, EV_READ);
}

static void put_event(struct client *cl, const char *kind, const char *text)
{
	put_json(cl, json_pack("{s:s,s:I,s:s}", "event", kind, "time_ms",
			       (json_int_t)(clock_ms() - cl->began_ms), "text", text));
}

/* ---- up and down --------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* By name: a rule, else a peer with all its rules, else what alone begins so. */
static const struct conf_peer *find_rules(struct client *cl, const char *name)
{
	const struct conf *c = cl->control->g->conf;
	const struct conf_rule *rule = conf_find_rule(c, name);
	const struct conf_peer *peer = conf_find_peer(c, name);
	size_t i, begins = 0;

	for (i = 0; !rule && !peer && i < c->n_peers; i++)
		if (starts_with(c->peers[i]->name, name) && ++begins == 1)
			peer = c->peers[i];
	if (begins > 1)
		return NULL;
	if (rule && rule->match->permit) {
		cl->rules[cl->n_rules++] = rule->id;
		return rule->entry->peer;
	}
	for (i = 0; peer && i < c->n_rules && cl->n_rules < WAIT_RULES; i++)
		if (c->rules[i].entry->peer == peer && c->rules[i].match->permit)
			cl->rules[cl->n_rules++] = c->rules[i].id;
	return cl->n_rules ? peer : NULL;
}

static bool rule_is_up(struct gateway *g, uint32_t id)
{
	const char *why;
	size_t i;

	for (i = 0; i < g->conf->n_rules; i++)
		if (g->conf->rules[i].id == id)
			return strcmp(report_rule_state(g, &g->conf->rules[i], &why), "up") == 0;
	return false;
}

static void forget_rule(struct client *cl, unsigned i)
{
	cl->rules[i] = cl->rules[--cl->n_rules];
}

static void end_when_settled(struct client *cl)
{
	if (cl->n_rules || !cl->peer)
		return;
	finish(cl, cl->failed ? 2 : 0, cl->failed ? cl->error : NULL);
}

static const char *why_not(struct gateway *g, const char *peer, int err)
{
	const struct ike_failure *f = ike_last_failure(g->ike, peer);

	if (err == -ENOKEY && f)
		return f->detail;
	return err == -EHOSTUNREACH ? "its address is not known, it must call us" : strerror(-err);
}

static void start_up(struct client *cl)
{
	struct gateway *g = cl->control->g;
	unsigned i = 0;
	int err;

	while (i < cl->n_rules) {
		if (rule_is_up(g, cl->rules[i])) {
			forget_rule(cl, i);
			continue;
		}
		err = ike_initiate(g->ike, cl->rules[i], NULL);
		if (err) {
			cl->failed = true;
			snprintf(cl->error, sizeof(cl->error), "peer %s cannot be called: %s", cl->peer->name,
				 why_not(g, cl->peer->name, err));
			forget_rule(cl, i);
			continue;
		}
		i++;
	}
}

static void start_down(struct client *cl, const char *name)
{
	struct gateway *g = cl->control->g;
	bool one_rule = conf_find_rule(g->conf, name);
	unsigned i = 0;

	while (i < cl->n_rules)
		if (rule_is_up(g, cl->rules[i]))
			i++;
		else
			forget_rule(cl, i);
	ike_terminate(g->ike, cl->peer->name, one_rule ? name : NULL);
}

static void begin_wait(struct client *cl, const char *verb, const char *name)
{
	struct timeval patience = {.tv_sec = UP_WAIT_S};

	if (!name || !*name) {
		finish(cl, 64, "name a peer or a rule");
		return;
	}
	cl->peer = find_rules(cl, name);
	if (!cl->peer) {
		char text[192];

		snprintf(text, sizeof(text), "no peer and no rule is called \"%.64s\", or several begin so",
			 name);
		finish(cl, 2, text);
		return;
	}
	cl->want_up = strcmp(verb, "up") == 0;
	if (!cl->want_up)
		patience.tv_sec = DOWN_WAIT_S;
	bufferevent_set_timeouts(cl->bev, &patience, NULL);
	if (cl->want_up)
		start_up(cl);
	else
		start_down(cl, name);
	gateway_rearm(cl->control->g);
	end_when_settled(cl);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void answer(struct client *cl, json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));
	const char *object = json_string_value(json_object_get(request, "object"));
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *j;
	bool warns;

	if (!verb) {
		finish(cl, 64, "a request needs a verb");
		return;
	}
	if (strcmp(verb, "up") == 0 || strcmp(verb, "down") == 0) {
		begin_wait(cl, verb, name);
		return;
	}
	j = report_make(cl->control->g, verb, object ? object : "");
	if (!j) {
		finish(cl, 64, "no such verb or object");
		return;
	}
	warns = report_warns(j);
	put_json(cl, j);
	finish(cl, warns ? 1 : 0, NULL);
}

static void on_readable(struct bufferevent *bev, void *self)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *cl = self;
	json_t *request;
	size_t len;
	char *line;

	if (cl->peer || cl->closing)
		return; /* one request, one answer */

	line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
	if (!line) {
		if (evbuffer_get_length(in) >= REQUEST_MAX)
			finish(cl, 64, "request too long");
		return;
	}
	request = json_loadb(line, len, 0, NULL);
	free(line);
	if (json_is_object(request))
		answer(cl, request);
	else
		finish(cl, 64, "a request is one JSON object on one line");
	json_decref(request);
}

/* The answer is written once the output buffer ran empty. */
static void on_written(struct bufferevent *bev, void *self)
{
	struct client *cl = self;

	if (cl->closing && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		drop_client(cl);
}

static void on_event(struct bufferevent *bev, short what, void *self)
{
	struct client *cl = self;

	(void)bev;
	if ((what & BEV_EVENT_TIMEOUT) && cl->peer) {
		finish(cl, 2, cl->want_up ? "no answer in time" : "the peer did not confirm in time");
		return;
	}
	drop_client(cl);
}

static void on_connect(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		       int from_len, void *self)
{
	struct timeval idle = {.tv_sec = IDLE_S};
	struct control *c = self;
	struct ucred who;
	socklen_t len = sizeof(who);
	struct client *cl;

	(void)listener, (void)from, (void)from_len;
	/* The mode of the socket file says the same; this holds if somebody loosens it. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.uid != 0 ||
	    c->n_clients >= CLIENTS_MAX) {
		evutil_closesocket(fd);
		return;
	}
	cl = calloc(1, sizeof(*cl));
	if (!cl) {
		evutil_closesocket(fd);
		return;
	}
	cl->control = c;
	cl->began_ms = clock_ms();
	cl->bev = bufferevent_socket_new(c->g->loop, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!cl->bev) {
		evutil_closesocket(fd);
		free(cl);
		return;
	}
	cl->next = c->clients;
	c->clients = cl;
	c->n_clients++;
	bufferevent_setwatermark(cl->bev, EV_READ, 0, REQUEST_MAX);
	bufferevent_setcb(cl->bev, on_readable, on_written, on_event, cl);
	bufferevent_set_timeouts(cl->bev, &idle, &idle);
	bufferevent_enable(cl->bev, EV_READ | EV_WRITE);
}

/* ---- verbs --------------------------------------------------------------------------------- */

int control_new(struct gateway *g, int listen_fd, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->g = g;
	c->listener = evconnlistener_new(g->loop, on_connect, c, 0, 0, listen_fd);
	if (!c->listener) {
		free(c);
		return -EIO;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		drop_client(c->clients); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the list first */
	evconnlistener_free(c->listener);
	free(c);
}

void control_progress(struct control *c, const char *peer, const char *text)
{
	struct client *cl;

	for (cl = c ? c->clients : NULL; cl; cl = cl->next)
		if (cl->peer && peer && strcmp(cl->peer->name, peer) == 0)
			put_event(cl, "progress", text);
}

void control_settled(struct control *c, const char *peer, uint32_t rule, bool up, const char *why)
{
	struct client *cl;
	unsigned i;

	for (cl = c ? c->clients : NULL; cl; cl = cl->next) {
		if (!cl->peer || !peer || strcmp(cl->peer->name, peer))
			continue;
		if (up && !cl->want_up)
			continue; /* a successor came up while we wait for the end */
		for (i = 0; i < cl->n_rules; i++) {
			if (cl->rules[i] != rule)
				continue;
			if (up != cl->want_up) {
				cl->failed = true;
				snprintf(cl->error, sizeof(cl->error), "%s", why ? why : "failed");
			}
			forget_rule(cl, i);
			end_when_settled(cl);
			break;
		}
	}
}
