// SPDX-License-Identifier: BSD-2-Clause
#include "parent.h"
#include "parent_parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "crypto_facts.h"
#include "log.h"
#include "netfilter.h"
#include "notify.h"
#include "reload.h"
#include "state.h"
#include "warnings.h"

/* Netfilter of the old kind tells nobody when it changes, nor does tcx when a program is put in front of ours. */
#define LOOK_AGAIN_MS 5000
#define GUARD_LOOK_MS 1000

void parent_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- what the host tells ------------------------------------------------------------------- */

/* At once, whatever else is going on: a policy interface that came is guarded here. */
static void hear_links(struct parent *p)
{
	struct link_news fresh = {0};
	unsigned i;

	link_drain(p->link_fd, &fresh);
	if (p->guard)
		guard_links(p->guard, &fresh);
	for (i = 0; i < fresh.n_gone; i++)
		if (p->news.n_gone < sizeof(p->news.gone) / sizeof(*p->news.gone))
			p->news.gone[p->news.n_gone++] = fresh.gone[i];
	p->changed = true;
}

static void hear_netfilter(struct parent *p)
{
	link_drain(p->netfilter_fd, NULL);
	if (p->guard)
		guard_netfilter(p->guard);
	natwatch_changed(p->natwatch);
	p->changed = true;
}

/* Waiting must not make the guard late. */
void parent_wait(struct parent *p, int ms)
{
	struct pollfd fds[] = {
		{.fd = p->link_fd,	   .events = POLLIN},
		{.fd = p->netfilter_fd, .events = POLLIN},
	};

	if (poll(fds, sizeof(fds) / sizeof(*fds), ms) <= 0)
		return;
	if (fds[0].revents)
		hear_links(p);
	if (fds[1].revents)
		hear_netfilter(p);
}

/* ---- loop
 * --------------------------------------------------------------------------------------------------- */

/* ike runs, behind a guard that stands: who asks may be answered. */
static void answer(struct parent *p)
{
	if (!p->answered)
		log_info("ready");
	p->answered = true;
	children_tell_ike(p, ADIT_MSG_ATTACHED);
}

static void on_message(struct parent *p)
{
	struct adit_msg_id m;

	while (recv(p->ike_parent[1], &m, sizeof(m), MSG_DONTWAIT) == sizeof(m))
		if (m.type == ADIT_MSG_READY && p->host) {
			p->ike_ready = true;
			if (!p->before)
				host_forget_others(p->host);
			answer(p);
		}
}

