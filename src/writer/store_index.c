/* SPDX-License-Identifier: MIT */
/*
 * The wal-index, where SQLite itself does not do what a failing disk asks
 * for: making it grow in time, and checkpointing once more what a sync may
 * have lost.  Its layout is of SQLite's documented file format.  Runs in the
 * writer, the only process that checkpoints or writes, between transactions.
 */
#include "../common/log.h"
#include "store_int.h"

/* Bytes of a region, frames in it, and how many its header takes the place
 * of in the first one. */
#define INDEX_SIZE 32768
#define INDEX_FRAMES 4096
#define INDEX_HEAD 34
/* Words of 32 bits in the header, of the machine's own byte order. */
#define INDEX_VERSION 3007000
#define WORD_VERSION 0
#define WORD_FRAMES 4
#define WORD_BACKFILLED 24

/* A region of it in memory; NULL when it is not there, or with s->err. */
static volatile uint32_t *
index_region(struct store *s, uint64_t region, bool make)
{
	void volatile *p = NULL;
	sqlite3_file *f;

	s->err = sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_FILE_POINTER,
	    &f);
	if (s->err == SQLITE_OK)
		s->err = f->pMethods->xShmMap(f, (int)region, INDEX_SIZE, make,
		    &p);
	return s->err == SQLITE_OK ? p : NULL;
}

static volatile uint32_t *
index_header(struct store *s)
{
	volatile uint32_t *word = index_region(s, 0, false);

	return word != NULL && word[WORD_VERSION] == INDEX_VERSION ? word :
								     NULL;
}

int
store_index_room(struct store *s)
{
	uint64_t at = s->wal_frames + INDEX_HEAD, regions = at / INDEX_FRAMES;

	regions += at % INDEX_FRAMES < INDEX_FRAMES / 2 ? 1 : 2;
	if (regions <= s->index_regions)
		return 0;
	if (index_region(s, regions - 1, true) != NULL) {
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
store_index_frames(struct store *s)
{
	volatile uint32_t *word = index_header(s);

	return word == NULL ? UINT32_MAX : word[WORD_FRAMES];
}

void
store_index_backfill_again(struct store *s)
{
	volatile uint32_t *word = index_header(s);

	if (word != NULL)
		word[WORD_BACKFILLED] = 0;
}
