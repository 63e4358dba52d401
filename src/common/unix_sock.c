/* SPDX-License-Identifier: MIT */
/*
 * Opens and reaches the control socket: the master listens, operator's
 * commands connect.  A long path is reached through a descriptor of its
 * directory under /proc/self/fd.
 */
#include "unix_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem.h"

/* Fills in sa; *dir is a descriptor to close after use, or -1. */
static int
unix_address(struct sockaddr_un *sa, const char *path, int *dir)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	int n;

	*dir = -1;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(sa->sun_path)) {
		memcpy(sa->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (slash == NULL) {
		errno = ENAMETOOLONG;
		return -1;
	}
	parent = mem_strndup(path, (size_t)(slash - path) + 1);
	*dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (*dir == -1)
		return -1;
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s",
	    *dir, slash + 1);
	if (n >= (int)sizeof(sa->sun_path)) {
		close(*dir);
		*dir = -1;
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int
unix_listen(const char *path)
{
	struct sockaddr_un sa;
	int fd = -1, dir, saved;
	mode_t mask;

	if (unix_address(&sa, path, &dir) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	if (unlink(sa.sun_path) == -1 && errno != ENOENT)
		goto fail;
	/* The mode at birth: there must be no moment at which others could
	 * connect. */
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		saved = errno;
		umask(mask);
		errno = saved;
		goto fail;
	}
	umask(mask);
	if (listen(fd, 16) == -1)
		goto fail;
	if (dir != -1)
		close(dir);
	return fd;
fail:
	saved = errno;
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	errno = saved;
	return -1;
}

int
unix_connect(const char *path)
{
	struct sockaddr_un sa;
	int fd, dir, saved;

	if (unix_address(&sa, path, &dir) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
	saved = errno;
	if (dir != -1)
		close(dir);
	errno = saved;
	return fd;
}
