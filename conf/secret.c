// SPDX-License-Identifier: BSD-2-Clause
/* Files that hold keys.  Who may read one is checked twice: when the configuration is loaded, so that
 * `adit check` can tell, and on the open descriptor when the key is read. */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag.h"
#include "parse.h"

#define SECRET_FILE_MAX 2048 /* an encoded key of CONF_PSK_MAX octets and some blanks */
#define SECRET_SHORT	16   /* octets; RFC 7296 2.15 wants what cannot be guessed */

/* NULL when nothing is wrong with the file. */
static const char *refuse(const struct stat *st, char *buf, size_t size)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		snprintf(buf, size, "belongs to user %u; make it root's", (unsigned)st->st_uid);
		return buf;
	}
	if (st->st_mode & 077) {
		snprintf(buf, size, "can be %s by others (mode %04o); chmod 600 it",
			 st->st_mode & 022 ? "written" : "read", (unsigned)st->st_mode & 07777);
		return buf;
	}
	if (st->st_size == 0)
		return "is empty";
	if (st->st_size > SECRET_FILE_MAX)
		return "is too large for a key";
	return NULL;
}

void secret_look(const struct conf_peer *peer, struct conf_diag *diag)
{
	const char *wrong;
	struct stat st;
	char buf[96];

	if (stat(peer->psk_path, &st)) {
		/* Whoever checks a file need not be who runs it. */
		if (errno == EACCES && geteuid() != 0)
			diag_warn(diag, peer->at.psk, "psk file %s cannot be looked at by you: %s",
				  peer->psk_path, strerror(errno));
		else
			diag_error(diag, peer->at.psk, "psk file %s: %s", peer->psk_path, strerror(errno));
		return;
	}
	wrong = refuse(&st, buf, sizeof(buf));
	if (wrong)
		diag_error(diag, peer->at.psk, "psk file %s %s", peer->psk_path, wrong);
	else if (st.st_size < SECRET_SHORT)
		diag_warn(diag, peer->at.psk,
			  "psk file %s holds only %u octets: a short key can be guessed by whoever sees one "
			  "handshake",
			  peer->psk_path, (unsigned)st.st_size);
}

static int hex_key(const char *text, size_t len, uint8_t *key, size_t *key_len)
{
	long n;
	unsigned char *out;
	char copy[SECRET_FILE_MAX + 1];
	int err = -EINVAL;

	memcpy(copy, text, len);
	copy[len] = '\0';
	out = OPENSSL_hexstr2buf(copy, &n);
	if (out && n > 0 && n <= CONF_PSK_MAX) {
		memcpy(key, out, n);
		*key_len = n;
		err = 0;
	}
	if (out)
		OPENSSL_clear_free(out, n);
	OPENSSL_cleanse(copy, sizeof(copy));
	return err;
}

static int base64_key(const char *text, size_t len, uint8_t *key, size_t *key_len)
{
	uint8_t out[SECRET_FILE_MAX];
	int n, err = -EINVAL;

	n = len && len % 4 == 0 ? EVP_DecodeBlock(out, (const unsigned char *)text, len) : -1;
	/* EVP_DecodeBlock counts the padding as octets. */
	if (n > 0 && text[len - 1] == '=')
		n -= text[len - 2] == '=' ? 2 : 1;
	if (n > 0 && n <= CONF_PSK_MAX) {
		memcpy(key, out, n);
		*key_len = n;
		err = 0;
	}
	OPENSSL_cleanse(out, sizeof(out));
	return err;
}

/* What the octets of the file say.  NULL, or what is wrong with them. */
static const char *decode(const char *text, size_t len, uint8_t key[CONF_PSK_MAX], size_t *key_len)
{
	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		return "ends in a carriage return: store it with Unix line ends";
	if (len >= 4 && strncmp(text, "hex:", 4) == 0)
		return hex_key(text + 4, len - 4, key, key_len) ? "has no valid key after hex:" : NULL;
	if (len >= 7 && strncmp(text, "base64:", 7) == 0)
		return base64_key(text + 7, len - 7, key, key_len) ? "has no valid key after base64:" : NULL;
	if (!len)
		return "is empty";
	if (len > CONF_PSK_MAX)
		return "holds more than 256 octets";
	memcpy(key, text, len);
	*key_len = len;
	return NULL;
}

static ssize_t read_some(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size) {
		got = read(fd, buf + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += got;
	}
	return n;
}

/* NULL, or what is wrong. */
static const char *read_key(struct conf_peer *peer, char *buf, size_t size)
{
	int fd = open(peer->psk_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[SECRET_FILE_MAX];
	uint8_t key[CONF_PSK_MAX];
	const char *wrong;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return strerror(errno);
	wrong = fstat(fd, &st) ? strerror(errno) : refuse(&st, buf, size);
	if (!wrong) {
		n = read_some(fd, text, sizeof(text));
		wrong = n < 0 ? strerror(-n) : decode(text, n, key, &len);
	}
	close(fd);
	if (!wrong) {
		peer->psk = OPENSSL_malloc(len);
		if (peer->psk) {
			memcpy(peer->psk, key, len);
			peer->psk_len = len;
		} else {
			wrong = strerror(ENOMEM);
		}
	}
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(key, sizeof(key));
	return wrong;
}

int conf_read_secrets(struct conf *c, struct conf_diag *diag)
{
	const char *wrong;
	char buf[96];
	size_t i;

	diag_open(diag, c->path);
	conf_wipe_secrets(c);
	for (i = 0; i < c->n_peers; i++) {
		wrong = read_key(c->peers[i], buf, sizeof(buf));
		if (wrong)
			diag_error(diag, c->peers[i]->at.psk, "psk file %s %s", c->peers[i]->psk_path, wrong);
	}
	if (!diag->errors)
		return 0;
	conf_wipe_secrets(c);
	return -EACCES;
}

void conf_wipe_secrets(struct conf *c)
{
	size_t i;

	for (i = 0; i < c->n_peers; i++) {
		if (c->peers[i]->psk)
			OPENSSL_clear_free(c->peers[i]->psk, c->peers[i]->psk_len);
		c->peers[i]->psk = NULL;
		c->peers[i]->psk_len = 0;
	}
}
