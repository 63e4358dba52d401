/* SPDX-License-Identifier: MIT */
/*
 * Syncs the database file beside the commits instead of between them.  After
 * a checkpoint SQLite has to know that the database is on disk only before
 * it begins the WAL anew; until then the WAL still has all of it.  So a
 * checkpoint asked for in the background starts the sync in a thread, and
 * what would let the WAL be overwritten waits for its end.
 *
 * Runs in the writer.  The thread touches nothing but the file's xSync.
 *
 * What stands on which lock: a writer restarts the WAL, and a checkpoint
 * RESTART or TRUNCATE does, only with an exclusive lock on all read marks
 * but the first (sqlite.org/walformat.html#wal_locks: bytes 124 to 127, the
 * locks 4 to 7).  When the sync has failed that lock is refused as busy and
 * the count of pages copied so far is set back to none in the wal-index
 * (offset 96, nBackfill), so that a later checkpoint copies them again.
 */
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

#include "../common/log.h"
#include "store_int.h"

#define READ_MARKS_FIRST 4
#define READ_MARKS 4
#define WAL_INDEX_PAGE 32768
#define WAL_INDEX_BACKFILL 96

/* One database a process, so one of each. */
static struct {
	sqlite3_io_methods methods; /* SQLite's, with two of ours */
	const sqlite3_io_methods *below;
	sqlite3_file *file; /* the open database, or NULL */
	bool background;    /* the checkpoint running now allows it */
	bool pending;       /* the thread has been asked and not awaited */
	bool failed;        /* what was copied may not be on disk */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;
	bool asked; /* under lock: the thread has work */
	int result; /* under lock: of the last sync */
	int flags;
} sync_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static void *
sync_thread(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&sync_state.lock);
	for (;;) {
		int rc;

		while (!sync_state.asked)
			(void)pthread_cond_wait(&sync_state.changed,
			    &sync_state.lock);
		(void)pthread_mutex_unlock(&sync_state.lock);
		rc = sync_state.below->xSync(sync_state.file, sync_state.flags);
		(void)pthread_mutex_lock(&sync_state.lock);
		sync_state.result = rc;
		sync_state.asked = false;
		(void)pthread_cond_broadcast(&sync_state.changed);
	}
	return NULL;
}

/* Signals are the loop's; false when there can be no thread. */
static bool
sync_start(void)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	if (sync_state.started)
		return true;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, sync_thread, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return false;
	(void)pthread_detach(thread);
	sync_state.started = true;
	return true;
}

/* Nothing is copied any more, as far as SQLite knows. */
static void
sync_forget_copied(void)
{
	sqlite3_file *f = sync_state.file;
	void volatile *index = NULL;
	int rc;

	rc = sync_state.below->xShmMap(f, 0, WAL_INDEX_PAGE, 0, &index);
	if (rc != SQLITE_OK || index == NULL)
		return;
	atomic_store((_Atomic uint32_t volatile *)((char volatile *)index +
			 WAL_INDEX_BACKFILL),
	    0);
	sync_state.failed = false;
	log_error("database not synced, copying again", NULL);
}

/* Waits for the thread. */
static void
sync_wait(void)
{
	if (!sync_state.pending)
		return;
	(void)pthread_mutex_lock(&sync_state.lock);
	while (sync_state.asked)
		(void)pthread_cond_wait(&sync_state.changed, &sync_state.lock);
	if (sync_state.result != SQLITE_OK)
		sync_state.failed = true;
	(void)pthread_mutex_unlock(&sync_state.lock);
	sync_state.pending = false;
}

static int
db_sync(sqlite3_file *f, int flags)
{
	sync_wait();
	if (sync_state.failed)
		return SQLITE_IOERR_FSYNC;
	if (!sync_state.background || !sync_start())
		return sync_state.below->xSync(f, flags);
	(void)pthread_mutex_lock(&sync_state.lock);
	sync_state.flags = flags;
	sync_state.asked = true;
	(void)pthread_cond_broadcast(&sync_state.changed);
	(void)pthread_mutex_unlock(&sync_state.lock);
	sync_state.pending = true;
	return SQLITE_OK;
}

static int
db_shm_lock(sqlite3_file *f, int first, int n, int flags)
{
	if (first == READ_MARKS_FIRST && n == READ_MARKS &&
	    (flags & SQLITE_SHM_LOCK) != 0 &&
	    (flags & SQLITE_SHM_EXCLUSIVE) != 0) {
		sync_wait();
		if (sync_state.failed)
			return SQLITE_BUSY;
	}
	return sync_state.below->xShmLock(f, first, n, flags);
}

static int
db_close(sqlite3_file *f)
{
	sync_wait();
	sync_state.file = NULL;
	return sync_state.below->xClose(f);
}

void
store_sync_attach(sqlite3_file *f)
{
	if (sync_state.file != NULL || f->pMethods->iVersion < 2)
		return;
	sync_state.below = f->pMethods;
	sync_state.methods = *f->pMethods;
	sync_state.methods.xSync = db_sync;
	sync_state.methods.xShmLock = db_shm_lock;
	sync_state.methods.xClose = db_close;
	sync_state.file = f;
	sync_state.failed = false;
	f->pMethods = &sync_state.methods;
}

void
store_sync_background(bool on)
{
	sync_state.background = on;
}

bool
store_sync_settle(bool wait)
{
	if (wait)
		sync_wait();
	if (sync_state.failed && sync_state.file != NULL)
		sync_forget_copied();
	return !sync_state.failed;
}
