// SPDX-License-Identifier: BSD-2-Clause
/* Files that hold keys.  Whoever checks a configuration and whoever uses it read a key with the same
 * function, so that "adit check" says what the daemon will meet.  What cannot be used costs its peer and
 * nobody else: it becomes that peer's sentence, not an error of the configuration. */
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
#define PATH_SHOWN	160  /* octets of a path in a message: its end says which file it is */

/* Wiped by whoever had it filled. */
struct secret {
	uint8_t octets[CONF_PSK_MAX];
	size_t len;
	bool blank_end; /* as it is written, with white space that somebody may not see */
	bool hidden;	/* wrong only in that we may not look: root may */
	char wrong[128];
};

#define WRONG(s, ...) (snprintf((s)->wrong, sizeof((s)->wrong), __VA_ARGS__), -EINVAL)

/* ---- the file ------------------------------------------------------------------------------ */

static int cannot(struct secret *s, int err)
{
	s->hidden = err == EACCES && geteuid() != 0;
	if (err == ENOENT)
		return WRONG(s, "does not exist: write the key there, with mode 0600");
	return WRONG(s, "cannot be read: %s", strerror(err));
}

/* The daemon reads keys as root, whoever asks beforehand. */
static int look(struct secret *s, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return WRONG(s, "is a directory: name the file in it");
	if (!S_ISREG(st->st_mode))
		return WRONG(s, "is not a regular file");
	if (st->st_uid != 0)
		return WRONG(s, "belongs to user %u: make it root's", (unsigned)st->st_uid);
	if (st->st_mode & 077)
		return WRONG(s, "can be %s by others (mode %04o): chmod 600 it",
			     st->st_mode & 022 ? "written" : "read", (unsigned)st->st_mode & 07777);
	if (st->st_size == 0)
		return WRONG(s, "is empty: write the key there");
	if (st->st_size > SECRET_FILE_MAX)
		return WRONG(s, "is too large for a key, which has %d octets at most", CONF_PSK_MAX);
	return 0;
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

/* ---- what it says -------------------------------------------------------------------------- */

static int too_long(struct secret *s)
{
	return WRONG(s, "holds a key of more than %d octets", CONF_PSK_MAX);
}

static int hex_key(struct secret *s, const char *text, size_t len)
{
	size_t i = 0;
	int high, low;

	while (i < len) {
		if (text[i] == ':') { /* between octets */
			i++;
			continue;
		}
		high = OPENSSL_hexchar2int((unsigned char)text[i]);
		low = i + 1 < len ? OPENSSL_hexchar2int((unsigned char)text[i + 1]) : 0;
		if (high < 0 || low < 0)
			return WRONG(s, "holds something after hex: that is no hexadecimal digit");
		if (i + 1 == len)
			return WRONG(s, "has an odd number of hexadecimal digits: is one missing?");
		if (s->len == CONF_PSK_MAX)
			return too_long(s);
		s->octets[s->len++] = high << 4 | low;
		i += 2;
	}
	return s->len ? 0 : WRONG(s, "has no key after hex:");
}

/* text ends in a NUL. */
static int base64_key(struct secret *s, const char *text, size_t len)
{
	size_t body = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	size_t padding = strspn(text + body, "="), n = 0;
	uint8_t out[SECRET_FILE_MAX];

	if (body + padding < len)
		return WRONG(s, "holds something after base64: that is not base64 on one line");
	if (!body)
		return WRONG(s, "has no key after base64:");
	if (len % 4 || padding > 2)
		return WRONG(s, "is no whole base64, which comes in fours: is its end missing?");
	if (EVP_DecodeBlock(out, (const unsigned char *)text, len) > 0)
		n = len / 4 * 3 - padding;
	if (n && n <= CONF_PSK_MAX) {
		memcpy(s->octets, out, n);
		s->len = n;
	}
	OPENSSL_cleanse(out, sizeof(out));
	return s->len ? 0 : n ? too_long(s) : WRONG(s, "holds something after base64: that is not base64");
}

/* An editor's doing: the other end has a key without it. */
static bool has_bom(const char *text, size_t len)
{
	return (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) ||
	       (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0));
}

/* Blanks, or the zeros that a crash leaves where a file was being written. */
static bool says_nothing(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (text[i] && !isspace((unsigned char)text[i]))
			return false;
	return true;
}

static int plain_key(struct secret *s, const char *text, size_t len)
{
	if (says_nothing(text, len))
		return WRONG(s, "holds nothing but blanks or zeros: write the key there");
	if (len > CONF_PSK_MAX)
		return too_long(s);
	memcpy(s->octets, text, len);
	s->len = len;
	s->blank_end = isspace((unsigned char)text[len - 1]);
	return 0;
}

