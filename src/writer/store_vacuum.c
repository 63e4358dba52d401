/* SPDX-License-Identifier: MIT */
/*
 * Gives pages that removal has emptied back to the file system, in pieces
 * between batches.  Runs in the writer.  A share of them stays, for what
 * comes next; and all of them while a backup is made, which would have to
 * follow every page that moves.
 */
#include "../common/clock.h"
#include "../common/log.h"
#include "store_int.h"

/* It begins above so many free pages and so large a part of the file, and
 * ends below these. */
#define BEGIN_PAGES 2048
#define BEGIN_PART 4
#define END_PAGES 512
#define END_PART 10
/* A piece ends after this long; its commit comes on top. */
#define PIECE_NS (2U * 1000 * 1000)
#define MOVE "PRAGMA incremental_vacuum(8)"

/* 1 there are more free pages than that, 0, -1. */
static int
vacuum_more(struct store *s, int64_t least, int64_t part)
{
	int64_t spare, pages;

	if (sql_int(s, "PRAGMA freelist_count", &spare) == -1 ||
	    sql_int(s, "PRAGMA page_count", &pages) == -1)
		return -1;
	return spare > least && spare > pages / part;
}

int
store_vacuum_look(struct store *s)
{
	int rc = vacuum_more(s, BEGIN_PAGES, BEGIN_PART);

	if (rc == -1)
		return -1;
	if (rc == 1 && !s->vacuum)
		log_info("free pages are given back", NULL);
	s->vacuum = rc == 1;
	return 0;
}

bool
store_vacuum_pending(const struct store *s)
{
	return s->vacuum && s->backup == NULL;
}

int
store_vacuum_piece(struct store *s)
{
	uint64_t until = clock_mono_ns() + PIECE_NS;
	int rc;

	do {
		if (sql_exec(s, MOVE) == -1 ||
		    (rc = vacuum_more(s, END_PAGES, END_PART)) == -1)
			return -1;
	} while (rc == 1 && clock_mono_ns() < until);
	return rc;
}
