// SPDX-License-Identifier: BSD-2-Clause
#include "parent.h"

#include <adit/msg.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backstop.h"
#include "clock.h"
#include "conf.h"
#include "confine.h"
#include "guard.h"
#include "crypto_facts.h"
#include "host.h"
#include "link.h"
#include "log.h"
#include "natwatch.h"
#include "netfilter.h"
#include "notify.h"
#include "programs.h"
#include "reload.h"
#include "state.h"
#include "sockets.h"
#include "warnings.h"

#define RESTART_MIN_MS 100   /* a child that dies again at once is waited for, each time longer */
#define RESTART_MAX_MS 10000 /* ... up to this */
#define STEADY_MS      10000 /* a child that lived so long starts over with the shortest wait */
#define GOODBYE_MS     2000  /* for ike to send its deletes */
#define READY_MS       20000 /* for ike to start under a new configuration */
#define LOOK_AGAIN_MS  5000  /* netfilter of the old kind tells nobody when it changes */
#define GUARD_LOOK_MS \
	1000 /* nor does tcx when a program is put in front of ours: then policy may be passed by */

#define IKE_USER    "adit-ike"
#define WORKER_USER "adit-worker"

enum { CHILD_IKE, CHILD_WORKER, CHILDREN };

struct child {
	const char *name;
	pid_t pid; /* 0: not running */
	uint64_t started_ms, restart_at_ms, wait_ms;
};

struct parent {
	const char *instance, *config;
	uint64_t started_ms;
	sigset_t old_signals;
	struct conf *conf;
	struct conf *before; /* in force until this one is; then NULL */
	uint64_t ready_by_ms;
	struct programs *programs;
	struct guard *guard;
	struct host *host;
	struct child children[CHILDREN];
	int ike_sockets[IKE_SOCKETS], esp_sockets[ESP_SOCKETS], esp_sinks[ESP_SOCKETS];
	uint64_t cookies[IKE_SOCKETS];
	int control_fd, lock_fd;
	int ike_worker[2]; /* [0] is ike's end; both stay open here, so that a restart loses nothing */
	int door[2];	   /* ESP from ike to the worker; the same ends */
	int ike_parent[2]; /* [1] is ours */
	int signal_fd, link_fd, netfilter_fd;
	struct natwatch *natwatch;
	uint64_t look_at_ms;
	struct link_news news; /* what host_same was not yet asked about */
	bool changed;	       /* devices, or netfilter's rules */
	bool ike_ready, answered, stopping;
};

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
static void wait_watching(struct parent *p, int ms)
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

/* ---- children ------------------------------------------------------------------------------ */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In a fresh child: nothing of the parent's that it does not need, and death when the parent dies. */
static void become_child(struct parent *p, const char *name)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_open(p->instance, name, p->conf->adit.log);
	sigprocmask(SIG_SETMASK, &p->old_signals, NULL);
	close_fd(&p->signal_fd);
	close_fd(&p->link_fd);
	close_fd(&p->netfilter_fd);
	natwatch_close(p->natwatch);
	close_fd(&p->lock_fd);
}

static int run_worker(struct parent *p)
{
	struct worker_setup setup = {
		.instance = p->instance,
		.user = WORKER_USER,
		.command_fd = p->ike_worker[1],
		.door_fd = p->door[1],
		.reasons_fd = programs_map_fd(p->programs, "reasons_worker"),
		.sa_stats_fd = programs_map_fd(p->programs, "sa_stats"),
		.fib_fd = programs_fd(p->programs, PROGRAM_FIB),
	};

	const int keep[] = {setup.reasons_fd, setup.sa_stats_fd, setup.fib_fd};

	programs_keep_fds(p->programs, keep, sizeof(keep) / sizeof(*keep));
	host_worker_setup(p->host, &setup);
	close_fd(&p->ike_worker[0]);
	close_fd(&p->door[0]);
	close_fd(&p->ike_parent[0]);
	close_fd(&p->ike_parent[1]);
	close_fd(&p->control_fd);
	sockets_close(p->ike_sockets, IKE_SOCKETS);
	sockets_close(p->esp_sockets, ESP_SOCKETS);
	sockets_close(p->esp_sinks, ESP_SOCKETS);
	return worker_run(&setup);
}

