// SPDX-License-Identifier: BSD-2-Clause
#include "worker.h"

#include "confine.h"
#include "crypto_facts.h"
#include "log.h"
#include "work.h"
#include "xsk_io.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_ROUNDS    64  /* looks at empty rings, some microseconds, before we sleep */
#define COMMAND_ROUNDS 32  /* a busy worker looks for commands this often: some milliseconds */
#define TICK_MS	       250 /* while packets wait for an SA */

static const struct confine_call calls[] = {
	{.name = "sendto"	 }, /* AF_XDP: send what is in the TX ring; events to ike */
	{.name = "recvfrom"	   }, /* AF_XDP: wake a sleeping driver; commands and ESP from ike */
	{.name = "poll"	       }, /* sleep */
	{.name = "ppoll"	}, /* the same where poll is not a system call */
	{.name = "clock_gettime"}, /* where the vDSO has to fall back */
	{.name = "write",	  .arg = 0, .mask = ~0ull, .value = STDERR_FILENO}, /* log */
	{.name = "writev",	   .arg = 0, .mask = ~0ull, .value = STDERR_FILENO},
	{.name = "bpf",			.arg = 0, .mask = ~0ull, .value = BPF_PROG_TEST_RUN}, /* adit_fib */
	{.name = "mmap",	 .arg = 2, .mask = PROT_EXEC, .value = 0}, /* malloc for an SA's contexts */
	{.name = "mremap"},
	{.name = "munmap"		 },
	{.name = "brk"	      },
	{.name = "madvise"			  },
	{.name = "mprotect",	     .arg = 2, .mask = PROT_EXEC, .value = 0}, /* malloc grows an arena */
	{.name = "futex"		}, /* OpenSSL's locks */
	{.name = "getrandom"	    }, /* the key of CBC IVs */
	{.name = "getpid"	 }, /* OpenSSL asks if it was forked */
	{.name = "gettid"		 },
	{.name = "restart_syscall"	  }, /* a poll that was stopped and continued */
	{.name = "rt_sigreturn"     },
	{.name = "exit_group"     },
	{.name = "exit"		       },
};

struct worker {
	struct work work;
	struct xsk_io *xsk;
	uint64_t *reasons;
	struct adit_sa_stats *stats;
	int command_fd, door_fd;
	int fib_fd;
};

