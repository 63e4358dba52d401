/* SPDX-License-Identifier: MIT */
/*
 * Where a feed stands: one look-up of a room's head and a member's row.
 * Read-only; runs in a worker.
 */
#include <string.h>

#include "reader_int.h"

int
reader_feed(struct reader *r, uint64_t room, const char *user, size_t user_len,
    struct reader_feed *out)
{
	sqlite3_stmt *s = reader_statement(r, READER_FEED);
	int rc;

	if (s == NULL)
		return -1;
	memset(out, 0, sizeof(*out));
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	reader_bind_text(s, 2, user, user_len);
	rc = reader_step(r, s);
	if (rc == 1) {
		out->head = (uint64_t)sqlite3_column_int64(s, 0);
		out->first = (uint64_t)sqlite3_column_int64(s, 1);
		out->rev = (uint64_t)sqlite3_column_int64(s, 2);
		out->members = (uint32_t)sqlite3_column_int64(s, 3);
		out->member = sqlite3_column_type(s, 4) != SQLITE_NULL;
		out->last_ack = (uint64_t)sqlite3_column_int64(s, 4);
	}
	return reader_reset(s, rc);
}
