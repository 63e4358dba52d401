/* SPDX-License-Identifier: MIT */
/*
 * Gathers what SQLite writes to the WAL, two small writes a page, into few
 * large ones: system calls were a quarter of a message's cost.  Runs in the
 * writer, between SQLite and its own VFS, for the WAL file only.
 *
 * Held back is only what no one may look at yet: other processes read up to
 * what the wal-index says, and SQLite moves that on only after xSync, which
 * writes everything out first.  So do our own reads and whatever else asks
 * about the file.  An error of such a late write is that of xSync, before
 * anything was synced.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "store_int.h"

#define VFS_NAME "chatapi"
/* SQLite's unix VFS writes at most 128 KiB - 1 at once. */
#define VFS_HELD_FIRST (31 * 1024)
#define VFS_HELD_MAX (4 * VFS_HELD_FIRST)

struct wal_file {
	sqlite3_file base;
	char *held;
	size_t cap;
	size_t len;
	sqlite3_int64 at; /* where in the file it goes */
	/* The file of SQLite's own VFS stands behind this struct. */
};

static sqlite3_vfs vfs;
static sqlite3_vfs *vfs_below;

static sqlite3_file *
wal_real(sqlite3_file *f)
{
	return (sqlite3_file *)((struct wal_file *)f + 1);
}

static int
wal_write_out(sqlite3_file *f)
{
	struct wal_file *w = (struct wal_file *)f;
	sqlite3_file *real = wal_real(f);
	size_t len = w->len;

	if (len == 0)
		return SQLITE_OK;
	w->len = 0;
	return real->pMethods->xWrite(real, w->held, (int)len, w->at);
}

static int
wal_close(sqlite3_file *f)
{
	struct wal_file *w = (struct wal_file *)f;
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f), closed;

	closed = real->pMethods->xClose(real);
	free(w->held);
	w->held = NULL;
	return rc != SQLITE_OK ? rc : closed;
}

static int
wal_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f);

	return rc != SQLITE_OK ? rc : real->pMethods->xRead(real, to, len, at);
}

/* Makes room for len more bytes; false when they must go out directly. */
static bool
wal_room(struct wal_file *w, size_t len)
{
	size_t cap = w->cap == 0 ? VFS_HELD_FIRST : w->cap;
	char *p;

	if (w->len + len <= w->cap)
		return true;
	while (cap < w->len + len)
		cap *= 2;
	if (cap > VFS_HELD_MAX || (p = realloc(w->held, cap)) == NULL)
		return false;
	w->held = p;
	w->cap = cap;
	return true;
}

static int
wal_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 at)
{
	struct wal_file *w = (struct wal_file *)f;
	sqlite3_file *real = wal_real(f);
	int rc;

	if ((w->len > 0 && at != w->at + (sqlite3_int64)w->len) ||
	    !wal_room(w, (size_t)len)) {
		if ((rc = wal_write_out(f)) != SQLITE_OK)
			return rc;
		if (!wal_room(w, (size_t)len))
			return real->pMethods->xWrite(real, from, len, at);
	}
	if (w->len == 0)
		w->at = at;
	memcpy(w->held + w->len, from, (size_t)len);
	w->len += (size_t)len;
	return SQLITE_OK;
}

static int
wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f);

	return rc != SQLITE_OK ? rc : real->pMethods->xTruncate(real, size);
}

static int
wal_sync(sqlite3_file *f, int flags)
{
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f);

	return rc != SQLITE_OK ? rc : real->pMethods->xSync(real, flags);
}

static int
wal_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f);

	return rc != SQLITE_OK ? rc : real->pMethods->xFileSize(real, size);
}

static int
wal_lock(sqlite3_file *f, int level)
{
	sqlite3_file *real = wal_real(f);

	return real->pMethods->xLock(real, level);
}

static int
wal_unlock(sqlite3_file *f, int level)
{
	sqlite3_file *real = wal_real(f);

	return real->pMethods->xUnlock(real, level);
}

static int
wal_check_lock(sqlite3_file *f, int *out)
{
	sqlite3_file *real = wal_real(f);

	return real->pMethods->xCheckReservedLock(real, out);
}

static int
wal_control(sqlite3_file *f, int op, void *arg)
{
	sqlite3_file *real = wal_real(f);
	int rc = wal_write_out(f);

	return rc != SQLITE_OK ? rc :
				 real->pMethods->xFileControl(real, op, arg);
}

static int
wal_sector_size(sqlite3_file *f)
{
	sqlite3_file *real = wal_real(f);

	return real->pMethods->xSectorSize(real);
}

static int
wal_device(sqlite3_file *f)
{
	sqlite3_file *real = wal_real(f);

	return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: a WAL file is neither mapped nor has shared memory. */
static const sqlite3_io_methods wal_methods = {
	.iVersion = 1,
	.xClose = wal_close,
	.xRead = wal_read,
	.xWrite = wal_write,
	.xTruncate = wal_truncate,
	.xSync = wal_sync,
	.xFileSize = wal_file_size,
	.xLock = wal_lock,
	.xUnlock = wal_unlock,
	.xCheckReservedLock = wal_check_lock,
	.xFileControl = wal_control,
	.xSectorSize = wal_sector_size,
	.xDeviceCharacteristics = wal_device,
};

static int
vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct wal_file *w = (struct wal_file *)f;
	sqlite3_file *real = wal_real(f);
	int rc;

	(void)v;
	if ((flags & SQLITE_OPEN_WAL) == 0)
		return vfs_below->xOpen(vfs_below, name, f, flags, out);
	memset(w, 0, sizeof(*w));
	real->pMethods = NULL;
	rc = vfs_below->xOpen(vfs_below, name, real, flags, out);
	/* Without methods SQLite does not close what failed to open. */
	if (rc == SQLITE_OK)
		w->base.pMethods = &wal_methods;
	else if (real->pMethods != NULL)
		(void)real->pMethods->xClose(real);
	return rc;
}

const char *
store_vfs(void)
{
	if (vfs_below != NULL)
		return VFS_NAME;
	vfs_below = sqlite3_vfs_find(NULL);
	if (vfs_below == NULL)
		return NULL;
	/* The other methods are those below: they need no state of theirs
	 * but pAppData, which is the same. */
	vfs = *vfs_below;
	vfs.pNext = NULL;
	vfs.zName = VFS_NAME;
	vfs.szOsFile += (int)sizeof(struct wal_file);
	vfs.xOpen = vfs_open;
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
		vfs_below = NULL;
		return NULL;
	}
	return VFS_NAME;
}
