// SPDX-License-Identifier: BSD-2-Clause
/* Warnings that stand: seen in the page by whoever reads it, said in the log when they begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "warnings.h"

/* What a reader of the page finds, in its order, one text to a line. */
static const char *standing(void)
{
	static char all[WARNINGS_MAX * WARNING_TEXT_SIZE];
	const struct warnings_shared *page = warnings_shared();
	unsigned i;

	all[0] = '\0';
	for (i = 0; i < WARNINGS_MAX; i++)
		if (*page->text[i]) {
			assert_non_null(memchr(page->text[i], '\0', WARNING_TEXT_SIZE));
			strcat(strcat(all, page->text[i]), "\n");
		}
	return all;
}

/* The log is stderr; here it is a file that is read and emptied. */
static int log_fd, stderr_was;

static const char *logged(void)
{
	static char text[65536];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(log_fd, 0), 0);
	lseek(log_fd, 0, SEEK_SET);
	return text;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int setup(void **state)
{
	char name[] = "/tmp/adit-warnings-XXXXXX";

	(void)state;
	log_fd = mkstemp(name);
	assert_true(log_fd >= 0);
	unlink(name);
	stderr_was = dup(STDERR_FILENO);
	dup2(log_fd, STDERR_FILENO);
	log_open("t", "parent", LOG_LEVEL_INFO);
	return warnings_open();
}

static int teardown(void **state)
{
	(void)state;
	warnings_close();
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	close(log_fd);
	return 0;
}

static void begins_stands_and_ends(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++)
		warnings_set("tc", "wan0", "%s has a stranger", "wan0");
	assert_string_equal(standing(), "wan0 has a stranger\n");
	assert_int_equal(lines(logged()), 1);
	for (i = 0; i < 1000; i++)
		warnings_clear("tc", "wan0");
	assert_string_equal(standing(), "");
	assert_non_null(strstr(logged(), "<6>"));
	warnings_clear("tc", "never");
	assert_string_equal(logged(), "");
}

static void a_new_text_takes_the_place_of_the_old(void **state)
{
	(void)state;
	warnings_set("tc", "wan0", "first");
	warnings_set("tc", "wan0", "a second, longer one");
	assert_string_equal(standing(), "a second, longer one\n");
	warnings_set("tc", "wan0", "third");
	assert_string_equal(standing(), "third\n");
	assert_int_equal(lines(logged()), 3);
}

static void kind_and_name_are_the_key(void **state)
{
	(void)state;
	warnings_set("tc", "wan0", "a");
	warnings_set("xdp", "wan0", "b");
	warnings_set("tc", "wan1", "c");
	warnings_clear("xdp", "wan1");
	assert_string_equal(standing(), "a\nb\nc\n");
	warnings_clear("tc", "wan0");
	assert_string_equal(standing(), "b\nc\n");
}

static void what_is_not_found_again_has_ended(void **state)
{
	(void)state;
	warnings_set("tc", "wan0", "other");
	warnings_begin("nat");
	warnings_set("nat", "1", "one");
	warnings_set("nat", "2", "two");
	warnings_end("nat");
	assert_string_equal(standing(), "other\none\ntwo\n");
	logged();
	warnings_begin("nat");
	warnings_set("nat", "2", "two");
	warnings_end("nat");
	assert_string_equal(standing(), "other\ntwo\n");
	assert_int_equal(lines(logged()), 1);
	warnings_begin("nat");
	warnings_end("nat");
	assert_string_equal(standing(), "other\n");
}

static void coming_and_going_does_not_fill_the_log(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		warnings_set("tc", "wan0", "number %u", i);
		warnings_clear("tc", "wan0");
	}
	assert_in_range(lines(logged()), 2, 10);
	warnings_set("tc", "wan0", "still shown");
	assert_string_equal(standing(), "still shown\n");
}

static void there_is_room_for_so_many(void **state)
{
	char name[16];
	unsigned i;

	(void)state;
	for (i = 0; i < WARNINGS_MAX + 40; i++) {
		snprintf(name, sizeof(name), "%u", i);
		warnings_set("nat", name, "number %u", i);
	}
	assert_int_equal(lines(standing()), WARNINGS_MAX);
	assert_true(warnings_shared()->more);
	assert_int_equal(lines(logged()), WARNINGS_MAX + 1);
	warnings_clear("nat", "3");
	assert_false(warnings_shared()->more);
	assert_null(strstr(standing(), "number 3\n"));
	warnings_set("nat", "later", "the later one");
	assert_non_null(strstr(standing(), "the later one\n"));
}

static void texts_are_bounded_and_plain(void **state)
{
	char longer[2 * WARNING_TEXT_SIZE];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	warnings_set(longer, longer, "%s", longer);
	assert_int_equal(strlen(warnings_shared()->text[0]), WARNING_TEXT_SIZE - 1);
	warnings_clear(longer, longer);
	assert_string_equal(standing(), "");
	warnings_set("tc", "wan0", "a\033[2J\n\xff");
	assert_string_equal(standing(), "a?[2J??\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(begins_stands_and_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_text_takes_the_place_of_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(kind_and_name_are_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_found_again_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_and_going_does_not_fill_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_room_for_so_many, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_are_bounded_and_plain, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
