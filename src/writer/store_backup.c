/* SPDX-License-Identifier: MIT */
/*
 * A copy of the whole database while it is in use: steps between batches,
 * by the connection that writes, which brings along what is written
 * meanwhile; so the copy is of the moment at which it is complete.  Only a
 * batch that is rolled back makes SQLite begin the copy anew.  Runs in
 * the writer, or in a command that took its place.  The copy is synced,
 * sealed and moved by others.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/mem.h"
#include "store_int.h"

#define PAGE_SIZE 4096
/* What the server itself may need while the copy grows. */
#define KEEP_FREE ((uint64_t)16 * 1024 * 1024)
#define RANDOM_BYTES 8

struct store_backup {
	sqlite3 *to;
	sqlite3_backup *run;
	char *path;
	char suffix[STORE_BACKUP_SUFFIX_SIZE];
};

static char *
backup_beside(const struct store *s, const char *suffix)
{
	char *real = realpath(s->path, NULL), *out;
	const char *base = real != NULL ? real : s->path;
	size_t size = strlen(base) + strlen(suffix) + 1;

	out = mem_alloc(size);
	(void)snprintf(out, size, "%s%s", base, suffix);
	free(real);
	return out;
}

bool
store_restoring(const struct store *s)
{
	char *mark = backup_beside(s, STORE_RESTORING_SUFFIX);
	bool there = access(mark, F_OK) == 0;

	free(mark);
	return there;
}

/* ---- copies that nobody will finish ---- */

/* Is it "<hex>", or one of SQLite's files of that? */
static bool
backup_name(const char *name)
{
	static const char *const ends[] = { "", "-journal", "-wal", "-shm" };
	size_t hex = strspn(name, "0123456789abcdef");

	if (hex != RANDOM_BYTES * 2)
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(name + hex, ends[i]) == 0)
			return true;
	return false;
}

/* A command that is about to finish one holds a lock on it. */
static void
backup_remove_stale(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) == 0)
		log_info("unfinished backup removed", NULL);
	(void)close(fd);
}

void
store_backup_prepare(const struct store *s)
{
	char *path = backup_beside(s, STORE_BACKUP_DIR);

	/* Whether it is there and can be used shows when a copy is made. */
	(void)mkdir(path, 0700);
	free(path);
}

void
store_backup_clean(const struct store *s)
{
	char *path = backup_beside(s, STORE_BACKUP_DIR);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (backup_name(e->d_name))
			backup_remove_stale(dirfd(d), e->d_name);
	if (d != NULL)
		(void)closedir(d);
	free(path);
}

/* ---- one copy ---- */

/* Is there room for what is left of it, and for the server? */
static bool
backup_room(const struct store *s, uint64_t pages)
{
	return store_disk_free(s) >= pages * PAGE_SIZE + KEEP_FREE;
}

/* The file, empty and nobody else's; SQLite would make it for all to read. */
static int
backup_create(struct store_backup *b)
{
	int fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd == -1)
		return -1;
	(void)close(fd);
	return 0;
}

static int
backup_open(struct store *s, struct store_backup *b)
{
	/* No journal: after any mishap the copy is thrown away. */
	if (sqlite3_open_v2(b->path, &b->to,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_exec(b->to,
		"PRAGMA synchronous = OFF;"
		"PRAGMA journal_mode = OFF;"
		"PRAGMA cache_size = -1024;",
		NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	b->run = sqlite3_backup_init(b->to, "main", s->db, "main");
	return b->run != NULL ? 0 : -1;
}

int
store_backup_begin(struct store *s, char *err, size_t errsize)
{
	uint8_t random[RANDOM_BYTES];
	char hex[RANDOM_BYTES * 2 + 1];
	struct store_backup *b;
	int64_t pages;

	if (sql_int(s, "PRAGMA page_count", &pages) == -1 ||
	    !backup_room(s, (uint64_t)pages)) {
		(void)snprintf(err, errsize,
		    "the disk of the database has no room for a copy of it");
		return -1;
	}
	b = mem_alloc(sizeof(*b));
	randombytes_buf(random, sizeof(random));
	(void)sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	(void)snprintf(b->suffix, sizeof(b->suffix), "%s%s", STORE_BACKUP_DIR,
	    hex);
	b->path = backup_beside(s, b->suffix);
	s->backup = b;
	store_backup_prepare(s);
	if (backup_create(b) == -1)
		(void)snprintf(err, errsize, "cannot make %s: %s", b->path,
		    strerror(errno));
	else if (backup_open(s, b) == -1)
		(void)snprintf(err, errsize, "cannot begin %s: %s", b->path,
		    b->to != NULL ? sqlite3_errmsg(b->to) : "no memory");
	else
		return 0;
	store_backup_end(s, false);
	return -1;
}

int
store_backup_step(struct store *s, unsigned pages, char *err, size_t errsize)
{
	struct store_backup *b = s->backup;
	int left, rc;

	rc = sqlite3_backup_step(b->run, (int)pages);
	if (rc == SQLITE_DONE)
		return 1;
	left = sqlite3_backup_remaining(b->run);
	if ((rc & 0xff) == SQLITE_FULL ||
	    ((rc == SQLITE_OK || (rc & 0xff) == SQLITE_IOERR) &&
		!backup_room(s, left > 0 ? (uint64_t)left : 0))) {
		(void)snprintf(err, errsize,
		    "the disk of the database is getting full");
		return -1;
	}
	if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		return 0;
	(void)snprintf(err, errsize, "the copy failed: %s", sqlite3_errstr(rc));
	return -1;
}

void
store_backup_progress(const struct store *s, uint64_t *done, uint64_t *pages)
{
	int all = sqlite3_backup_pagecount(s->backup->run);
	int left = sqlite3_backup_remaining(s->backup->run);

	*pages = all > 0 ? (uint64_t)all : 0;
	*done = all > left ? (uint64_t)(all - left) : 0;
}

const char *
store_backup_suffix(const struct store *s)
{
	return s->backup->suffix;
}

bool
store_backup_active(const struct store *s)
{
	return s->backup != NULL;
}

bool
store_backup_owned(const struct store *s)
{
	int fd = open(s->backup->path, O_RDONLY | O_CLOEXEC);
	bool free_now = fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	/* Closing it drops SQLite's own locks on the copy, which are there
	 * against nobody. */
	if (fd != -1)
		(void)close(fd);
	return !free_now;
}

int
store_backup_end(struct store *s, bool keep)
{
	struct store_backup *b = s->backup;
	int rc = SQLITE_OK;

	if (b == NULL)
		return 0;
	s->backup = NULL;
	if (b->run != NULL)
		rc = sqlite3_backup_finish(b->run);
	if (sqlite3_close(b->to) != SQLITE_OK && rc == SQLITE_OK)
		rc = SQLITE_IOERR;
	if (!keep || rc != SQLITE_OK)
		(void)unlink(b->path);
	free(b->path);
	free(b);
	return rc == SQLITE_OK ? 0 : -1;
}
