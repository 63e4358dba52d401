/* SPDX-License-Identifier: MIT */
/*
 * The rooms of a user whose presence changed, by index and without anything
 * that presence does not need.  Read-only; runs in a worker.
 */
#include "reader_int.h"

int
reader_peer_rooms(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_peer_room_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_PEER_ROOMS);
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user, user_len);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 4, limit);
	while ((rc = reader_step(r, s)) == 1) {
		found = 1;
		if (!fn((uint64_t)sqlite3_column_int64(s, 0),
			(uint32_t)sqlite3_column_int64(s, 1), arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}
