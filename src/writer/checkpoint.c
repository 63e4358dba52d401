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