static int run_ike(struct parent *p)
{
	char engines[CRYPTO_TEXT];
	struct crypto_facts facts;
	struct ike_setup setup = {
		.instance = p->instance,
		.user = IKE_USER,
		.conf = p->conf,
		.control_fd = p->control_fd,
		.parent_fd = p->ike_parent[0],
		.host = host_shared(p->host),
		.warnings = warnings_shared(),
		.started_ms = p->started_ms,
		.fds.worker = p->ike_worker[0],
		.fds.door = p->door[0],
	};
	const struct {
		const char *map;
		int *fd;
	} maps[] = {
		{"sa_state",	     &setup.fds.sa_state	},
		{"sa_out",	   &setup.fds.sa_out	    },
		{"sa_in",	  &setup.fds.sa_in	  },
		{"own_esp",	    &setup.fds.own_esp	      },
		{"rule_hits",      &setup.fds.rule_hits	  },
		{"ports",	  &setup.fds.ports	  },
		{"reasons_bpf",	&setup.fds.reasons_bpf   },
		{"reasons_worker", &setup.fds.reasons_worker},
		{"reasons_ike",	&setup.fds.reasons_ike   },
		{"sa_stats",	     &setup.fds.sa_stats	},
		{"events",	   &setup.fds.events	    },
	};
	int keep[sizeof(maps) / sizeof(*maps)];
	size_t i;

	crypto_facts(&facts);
	setup.crypto = crypto_facts_str(&facts, engines);
	for (i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		keep[i] = *maps[i].fd = programs_map_fd(p->programs, maps[i].map);
	programs_keep_fds(p->programs, keep, sizeof(keep) / sizeof(*keep));
	memcpy(setup.sockets, p->ike_sockets, sizeof(setup.sockets));
	memcpy(setup.esp_sockets, p->esp_sockets, sizeof(setup.esp_sockets));
	sockets_close(p->esp_sinks, ESP_SOCKETS);
	/* A socket's rings mapped here would keep it alive after the worker's end. */
	host_close_xsk(p->host);
	close_fd(&p->ike_worker[1]);
	close_fd(&p->door[1]);
	close_fd(&p->ike_parent[1]);
	return ike_run(&setup);
}

static int start_child(struct parent *p, int which)
{
	struct child *c = &p->children[which];
	pid_t pid;
	int err;

	if (which == CHILD_WORKER) {
		err = host_open_xsk(p->host);
		if (err)
			return err;
	}
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		become_child(p, c->name);
		_exit(which == CHILD_IKE ? run_ike(p) : run_worker(p));
	}
	c->pid = pid;
	c->started_ms = clock_ms();
	c->restart_at_ms = 0;
	return 0;
}

static void tell_ike(struct parent *p, enum adit_msg_type type)
{
	struct adit_msg_id m = {.type = type};

	if (send(p->ike_parent[1], &m, sizeof(m), MSG_NOSIGNAL) < 0)
		log_error("ike cannot be told: %s", strerror(errno));
}

static void restart_child(struct parent *p, int which)
{
	struct child *c = &p->children[which];
	int err = start_child(p, which);

	if (err) {
		log_error("%s cannot be started: %s", c->name, strerror(-err));
		c->wait_ms = RESTART_MAX_MS;
		c->restart_at_ms = clock_ms() + c->wait_ms;
		return;
	}
	log_info("%s started again (pid %d)", c->name, c->pid);
	if (which == CHILD_WORKER)
		tell_ike(p, ADIT_MSG_WORKER_STARTED);
}

/* The end of a sentence that is only said where somebody has looked. */
static const char *safety(const struct parent *p)
{
	return guard_stands(p->guard) ? "nothing passes in clear"
				      : "and not every policy interface is guarded: see adit status";
}

