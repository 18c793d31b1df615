/* fuzz-sources: conf/[a-z]*.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Any octets as a key file: either a key, or a sentence that can be printed; and another peer's stays good. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
	"interface wan0 { policy m }\n"
	"ike-proposal i { encryption aes256gcm16; dh x25519 } esp-proposal e { encryption aes256gcm16 }\n"
	"peer any { remote 2.1.1.1; psk file:/proc/self/fd/100; ike i }\n"
	"peer good { remote 2.1.1.2; psk file:/proc/self/fd/101; ike i }\n"
	"policy m { 10 isakmp { peer any; acl a; esp e }; 20 isakmp { peer good; acl b; esp e } }\n"
	"acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }; acl b { 5 permit ip 10.1.1.0/24 -> 10.1.3.0/24 "
	"}\n";
static struct conf *conf;

static void put(int fd, const void *octets, size_t len)
{
	if (ftruncate(fd, 0) || pwrite(fd, octets, len, 0) != (ssize_t)len)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct conf_diag diag;
	int fd;

	(void)argc;
	(void)argv;
	if (geteuid() != 0)
		abort(); /* a key is root's */
	for (fd = 100; fd < 102; fd++)
		if (dup2(memfd_create("psk", 0), fd) != fd || fchmod(fd, 0600))
			abort();
	put(101, "correct horse battery", 21);
	if (conf_parse(text, sizeof(text) - 1, "fuzz.conf", &conf, &diag))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf_diag diag;
	const struct conf_peer *any = conf->peers[0], *good = conf->peers[1];
	const char *c;

	put(100, data, size);
	conf_read_secrets(conf, &diag);
	if ((any->psk != NULL) != !any->psk_wrong[0] || (any->psk != NULL) != (any->psk_len != 0))
		abort();
	if (any->psk_len > CONF_PSK_MAX || strlen(any->psk_wrong) >= CONF_WRONG_SIZE - 1)
		abort();
	for (c = any->psk_wrong; *c; c++)
		if (*c < ' ' || *c > '~')
			abort();
	if (good->psk_wrong[0] || good->psk_len != 21 || memcmp(good->psk, "correct horse battery", 21) != 0)
		abort();
	conf_wipe_secrets(conf);
	return 0;
}
