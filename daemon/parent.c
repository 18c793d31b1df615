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

#include "clock.h"
#include "conf.h"
#include "host.h"
#include "link.h"
#include "log.h"
#include "netfilter.h"
#include "notify.h"
#include "programs.h"
#include "spd.h"
#include "sockets.h"
#include "warnings.h"

#define RESTART_MIN_MS 100   /* a child that dies again at once is waited for, each time longer */
#define RESTART_MAX_MS 10000 /* ... up to this */
#define STEADY_MS      10000 /* a child that lived so long starts over with the shortest wait */
#define GOODBYE_MS     2000  /* for ike to send its deletes */
#define LOOK_AGAIN_MS  5000  /* netfilter of the old kind tells nobody when it changes */
#define GUARD_LOOK_MS \
	1000 /* nor does tcx when a program is put in front of ours: then policy may be passed by */

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
	struct programs *programs;
	struct host *host;
	struct child children[CHILDREN];
	int ike_sockets[IKE_SOCKETS], esp_sockets[ESP_SOCKETS], esp_sinks[ESP_SOCKETS];
	uint64_t cookies[IKE_SOCKETS];
	int control_fd, lock_fd;
	int ike_worker[2]; /* [0] is ike's end; both stay open here, so that a restart loses nothing */
	int door[2];	   /* ESP from ike to the worker; the same ends */
	int ike_parent[2]; /* [1] is ours */
	int signal_fd, link_fd, netfilter_fd;
	uint64_t look_at_ms;
	bool rules_stand, attached, stopping;
};

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
	close_fd(&p->lock_fd);
}

