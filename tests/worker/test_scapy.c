// SPDX-License-Identifier: BSD-2-Clause
/* ESP with an implementation that shares nothing with ours: every suite, both directions, IPv4 and IPv6
 * inside and outside, UDP encapsulation, ESN. */
#include "help.h"

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"
#define HIGH   7u

static FILE *to, *from;
static pid_t peer;
static struct adit_sa_stats stats[ADIT_SAS_MAX];
static struct sad *sad;

/* The script stands in the source tree, above wherever the build is. */
static bool find_script(char path[PATH_MAX + 32])
{
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *d = dir;

	if (n < 0)
		return false;
	dir[n] = 0;
	while (strlen(d) > 1) {
		d = dirname(d);
		snprintf(path, PATH_MAX + 32, "%s/tests/worker/scapy_peer.py", d);
		if (access(path, R_OK) == 0)
			return true;
	}
	return false;
}

static int start(void **state)
{
	char path[PATH_MAX + 32];
	int down[2], up[2];

	(void)state;
	if (!find_script(path) || system(PYTHON " -c 'import scapy.layers.ipsec' >/dev/null 2>&1") != 0)
		return 0;
	if (pipe(down) || pipe(up))
		return -1;
	signal(SIGPIPE, SIG_IGN);
	peer = fork();
	if (peer == 0) {
		dup2(down[0], 0);
		dup2(up[1], 1);
		close(down[1]);
		close(up[0]);
		execl(PYTHON, PYTHON, path, (char *)NULL);
		_exit(127);
	}
	close(down[0]);
	close(up[1]);
	to = fdopen(down[1], "w");
	from = fdopen(up[0], "r");
	return peer > 0 && to && from ? sad_new(stats, &sad) : -1;
}

static int stop(void **state)
{
	(void)state;
	if (peer <= 0)
		return 0;
	fclose(to);
	fclose(from);
	waitpid(peer, NULL, 0);
	sad_free(sad);
	return 0;
}

static void need_scapy(void)
{
	if (peer <= 0) {
		print_message("needs: python3-scapy\n");
		skip();
	}
}

static void put_hex(const uint8_t *p, uint32_t n)
{
	while (n--)
		fprintf(to, "%02x", *p++);
	fputc('\n', to);
	fflush(to);
}

static uint32_t answer(uint8_t *ret)
{
	char line[8192];

	assert_non_null(fgets(line, sizeof(line), from));
	if (!strncmp(line, "error", 5))
		print_message("scapy: %s", line);
	assert_int_not_equal(strncmp(line, "error", 5), 0);
	return (uint32_t)unhex(line, ret);
}

struct shape {
	uint32_t suite;
	bool esn, udp;
	int outer, inner;
	uint32_t len;
};

static uint32_t inner_packet(const struct shape *s, uint8_t *ip)
{
	return s->inner == 4 ? packet_v4(ip, 17, s->len) : packet_v6(ip, 17, s->len + 20);
}

static void ask_for(const char *verb, const struct shape *s)
{
	const struct suite *suite = suite_find(s->suite);

	fprintf(to, "%s %u %u %u %d ", verb, suite->encr, suite->integ, suite->bits, s->esn);
}

static void ours_opens_there(const struct shape *s)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, s->suite, s->esn);
	uint8_t chunk[2048], inner[1500], got[2048];
	struct adit_note note;
	uint32_t len;
	struct frame f;
	struct sa *sa;

	assert_int_equal(sad_add(sad, &m), 0);
	sa = sad_get(sad, 1);
	sa->seq = s->esn ? (uint64_t)HIGH << 32 | 0xfffffff0 : 41;
	len = inner_packet(s, inner);
	f = seal_frame(chunk, &sa->crypt, 1, s->outer, s->udp, inner, len);
	note = frame_note(&f);
	assert_int_equal(esp_seal(sa, &f, &note, 1), ADIT_SEALED);

	ask_for("open", s);
	fprintf(to, "%u %d ", s->esn ? HIGH : 0, s->outer);
	put_hex(f.data + 14, f.len - 14);
	assert_int_equal(answer(got), len);
	assert_memory_equal(got, inner, len);
}

static void theirs_opens_here(const struct shape *s)
{
	struct adit_msg_sa_add m = sa_message(ADIT_IN, s->suite, s->esn);
	uint64_t seq = s->esn ? (uint64_t)HIGH << 32 | 5 : 42;
	uint32_t len, off = (s->outer == 4 ? 20u : 40u) + (s->udp ? 8 : 0);
	uint8_t inner[1500], got[2048];
	struct opened o;
	struct frame f;
	struct sa *sa;

	assert_int_equal(sad_add(sad, &m), 0);
	sa = sad_get(sad, 2);
	sa->replay.top = seq - 3;
	len = inner_packet(s, inner);
	ask_for("seal", s);
	fprintf(to, "%llu %d %d ", (unsigned long long)seq, s->outer, s->udp);
	put_hex(inner, len);

	f = (struct frame){.data = got, .len = answer(got), .room = sizeof(got)};
	assert_true(f.len > off);
	frame_skip(&f, off);
	assert_int_equal(esp_open(sa, &f, 0, 1, &o), ADIT_REASON_NONE);
	assert_int_equal(sa->replay.top, seq);
	assert_int_equal(f.len, len);
	assert_memory_equal(f.data, inner, len);
}

static void everything(void (*run)(const struct shape *s))
{
	static const uint32_t lens[] = {28, 29, 30, 31, 43, 1300};
	struct shape s;
	uint32_t i, n = 0;

	for (s.suite = 1; s.suite < ADIT_SUITE_COUNT; s.suite++)
		for (i = 0; i < 16; i++, n++) {
			s.esn = i & 1;
			s.udp = i & 2;
			s.outer = i & 4 ? 6 : 4;
			s.inner = i & 8 ? 6 : 4;
			s.len = lens[n % 6];
			run(&s);
		}
}

static void scapy_opens_ours(void **state)
{
	(void)state;
	need_scapy();
	everything(ours_opens_there);
}

static void we_open_scapys(void **state)
{
	(void)state;
	need_scapy();
	everything(theirs_opens_here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scapy_opens_ours),
		cmocka_unit_test(we_open_scapys),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
