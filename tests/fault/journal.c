/* SPDX-License-Identifier: MIT */
/*
 * The journal of what a process did to the database's files, in the order in
 * which it did it.  Part of preload_disk.so.  Each entry goes out in one
 * write, so that a process that is killed leaves whole ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"

#define JOURNAL_PIECES 64
#define SNAP_PIECE (256 * 1024)

static int journal_fd = -1;
static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;

/* By number: the library's own functions are what is being replaced. */
void
journal_open(void)
{
	const char *path = getenv("FAULT_JOURNAL");
	int fd;

	if (path == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd == -1)
		abort();
	/* Out of the way of descriptors with a meaning. */
	journal_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
	if (journal_fd == -1)
		abort();
	(void)syscall(SYS_close, fd);
}

static void
journal_put(struct journal_head *h, const struct iovec *iov, size_t n)
{
	struct iovec v[JOURNAL_PIECES + 1] = { { h, sizeof(*h) } };
	int saved = errno;
	struct timespec ts;

	if (journal_fd == -1)
		return;
	if (n > JOURNAL_PIECES)
		abort();
	h->magic = JOURNAL_MAGIC;
	for (size_t i = 0; i < n; i++) {
		v[i + 1] = iov[i];
		h->len += iov[i].iov_len;
	}
	(void)pthread_mutex_lock(&journal_lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	h->ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	/* A journal with a hole would prove nothing. */
	if (syscall(SYS_writev, journal_fd, v, n + 1) !=
	    (long)(sizeof(*h) + h->len))
		abort();
	(void)pthread_mutex_unlock(&journal_lock);
	errno = saved;
}

void
journal_mark(enum journal_type type, uint64_t ino, int64_t off, uint64_t extra)
{
	struct journal_head h = { .type = type,
		.ino = ino,
		.off = off,
		.extra = extra };

	journal_put(&h, NULL, 0);
}

void
journal_data(enum journal_type type, uint64_t ino, int64_t off,
    const void *data, size_t len)
{
	struct journal_head h = { .type = type, .ino = ino, .off = off };
	struct iovec v = { (void *)(uintptr_t)data, len };

	journal_put(&h, &v, 1);
}

void
journal_pieces(enum journal_type type, const struct iovec *iov, size_t n)
{
	struct journal_head h = { .type = type };

	journal_put(&h, iov, n);
}

void
journal_snapshot(const char *path, const char *name)
{
	struct stat st;
	char *piece;
	ssize_t n;
	off_t at = 0;
	int fd;

	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd == -1)
		return;
	piece = malloc(SNAP_PIECE);
	if (piece == NULL || fstat(fd, &st) == -1)
		abort();
	journal_data(JOURNAL_NAME, st.st_ino, 0, name, strlen(name));
	while ((n = pread(fd, piece, SNAP_PIECE, at)) > 0) {
		journal_data(JOURNAL_SNAP, st.st_ino, at, piece, (size_t)n);
		at += n;
	}
	journal_mark(JOURNAL_SNAPPED, st.st_ino, at, 0);
	free(piece);
	/* Nobody has locks on it yet, so that closing takes none away. */
	(void)syscall(SYS_close, fd);
}