/* The octets of the file; a NUL follows. */
static int decode(struct secret *s, char *text, size_t len)
{
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len && text[len - 1] == '\r')
		return WRONG(s, "ends in a carriage return: store it with Unix line ends");
	if (has_bom(text, len))
		return WRONG(s, "begins with a byte order mark: store it as plain text without one");
	if (len >= 4 && strncmp(text, "hex:", 4) == 0)
		return hex_key(s, text + 4, len - 4);
	if (len >= 7 && strncmp(text, "base64:", 7) == 0)
		return base64_key(s, text + 7, len - 7);
	if (!len)
		return WRONG(s, "is empty: write the key there");
	return plain_key(s, text, len);
}

static int read_open(struct secret *s, int fd)
{
	char text[SECRET_FILE_MAX + 1] = {0};
	struct stat st;
	ssize_t n;
	int err;

	if (fstat(fd, &st))
		return cannot(s, errno);
	if (look(s, &st))
		return -EINVAL;
	n = read_some(fd, text, SECRET_FILE_MAX);
	err = n < 0 ? cannot(s, -n) : decode(s, text, n);
	OPENSSL_cleanse(text, sizeof(text));
	return err;
}

/* Looked at before it is opened, since opening a device does something to it, and once more when it is open:
 * it may be another one by then. */
static int read_key(struct secret *s, const char *path)
{
	struct stat st;
	int fd, err;

	memset(s, 0, sizeof(*s));
	if (stat(path, &st))
		return cannot(s, errno);
	if (look(s, &st))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cannot(s, errno);
	err = read_open(s, fd);
	close(fd);
	return err;
}

/* ---- who wants to know --------------------------------------------------------------------- */

static const char *path_text(const char *path, char buf[PATH_SHOWN + 4])
{
	size_t len = strlen(path);

	if (len <= PATH_SHOWN)
		snprintf(buf, PATH_SHOWN + 4, "%s", path);
	else
		snprintf(buf, PATH_SHOWN + 4, "...%s", path + len - PATH_SHOWN);
	return buf;
}

/* A key that can be used, though it may not be what was meant. */
static void advise(const struct conf_peer *peer, const struct secret *s, struct conf_diag *diag)
{
	char path[PATH_SHOWN + 4];

	if (s->len < SECRET_SHORT)
		diag_warn(
			diag, peer->at.psk,
			"psk file %s holds a key of only %zu octet%s: a short key can be guessed by whoever "
			"sees one handshake",
			path_text(peer->psk_path, path), s->len, s->len == 1 ? "" : "s");
	if (s->blank_end)
		diag_warn(diag, peer->at.psk,
			  "psk file %s ends in a blank, which is taken as part of the key",
			  path_text(peer->psk_path, path));
}

void secret_check(const struct conf_peer *peer, struct conf_diag *diag)
{
	char path[PATH_SHOWN + 4];
	struct secret s;

	if (!read_key(&s, peer->psk_path))
		advise(peer, &s, diag);
	else if (s.hidden)
		diag_warn(diag, peer->at.psk,
			  "psk file %s cannot be read by you, so what it holds was not checked; root can",
			  path_text(peer->psk_path, path));
	else
		diag_error(diag, peer->at.psk, "psk file %s %s", path_text(peer->psk_path, path), s.wrong);
	OPENSSL_cleanse(&s, sizeof(s));
}

static int keep(struct conf_peer *peer, struct secret *s)
{
	peer->psk = OPENSSL_malloc(s->len);
	if (!peer->psk)
		return cannot(s, ENOMEM);
	memcpy(peer->psk, s->octets, s->len);
	peer->psk_len = s->len;
	return 0;
}

/* "psk file /etc/adit/hq.psk (adit.conf:14) is empty: write the key there" */
static void say_wrong(const struct conf *c, struct conf_peer *peer, const struct secret *s)
{
	const char *file = strrchr(c->path, '/');
	char path[PATH_SHOWN + 4], *at;

	snprintf(peer->psk_wrong, sizeof(peer->psk_wrong), "psk file %s (%.64s:%u) %s",
		 path_text(peer->psk_path, path), file ? file + 1 : c->path, peer->at.psk.line, s->wrong);
	/* Words of the file are in it: they must not break what carries the message. */
	for (at = peer->psk_wrong; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

void conf_read_secrets(struct conf *c, struct conf_diag *diag)
{
	struct secret s;
	size_t i;

	diag_open(diag, c->path);
	conf_wipe_secrets(c);
	for (i = 0; i < c->n_peers; i++) {
		struct conf_peer *peer = c->peers[i];

		peer->psk_wrong[0] = '\0';
		if (read_key(&s, peer->psk_path) || keep(peer, &s))
			say_wrong(c, peer, &s);
		else
			advise(peer, &s, diag);
		OPENSSL_cleanse(&s, sizeof(s));
	}
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