static bool on_signal(struct parent *p)
{
	struct signalfd_siginfo info;

	while (read(p->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			return false;
		if (info.ssi_signo == SIGHUP)
			inforce_reload(p);
	}
	children_reap(p);
	return true;
}

static int wait_ms(const struct parent *p)
{
	uint64_t now = clock_ms(), wait = GUARD_LOOK_MS;
	int i;

	for (i = 0; i < CHILDREN; i++) {
		uint64_t at = p->children[i].pid ? 0 : p->children[i].restart_at_ms;

		if (at && (at <= now ? 0 : at - now) < wait)
			wait = at <= now ? 0 : at - now;
	}
	return (int)wait;
}

/* At the host, when something changed there or it is time to. */
static void look(struct parent *p)
{
	bool due = clock_ms() >= p->look_at_ms, changed = p->changed;

	if (due)
		p->look_at_ms = clock_ms() + LOOK_AGAIN_MS;
	p->changed = false;
	if (p->guard)
		guard_look(p->guard);
	if (p->host && (due || changed) && host_same(p->host, &p->news))
		host_refresh(p->host);
	else if (p->host ? due || changed : due)
		inforce_again(p);
	p->news = (struct link_news){0};
}

/* Nobody waits for ever: a child runs or has a time to be started at, or all of them wait for the host. */
static bool all_accounted_for(const struct parent *p)
{
	int i;

	for (i = 0; i < CHILDREN; i++)
		if (p->host && !p->children[i].pid && !p->children[i].restart_at_ms)
			return false;
	return true;
}

static void tell_manager(const struct parent *p)
{
	const struct child *ike = &p->children[CHILD_IKE], *worker = &p->children[CHILD_WORKER];

	if (!p->host)
		notify_status("%s cannot be put in force now, tried again; what the rules before protect is "
			      "blocked",
			      p->config);
	else if (!ike->pid || !worker->pid)
		notify_status("%s is started again; protected traffic is blocked meanwhile",
			      worker->pid ? ike->name : worker->name);
	else if (!guard_stands(p->guard))
		notify_status("NOT GUARDING every policy interface: see adit status");
	else
		notify_status("guarding by %s", p->config);
	if (all_accounted_for(p))
		notify_alive();
}

static void loop(struct parent *p)
{
	struct pollfd fds[] = {
		{.fd = p->signal_fd,     .events = POLLIN},
		{.fd = p->ike_parent[1], .events = POLLIN},
		{.fd = p->link_fd,	   .events = POLLIN},
		{.fd = p->netfilter_fd,	.events = POLLIN},
	};

	for (;;) {
		int n = poll(fds, sizeof(fds) / sizeof(*fds), wait_ms(p));

		if (n > 0 && fds[2].revents)
			hear_links(p);
		if (n > 0 && fds[0].revents && !on_signal(p))
			return;
		if (n > 0 && fds[1].revents)
			on_message(p);
		if (n > 0 && fds[3].revents)
			hear_netfilter(p);
		look(p);
		inforce_settle(p);
		if (p->netfilter_fd < 0) /* nobody tells: as often as it may */
			natwatch_changed(p->natwatch);
		natwatch_look(p->natwatch, p->conf);
		children_restart_due(p);
		tell_manager(p);
	}
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------ */

static int open_signals(struct parent *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, &p->old_signals))
		return -errno;
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd < 0 ? -errno : 0;
}

static int take_lock(struct parent *p)
{
	p->lock_fd = sockets_lock(p->instance);
	if (p->lock_fd >= 0)
		return 0;
	log_error("instance %s: %s", p->instance,
		  p->lock_fd == -EWOULDBLOCK ? "it runs already" : strerror(-p->lock_fd));
	return p->lock_fd;
}

/* All that the guard needs.  The backstop first: it asks nothing of this kernel but nftables. */
/* Built without a library, or with an old one: it works, and nobody would look for why it is slow. */
static void warn_of_slow_crypto(void)
{
	struct crypto_facts facts;
	char text[CRYPTO_TEXT];

	crypto_facts(&facts);
	if (crypto_facts_warning(&facts, text))
		warnings_set("crypto", "", "%s", text);
}

static int open_guarding(struct parent *p)
{
	char why[640];
	int err;

	inforce_guard_by_backstop(p->instance, p->conf);
	err = programs_load(p->instance, why, sizeof(why), &p->programs);
	if (err) {
		log_error("BPF programs do not load: %s", why);
		return err;
	}
	p->link_fd = link_watch();
	if (p->link_fd < 0)
		return p->link_fd;
	p->netfilter_fd = netfilter_watch(); /* may be missing: then it is looked at every few seconds only */
	err = warnings_open();
	if (!err)
		err = natwatch_new(&p->natwatch);
	if (err)
		return err;
	warn_of_slow_crypto();
	return inforce_guard(p);
}

static int open_sockets(struct parent *p)
{
	int err = sockets_open_ike(p->ike_sockets, p->cookies);

	if (!err)
		err = sockets_open_esp(p->esp_sockets, p->esp_sinks);
	if (err)
		return err;
	p->control_fd = sockets_open_control(p->instance);
	err = p->control_fd < 0 ? p->control_fd : sockets_pair(p->ike_worker);
	if (!err)
		err = sockets_pair_door(p->door);
	if (!err)
		err = sockets_pair(p->ike_parent);
	if (err)
		log_error("sockets: %s", strerror(-err));
	return err;
}

static void close_all(struct parent *p)
{
	programs_free(p->programs);
	sockets_close(p->ike_sockets, IKE_SOCKETS);
	sockets_close(p->esp_sockets, ESP_SOCKETS);
	sockets_close(p->esp_sinks, ESP_SOCKETS);
	sockets_close(p->ike_worker, 2);
	sockets_close(p->door, 2);
	sockets_close(p->ike_parent, 2);
	parent_close_fd(&p->control_fd);
	parent_close_fd(&p->link_fd);
	parent_close_fd(&p->netfilter_fd);
	parent_close_fd(&p->signal_fd);
	parent_close_fd(&p->lock_fd);
	conf_free(p->conf);
	natwatch_free(p->natwatch);
	warnings_close();
}

