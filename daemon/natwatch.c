// SPDX-License-Identifier: BSD-2-Clause
#include "natwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "nat.h"
#include "netfilter.h"
#include "warnings.h"

#define AGAIN_MS	1000  /* not more often than this ... */
#define AGAIN_TIMES	10    /* ... nor for more than a tenth of the time */
#define QUIET_MS	5000  /* iptables of the old kind tells nobody when it changes */
#define PATIENCE_MS	20000 /* with a tool */
#define CPU_S		10    /* its, like the next two */
#define MEMORY_OCTETS	(512ul << 20)
#define LISTING_OCTETS	(4u << 20) /* some 10,000 rules; reading more would keep the guard waiting */
#define ELEMENTS_OCTETS (1u << 20)
#define SKIP_MOST	3
#define TABLES_MAX	16

enum job { LIST_TABLES, LIST_SETS, SAVE_IPV4, SAVE_IPV6, JOBS };

struct output {
	char *text; /* NULL: there is none */
	size_t len;
};

struct natwatch {
	const struct conf *conf; /* as it was at the last look; only compared */
	bool wanted;
	uint64_t next_ms, quiet_ms, began_ms, deadline_ms;
	enum job job;	   /* JOBS: none runs */
	unsigned at;	   /* table or set of that number */
	bool failed[JOBS]; /* a tool */
	unsigned skipped;  /* verdicts, in a row */
	int pid_fd, out_fd;
	struct netfilter_table tables[TABLES_MAX];
	int n_tables;			 /* or -errno */
	bool old[2];			 /* legacy iptables has a nat table, of IPv4 and IPv6 */
	struct nat_ruleset *tables_only; /* says which sets are wanted */
	struct output out[JOBS];
};

/* ---- a tool -------------------------------------------------------------------------------------- */

