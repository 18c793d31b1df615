// SPDX-License-Identifier: BSD-2-Clause
#include "scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

int scratch_open(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/adit-conf-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	scratch_write("hq.psk", "correct horse battery", 0600);
	return 0;
}

int scratch_close(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	(void)state;
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	return rmdir(dir);
}

const char *scratch_dir(void)
{
	return dir;
}

const char *scratch_write(const char *name, const char *text, mode_t mode)
{
	static char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, mode))
		abort();
	return path;
}