static struct parent parent_new(const char *instance, const char *config)
{
	return (struct parent){
		.instance = instance,
		.config = config,
		.started_ms = clock_ms(),
		.children = {[CHILD_IKE] = {.name = "ike"}, [CHILD_WORKER] = {.name = "worker"}},
		.ike_sockets = {-1,			    -1,					-1, -1},
		.esp_sockets = {-1,			    -1							     },
		.esp_sinks = {-1, -1},
		.control_fd = -1,
		.lock_fd = -1,
		.ike_worker = {-1,			   -1										       },
		.door = {-1, -1},
		.ike_parent = {-1,			   -1														 },
		.signal_fd = -1,
		.link_fd = -1,
		.netfilter_fd = -1,
	};
}

/* What holds when nobody runs, by what was seen last. */
static void say_what_stays(const struct parent *p)
{
	if (p->guard && guard_stands(p->guard))
		log_info("stopped; what policy protects stays blocked until the next start, or until: aditd "
			 "-i %s "
			 "--unload",
			 p->instance);
	else
		log_error("stopped, and not every policy interface is guarded: what policy protects may pass "
			  "in "
			  "clear");
}

/* The configuration cannot be used: the rules of the last one that could stand guard. */
static void guard_by_last_good(const char *instance, const char *config)
{
	struct parent p = parent_new(instance, config);
	int err;

	log_open(instance, "parent", LOG_LEVEL_INFO);
	if (take_lock(&p))
		return;
	err = state_load(instance, &p.conf);
	if (err == -ENOENT)
		log_error("%s is not used, and no policy was ever in force here: nothing is guarded", config);
	else if (err)
		log_error("%s is not used, nor can the last good policy be read: %s", config, strerror(-err));
	else if (open_guarding(&p) == 0 && guard_stands(p.guard)) {
		log_error(
			"%s is not used; what the last good policy protects (%s) is blocked, everything else "
			"passes",
			config, p.conf->path);
		notify_status("%s is not used: the last good policy guards", config);
	} else
		say_what_stays(&p);
	if (p.guard)
		guard_leave(p.guard);
	close_all(&p);
}

int parent_guard(const char *instance, const char *config)
{
	struct parent p = parent_new(instance, config);
	int err;

	err = inforce_load(config, &p.conf);
	if (err) {
		guard_by_last_good(instance, config);
		return 1;
	}
	log_open(instance, "parent", p.conf->adit.log);
	err = take_lock(&p);
	if (!err)
		err = open_guarding(&p);
	if (!err) {
		err = guard_stands(p.guard) ? 0 : -EIO;
		guard_leave(p.guard);
		log_info(err ? "not every policy interface is guarded"
			     : "guarded; what policy protects is blocked");
	}
	close_all(&p);
	return err ? 1 : 0;
}

int parent_run(const char *instance, const char *config)
{
	struct parent p = parent_new(instance, config);
	int err;

	/* First: a SIGHUP that comes early waits, instead of ending us. */
	err = open_signals(&p);
	notify_open();
	notify_status("starting: reading %s", config);
	if (!err)
		err = inforce_load(config, &p.conf);
	if (err) {
		guard_by_last_good(instance, config);
		parent_close_fd(&p.signal_fd);
		return 1;
	}
	log_open(instance, "parent", p.conf->adit.log);
	err = take_lock(&p);
	if (err) {
		close_all(&p);
		return 1;
	}
	err = open_guarding(&p);
	if (!err)
		err = open_sockets(&p);
	if (!err)
		err = inforce_start(&p);
	if (!err) {
		notify_ready();
		loop(&p);
	}
	notify_stopping();
	inforce_stop(&p);
	say_what_stays(&p);
	if (p.guard)
		guard_leave(p.guard);
	close_all(&p);
	return err ? 1 : 0;
}
