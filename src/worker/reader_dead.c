/* SPDX-License-Identifier: MIT */
/* What the worker reads of a tenant's dead letters. */
#include "reader_int.h"

int
reader_dead_letters(struct reader *r, uint64_t tenant, uint64_t after,
    unsigned limit, reader_dead_letter_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_DEAD_LETTERS);
	struct reader_dead_letter d;
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 3, limit);
	while ((rc = reader_step(r, s)) == 1) {
		d.id = (uint64_t)sqlite3_column_int64(s, 0);
		reader_column_token(s, 1, d.token);
		d.attempts = (uint32_t)sqlite3_column_int64(s, 2);
		d.last_ms = sqlite3_column_int64(s, 3);
		d.error = reader_column(s, 4);
		d.recipient = reader_column(s, 5);
		reader_column_token(s, 6, d.room_token);
		d.seq = (uint64_t)sqlite3_column_int64(s, 7);
		d.created_ms = sqlite3_column_int64(s, 8);
		reader_column_token(s, 9, d.notification);
		if (!fn(&d, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : 1);
}
