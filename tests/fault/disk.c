/* SPDX-License-Identifier: MIT */
/*
 * preload_disk.so: stands between the writer and the file system.  Journals
 * what happens to the database's files and what is said on sockets, and
 * lets calls fail as a test orders.  Loaded by LD_PRELOAD:
 *   FAULT_DB       the database's file, an absolute path
 *   FAULT_JOURNAL  the journal to append to (none without it)
 *   FAULT_ORDERS   the file with struct disk_orders (no faults without it)
 *   FAULT_ALL      not only in `--role writer` but in every process
 * A write is journalled when it has been done and a sync when it begins and
 * when it has ended, so that every write before a sync's beginning was in it.
 */
#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 64

struct known {
	dev_t dev;
	ino_t ino;
	int kind;
};

static char dir[4096]; /* where the database is */
static char base[256]; /* its name there */
static dev_t dir_dev;
static ino_t dir_ino;
static bool active;
static struct disk_orders *orders;
static struct known files[FILES_MAX];
static unsigned nfiles;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t syncs;

/* The function that this one stands in front of. */
#define REAL(name) \
	static __typeof__(name) *real; \
	if (real == NULL) \
	real = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)

/* ---- which file ---- */

static int
kind_of(const char *name)
{
	size_t n = strlen(base);

	if (strncmp(name, base, n) != 0)
		return 0;
	name += n;
	if (*name == '\0')
		return DISK_DB;
	if (strcmp(name, "-wal") == 0)
		return DISK_WAL;
	if (strcmp(name, "-journal") == 0)
		return DISK_ROLLBACK;
	if (strcmp(name, "-shm") == 0)
		return DISK_SHM;
	if (strcmp(name, "-lock") == 0 || strncmp(name, "-ctl", 4) == 0 ||
	    strncmp(name, "-secrets", 8) == 0)
		return 0;
	return DISK_OTHER;
}

/* The slash behind which the name in the database's directory begins, NULL
 * when there is none; copies are made in a directory of theirs there. */
static const char *
last_slash(const char *path)
{
	static const char staging[] = "-staging/";
	const char *slash = strrchr(path, '/'), *p = slash;
	size_t n = strlen(base);

	while (p != NULL && p > path && p[-1] != '/')
		p--;
	if (p == NULL || strncmp(p, base, n) != 0 ||
	    strncmp(p + n, staging, sizeof(staging) - 1) != 0)
		return slash;
	return p > path ? p - 1 : NULL;
}

/* The name in the database's directory, or NULL for another file. */
static const char *
name_in_dir(const char *path)
{
	char parent[4096] = ".";
	const char *slash = last_slash(path);
	struct stat st;

	if (!active)
		return NULL;
	if (kind_of(slash == NULL ? path : slash + 1) == 0)
		return NULL;
	if (slash != NULL) {
		size_t n = (size_t)(slash - path);

		if (n >= sizeof(parent))
			return NULL;
		memcpy(parent, path, n);
		parent[n] = '\0';
		if (n == 0)
			return NULL;
	}
	if (stat(parent, &st) == -1 || st.st_dev != dir_dev ||
	    st.st_ino != dir_ino)
		return NULL;
	return slash == NULL ? path : slash + 1;
}

static void
file_add(const struct stat *st, int kind)
{
	unsigned i;

	(void)pthread_mutex_lock(&files_lock);
	for (i = 0; i < nfiles; i++)
		if (files[i].ino == st->st_ino && files[i].dev == st->st_dev)
			break;
	if (i == FILES_MAX)
		abort();
	files[i] = (struct known){ st->st_dev, st->st_ino, kind };
	if (i == nfiles)
		nfiles++;
	(void)pthread_mutex_unlock(&files_lock);
}

/* Its kind, 0 for another's; *st is filled in if it is not 0. */
static int
file_of(int fd, struct stat *st)
{
	int kind = 0, saved = errno;

	if (!active || fstat(fd, st) == -1) {
		errno = saved;
		return 0;
	}
	if (st->st_ino == dir_ino && st->st_dev == dir_dev)
		return DISK_DIR;
	(void)pthread_mutex_lock(&files_lock);
	for (unsigned i = 0; i < nfiles; i++)
		if (files[i].ino == st->st_ino && files[i].dev == st->st_dev)
			kind = files[i].kind;
	(void)pthread_mutex_unlock(&files_lock);
	return kind;
}

static bool
journalled(int kind)
{
	return kind != 0 && kind != DISK_SHM && kind != DISK_DIR;
}

/* ---- faults ---- */

