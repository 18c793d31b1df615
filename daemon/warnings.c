// SPDX-License-Identifier: BSD-2-Clause
#include "warnings.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "log.h"

/* Something that comes and goes every second must not fill the log. */
#define SAID_MOST   6	  /* lines about one warning ... */
#define SAID_WITHIN 60000 /* ... within so many ms */

/* Kept here and not only in the page, which children can write. */
struct warning {
	char kind[WARNING_KIND_SIZE];
	char name[WARNING_NAME_SIZE]; /* of a warning that has ended, too, until its place is needed */
	char text[WARNING_TEXT_SIZE];
	bool stands, seen;
	unsigned said;
	uint64_t since_ms;
};

static struct warning list[WARNINGS_MAX];
static struct warnings_shared *page;

/* ---- the page ------------------------------------------------------------------------------ */

int warnings_open(void)
{
	void *p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	page = p;
	return 0;
}

const struct warnings_shared *warnings_shared(void)
{
	return page;
}

void warnings_close(void)
{
	if (page)
		munmap(page, sizeof(*page));
	page = NULL;
	memset(list, 0, sizeof(list));
}

/* The first octet comes last: a reader finds a whole text or none, unless he is slower than the next change. */
static void publish(const struct warning *w)
{
	volatile char *at;
	char *text;

	if (!page)
		return;
	text = page->text[w - list];
	at = text;
	*at = '\0';
	if (!w->stands)
		return;
	__sync_synchronize();
	memcpy(text + 1, w->text + 1, sizeof(w->text) - 1);
	__sync_synchronize();
	*at = w->text[0];
}

static void set_overflow(bool more)
{
	if (page && page->more != more) {
		page->more = more;
		if (more)
			log_warn("more than %d warnings stand; adit status shows that many", WARNINGS_MAX);
	}
}

/* ---- the list ------------------------------------------------------------------------------ */

/* Names of others' devices, chains and rules are in it: nothing that steers a terminal, nothing but ASCII. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

static bool is_kind(const struct warning *w, const char *kind)
{
	return strncmp(w->kind, kind, sizeof(w->kind) - 1) == 0;
}

static struct warning *find(const char *kind, const char *name)
{
	unsigned i;

	for (i = 0; i < WARNINGS_MAX; i++)
		if (is_kind(&list[i], kind) && strncmp(list[i].name, name, sizeof(list[i].name) - 1) == 0)
			return &list[i];
	return NULL;
}

/* An empty place, else the one whose warning ended; the oldest of those. */
static struct warning *find_free(void)
{
	struct warning *w = NULL;
	unsigned i;

	for (i = 0; i < WARNINGS_MAX; i++)
		if (!list[i].stands && (!w || list[i].since_ms < w->since_ms))
			w = &list[i];
	return w;
}

static struct warning *make(const char *kind, const char *name)
{
	struct warning *w = find_free();

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	snprintf(w->kind, sizeof(w->kind), "%s", kind);
	snprintf(w->name, sizeof(w->name), "%s", name);
	return w;
}

static bool may_say(struct warning *w)
{
	uint64_t now = clock_ms();

	if (!w->said || now - w->since_ms >= SAID_WITHIN) {
		w->said = 0;
		w->since_ms = now;
	}
	return w->said++ < SAID_MOST;
}

static void begin(struct warning *w, const char *text)
{
	memcpy(w->text, text, sizeof(w->text));
	w->stands = true;
	publish(w);
	if (may_say(w))
		log_warn("%s", text);
}

static void end(struct warning *w)
{
	w->stands = false;
	publish(w);
	set_overflow(false); /* there is room; who still has one sets it at his next look */
	if (may_say(w))
		log_info("no longer so: %s", w->text);
}

/* ---- verbs --------------------------------------------------------------------------------- */

void warnings_set(const char *kind, const char *name, const char *fmt, ...)
{
	struct warning *w = find(kind, name);
	char text[WARNING_TEXT_SIZE] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_plain(text);
	if (!w)
		w = make(kind, name);
	if (!w) {
		set_overflow(true);
		return;
	}
	w->seen = true;
	if (!w->stands || strcmp(w->text, text))
		begin(w, text);
}

void warnings_clear(const char *kind, const char *name)
{
	struct warning *w = find(kind, name);

	if (w && w->stands)
		end(w);
}

void warnings_begin(const char *kind)
{
	unsigned i;

	for (i = 0; i < WARNINGS_MAX; i++)
		if (is_kind(&list[i], kind))
			list[i].seen = false;
}

void warnings_end(const char *kind)
{
	unsigned i;

	for (i = 0; i < WARNINGS_MAX; i++)
		if (list[i].stands && !list[i].seen && is_kind(&list[i], kind))
			end(&list[i]);
}
