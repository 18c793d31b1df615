// SPDX-License-Identifier: BSD-2-Clause
/* Key files: what each holds, what is wrong with one, and that check and daemon agree about it word for word.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "conf.h"
#include "scratch.h"

/* hq.psk of the second peer is good, always. */
#define CONF                                                                                                \
	"interface wan0 { policy m }\n"                                                                     \
	"ike-proposal i { encryption aes256gcm16; dh x25519 } esp-proposal e { encryption aes256gcm16 }\n"  \
	"peer bad { remote 2.1.1.1; psk file:%s; ike i }\n"                                                 \
	"peer good { remote 2.1.1.2; psk file:hq.psk; ike i }\n"                                            \
	"policy m { 10 isakmp { peer bad; acl a; esp e }; 20 isakmp { peer good; acl b; esp e } }\n"        \
	"acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }; acl b { 5 permit ip 10.1.1.0/24 -> 10.1.3.0/24 " \
	"}\n"
#define SIXTEEN "0123456789abcdef"

static char conf_path[256], psk_path[512];

static void put(const char *text, size_t len, mode_t mode)
{
	FILE *f;

	snprintf(psk_path, sizeof(psk_path), "%s/t.psk", scratch_dir());
	unlink(psk_path);
	f = fopen(psk_path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(psk_path, mode), 0);
}

static void put_conf(const char *psk)
{
	char text[2048];

	snprintf(text, sizeof(text), CONF, psk);
	snprintf(conf_path, sizeof(conf_path), "%s", scratch_write("adit.conf", text, 0644));
}

static struct conf *load(void)
{
	static struct conf_diag diag;
	struct conf *c = NULL;

	assert_int_equal(conf_load(conf_path, &c, &diag), 0);
	assert_int_equal(diag.n, 0);
	assert_null(c->peers[0]->psk);
	return c;
}

static int check(struct conf_diag *diag)
{
	struct conf *c = NULL;
	int err = conf_check(conf_path, &c, diag);
	size_t i;

	for (i = 0; c && i < c->n_peers; i++)
		assert_null(c->peers[i]->psk);
	conf_free(c);
	return err;
}

static void keys_are_read_as_they_are_written(void **state)
{
	static const struct {
		const char *text, *want;
		size_t len;
	} t[] = {
		{"correct horse battery\n",				    "correct horse battery", 21},
		{" blanks before stay",					" blanks before stay",   19},
		{"sixteen\r\nor more\n",				 "sixteen\r\nor more",    16},
		{"hex:00112233445566778899aAbBcCdDeEfF\n",
		 "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",	     16},
		{"hex:30:31:32:33:34:35:36:37:38:39:61:62:63:64:65:66", SIXTEEN,		 16},
		{"base64:Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\n",		  "correct horse battery", 21},
		{"base64:Y29ycmVjdCBob3JzZSBiYXR0ZXI=",			"correct horse batter",	20},
		{"base64:Y29ycmVjdCBob3JzZSBiYXR0ZQ==",			"correct horse batte",   19},
	};
	static struct conf_diag diag;
	struct conf *c;
	size_t i;

	(void)state;
	put_conf("t.psk");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(t[i].text, strlen(t[i].text), i % 2 ? 0600 : 0400);
		c = load();
		conf_read_secrets(c, &diag);
		assert_int_equal(diag.n, 0);
		assert_string_equal(c->peers[0]->psk_wrong, "");
		assert_int_equal(c->peers[0]->psk_len, t[i].len);
		assert_memory_equal(c->peers[0]->psk, t[i].want, t[i].len);
		conf_wipe_secrets(c);
		assert_null(c->peers[0]->psk);
		assert_int_equal(c->peers[0]->psk_len, 0);
		conf_free(c);
		assert_int_equal(check(&diag), 0);
		assert_int_equal(diag.n, 0);
	}
}

/* Of the peer "bad": check calls it an error at its place, loading does not look, and reading makes it the
 * sentence of this peer alone, with the same words. */
