// SPDX-License-Identifier: BSD-2-Clause
#include "parent_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backstop.h"
#include "clock.h"
#include "confine.h"
#include "log.h"
#include "notify.h"
#include "reload.h"
#include "state.h"

#define GOODBYE_MS 2000	 /* for ike to send its deletes */
#define READY_MS   20000 /* for ike to start under a new configuration */

int inforce_load(const char *path, struct conf **ret)
{
	struct conf_diag diag;
	int err = conf_load(path, ret, &diag);

	conf_diag_print(&diag, stderr);
	return err;
}

/* Before anything else, and where nothing else works. */
void inforce_guard_by_backstop(const char *instance, const struct conf *conf)
{
	struct backstop *b;
	const char *why;

	if (backstop_open(instance, &b))
		return;
	backstop_write(b, conf, &why); /* guard_open does it again, and tells of a failure */
	backstop_close(b);
}

/* Rules, rows and programs of p->conf.  From here on the guard stands, whatever becomes of the rest. */
int inforce_guard(struct parent *p)
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

int inforce_start(struct parent *p)
{
	int err;

	p->ike_ready = false;
	p->news = (struct link_news){0};
	err = host_open(p->instance, p->conf, p->programs, p->guard, p->cookies, &p->host);
	if (!err)
		err = children_start(p, CHILD_WORKER);
	if (!err)
		err = children_start(p, CHILD_IKE);
	return err;
}

void inforce_stop(struct parent *p)
{
	p->stopping = true;
	children_stop(p, CHILD_IKE, SIGTERM, GOODBYE_MS);
	children_stop(p, CHILD_WORKER, SIGTERM, GOODBYE_MS);
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
			parent_wait(p, 10);
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
 * they have started: inforce_settle. */
void inforce_reload(struct parent *p)
{
	struct conf *fresh;

	began(p);
	if (inforce_load(p->config, &fresh) || !rehearse(p)) {
		log_error("%s is not used; the running configuration stays", p->config);
		ended(p, false);
		return;
	}
	inforce_stop(p);
	if (!p->before)
		p->before = p->conf;
	else
		conf_free(p->conf); /* was never in force */
	p->conf = fresh;
	p->ready_by_ms = clock_ms() + READY_MS;
	if (inforce_guard(p) || inforce_start(p))
		p->ready_by_ms = 0;
}

/* Back to the configuration that was in force before. */
static void go_back(struct parent *p)
{
	log_error("%s cannot be put in force; back to the one before", p->config);
	inforce_stop(p);
	guard_close(p->guard);
	p->guard = NULL;
	conf_free(p->conf);
	p->conf = p->before;
	p->before = NULL;
	if (inforce_guard(p) || inforce_start(p))
		log_error("nor can that one yet; trying again");
	ended(p, false);
}

/* Is the configuration that was read last in force, or will it never be? */
void inforce_settle(struct parent *p)
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
void inforce_again(struct parent *p)
{
	inforce_stop(p);
	if ((p->guard || inforce_guard(p) == 0) && inforce_start(p) == 0)
		return;
	inforce_stop(p);
	log_error("%s cannot be put in force now; trying again", p->config);
}
