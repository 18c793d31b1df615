// SPDX-License-Identifier: BSD-2-Clause
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parse.h"

static int parse(const char *text, size_t len, const char *path, bool look_at_keys, struct conf **ret,
		 struct conf_diag *diag)
{
	struct parse p = {.diag = diag, .look_at_keys = look_at_keys};
	size_t i;

	diag_open(diag, path);
	p.conf = parse_alloc(&p, sizeof(*p.conf));
	if (!p.conf)
		return -ENOMEM;
	p.conf->path = strdup(path);
	if (!p.conf->path)
		p.no_memory = true;
	lex_open(&p.lex, text, len);
	if (!p.no_memory)
		parse_file(&p);
	if (!p.no_memory && !p.conf->adit.loc.line)
		value_finish(&p, &(struct frame){.block = BLOCK_ADIT, .obj = &p.conf->adit});
	if (!p.no_memory)
		refs_resolve(&p);
	if (!p.no_memory)
		check_conf(&p);
	for (i = 0; i < p.n_refs; i++)
		free(p.refs[i]);
	free(p.refs);
	if (p.no_memory || diag->errors) {
		conf_free(p.conf);
		return p.no_memory ? -ENOMEM : -EINVAL;
	}
	*ret = p.conf;
	return 0;
}

int conf_parse(const char *text, size_t len, const char *path, struct conf **ret, struct conf_diag *diag)
{
	return parse(text, len, path, false, ret, diag);
}

static int cannot(struct conf_diag *diag, const char *path, int err, const char *why)
{
	diag_open(diag, path);
	diag_error(diag, (struct conf_loc){0, 0}, "%s", why);
	return err;
}

/* The whole file; its size only decides whether it is read, never how much is allocated. */
static int slurp(int fd, char **ret, size_t *len)
{
	size_t n = 0, room = 0;
	char *text = NULL;
	ssize_t got;

	for (;;) {
		if (n == room) {
			char *more = realloc(text, room ? room * 2 : 65536);

			if (!more)
				goto fail;
			text = more;
			room = room ? room * 2 : 65536;
		}
		got = read(fd, text + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			goto fail;
		if (got == 0)
			break;
		n += got;
		if (n > CONF_FILE_MAX) {
			errno = EFBIG;
			goto fail;
		}
	}
	*ret = text;
	*len = n;
	return 0;
fail:
	free(text);
	return errno ? -errno : -ENOMEM;
}

static int load(const char *path, bool look_at_keys, struct conf **ret, struct conf_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	int err;

	if (fd < 0)
		return cannot(diag, path, -errno, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return cannot(diag, path, -EINVAL, "not a regular file");
	}
	err = slurp(fd, &text, &len);
	close(fd);
	if (err)
		return cannot(diag, path, err, strerror(-err));
	err = parse(text, len, path, look_at_keys, ret, diag);
	if (!err) {
		(*ret)->text = text;
		(*ret)->text_len = len;
		return 0;
	}
	free(text);
	return err == -ENOMEM ? cannot(diag, path, err, strerror(-err)) : err;
}

int conf_load(const char *path, struct conf **ret, struct conf_diag *diag)
{
	return load(path, false, ret, diag);
}

int conf_check(const char *path, struct conf **ret, struct conf_diag *diag)
{
	return load(path, true, ret, diag);
}

static void free_all(void *list, size_t n)
{
	void **v = list;
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void conf_free(struct conf *c)
{
	size_t i;

	if (!c)
		return;
	free(c->text);
	conf_wipe_secrets(c);
	for (i = 0; i < c->n_peers; i++)
		free(c->peers[i]->psk_path);
	for (i = 0; i < c->n_acls; i++)
		free_all(c->acls[i]->rules, c->acls[i]->n_rules);
	for (i = 0; i < c->n_policies; i++)
		free_all(c->policies[i]->entries, c->policies[i]->n_entries);
	free_all(c->interfaces, c->n_interfaces);
	free_all(c->ike_proposals, c->n_ike_proposals);
	free_all(c->esp_proposals, c->n_esp_proposals);
	free_all(c->peers, c->n_peers);
	free_all(c->acls, c->n_acls);
	free_all(c->policies, c->n_policies);
	free(c->rules);
	free(c->path);
	free(c);
}

const struct conf_peer *conf_find_peer(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_peers; i++)
		if (strcmp(c->peers[i]->name, name) == 0)
			return c->peers[i];
	return NULL;
}

const struct conf_rule *conf_find_rule(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_rules; i++)
		if (strcmp(c->rules[i].name, name) == 0)
			return &c->rules[i];
	return NULL;
}