static void child_died(struct parent *p, int which, int status)
{
	struct child *c = &p->children[which];
	uint64_t now = clock_ms();

	c->pid = 0;
	if (which == CHILD_WORKER)
		host_close_xsk(p->host); /* protected traffic has no socket now: dropped, counted */
	if (p->stopping)
		return;
	if (WIFSIGNALED(status))
		log_error("%s died of signal %d (%s); tunnels pause, %s", c->name, WTERMSIG(status),
			  strsignal(WTERMSIG(status)), safety(p));
	else
		log_error("%s ended with status %d; tunnels pause, %s", c->name, WEXITSTATUS(status),
			  safety(p));
	if (which == CHILD_IKE)
		p->ike_ready = false;
	if (now - c->started_ms > STEADY_MS || !c->wait_ms)
		c->wait_ms = RESTART_MIN_MS;
	else if (c->wait_ms < RESTART_MAX_MS)
		c->wait_ms *= 2;
	c->restart_at_ms = now + c->wait_ms;
}

static void reap(struct parent *p)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHILDREN; i++)
			if (p->children[i].pid == pid)
				child_died(p, i, status);
}

static void stop_child(struct parent *p, int which, int sig, int patience_ms)
{
	struct child *c = &p->children[which];
	uint64_t until = clock_ms() + (uint64_t)patience_ms;
	int status;

	c->restart_at_ms = 0;
	if (!c->pid)
		return;
	kill(c->pid, sig);
	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (clock_ms() >= until)
			kill(c->pid, SIGKILL);
		wait_watching(p, 10);
	}
	c->pid = 0;
	if (which == CHILD_WORKER)
		host_close_xsk(p->host);
}

/* ---- a configuration in force ---------------------------------------------------------------------------
 */

static int load_conf(const char *path, struct conf **ret)
{
	struct conf_diag diag;
	int err = conf_load(path, ret, &diag);

	conf_diag_print(&diag, stderr);
	return err;
}

/* Before anything else, and where nothing else works. */
static void guard_by_backstop(const char *instance, const struct conf *conf)
{
	struct backstop *b;
	const char *why;

	if (backstop_open(instance, &b))
		return;
	backstop_write(b, conf, &why); /* guard_open does it again, and tells of a failure */
	backstop_close(b);
}

/* Rules, rows and programs of p->conf.  From here on the guard stands, whatever becomes of the rest. */
static int open_guard(struct parent *p)
{
	int err;

	guard_close(p->guard);
	p->guard = NULL;
	err = guard_open(p->instance, p->conf, p->programs, &p->guard);
	if (err)
		return err;
	err = state_save(p->instance, p->conf);
	if (err)
		log_warn("the policy is not kept over a reboot: %s", strerror(-err));
	return 0;
}

static int start_all(struct parent *p)
{
	int err;

	p->ike_ready = false;
	p->news = (struct link_news){0};
	err = host_open(p->instance, p->conf, p->programs, p->guard, p->cookies, &p->host);
	if (!err)
		err = start_child(p, CHILD_WORKER);
	if (!err)
		err = start_child(p, CHILD_IKE);
	return err;
}

static void stop_all(struct parent *p)
{
	p->stopping = true;
	stop_child(p, CHILD_IKE, SIGTERM, GOODBYE_MS);
	stop_child(p, CHILD_WORKER, SIGTERM, GOODBYE_MS);
	p->stopping = false;
	host_close(p->host);
	p->host = NULL;
}

/* Would the children find what they need?  In a process of its own, because what is tried cannot be undone. */
static bool rehearse(struct parent *p)
{
	static const char *const users[CHILDREN] = {[CHILD_IKE] = IKE_USER, [CHILD_WORKER] = WORKER_USER};
	int status = 0, i, err;
	pid_t pid;

	for (i = 0; i < CHILDREN && !status; i++) {
		pid = fork();
		if (pid < 0)
			return false;
		if (pid == 0) {
			err = confine_user(users[i]);
			if (err)
				log_error("cannot become %s: %s (make users creates it)", users[i],
					  strerror(-err));
			_exit(err ? 1 : 0);
		}
		while (waitpid(pid, &status, WNOHANG) == 0)
			wait_watching(p, 10);
	}
	return !status;
}

