/* SPDX-License-Identifier: MIT */
/* The worker's reads of the message log. */
#include "reader_int.h"

/* A text column in two look-ups where reader_column() needs more; a NULL
 * pointer for NULL or nothing. */
static const char *
text_or_null(sqlite3_stmt *s, int i, size_t *len)
{
	const char *p = (const char *)sqlite3_column_text(s, i);

	*len = p != NULL ? (size_t)sqlite3_column_bytes(s, i) : 0;
	return *len > 0 ? p : NULL;
}

void
reader_message_row(sqlite3_stmt *s, const char *token, struct message *m)
{
	m->room_token = token;
	m->seq = (uint64_t)sqlite3_column_int64(s, 0);
	m->sender = text_or_null(s, 1, &m->sender_len);
	m->content = text_or_null(s, 2, &m->content_len);
	m->meta = text_or_null(s, 3, &m->meta_len);
	m->created_ms = sqlite3_column_int64(s, 4);
	m->client_msg_id = text_or_null(s, 5, &m->client_msg_id_len);
	m->rev = (uint64_t)sqlite3_column_int64(s, 6);
	/* Only a change gives it a rev, and these. */
	m->edited_ms = m->rev != 0 ? sqlite3_column_int64(s, 7) : 0;
	m->deleted_ms = m->rev != 0 ? sqlite3_column_int64(s, 8) : 0;
}

static sqlite3_int64
seq_bound(uint64_t seq)
{
	return seq > INT64_MAX ? INT64_MAX : (sqlite3_int64)seq;
}

/* Hands out what a bound statement finds. */
static int
messages_run(struct reader *r, sqlite3_stmt *s, const char *token,
    reader_message_fn *fn, void *arg)
{
	int rc, found = 0;

	while ((rc = reader_step(r, s)) == 1) {
		struct message m;

		found = 1;
		reader_message_row(s, token, &m);
		if (!fn(&m, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

/* Between the two seqs, both excluded. */
static int
messages_page(struct reader *r, uint64_t room, const char *token,
    uint64_t after, uint64_t before, unsigned limit, reader_message_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_MESSAGES);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	sqlite3_bind_int64(s, 2, seq_bound(after));
	sqlite3_bind_int64(s, 3, seq_bound(before));
	sqlite3_bind_int64(s, 4, limit);
	return messages_run(r, s, token, fn, arg);
}

int
reader_messages_after(struct reader *r, uint64_t room, const char *token,
    uint64_t after, unsigned limit, reader_message_fn *fn, void *arg)
{
	return messages_page(r, room, token, after, INT64_MAX, limit, fn, arg);
}

int
reader_messages_before(struct reader *r, uint64_t room, const char *token,
    uint64_t before, unsigned limit, reader_message_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_MESSAGE_LAST);
	uint64_t last = 0;
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	sqlite3_bind_int64(s, 2, seq_bound(before));
	rc = reader_step(r, s);
	if (rc == 1)
		last = (uint64_t)sqlite3_column_int64(s, 0);
	reader_reset(s, rc);
	if (rc == -1 || last == 0)
		return rc == -1 ? -1 : 0;
	/* seqs are dense: where the page begins needs no search and no sort,
	 * and tombstones count as rows. */
	return messages_page(r, room, token, last > limit ? last - limit : 0,
	    last + 1, limit, fn, arg);
}

int
reader_changes(struct reader *r, uint64_t room, const char *token, uint64_t rev,
    uint64_t first_seq, unsigned limit, reader_message_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_CHANGES);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	sqlite3_bind_int64(s, 2, seq_bound(rev));
	sqlite3_bind_int64(s, 3, seq_bound(first_seq));
	sqlite3_bind_int64(s, 4, limit);
	return messages_run(r, s, token, fn, arg);
}

int
reader_message(struct reader *r, uint64_t room, const char *token, uint64_t seq,
    reader_message_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_MESSAGE);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	sqlite3_bind_int64(s, 2, seq_bound(seq));
	return messages_run(r, s, token, fn, arg);
}
