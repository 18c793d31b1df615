/* SPDX-License-Identifier: BSD-2-Clause */
/* What struct parent is made of: for parent.c and its other halves, children.c and inforce.c, and for nobody else. */
#ifndef ADIT_PARENT_PARTS_H
#define ADIT_PARENT_PARTS_H

#include <adit/msg.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"
#include "guard.h"
#include "host.h"
#include "link.h"
#include "natwatch.h"
#include "programs.h"
#include "sockets.h"

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

/* parent.c: waits at most ms, and hears meanwhile what the host tells: waiting must not make the guard late. */
void parent_wait(struct parent *p, int ms);
void parent_close_fd(int *fd);

/* children.c */
int children_start(struct parent *p, int which); /* 0 or -errno */
void children_stop(struct parent *p, int which, int sig, int patience_ms);
void children_tell_ike(struct parent *p, enum adit_msg_type type);
void children_reap(struct parent *p);
void children_restart_due(struct parent *p);

/* inforce.c: the configuration of p->conf, from file to running children. */
int inforce_load(const char *path, struct conf **ret);
void inforce_guard_by_backstop(const char *instance, const struct conf *conf);
int inforce_guard(struct parent *p); /* rules, rows and programs: from here on the guard stands */
int inforce_start(struct parent *p);
void inforce_stop(struct parent *p);
void inforce_again(struct parent *p); /* on a host that has changed */
void inforce_reload(struct parent *p);
void inforce_settle(struct parent *p); /* is what was read last in force, or will it never be? */

#endif