static uint64_t coarse_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool tell_ike(void *self, const void *message, size_t len)
{
	const struct worker *w = self;

	return send(w->command_fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static int next_command(void *self, union adit_msg *ret)
{
	const struct worker *w = self;
	ssize_t n;

	do
		n = recv(w->command_fd, ret, sizeof(*ret), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	return (int)n;
}

/* MSG_TRUNC: the length of all of it. */
static int next_at_door(void *self, uint8_t *ret, uint32_t room)
{
	const struct worker *w = self;
	ssize_t n;

	do
		n = recv(w->door_fd, ret, room, MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -EAGAIN : (int)n;
}

static int map_array(int fd, size_t size, void **ret)
{
	*ret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ret != MAP_FAILED)
		return 0;
	*ret = NULL;
	return -errno;
}

static int build(struct worker *w, const struct worker_setup *s)
{
	const struct fib fib = {.ask = fib_ask_bpf, .self = &w->fib_fd};
	struct work *k = &w->work;
	int err;

	w->command_fd = s->command_fd;
	w->door_fd = s->door_fd;
	w->fib_fd = s->fib_fd;
	k->io = &xsk_io_row;
	k->events = (struct events){.tell = tell_ike, .self = w};
	k->commands = (struct commands){.next = next_command, .self = w};
	k->door = (struct door){.next = next_at_door, .self = w};
	k->again_slot = s->again_slot;

	err = engines_prefer(s->engine);
	if (err)
		return err;
	err = map_array(s->reasons_fd, ADIT_REASON_COUNT * sizeof(*w->reasons), (void **)&w->reasons);
	if (err)
		return err;
	err = map_array(s->sa_stats_fd, ADIT_SAS_MAX * sizeof(*w->stats), (void **)&w->stats);
	if (err)
		return err;
	k->reasons = w->reasons;
	err = sad_new(w->stats, &k->sad);
	if (err)
		return err;
	err = hold_new(&k->events, &k->hold);
	if (err)
		return err;
	err = deliver_new(s->fib_fd >= 0 ? &fib : NULL, s->kernel_slot, s->again_slot, s->shared,
			  &k->deliver);
	if (err)
		return err;
	err = xsk_io_new(s, &w->xsk);
	if (err)
		return err;
	k->io_self = w->xsk;
	return crypt_warm_up();
}

/* Half-built is fine; keys are wiped. */
static void tear_down(struct worker *w)
{
	sad_free(w->work.sad);
	hold_free(w->work.hold);
	deliver_free(w->work.deliver);
	xsk_io_free(w->xsk);
	if (w->reasons)
		munmap(w->reasons, ADIT_REASON_COUNT * sizeof(*w->reasons));
	if (w->stats)
		munmap(w->stats, ADIT_SAS_MAX * sizeof(*w->stats));
	free(w);
}

/* Nothing of ours should reach a swap device.  Only under a limit that later allocations cannot meet: an
 * ordinary account that has locked more than it may gets no memory any more, not even stack.  The SAs' own
 * memory is locked in any case (sad.c). */
static void lock_memory(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &all) || mlockall(MCL_CURRENT | MCL_FUTURE))
		log_warn("only the SAs are locked into memory: %s", strerror(errno));
}

static int confine(const char *user)
{
	int err;

	err = confine_user(user);
	if (err == -ENOENT)
		log_error("no account %s: make it with 'make users' or install the package's sysusers file",
			  user);
	else if (err)
		log_error("cannot become %s: %s", user, strerror(-err));
	if (err)
		return err;
	err = confine_finish(calls, sizeof(calls) / sizeof(calls[0]));
	if (err)
		log_error("cannot confine the worker: %s", strerror(-err));
	return err;
}

/* True: there may be more at the door. */
static bool listen_to_ike(struct worker *w)
{
	work_commands(&w->work);
	return work_door(&w->work, coarse_ns()) > 0;
}

static void run(struct worker *w)
{
	struct work *k = &w->work;
	const int fds[WAIT_MOST] = {w->command_fd, w->door_fd};
	uint32_t idle = 0, round = 0;
	uint64_t now_ns, ticked_ns = 0;
	/* Who came to the door may have company, and what is late is lost where the replay window is small. */
	bool again = false;

	while (!k->stop) {
		now_ns = coarse_ns();
		idle = work_round(k, now_ns) ? 0 : idle + 1;
		if (now_ns - ticked_ns > TICK_MS * 1000000ull && !hold_empty(k->hold)) {
			work_tick(k, now_ns);
			ticked_ns = now_ns;
		}
		if (idle > IDLE_ROUNDS) {
			k->io->wait(k->io_self, fds, WAIT_MOST, hold_empty(k->hold) ? -1 : TICK_MS);
			again = listen_to_ike(w);
		} else if (again || ++round % COMMAND_ROUNDS == 0) {
			again = listen_to_ike(w);
		}
	}
}

int worker_run(const struct worker_setup *setup)
{
	char engines[CRYPTO_TEXT];
	struct crypto_facts facts;
	struct worker *w;
	int err;

	prctl(PR_SET_NAME, "adit-worker", 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	log_open(setup->instance, "worker", LOG_LEVEL_INFO);
	if (setup->user)
		lock_memory();

	w = calloc(1, sizeof(*w));
	if (!w)
		return EXIT_FAILURE;
	err = build(w, setup);
	if (err)
		log_error("cannot start: %s", strerror(-err));
	crypto_facts(&facts);
	if (!err && setup->user)
		err = confine(setup->user);
	if (!err) {
		log_info("ready: %u ports; crypto %s", setup->n_ports, crypto_facts_str(&facts, engines));
		run(w);
		log_info("the command socket was closed: ending");
	}
	tear_down(w);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
