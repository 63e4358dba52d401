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

#define FRAME_SIZE (4096 + 24)
#define PASSIVE_FRAMES (4 * 1024 * 1024 / FRAME_SIZE)
#define RESTART_FRAMES (16 * 1024 * 1024 / FRAME_SIZE)
#define RESTART_PATIENCE_MS 5
/* So that a stubborn reader costs at most a tenth of the writer's time. */
#define RESTART_PAUSE_MS 50
#define START_PATIENCE_MS 50
#define USUAL_PATIENCE_MS 100
/* The wal-index, of SQLite's file format: frames in a region, how many the
 * first one's header takes the place of, bytes of a region. */
#define INDEX_FRAMES 4096
#define INDEX_HEAD 34
#define INDEX_SIZE 32768

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
	/* It is tried again and again: said once. */
	if ((rc & 0xff) != SQLITE_BUSY && rc != s->checkpoint_err) {
		s->checkpoint_err = rc;
		log_error("checkpoint failed", "code=%d text=\"%s\"",
		    sqlite3_extended_errcode(s->db), sqlite3_errmsg(s->db));
	}
	return -1;
}

int
store_checkpoint_start(struct store *s, char *err, size_t errsize)
{
	(void)sqlite3_busy_timeout(s->db, START_PATIENCE_MS);
	if (checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE) == -1) {
		/*
		 * A reader holds on.  After a failed sync the kernel takes
		 * for written what is not: only new writes of the same bytes
		 * make the log's end certain.
		 */
		(void)checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
		if (store_disk_sync_wal(s) == -1) {
			(void)snprintf(err, errsize,
			    "cannot sync the log of "
			    "database %s: %s",
			    s->path, strerror(errno));
			return -1;
		}
	}
	(void)sqlite3_busy_timeout(s->db, USUAL_PATIENCE_MS);
	(void)sqlite3_wal_hook(s->db, wal_hook, s);
	return 0;
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

/*
 * The wal-index grows at the end of a commit, when its frames are synced
 * already and can be neither kept nor taken back.  So it grows here, early
 * enough for any usual batch.
 */
int
store_index_room(struct store *s)
{
	uint64_t at = s->wal_frames + INDEX_HEAD, regions = at / INDEX_FRAMES;
	void volatile *region;
	sqlite3_file *f;

	regions += at % INDEX_FRAMES < INDEX_FRAMES / 2 ? 1 : 2;
	if (regions <= s->index_regions)
		return 0;
	s->err = sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_FILE_POINTER,
	    &f);
	if (s->err == SQLITE_OK)
		s->err = f->pMethods->xShmMap(f, (int)regions - 1, INDEX_SIZE,
		    1, &region);
	if (s->err == SQLITE_OK) {
		s->index_regions = regions;
		s->index_full = false;
		return 0;
	}
	if (!s->index_full)
		log_error("no room for the index of the WAL", "code=%d",
		    s->err);
	s->index_full = true;
	return -1;
}

uint64_t
store_wal_bytes(const struct store *s)
{
	return s->wal_frames * FRAME_SIZE;
}

uint64_t
store_checkpoints(const struct store *s)
{
	return s->checkpoints;
}