/* Everybody who waits for it is told when a reload begins and how it ended. */
static void began(const struct parent *p)
{
	notify_reloading();
	reload_began(p->instance);
}

static void ended(const struct parent *p, bool in_force)
{
	notify_reloaded();
	reload_ended(p->instance, in_force);
}

/* The children start anew under the new configuration, behind a guard of old or new rules.  It counts as in force when
 * they have started: settle. */
static void reload(struct parent *p)
{
	struct conf *fresh;

	began(p);
	if (load_conf(p->config, &fresh) || !rehearse(p)) {
		log_error("%s is not used; the running configuration stays", p->config);
		ended(p, false);
		return;
	}
	stop_all(p);
	if (!p->before)
		p->before = p->conf;
	else
		conf_free(p->conf); /* was never in force */
	p->conf = fresh;
	p->ready_by_ms = clock_ms() + READY_MS;
	if (open_guard(p) || start_all(p))
		p->ready_by_ms = 0;
}

/* Back to the configuration that was in force before. */
static void go_back(struct parent *p)
{
	log_error("%s cannot be put in force; back to the one before", p->config);
	stop_all(p);
	guard_close(p->guard);
	p->guard = NULL;
	conf_free(p->conf);
	p->conf = p->before;
	p->before = NULL;
	if (open_guard(p) || start_all(p))
		log_error("nor can that one yet; trying again");
	ended(p, false);
}

/* Is the configuration that was read last in force, or will it never be? */
static void settle(struct parent *p)
{
	bool ready = p->ike_ready && p->children[CHILD_WORKER].pid;

	if (!p->before || (!ready && clock_ms() < p->ready_by_ms && p->host && p->children[CHILD_IKE].pid &&
			   p->children[CHILD_WORKER].pid))
		return;
	if (!ready) {
		go_back(p);
		return;
	}
	host_forget_others(p->host);
	conf_free(p->before);
	p->before = NULL;
	log_info("%s is in force, tunnels are negotiated anew", p->config);
	ended(p, true);
}

/* The same configuration on a host that has changed. */
static void open_again(struct parent *p)
{
	stop_all(p);
	if ((p->guard || open_guard(p) == 0) && start_all(p) == 0)
		return;
	stop_all(p);
	log_error("%s cannot be put in force now; trying again", p->config);
}

/* ---- loop
 * --------------------------------------------------------------------------------------------------- */

/* ike runs, behind a guard that stands: who asks may be answered. */
static void answer(struct parent *p)
{
	if (!p->answered)
		log_info("ready");
	p->answered = true;
	tell_ike(p, ADIT_MSG_ATTACHED);
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
			reload(p);
	}
	reap(p);
	return true;
}

static void restart_due(struct parent *p)
{
	int i;

	for (i = 0; i < CHILDREN; i++)
		if (!p->children[i].pid && p->children[i].restart_at_ms &&
		    clock_ms() >= p->children[i].restart_at_ms)
			restart_child(p, i);
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
		open_again(p);
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
		settle(p);
		if (p->netfilter_fd < 0) /* nobody tells: as often as it may */
			natwatch_changed(p->natwatch);
		natwatch_look(p->natwatch, p->conf);
		restart_due(p);
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

	guard_by_backstop(p->instance, p->conf);
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
	return open_guard(p);
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
	close_fd(&p->control_fd);
	close_fd(&p->link_fd);
	close_fd(&p->netfilter_fd);
	close_fd(&p->signal_fd);
	close_fd(&p->lock_fd);
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

	err = load_conf(config, &p.conf);
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
		err = load_conf(config, &p.conf);
	if (err) {
		guard_by_last_good(instance, config);
		close_fd(&p.signal_fd);
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
		err = start_all(&p);
	if (!err) {
		notify_ready();
		loop(&p);
	}
	notify_stopping();
	stop_all(&p);
	say_what_stays(&p);
	if (p.guard)
		guard_leave(p.guard);
	close_all(&p);
	return err ? 1 : 0;
}
