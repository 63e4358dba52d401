/* SPDX-License-Identifier: MIT */
/*
 * The files of the database as files: making them, removing what a start
 * that failed has made, room on their disk, syncing the log.  Runs in the
 * writer; reads and changes nothing inside them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../common/mem.h"
#include "store_int.h"

/* Less room than this counts as none after a refusal, so that a full disk
 * is not found usable for every small write that still fits. */
#define ROOM_MIN (1024 * 1024)
#define PIECE (256 * 1024)

static char *
disk_name(const struct store *s, const char *end)
{
	size_t size = strlen(s->path) + strlen(end) + 1;
	char *path = mem_alloc(size);

	(void)snprintf(path, size, "%s%s", s->path, end);
	return path;
}

int
store_disk_create(struct store *s)
{
	/* SQLite would make the file readable by everybody. */
	int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd == -1)
		return errno == EEXIST ? 0 : -1;
	(void)close(fd);
	s->created = true;
	return 0;
}

void
store_disk_remove(const struct store *s)
{
	static const char *const ends[] = { "-journal", "-wal", "-shm", "" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *path = disk_name(s, ends[i]);

		(void)unlink(path);
		free(path);
	}
}

uint64_t
store_disk_free(const struct store *s)
{
	struct statvfs fs;
	uint64_t blocks;

	if (statvfs(s->path, &fs) == -1)
		return UINT64_MAX;
	/* What is kept back is kept for root. */
	blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	return blocks * fs.f_frsize;
}

bool
store_disk_room(const struct store *s)
{
	return store_disk_free(s) >= ROOM_MIN;
}

/* Writes the file's own first bytes over it. */
static int
disk_rewrite(int fd, off_t size)
{
	char *piece = mem_alloc(PIECE);
	ssize_t n = 0;

	for (off_t at = 0; at < size; at += n) {
		n = pread(fd, piece,
		    size - at < PIECE ? (size_t)(size - at) : PIECE, at);
		if (n <= 0 || (n = pwrite(fd, piece, (size_t)n, at)) <= 0)
			break;
	}
	free(piece);
	/* It may also be shorter. */
	return n < 0 ? -1 : 0;
}

int
store_disk_sync_wal(const struct store *s, uint64_t frames)
{
	off_t size = (off_t)(WAL_HEAD_SIZE + frames * WAL_FRAME_SIZE);
	char *path = disk_name(s, "-wal");
	int fd, rc;

	/* Nobody holds locks on this file that closing it would drop. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	free(path);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	rc = disk_rewrite(fd, size);
	if (rc == 0)
		rc = fdatasync(fd);
	(void)close(fd);
	return rc;
}