/* Takes one from a number, unless it is 0; negative is without end. */
static bool
take_one(_Atomic int32_t *number)
{
	int32_t left = atomic_load(number);

	while (left != 0)
		if (left < 0 ||
		    atomic_compare_exchange_weak(number, &left, left - 1))
			return true;
	return false;
}

/* The errno with which to fail, or 0. */
static int
ordered(const _Atomic int32_t *error, int kind)
{
	int e;

	if (orders == NULL || (e = atomic_load(error)) == 0 ||
	    (atomic_load(&orders->files) & kind) == 0 ||
	    take_one(&orders->after) || !take_one(&orders->times))
		return 0;
	atomic_fetch_add(&orders->hits, 1);
	if (e == DISK_KILL)
		(void)kill(getpid(), SIGKILL);
	return e;
}

/*
 * What becomes of a write of len bytes at off: -1 with errno, or how much of
 * it is done.  A full disk takes what falls into blocks that are there.
 */
static ssize_t
ordered_write(int kind, const struct stat *st, size_t len, off_t off)
{
	off_t room = (st->st_size + 4095) & ~(off_t)4095;
	int e;

	if (orders == NULL || atomic_load(&orders->write_error) == 0)
		return (ssize_t)len;
	if (atomic_load(&orders->growing) != 0) {
		if (off + (off_t)len <= room)
			return (ssize_t)len;
		if (off < room && (atomic_load(&orders->files) & kind) != 0)
			return (ssize_t)(room - off);
	}
	if ((e = ordered(&orders->write_error, kind)) == 0)
		return (ssize_t)len;
	errno = e;
	return -1;
}

/* ---- the calls ---- */

static void
opened(int fd, const char *name, bool was_there, int flags)
{
	int kind = kind_of(name);
	struct stat st;

	if (fstat(fd, &st) == -1)
		abort();
	file_add(&st, kind);
	if (!journalled(kind))
		return;
	if (!was_there)
		journal_data(JOURNAL_CREATE, st.st_ino, 0, name, strlen(name));
	else if ((flags & O_TRUNC) != 0)
		journal_mark(JOURNAL_TRUNCATE, st.st_ino, 0, 0);
}

static int
disk_open(int (*real)(const char *, int, ...), const char *path, int flags,
    mode_t mode)
{
	const char *name = name_in_dir(path);
	bool was_there;
	struct stat st;
	int fd, e;

	if (name == NULL)
		return real(path, flags, mode);
	was_there = lstat(path, &st) == 0;
	if (orders != NULL && ((flags & O_ACCMODE) != O_RDONLY || !was_there) &&
	    (e = ordered(&orders->open_error, kind_of(name))) != 0) {
		errno = e;
		return -1;
	}
	fd = real(path, flags, mode);
	if (fd != -1)
		opened(fd, name, was_there, flags);
	return fd;
}

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) != 0 ? (mode_t)va_arg(ap, int) : 0;
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(open);

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return disk_open(real, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(open64);

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return disk_open(real, path, flags, mode);
}

static ssize_t
disk_pwrite(ssize_t (*real)(int, const void *, size_t, off_t), int fd,
    const void *p, size_t len, off_t off)
{
	struct stat st;
	int kind = file_of(fd, &st);
	ssize_t n;

	if (kind == 0)
		return real(fd, p, len, off);
	if ((n = ordered_write(kind, &st, len, off)) == -1)
		return -1;
	n = real(fd, p, (size_t)n, off);
	if (n > 0 && journalled(kind))
		journal_data(JOURNAL_WRITE, st.st_ino, off, p, (size_t)n);
	return n;
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t off)
{
	REAL(pwrite);

	return disk_pwrite(real, fd, p, len, off);
}

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t off)
{
	REAL(pwrite64);

	return disk_pwrite(real, fd, p, len, off);
}

/* The program uses none of these on its files: then the test says so. */
static void
not_expected(int fd, const char *call)
{
	struct stat st;

	if (!journalled(file_of(fd, &st)))
		return;
	fprintf(stderr, "preload_disk: unexpected %s on a database file\n",
	    call);
	abort();
}

ssize_t
write(int fd, const void *p, size_t len)
{
	REAL(write);

	not_expected(fd, "write");
	return real(fd, p, len);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	REAL(writev);

	not_expected(fd, "writev");
	return real(fd, iov, n);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	REAL(pwritev);

	not_expected(fd, "pwritev");
	return real(fd, iov, n, off);
}

static int
disk_truncate(int (*real)(int, off_t), int fd, off_t size)
{
	struct stat st;
	int kind = file_of(fd, &st), rc;

	if (kind == 0 || kind == DISK_DIR)
		return real(fd, size);
	if (size > st.st_size &&
	    ordered_write(kind, &st, (size_t)(size - st.st_size), st.st_size) ==
		-1)
		return -1;
	rc = real(fd, size);
	if (rc == 0 && journalled(kind))
		journal_mark(JOURNAL_TRUNCATE, st.st_ino, size, 0);
	return rc;
}

