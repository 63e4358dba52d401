/* SPDX-License-Identifier: MIT */
/*
 * Files of the commands that copy databases: synced copies, moves that are
 * there wholly or not at all.  Runs in a command; never touches the database
 * of a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/mem.h"
#include "../common/secret.h"
#include "../master/lock.h"
#include "tool_int.h"

#define PIECE ((size_t)1024 * 1024)

static int
failed(const char *what, const char *path)
{
	(void)tool_error("cannot %s %s: %s", what, path, strerror(errno));
	return -1;
}

char *
tool_db_path(const struct tool *t, const char *suffix)
{
	return lock_beside(t->config->dsn.path, suffix);
}

static int
sync_path(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), rc;

	if (fd == -1)
		return failed("open", path);
	rc = fsync(fd);
	if (rc == -1)
		(void)failed("sync", path);
	(void)close(fd);
	return rc;
}

int
tool_sync_file(const char *path)
{
	return sync_path(path, 0);
}

int
tool_sync_dir(const char *path)
{
	char *dir = mem_strdup(path), *slash = strrchr(dir, '/');
	int rc;

	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	rc = sync_path(slash != NULL ? dir : ".", O_DIRECTORY);
	free(dir);
	return rc;
}

static bool
same_file(const struct stat *a, const char *path)
{
	struct stat b;

	return stat(path, &b) == 0 && a->st_dev == b.st_dev &&
	    a->st_ino == b.st_ino;
}

bool
tool_is_ours(const struct tool *t, const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-lock", "-ctl",
		"-journal" };
	struct secrets *secrets;
	struct stat st;
	bool ours = false;

	if (stat(path, &st) == -1)
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *own = tool_db_path(t, ends[i]);

		ours = ours || same_file(&st, own);
		free(own);
	}
	secrets = secret_new(t->config->key_file, t->config->dsn.path);
	ours = ours || same_file(&st, secret_path(secrets));
	secret_free(secrets);
	if (ours)
		(void)tool_error("%s belongs to the database itself", path);
	return ours;
}

bool
tool_may_make(const struct tool *t, const char *path)
{
	struct stat st;

	if (tool_is_ours(t, path))
		return false;
	if (stat(path, &st) == -1)
		return true;
	if (!S_ISREG(st.st_mode))
		(void)tool_error("%s is there and no regular file", path);
	else if ((t->opts & TOOL_FORCE) == 0)
		(void)tool_error("%s exists; --force replaces it", path);
	else
		return true;
	return false;
}

/* The bytes of one file into another, with a look at the signals. */
static int
copy_bytes(struct progress *p, int from, int to, uint64_t all)
{
	char *piece = mem_alloc(PIECE);
	uint64_t done = 0;
	ssize_t n, out;

	while ((n = read(from, piece, PIECE)) > 0) {
		for (ssize_t at = 0; at < n; at += out)
			if ((out = write(to, piece + at, (size_t)(n - at))) ==
			    -1) {
				n = -1;
				goto out;
			}
		done += (uint64_t)n;
		progress_show(p, done, all);
		if (tool_stopped()) {
			errno = EINTR;
			n = -1;
			goto out;
		}
	}
out:
	free(piece);
	return n == 0 ? 0 : -1;
}

int
tool_copy(struct tool *t, const char *label, const char *from, const char *to)
{
	struct progress p;
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc = -1;

	if (in == -1 || fstat(in, &st) == -1) {
		(void)failed("read", from);
		goto out;
	}
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out == -1) {
		(void)failed("make", to);
		goto out;
	}
	progress_begin(&p, t, label, true);
	rc = copy_bytes(&p, in, out, (uint64_t)st.st_size);
	progress_end(&p);
	if (rc == 0)
		rc = fsync(out);
	if (rc == -1) {
		(void)failed("write", to);
		(void)unlink(to);
	}
out:
	if (in != -1)
		(void)close(in);
	if (out != -1)
		(void)close(out);
	return rc;
}

int
tool_take_over(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	/* Root acts here in the directory of another user. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = -1;

	if (fd != -1 && fchown(fd, uid, gid) == 0 && fchmod(fd, mode) == 0)
		rc = 0;
	else
		(void)failed("set the owner of", path);
	if (fd != -1)
		(void)close(fd);
	return rc;
}

/* ---- giving a disk back ---- */

/* A file system may tell the disk which blocks are free while it commits, and
 * whoever syncs a file then waits for all of them. */
#define FREE_PIECE ((off_t)4 * 1024 * 1024)
static const struct timespec free_pause = { 0, 10000000 };

/* The file of that name, if it is ours alone; -1. */
static int
free_begin(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1)
		return -1;
	/* The lease is only given when nobody else has it open; SIGURG, since
	 * the signal of one who then opens it would end us. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    fcntl(fd, F_SETSIG, SIGURG) == 0 &&
	    fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Gives back its blocks piece by piece if it has no name any more and nobody
 * has come to read it meanwhile. */
static void
free_end(int fd)
{
	struct stat st;

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0 && st.st_nlink == 0 &&
	    fcntl(fd, F_GETLEASE) == F_WRLCK)
		while ((st.st_size -= FREE_PIECE) > 0 &&
		    ftruncate(fd, st.st_size) == 0 && !tool_stopped())
			(void)nanosleep(&free_pause, NULL);
	(void)close(fd);
}

/* Under another name without ever replacing a file, unless `force`. */
static int
move(const char *from, const char *to, bool force)
{
	int old = force ? free_begin(to) : -1,
	    rc = renameat2(AT_FDCWD, from, AT_FDCWD, to,
		force ? 0 : RENAME_NOREPLACE),
	    saved = errno;

	free_end(old);
	errno = saved;
	return rc;
}

/* By way of a file beside `to`. */
static int
place_far(struct tool *t, const char *from, const char *to, bool force)
{
	size_t size = strlen(to) + sizeof(".part");
	char *part = mem_alloc(size);
	int rc;

	(void)snprintf(part, size, "%s.part", to);
	/* Of a command that was killed. */
	(void)unlink(part);
	rc = tool_copy(t, "copying", from, part);
	if (rc == 0 && (rc = move(part, to, force)) == -1) {
		(void)failed("make", to);
		(void)unlink(part);
	}
	free(part);
	if (rc == 0)
		(void)unlink(from);
	return rc;
}

int
tool_place(struct tool *t, const char *from, const char *to, bool force)
{
	int rc;

	/* It was made by the server, for its own user. */
	if (tool_take_over(from, geteuid(), getegid(), 0600) == -1)
		return -1;
	if ((rc = move(from, to, force)) == -1) {
		if (errno != EXDEV)
			return failed("make", to);
		rc = place_far(t, from, to, force);
	}
	return rc == 0 ? tool_sync_dir(to) : -1;
}

void
tool_remove_db(const char *path)
{
	static const char *const ends[] = { "-journal", "-wal", "-shm", "" };
	size_t size = strlen(path) + 16;
	char *name = mem_alloc(size);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(name, size, "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	free(name);
}
