// SPDX-License-Identifier: BSD-2-Clause
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define STATE "/var/lib/adit"

static void path_of(const char *instance, const char *file, char path[STATE_PATH_SIZE])
{
	snprintf(path, STATE_PATH_SIZE, STATE "/%.32s%s%s", instance, *file ? "/" : "", file);
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

static int write_file(const char *path, const struct conf *conf)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, conf->text, conf->text_len);
	close(fd);
	return err;
}

int state_save(const char *instance, const struct conf *conf)
{
	char dir[STATE_PATH_SIZE], path[STATE_PATH_SIZE], fresh[STATE_PATH_SIZE];
	int err;

	path_of(instance, "", dir);
	path_of(instance, "policy.conf", path);
	path_of(instance, "policy.conf.new", fresh);
	err = make_dir(STATE);
	if (!err)
		err = make_dir(dir);
	if (!err)
		err = write_file(fresh, conf);
	if (!err && rename(fresh, path))
		err = -errno;
	return err;
}

int state_load(const char *instance, struct conf **ret)
{
	char path[STATE_PATH_SIZE];
	struct conf_diag diag;
	int err;

	path_of(instance, "policy.conf", path);
	if (access(path, F_OK))
		return -errno;
	err = conf_load(path, ret, &diag);
	if (err)
		conf_diag_print(&diag, stderr);
	return err;
}

bool state_forget(const char *instance)
{
	char path[STATE_PATH_SIZE];
	bool was;

	path_of(instance, "policy.conf", path);
	was = unlink(path) == 0;
	path_of(instance, "", path);
	rmdir(path);
	return was;
}