static void assert_wrong(const char *path, const char *wrong)
{
	static struct conf_diag diag;
	char want[1024];
	struct conf *c;

	snprintf(want, sizeof(want), "psk file %s %s", path, wrong);
	assert_int_equal(check(&diag), -EINVAL);
	assert_int_equal(diag.n, 1);
	assert_string_equal(diag.v[0].text, want);
	assert_int_equal(diag.v[0].at.line, 3);
	assert_int_equal(diag.v[0].at.col, 32);

	c = load();
	conf_read_secrets(c, &diag);
	assert_int_equal(diag.n, 0);
	snprintf(want, sizeof(want), "psk file %s (adit.conf:3) %s", path, wrong);
	assert_string_equal(c->peers[0]->psk_wrong, want);
	assert_null(c->peers[0]->psk);
	assert_int_equal(c->peers[0]->psk_len, 0);
	assert_string_equal(c->peers[1]->psk_wrong, "");
	assert_int_equal(c->peers[1]->psk_len, 21);
	assert_memory_equal(c->peers[1]->psk, "correct horse battery", 21);
	conf_free(c);
}

#define OCTETS(text) text, sizeof(text) - 1

static void what_is_wrong_with_what_it_holds(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		mode_t mode;
		const char *want;
	} t[] = {
		{OCTETS(""),				   0600, "is empty: write the key there"			  },
		{OCTETS("\n"),				 0600, "is empty: write the key there"			    },
		{OCTETS(" \t\n\n"),			    0600, "holds nothing but blanks or zeros: write the key there" },
		{OCTETS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0600,
		 "holds nothing but blanks or zeros: write the key there"							 },
		{OCTETS(SIXTEEN),				  0644, "can be read by others (mode 0644): chmod 600 it"	 },
		{OCTETS(SIXTEEN),				  0620, "can be written by others (mode 0620): chmod 600 it"	    },
		{OCTETS(SIXTEEN "\r\n"),			 0600, "ends in a carriage return: store it with Unix line ends"},
		{OCTETS("hex:00112233445566778899\r\n"),	 0600,
		 "ends in a carriage return: store it with Unix line ends"							  },
		{OCTETS("\xef\xbb\xbf" SIXTEEN "\n"),	      0600,
		 "begins with a byte order mark: store it as plain text without one"					    },
		{OCTETS("\xff\xfe\x31\0\x32\0"),		 0600,
		 "begins with a byte order mark: store it as plain text without one"					    },
		{OCTETS("hex:\n"),				   0600, "has no key after hex:"					},
		{OCTETS("hex:0011223344556677889\n"),	      0600,
		 "has an odd number of hexadecimal digits: is one missing?"						   },
		{OCTETS("hex:zz112233445566778899\n"),	       0600,
		 "holds something after hex: that is no hexadecimal digit"							  },
		{OCTETS("hex:00112233445566778899 \n"),	0600,
		 "holds something after hex: that is no hexadecimal digit"							  },
		{OCTETS("hex:0011223344\0zz"),		       0600,
		 "holds something after hex: that is no hexadecimal digit"							  },
		{OCTETS("hex:0x112233445566\n"),		 0600,
		 "holds something after hex: that is no hexadecimal digit"							  },
		{OCTETS("base64:\n"),			      0600, "has no key after base64:"				      },
		{OCTETS("base64:Y29ycmVjdCBob3J\n"),	     0600,
		 "is no whole base64, which comes in fours: is its end missing?"						},
		{OCTETS("base64:Y29ycmVj====\n"),		  0600,
		 "is no whole base64, which comes in fours: is its end missing?"						},
		{OCTETS("base64:Y29y=mVj\n"),		      0600,
		 "holds something after base64: that is not base64 on one line"					       },
		{OCTETS("base64:Y29ycmVj\nY29ycmVj\n"),	0600,
		 "holds something after base64: that is not base64 on one line"					       },
		{OCTETS("base64:Y29ycmVj\0AAA"),		 0600,
		 "holds something after base64: that is not base64 on one line"					       },
		{OCTETS("base64:not base64 at all"),	     0600,
		 "holds something after base64: that is not base64 on one line"					       },
	};
	size_t i;

	(void)state;
	put_conf("t.psk");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(t[i].text, t[i].len, t[i].mode);
		assert_wrong(psk_path, t[i].want);
	}
}

