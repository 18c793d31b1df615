// SPDX-License-Identifier: BSD-2-Clause
#include "parent_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "crypto_facts.h"
#include "log.h"
#include "warnings.h"

#define RESTART_MIN_MS 100   /* a child that dies again at once is waited for, each time longer */
#define RESTART_MAX_MS 10000 /* ... up to this */
#define STEADY_MS      10000 /* a child that lived so long starts over with the shortest wait */

/* In a fresh child: nothing of the parent's that it does not need, and death when the parent dies. */
static void become_child(struct parent *p, const char *name)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_open(p->instance, name, p->conf->adit.log);
	sigprocmask(SIG_SETMASK, &p->old_signals, NULL);
	parent_close_fd(&p->signal_fd);
	parent_close_fd(&p->link_fd);
	parent_close_fd(&p->netfilter_fd);
	natwatch_close(p->natwatch);
	parent_close_fd(&p->lock_fd);
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
	parent_close_fd(&p->ike_worker[0]);
	parent_close_fd(&p->door[0]);
	parent_close_fd(&p->ike_parent[0]);
	parent_close_fd(&p->ike_parent[1]);
	parent_close_fd(&p->control_fd);
	sockets_close(p->ike_sockets, IKE_SOCKETS);
	sockets_close(p->esp_sockets, ESP_SOCKETS);
	sockets_close(p->esp_sinks, ESP_SOCKETS);
	return worker_run(&setup);
}

static int run_ike(struct parent *p)
{
	char engines[CRYPTO_TEXT], note[CRYPTO_TEXT];
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
	setup.crypto_note = crypto_facts_note(&facts, note);
	for (i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		keep[i] = *maps[i].fd = programs_map_fd(p->programs, maps[i].map);
	programs_keep_fds(p->programs, keep, sizeof(keep) / sizeof(*keep));
	memcpy(setup.sockets, p->ike_sockets, sizeof(setup.sockets));
	memcpy(setup.esp_sockets, p->esp_sockets, sizeof(setup.esp_sockets));
	sockets_close(p->esp_sinks, ESP_SOCKETS);
	/* A socket's rings mapped here would keep it alive after the worker's end. */
	host_close_xsk(p->host);
	parent_close_fd(&p->ike_worker[1]);
	parent_close_fd(&p->door[1]);
	parent_close_fd(&p->ike_parent[1]);
	return ike_run(&setup);
}

int children_start(struct parent *p, int which)
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

void children_tell_ike(struct parent *p, enum adit_msg_type type)
{
	struct adit_msg_id m = {.type = type};

	if (send(p->ike_parent[1], &m, sizeof(m), MSG_NOSIGNAL) < 0)
		log_error("ike cannot be told: %s", strerror(errno));
}

static void restart_child(struct parent *p, int which)
{
	struct child *c = &p->children[which];
	int err = children_start(p, which);

	if (err) {
		log_error("%s cannot be started: %s", c->name, strerror(-err));
		c->wait_ms = RESTART_MAX_MS;
		c->restart_at_ms = clock_ms() + c->wait_ms;
		return;
	}
	log_info("%s started again (pid %d)", c->name, c->pid);
	if (which == CHILD_WORKER)
		children_tell_ike(p, ADIT_MSG_WORKER_STARTED);
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

void children_reap(struct parent *p)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHILDREN; i++)
			if (p->children[i].pid == pid)
				child_died(p, i, status);
}

void children_stop(struct parent *p, int which, int sig, int patience_ms)
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
		parent_wait(p, 10);
	}
	c->pid = 0;
	if (which == CHILD_WORKER)
		host_close_xsk(p->host);
}

void children_restart_due(struct parent *p)
{
	int i;

	for (i = 0; i < CHILDREN; i++)
		if (!p->children[i].pid && p->children[i].restart_at_ms &&
		    clock_ms() >= p->children[i].restart_at_ms)
			restart_child(p, i);
}
