// SPDX-License-Identifier: BSD-2-Clause
#include "sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "door.h"
#include "log.h"

#define RUN_DIR	       "/run/adit"
#define RECEIVE_OCTETS (1 << 20) /* a burst of handshakes while one is computed */
#define PAIR_OCTETS    (4 << 20) /* some thousand SA_ADD */
#define DOOR_OCTETS    (1 << 20) /* some hundred packets: what waits longer is too late */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int bind_ike(int fd, int family, uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;

	return bind(fd, sa, family == AF_INET ? sizeof(in) : sizeof(in6)) ? -errno : 0;
}

static int open_ike(int family, uint16_t port)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP), err;

	if (fd < 0)
		return -errno;
	err = arrival_ask(fd, family);
	/* PMTU_DONT: a large IKE message goes out in fragments, never with DF. */
	if (!err && family == AF_INET)
		err = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	else if (!err)
		err = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	if (!err && family == AF_INET6)
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_OCTETS);
	if (!err)
		err = bind_ike(fd, family, port);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int sockets_open_ike(int fds[IKE_SOCKETS], uint64_t cookies[IKE_SOCKETS])
{
	static const struct {
		int family;
		uint16_t port;
	} want[IKE_SOCKETS] = {
		{AF_INET,  500 },
		{AF_INET,  4500},
		 {AF_INET6, 500 },
		  {AF_INET6, 4500}
	  };
	socklen_t len;
	int i;

	for (i = 0; i < IKE_SOCKETS; i++)
		fds[i] = -1;
	for (i = 0; i < IKE_SOCKETS; i++) {
		fds[i] = open_ike(want[i].family, want[i].port);
		if (fds[i] == -EAFNOSUPPORT && want[i].family == AF_INET6) {
			fds[i] = -1;
			continue;
		}
		if (fds[i] < 0) {
			int err = fds[i];

			log_error("UDP port %u (IPv%c): %s%s", want[i].port,
				  want[i].family == AF_INET ? '4' : '6', strerror(-err),
				  err == -EADDRINUSE ? "; does another IKE daemon run here?" : "");
			fds[i] = -1;
			sockets_close(fds, IKE_SOCKETS);
			return err;
		}
		len = sizeof(cookies[i]);
		if (getsockopt(fds[i], SOL_SOCKET, SO_COOKIE, &cookies[i], &len))
			return -errno;
	}
	return 0;
}

/* Takes part in everything and keeps nothing, so that it is never full. */
static int keep_nothing(int fd)
{
	struct sock_filter none = {.code = BPF_RET | BPF_K, .k = 0};
	const struct sock_fprog filter = {.len = 1, .filter = &none};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ? -errno : 0;
}

static int open_raw(int family, int *ret)
{
	*ret = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ESP);
	if (*ret >= 0 || (errno == EAFNOSUPPORT && family == AF_INET6))
		return 0;
	return -errno;
}

int sockets_open_esp(int fds[ESP_SOCKETS], int sinks[ESP_SOCKETS])
{
	static const int family[ESP_SOCKETS] = {AF_INET, AF_INET6};
	int i, err = 0;

	for (i = 0; i < ESP_SOCKETS && !err; i++) {
		err = open_raw(family[i], &sinks[i]);
		if (!err && sinks[i] >= 0)
			err = keep_nothing(sinks[i]);
		if (!err)
			err = open_raw(family[i], &fds[i]);
		if (!err && fds[i] >= 0)
			err = arrival_ask(fds[i], family[i]);
		if (!err && fds[i] >= 0)
			set_int(fds[i], SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_OCTETS);
	}
	if (err)
		log_error("a socket for ESP: %s", strerror(-err));
	return err;
}

void sockets_close(int *fds, unsigned n)
{
	while (n--)
		if (fds[n] >= 0) {
			close(fds[n]);
			fds[n] = -1;
		}
}

static int make_run_dir(const char *instance, char *path, size_t size)
{
	if (mkdir(RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path, size, RUN_DIR "/%.40s", instance);
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int sockets_open_control(const char *instance)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char dir[64];
	int fd, err;

	err = make_run_dir(instance, dir, sizeof(dir));
	if (err)
		return err;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/control", dir);
	unlink(un.sun_path); /* of an earlier run: the lock says that it is not in use */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) || chmod(un.sun_path, 0600) || listen(fd, 16)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Who removed the file may have done so between our open and our lock. */
static bool is_file(int fd, const char *path)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino &&
	       held.st_dev == there.st_dev;
}

int sockets_lock(const char *instance)
{
	char path[96];
	int fd, err;

	for (;;) {
		err = make_run_dir(instance, path, sizeof(path));
		if (err)
			return err;
		strncat(path, "/lock", sizeof(path) - strlen(path) - 1);
		fd = open_lock(path);
		if (fd == -ENOENT)
			continue;
		if (fd < 0 || is_file(fd, path))
			return fd;
		close(fd);
	}
}

void sockets_forget(const char *instance, int lock_fd)
{
	char dir[64], path[96];

	snprintf(dir, sizeof(dir), RUN_DIR "/%.40s", instance);
	snprintf(path, sizeof(path), "%s/control", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	rmdir(dir);
	close(lock_fd);
}

static int open_pair(int pair[2], int octets)
{
	int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	for (i = 0; i < 2; i++)
		set_int(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, octets);
	return 0;
}

int sockets_pair(int pair[2])
{
	return open_pair(pair, PAIR_OCTETS);
}

int sockets_pair_door(int pair[2])
{
	return open_pair(pair, DOOR_OCTETS);
}
