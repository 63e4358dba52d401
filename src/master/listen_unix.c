/* SPDX-License-Identifier: MIT */
/*
 * Unix-domain sockets for a reverse proxy on this machine.  Runs in the
 * master at start; never accepts.
 */
#include "listen_unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket, not bound, and the address of the path. */
static int
unix_socket(const char *path, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sa->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa->sun_path, path, strlen(path) + 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int
listen_unix_probe(const char *path)
{
	struct sockaddr_un sa;
	struct stat st;
	int fd, rc, saved;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = unix_socket(path, &sa);
	if (fd == -1)
		return -1;
	rc = connect(fd, (const struct sockaddr *)&sa, sizeof(sa));
	saved = errno;
	close(fd);
	if (rc == -1 && saved == ECONNREFUSED)
		return unlink(path);
	/* EAGAIN: its queue is full. */
	errno = rc == 0 || saved == EAGAIN ? EADDRINUSE : saved;
	return -1;
}

int
listen_unix_bind(const char *path, mode_t mode)
{
	struct sockaddr_un sa;
	mode_t mask;
	int fd = unix_socket(path, &sa), rc, saved;

	if (fd == -1)
		return -1;
	/* There is no moment at which others could connect. */
	mask = umask(0777 & ~mode);
	rc = bind(fd, (const struct sockaddr *)&sa, sizeof(sa));
	saved = errno;
	umask(mask);
	if (rc == 0)
		return fd;
	close(fd);
	errno = saved;
	return -1;
}
