/* SPDX-License-Identifier: MIT */
/*
 * Keeps a second server, or a command that would write by itself, away from
 * a database in use.  Master and operator's commands; at start only, so it
 * may sleep.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/mem.h"

#define LOCK_RETRY_MS 20

char *
lock_beside(const char *dbpath, const char *suffix)
{
	char *real = realpath(dbpath, NULL);
	const char *base = real != NULL ? real : dbpath;
	size_t size = strlen(base) + strlen(suffix) + 1;
	char *path = mem_alloc(size);

	snprintf(path, size, "%s%s", base, suffix);
	free(real);
	return path;
}

static int
lock_open(const char *path, char *err, size_t errsize)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		snprintf(err, errsize, "cannot open the lock file %s: %s", path,
		    strerror(errno));
	return fd;
}

int
lock_take(const char *dbpath, unsigned wait_ms, char *err, size_t errsize)
{
	const struct timespec pause = { 0, LOCK_RETRY_MS * 1000000L };
	uint64_t deadline = clock_mono_ms() + wait_ms;
	char *path = lock_beside(dbpath, "-lock");
	int fd = lock_open(path, err, errsize);
	int saved;

	if (fd == -1)
		goto out;
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		saved = errno;
		if (saved == EINTR ||
		    (saved == EWOULDBLOCK && clock_mono_ms() < deadline)) {
			nanosleep(&pause, NULL);
			continue;
		}
		if (saved == EWOULDBLOCK)
			snprintf(err, errsize,
			    "another server or command is using this "
			    "database (%s is locked)",
			    path);
		else
			snprintf(err, errsize, "cannot lock %s: %s", path,
			    strerror(saved));
		close(fd);
		fd = -1;
		errno = saved;
		break;
	}
out:
	saved = errno;
	free(path);
	errno = saved;
	return fd;
}