static void keys_that_are_too_long(void **state)
{
	static const struct {
		const char *head, *unit;
		size_t fits; /* so many of unit */
	} t[] = {
		{"",	     "k",	  256},
		{"hex:",	 "6b",   256},
		{"base64:", "a2tr", 85 },
	};
	char text[4096];
	size_t i, n, len;

	(void)state;
	put_conf("t.psk");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		static struct conf_diag diag;

		len = snprintf(text, sizeof(text), "%s", t[i].head);
		for (n = 0; n < t[i].fits; n++)
			len += snprintf(text + len, sizeof(text) - len, "%s", t[i].unit);
		put(text, len, 0600);
		assert_int_equal(check(&diag), 0);
		len += snprintf(text + len, sizeof(text) - len, "%s", t[i].unit);
		put(text, len, 0600);
		assert_wrong(psk_path, "holds a key of more than 256 octets");
	}
	memset(text, 'k', sizeof(text));
	put(text, 2049, 0600);
	assert_wrong(psk_path, "is too large for a key, which has 256 octets at most");
}

static void what_is_wrong_with_the_file(void **state)
{
	char path[300];

	(void)state;
	put_conf("/dev/zero");
	assert_wrong("/dev/zero", "is not a regular file");
	put_conf("/no/such");
	assert_wrong("/no/such", "does not exist: write the key there, with mode 0600");
	put_conf("hq.psk/x");
	snprintf(path, sizeof(path), "%s/hq.psk/x", scratch_dir());
	assert_wrong(path, "cannot be read: Not a directory");
	put_conf("/dev");
	assert_wrong("/dev", "is a directory: name the file in it");

	put_conf("t.psk");
	put(SIXTEEN, 16, 0600);
	unlink(psk_path);
	assert_wrong(psk_path, "does not exist: write the key there, with mode 0600");
	assert_int_equal(mkfifo(psk_path, 0600), 0); /* nobody writes: opening it must not wait */
	assert_wrong(psk_path, "is not a regular file");
	unlink(psk_path);
	assert_int_equal(symlink("t.psk", psk_path), 0);
	assert_wrong(psk_path, "cannot be read: Too many levels of symbolic links");
	put(SIXTEEN, 16, 0600);
	assert_int_equal(chown(psk_path, 65534, 0), 0);
	assert_wrong(psk_path, "belongs to user 65534: make it root's");
}

/* A path may be longer than a message: what is wrong must still be in it.  Nor may it break one. */
static void paths_that_are_long_or_strange(void **state)
{
	static struct conf_diag diag;
	char path[1200] = "/", want[512];
	struct conf *c;

	(void)state;
	while (strlen(path) < 480)
		strcat(path, "folder/");
	strcat(path, "key");
	put_conf(path);
	snprintf(want, sizeof(want), "...%s", path + strlen(path) - 160);
	assert_wrong(want, "does not exist: write the key there, with mode 0600");

	put_conf("/no/sch\xc3\xb6n");
	c = load();
	conf_read_secrets(c, &diag);
	assert_string_equal(
		c->peers[0]->psk_wrong,
		"psk file /no/sch??n (adit.conf:3) does not exist: write the key there, with mode 0600");
	conf_free(c);
}

static void a_mended_key_is_read_the_next_time(void **state)
{
	static struct conf_diag diag;
	struct conf *c;

	(void)state;
	put_conf("t.psk");
	put(SIXTEEN, 16, 0640);
	c = load();
	conf_read_secrets(c, &diag);
	assert_non_null(strstr(c->peers[0]->psk_wrong, "can be read by others (mode 0640)"));
	chmod(psk_path, 0600);
	conf_read_secrets(c, &diag);
	assert_string_equal(c->peers[0]->psk_wrong, "");
	assert_memory_equal(c->peers[0]->psk, SIXTEEN, 16);
	/* Once more, and it is gone from memory as well. */
	chmod(psk_path, 0640);
	conf_read_secrets(c, &diag);
	assert_null(c->peers[0]->psk);
	conf_free(c);
}

