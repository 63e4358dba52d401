/* SPDX-License-Identifier: MIT */
/*
 * Moves the WAL into the database between batches, so that neither grows a
 * commit's latency nor the file without bound.  Runs in the writer, the only
 * process that ever checkpoints.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "store_int.h"

#define PASSIVE_FRAMES (4 * 1024 * 1024 / WAL_FRAME_SIZE)
#define RESTART_FRAMES (16 * 1024 * 1024 / WAL_FRAME_SIZE)
#define RESTART_PATIENCE_MS 5
/* So that a stubborn reader costs at most a tenth of the writer's time. */
#define RESTART_PAUSE_MS 50
#define START_PATIENCE_MS 50
#define USUAL_PATIENCE_MS 100

static int
wal_hook(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct store *s = arg;

	(void)db;
	(void)name;
	s->wal_frames = (uint64_t)frames;
	if (s->wal_tried > s->wal_frames)
		s->wal_tried = 0;
	return SQLITE_OK;
}

/* -1 when it could not be done now; SQLITE_BUSY is usual. */
static int
checkpoint(struct store *s, int mode)
{
	int frames = 0, done = 0, rc;

	rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, &frames, &done);
	s->checkpoints++;
	if (frames > 0)
		s->wal_frames = (uint64_t)frames;
	if (rc == SQLITE_OK) {
		s->checkpoint_err = 0;
		return 0;
	}
	if ((rc & 0xff) == SQLITE_BUSY)
		return -1;
	/* It is tried again and again: said once. */
	if (rc != s->checkpoint_err) {
		s->checkpoint_err = rc;
		log_error("checkpoint failed", "code=%d text=\"%s\"",
		    sqlite3_extended_errcode(s->db), sqlite3_errmsg(s->db));
	}
	/* If it was the database's sync, the pages of shorter checkpoints
	 * before this one were in it, too, and must be written again. */
	store_index_backfill_again(s);
	return -1;
}

int
store_checkpoint_start(struct store *s, char *err, size_t errsize)
{
	/*
	 * After a sync that failed, the kernel takes for written what is
	 * not, and another sync proves nothing: so the log is written anew
	 * before anything is built on it, and all of it is checkpointed.
	 */
	if (store_disk_sync_wal(s, store_index_frames(s)) == -1) {
		(void)snprintf(err, errsize,
		    "cannot sync the log of database %s: %s", s->path,
		    strerror(errno));
		return -1;
	}
	store_index_backfill_again(s);
	(void)sqlite3_busy_timeout(s->db, START_PATIENCE_MS);
	if (checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE) == -1)
		(void)checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
	(void)sqlite3_busy_timeout(s->db, USUAL_PATIENCE_MS);
	(void)sqlite3_wal_hook(s->db, wal_hook, s);
	return 0;
}

int
store_checkpoint_truncate(struct store *s)
{
	int rc;

	(void)sqlite3_busy_timeout(s->db, RESTART_PATIENCE_MS);
	if ((rc = checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE)) == 0)
		s->wal_frames = s->wal_tried = 0;
	(void)sqlite3_busy_timeout(s->db, USUAL_PATIENCE_MS);
	return rc;
}

void
store_checkpoint_probe(struct store *s)
{
	(void)checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
}

void
store_maintain(struct store *s)
{
	uint64_t now;

	if (s->wal_frames < s->wal_tried + PASSIVE_FRAMES &&
	    s->wal_frames < RESTART_FRAMES)
		return;
	if (s->wal_frames < RESTART_FRAMES) {
		s->wal_tried = s->wal_frames;
		(void)checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
		return;
	}
	now = clock_mono_ms();
	if (now < s->restart_ms + RESTART_PAUSE_MS)
		return;
	s->wal_tried = s->wal_frames;
	(void)sqlite3_busy_timeout(s->db, RESTART_PATIENCE_MS);
	if (checkpoint(s, SQLITE_CHECKPOINT_RESTART) == 0)
		s->wal_frames = s->wal_tried = 0;
	(void)sqlite3_busy_timeout(s->db, USUAL_PATIENCE_MS);
	s->restart_ms = clock_mono_ms();
}

uint64_t
store_wal_bytes(const struct store *s)
{
	return s->wal_frames * WAL_FRAME_SIZE;
}

uint64_t
store_checkpoints(const struct store *s)
{
	return s->checkpoints;
}