static const char *find_tool(const char *name, char path[64])
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"};
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, 64, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* A file without a name, of len octets of text. */
static int memory_file(const char *text, size_t len)
{
	int fd = memfd_create("adit-rules", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (len && (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* Nothing of ours goes to it but these two: a socket's rings that it held would keep the socket alive. */
static int spawn_tool(const char *path, char *const argv[], int in, int out, pid_t *pid)
{
	static char lang[] = "LC_ALL=C", where[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = {lang, where, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&how);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	err = posix_spawn(pid, path, &files, &how, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	return -err;
}

static void limit(pid_t pid, int what, rlim_t most)
{
	const struct rlimit l = {most, most};

	prlimit(pid, what, &l, NULL); /* it may have ended already */
}

static int start_tool(struct natwatch *w, const char *name, char *const argv[], const char *input,
		      size_t most)
{
	char path[64];
	int in, err;
	pid_t pid;

	if (!find_tool(name, path))
		return -ENOENT;
	in = memory_file(input, strlen(input));
	w->out_fd = in < 0 ? in : memory_file("", 0);
	err = w->out_fd < 0 ? w->out_fd : spawn_tool(path, argv, in, w->out_fd, &pid);
	if (in >= 0)
		close(in);
	if (err)
		return err;
	w->pid_fd = pidfd_open(pid, 0);
	limit(pid, RLIMIT_CPU, CPU_S);
	limit(pid, RLIMIT_AS, MEMORY_OCTETS);
	limit(pid, RLIMIT_FSIZE, most);
	w->deadline_ms = clock_ms() + PATIENCE_MS;
	return 0;
}

static void close_tool(struct natwatch *w)
{
	if (w->pid_fd >= 0)
		close(w->pid_fd);
	if (w->out_fd >= 0)
		close(w->out_fd);
	w->pid_fd = w->out_fd = -1;
}

static bool tool_runs(struct natwatch *w)
{
	struct pollfd p = {.fd = w->pid_fd, .events = POLLIN};

	if (w->pid_fd < 0 || poll(&p, 1, 0) != 0)
		return false;
	if (clock_ms() >= w->deadline_ms)
		pidfd_send_signal(w->pid_fd, SIGKILL, NULL, 0);
	return true;
}

static bool append_file(struct output *o, int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) || st.st_size <= 0)
		return false;
	text = realloc(o->text, o->len + (size_t)st.st_size);
	if (!text)
		return false;
	o->text = text;
	if (pread(fd, text + o->len, (size_t)st.st_size, 0) != st.st_size)
		return false;
	o->len += (size_t)st.st_size;
	return true;
}

/* Not asked for its exit status, which whoever reaps children may have taken: what is incomplete does not parse. */
static void take_output(struct natwatch *w, struct output *o)
{
	siginfo_t info;

	waitid(P_PIDFD, (id_t)w->pid_fd, &info, WEXITED | WNOHANG);
	w->failed[w->job] |= !append_file(o, w->out_fd);
	close_tool(w);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static char *table_command(const struct netfilter_table *t)
{
	json_t *command = json_pack("{s:[{s:{s:{s:s,s:s}}}]}", "nftables", "list", "table", "family",
				    t->family, "name", t->name);
	char *text = json_dumps(command, JSON_COMPACT);

	json_decref(command);
	return text;
}

/* Of the next set. */
static char *set_command(struct natwatch *w)
{
	const struct output *o = &w->out[LIST_TABLES];

	if (!o->text || w->failed[LIST_TABLES])
		return NULL;
	if (!w->tables_only && nat_ruleset_new(&w->tables_only) == 0 &&
	    nat_add_nft(w->tables_only, o->text, o->len, NULL, 0)) {
		nat_ruleset_free(w->tables_only);
		w->tables_only = NULL;
	}
	if (!w->tables_only)
		return NULL;
	return nat_wanted_set(w->tables_only, w->at);
}

/* True: it runs.  A job that is done, not needed, or cannot be done (then it has failed) does not. */
static bool start_job(struct natwatch *w)
{
	static char nft[] = "nft", j[] = "-j", t[] = "-t", a[] = "-a", f[] = "-f", dash[] = "-",
		    nat[] = "nat", save4[] = "iptables-legacy-save", save6[] = "ip6tables-legacy-save";
	char *const terse[] = {nft, j, a, t, f, dash, NULL}, *const full[] = {nft, j, f, dash, NULL},
		    *const old4[] = {save4, t, nat, NULL}, *const old6[] = {save6, t, nat, NULL};
	char *text = NULL;
	int err = 0;

	switch (w->job) {
	case LIST_TABLES:
		if ((int)w->at >= w->n_tables)
			return false;
		text = table_command(&w->tables[w->at]);
		err = text ? start_tool(w, nft, terse, text, LISTING_OCTETS - w->out[LIST_TABLES].len)
			   : -ENOMEM;
		break;
	case LIST_SETS:
		text = set_command(w);
		if (!text)
			return false;
		err = start_tool(w, nft, full, text, ELEMENTS_OCTETS);
		break;
	case SAVE_IPV4:
		if (!w->old[0] || w->at)
			return false;
		err = start_tool(w, save4, old4, "", LISTING_OCTETS);
		break;
	case SAVE_IPV6:
		if (!w->old[1] || w->at)
			return false;
		err = start_tool(w, save6, old6, "", LISTING_OCTETS);
		break;
	case JOBS:
		return false;
	}
	free(text);
	if (err) {
		close_tool(w);
		w->failed[w->job] = true;
	}
	return !err;
}

/* ---- the verdict --------------------------------------------------------------------------------- */

static void on_found(void *self, const struct nat_finding *f)
{
	(void)self;
	warnings_set("nat", f->name, "%s", f->text);
}

static void not_read(const char *what, const char *tool)
{
	warnings_set("nat", what,
		     "%s NAT rules cannot be read (with %s): whether they take protected packets away from "
		     "policy is not known",
		     what, tool);
}

static bool add_old(struct nat_ruleset *rs, const struct output *o, int family)
{
	bool v4 = family == AF_INET;

	if (o->text && nat_add_iptables(rs, family, o->text, o->len) == 0)
		return true;
	not_read(v4 ? "iptables (legacy)" : "ip6tables (legacy)",
		 v4 ? "iptables-legacy-save" : "ip6tables-legacy-save");
	return false;
}

static bool add_nft(struct natwatch *w, struct nat_ruleset *rs)
{
	const struct output *tables = &w->out[LIST_TABLES], *sets = &w->out[LIST_SETS];

	if (w->n_tables > 0 && tables->text && !w->failed[LIST_TABLES] &&
	    nat_add_nft(rs, tables->text, tables->len, sets->text, sets->len) == 0)
		return true;
	not_read("nftables", "nft");
	return false;
}

/* Whether all was read.  What could not be has not ended. */
static bool conclude(struct natwatch *w)
{
	bool again = !w->tables_only || w->out[LIST_SETS].text, all = true;
	struct nat_ruleset *rs = NULL;

	if (again && nat_ruleset_new(&rs))
		return false;
	if (!again) {
		rs = w->tables_only; /* there was no set to add */
		w->tables_only = NULL;
	}
	warnings_begin("nat");
	if (w->n_tables && again)
		all &= add_nft(w, rs);
	if (w->old[0])
		all &= add_old(rs, &w->out[SAVE_IPV4], AF_INET);
	if (w->old[1])
		all &= add_old(rs, &w->out[SAVE_IPV6], AF_INET6);
	nat_judge(rs, w->conf, on_found, NULL);
	if (all)
		warnings_end("nat");
	nat_ruleset_free(rs);
	return all;
}

static void forget_output(struct natwatch *w)
{
	unsigned i;

	for (i = 0; i < JOBS; i++) {
		free(w->out[i].text);
		w->out[i] = (struct output){0};
	}
	nat_ruleset_free(w->tables_only);
	w->tables_only = NULL;
}

static bool any_failed(const struct natwatch *w)
{
	unsigned i;

	for (i = 0; i < JOBS; i++)
		if (w->failed[i])
			return true;
	return false;
}

/* What failed while the ruleset was changing (a table went) is no finding yet: there is a next time. */
static bool worth_a_verdict(struct natwatch *w)
{
	if (w->wanted && any_failed(w) && w->skipped++ < SKIP_MOST)
		return false;
	w->skipped = 0;
	return true;
}

static void finish(struct natwatch *w)
{
	uint64_t now, wait = AGAIN_MS, took;

	if (worth_a_verdict(w) && !conclude(w)) {
		w->wanted = true;
		wait = QUIET_MS;
	}
	forget_output(w);
	now = clock_ms();
	took = AGAIN_TIMES * (now - w->began_ms);
	w->next_ms = now + (took > wait ? took : wait);
}

/* From here on, until a tool runs or all is done. */
static void go_on(struct natwatch *w)
{
	while (w->job < JOBS && !start_job(w)) {
		w->job++;
		w->at = 0;
	}
	if (w->job == JOBS)
		finish(w);
}

static void begin(struct natwatch *w)
{
	w->wanted = false;
	memset(w->failed, 0, sizeof(w->failed));
	w->began_ms = clock_ms();
	w->quiet_ms = w->began_ms + QUIET_MS;
	w->n_tables = netfilter_nat_tables(w->tables, TABLES_MAX);
	w->old[0] = netfilter_old_nat(AF_INET);
	w->old[1] = netfilter_old_nat(AF_INET6);
	w->job = LIST_TABLES;
	w->at = 0;
	go_on(w);
}

/* ---- verbs --------------------------------------------------------------------------------------- */

int natwatch_new(struct natwatch **ret)
{
	struct natwatch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->job = JOBS;
	w->pid_fd = w->out_fd = -1;
	*ret = w;
	return 0;
}

void natwatch_free(struct natwatch *w)
{
	if (!w)
		return;
	if (w->pid_fd >= 0)
		pidfd_send_signal(w->pid_fd, SIGKILL, NULL, 0);
	close_tool(w);
	forget_output(w);
	free(w);
}

void natwatch_close(struct natwatch *w)
{
	close_tool(w);
}

void natwatch_changed(struct natwatch *w)
{
	if (w)
		w->wanted = true;
}

void natwatch_look(struct natwatch *w, const struct conf *conf)
{
	uint64_t now = clock_ms();

	w->wanted |= conf != w->conf;
	w->conf = conf;
	if (w->job < JOBS) {
		if (tool_runs(w))
			return;
		take_output(w, &w->out[w->job]);
		w->at++;
		go_on(w);
		return;
	}
	if (now >= w->quiet_ms && (netfilter_old_nat(AF_INET) || netfilter_old_nat(AF_INET6)))
		w->wanted = true;
	if (w->wanted && now >= w->next_ms)
		begin(w);
}