int
ftruncate(int fd, off_t size)
{
	REAL(ftruncate);

	return disk_truncate(real, fd, size);
}

int
ftruncate64(int fd, off64_t size)
{
	REAL(ftruncate64);

	return disk_truncate(real, fd, size);
}

static int
disk_sync(int (*real)(int), int fd)
{
	struct stat st;
	int kind = file_of(fd, &st), rc, e;
	uint64_t id;

	if (kind == 0 || kind == DISK_SHM)
		return real(fd);
	if (orders != NULL && atomic_load(&orders->swallow) != 0) {
		atomic_fetch_add(&orders->hits, 1);
		return 0;
	}
	id = atomic_fetch_add(&syncs, 1);
	journal_mark(JOURNAL_SYNC, st.st_ino, 0, id);
	e = orders == NULL ? 0 : ordered(&orders->sync_error, kind);
	rc = e != 0 ? -1 : real(fd);
	if (rc == -1 && e == 0)
		e = errno;
	journal_mark(JOURNAL_SYNCED, st.st_ino, e, id);
	if (rc == -1)
		errno = e;
	return rc;
}

int
fsync(int fd)
{
	REAL(fsync);

	return disk_sync(real, fd);
}

int
fdatasync(int fd)
{
	REAL(fdatasync);

	return disk_sync(real, fd);
}

int
unlink(const char *path)
{
	const char *name = name_in_dir(path);
	int rc;
	REAL(unlink);

	rc = real(path);
	if (rc == 0 && name != NULL && journalled(kind_of(name)))
		journal_data(JOURNAL_UNLINK, 0, 0, name, strlen(name));
	return rc;
}

int
rename(const char *from, const char *to)
{
	const char *a = name_in_dir(from), *b = name_in_dir(to);
	struct iovec v[2];
	int rc;
	REAL(rename);

	rc = real(from, to);
	if (rc == 0 && (a != NULL || b != NULL)) {
		v[0] = (struct iovec){ (void *)(uintptr_t)(a ? a : ""),
			a ? strlen(a) + 1 : 1 };
		v[1] = (struct iovec){ (void *)(uintptr_t)(b ? b : ""),
			b ? strlen(b) : 0 };
		journal_pieces(JOURNAL_RENAME, v, 2);
	}
	return rc;
}

/* ---- what is told ---- */

ssize_t
send(int fd, const void *p, size_t len, int flags)
{
	REAL(send);

	if (active)
		journal_data(JOURNAL_TOLD, 0, 0, p, len);
	return real(fd, p, len, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	REAL(sendmsg);

	if (active)
		journal_pieces(JOURNAL_TOLD, m->msg_iov, m->msg_iovlen);
	return real(fd, m, flags);
}

/* ---- the beginning ---- */

static bool
is_writer(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--role") == 0)
			return strcmp(argv[i + 1], "writer") == 0;
	return false;
}

static void
take_orders(void)
{
	const char *path = getenv("FAULT_ORDERS");
	void *p;
	int fd;

	if (path == NULL)
		return;
	fd = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		abort();
	p = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	if (p == MAP_FAILED)
		abort();
	orders = p;
	(void)close(fd);
}

static void
note_what_is_there(void)
{
	static const char *const ends[] = { "", "-wal", "-journal", "-shm" };
	char path[sizeof(dir) + sizeof(base) + 16], *name;
	struct stat st;

	journal_mark(JOURNAL_START, dir_ino, 0, (uint64_t)getpid());
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s%s", dir, base,
		    ends[i]);
		name = path + strlen(dir) + 1;
		if (stat(path, &st) == -1)
			continue;
		file_add(&st, kind_of(name));
		if (journalled(kind_of(name)))
			journal_snapshot(path, name);
	}
}

__attribute__((constructor)) static void
disk_begin(int argc, char **argv)
{
	const char *db = getenv("FAULT_DB"), *slash;
	struct stat st;

	if (db == NULL || (slash = strrchr(db, '/')) == NULL ||
	    (getenv("FAULT_ALL") == NULL && !is_writer(argc, argv)))
		return;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - db), db);
	(void)snprintf(base, sizeof(base), "%s", slash + 1);
	if (stat(dir, &st) == -1)
		abort();
	dir_dev = st.st_dev;
	dir_ino = st.st_ino;
	take_orders();
	journal_open();
	note_what_is_there();
	active = true;
}