static int run_worker(struct parent *p)
{
	struct worker_setup setup = {
		.instance = p->instance,
		.user = "adit-worker",
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
	struct ike_setup setup = {
		.instance = p->instance,
		.user = "adit-ike",
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
		{"sa_state",	&setup.fds.sa_state	  },
		{"sa_out",	   &setup.fds.sa_out	    },
		{"sa_in",	  &setup.fds.sa_in	  },
		{"peers",	  &setup.fds.peers	  },
		{"rule_hits",      &setup.fds.rule_hits	 },
		{"ports",	  &setup.fds.ports	  },
		{"reasons_bpf",	&setup.fds.reasons_bpf   },
		{"reasons_worker", &setup.fds.reasons_worker},
		{"reasons_ike",	&setup.fds.reasons_ike   },
		{"sa_stats",	     &setup.fds.sa_stats	},
		{"events",	   &setup.fds.events	    },
	};
	int keep[sizeof(maps) / sizeof(*maps)];
	size_t i;

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
		log_error("%s died of signal %d (%s); tunnels pause, nothing passes in clear", c->name,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("%s ended with status %d; tunnels pause, nothing passes in clear", c->name,
			  WEXITSTATUS(status));
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
	const struct timespec moment = {.tv_nsec = 10000000};
	uint64_t until = clock_ms() + (uint64_t)patience_ms;
	int status;

	c->restart_at_ms = 0;
	if (!c->pid)
		return;
	kill(c->pid, sig);
	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (clock_ms() >= until)
			kill(c->pid, SIGKILL);
		nanosleep(&moment, NULL);
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

static int start_all(struct parent *p)
{
	int err;

	p->rules_stand = p->attached = false;
	err = spd_write(p->programs, p->conf);
	if (err) {
		log_error("the rules cannot be written: %s", strerror(-err));
		return err;
	}
	err = host_open(p->instance, p->conf, p->programs, p->cookies, &p->host);
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

/* Children start anew under the new configuration; programs and old rules hold until the new ones stand. */
static void reload(struct parent *p)
{
	struct conf *fresh, *old = p->conf;

	notify_reloading();
	if (load_conf(p->config, &fresh)) {
		log_error("%s is not used; the running configuration stays", p->config);
		return;
	}
	stop_all(p);
	p->conf = fresh;
	if (start_all(p) == 0) {
		log_info("%s is in force, tunnels are negotiated anew", p->config);
		conf_free(old);
		return;
	}
	log_error("%s cannot be put in force; back to the one before", p->config);
	stop_all(p);
	p->conf = old;
	conf_free(fresh);
	if (start_all(p))
		log_error("nor can that one; what it protects stays blocked");
}

/* The same configuration on a host that has changed. */
static void open_again(struct parent *p)
{
	stop_all(p);
	if (start_all(p)) {
		stop_all(p);
		log_error("%s cannot be put in force now; trying again", p->config);
	}
}

/* ---- loop
 * --------------------------------------------------------------------------------------------------- */

/* Once ike said that the rules stand; and again later, when something was in the way. */
static void attach(struct parent *p)
{
	if (!p->attached) {
		if (host_attach(p->host)) {
			log_error("not guarded yet: not all programs are attached; trying again");
			return;
		}
		p->attached = true;
		log_info("ready");
		notify_ready();
	}
	tell_ike(p, ADIT_MSG_ATTACHED);
}

static void on_message(struct parent *p)
{
	struct adit_msg_id m;

	while (recv(p->ike_parent[1], &m, sizeof(m), MSG_DONTWAIT) == sizeof(m))
		if (m.type == ADIT_MSG_READY && p->host) {
			p->rules_stand = true;
			attach(p);
		}
}

static bool on_signal(struct parent *p)
{
	struct signalfd_siginfo info;

	while (read(p->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			return false;
		if (info.ssi_signo == SIGHUP) {
			reload(p);
			notify_reloaded();
		}
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
static void look(struct parent *p, bool changed)
{
	bool due = clock_ms() >= p->look_at_ms;

	if (due)
		p->look_at_ms = clock_ms() + LOOK_AGAIN_MS;
	if (!p->host) {
		if (due)
			open_again(p);
		return;
	}
	if (!(due || changed ? host_refresh(p->host) : host_guard(p->host)))
		open_again(p);
	else if (due && p->rules_stand && !p->attached)
		attach(p);
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
		notify_status("%s cannot be put in force now, tried again; what the rules before protect is blocked",
			      p->config);
	else if (!ike->pid || !worker->pid)
		notify_status("%s is started again; protected traffic is blocked meanwhile",
			      worker->pid ? ike->name : worker->name);
	else if (!p->attached)
		notify_status("starting: not all programs are attached");
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

		if (n > 0 && fds[0].revents && !on_signal(p))
			return;
		if (n > 0 && fds[1].revents)
			on_message(p);
		if (n > 0 && fds[2].revents)
			link_drain(p->link_fd);
		if (n > 0 && fds[3].revents)
			link_drain(p->netfilter_fd);
		look(p, n > 0 && (fds[2].revents || fds[3].revents));
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

static int open_all(struct parent *p)
{
	char why[640];
	int err;

	p->lock_fd = sockets_lock(p->instance);
	if (p->lock_fd < 0) {
		log_error("instance %s: %s", p->instance,
			  p->lock_fd == -EWOULDBLOCK ? "it runs already" : strerror(-p->lock_fd));
		return p->lock_fd;
	}
	err = open_signals(p);
	if (!err)
		err = warnings_open();
	if (!err)
		err = sockets_open_ike(p->ike_sockets, p->cookies);
	if (!err)
		err = sockets_open_esp(p->esp_sockets, p->esp_sinks);
	if (err)
		return err;
	p->control_fd = sockets_open_control(p->instance);
	p->link_fd = link_watch();
	p->netfilter_fd = netfilter_watch(); /* may be missing: then it is looked at every few seconds only */
	err = p->control_fd < 0 ? p->control_fd : p->link_fd < 0 ? p->link_fd : sockets_pair(p->ike_worker);
	if (!err)
		err = sockets_pair_door(p->door);
	if (!err)
		err = sockets_pair(p->ike_parent);
	if (err) {
		log_error("sockets: %s", strerror(-err));
		return err;
	}
	err = programs_load(p->instance, why, sizeof(why), &p->programs);
	if (err)
		log_error("BPF programs do not load: %s", why);
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
	warnings_close();
}

int parent_run(const char *instance, const char *config)
{
	struct parent p = {
		.instance = instance,
		.config = config,
		.started_ms = clock_ms(),
		.children = {[CHILD_IKE] = {.name = "ike"}, [CHILD_WORKER] = {.name = "worker"}},
		.ike_sockets = {-1,			    -1,					-1, -1},
		.control_fd = -1,
		.lock_fd = -1,
		.ike_worker = {-1,			   -1							     },
		.esp_sockets = {-1, -1},
		.esp_sinks = {-1,				  -1										       },
		.door = {-1, -1},
		.ike_parent = {-1,			   -1														 },
		.signal_fd = -1,
		.link_fd = -1,
		.netfilter_fd = -1,
	};
	int err;

	notify_open();
	notify_status("starting: reading %s", config);
	err = load_conf(config, &p.conf);
	if (err)
		return 1;
	log_open(instance, "parent", p.conf->adit.log);
	err = open_all(&p);
	if (!err)
		err = start_all(&p);
	if (!err)
		loop(&p);
	notify_stopping();
	stop_all(&p);
	close_all(&p);
	if (!err)
		log_info("stopped; what policy protects stays blocked until the next start, or until: aditd "
			 "-i %s --unload",
			 instance);
	return err ? 1 : 0;
}