static void doubtful_keys_are_used_and_warned_of(void **state)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"short",		  "holds a key of only 5 octets: a short key can be guessed by whoever sees one "
			  "handshake"				     },
		{"hex:0011223344556677",
		 "holds a key of only 8 octets: a short key can be guessed by whoever sees one "
		 "handshake"								 },
		{"k",		      "holds a key of only 1 octet: a short key can be guessed by whoever sees one "
		      "handshake"				       },
		{SIXTEEN " \n",		"ends in a blank, which is taken as part of the key"},
		{SIXTEEN "\n\n",	 "ends in a blank, which is taken as part of the key"},
	};
	static struct conf_diag diag;
	char want[1024];
	struct conf *c;
	size_t i;

	(void)state;
	put_conf("t.psk");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(t[i].text, strlen(t[i].text), 0600);
		snprintf(want, sizeof(want), "psk file %s %s", psk_path, t[i].want);
		assert_int_equal(check(&diag), 0);
		assert_int_equal(diag.warnings, 1);
		assert_string_equal(diag.v[0].text, want);
		c = load();
		conf_read_secrets(c, &diag);
		assert_int_equal(diag.n, 1);
		assert_string_equal(diag.v[0].text, want);
		assert_non_null(c->peers[0]->psk);
		conf_free(c);
	}
}

/* Errors of the file do not keep keys from being looked at: one run says it all. */
static void keys_are_checked_beside_other_errors(void **state)
{
	static struct conf_diag diag;
	char text[2048];

	(void)state;
	put("hex:0", 5, 0600);
	snprintf(text, sizeof(text), CONF "acl b { 1 permit ip any -> any }\n", "t.psk");
	scratch_write("adit.conf", text, 0644);
	assert_int_equal(check(&diag), -EINVAL);
	assert_true(diag.errors >= 2);
	assert_non_null(strstr(diag.v[0].text, "has an odd number"));
	put(SIXTEEN, 16, 0600);
	put_conf("t.psk");
}

/* Somebody else than root checks: 0 what root would find is the same, 1 it cannot be known. */
static int check_as_nobody(const char *want)
{
	static struct conf_diag diag;
	struct conf *c = NULL;
	char text[1024];
	int err;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 10;
	err = conf_check(conf_path, &c, &diag);
	snprintf(text, sizeof(text), "psk file %s %s", psk_path, want);
	if (diag.n < 1 || strcmp(diag.v[0].text, text)) {
		conf_diag_print(&diag, stderr);
		return 11;
	}
	return err ? 2 : 1;
}

static int in_a_child(const char *want)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(check_as_nobody(want));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void whoever_may_not_look_is_told(void **state)
{
	static const char hidden[] = "cannot be read by you, so what it holds was not checked; root can";

	(void)state;
	assert_int_equal(chmod(scratch_dir(), 0755), 0);
	put_conf("t.psk");
	put("hex:0", 5, 0600);
	assert_int_equal(in_a_child(hidden), 1);
	/* What can be seen from outside is said. */
	put(SIXTEEN, 16, 0644);
	assert_int_equal(in_a_child("can be read by others (mode 0644): chmod 600 it"), 2);
	put("", 0, 0600);
	assert_int_equal(in_a_child("is empty: write the key there"), 2);
	/* One's own file is good for oneself, and not for the daemon, which is root. */
	put(SIXTEEN, 16, 0600);
	assert_int_equal(chown(psk_path, 65534, 65534), 0);
	assert_int_equal(in_a_child("belongs to user 65534: make it root's"), 2);
	assert_int_equal(chmod(scratch_dir(), 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_read_as_they_are_written),
		cmocka_unit_test(what_is_wrong_with_what_it_holds),
		cmocka_unit_test(keys_that_are_too_long),
		cmocka_unit_test(what_is_wrong_with_the_file),
		cmocka_unit_test(paths_that_are_long_or_strange),
		cmocka_unit_test(a_mended_key_is_read_the_next_time),
		cmocka_unit_test(doubtful_keys_are_used_and_warned_of),
		cmocka_unit_test(keys_are_checked_beside_other_errors),
		cmocka_unit_test(whoever_may_not_look_is_told),
	};

	return cmocka_run_group_tests_name("key files", tests, scratch_open, scratch_close);
}
