/* SPDX-License-Identifier: MIT */
/* The worker's reads of the message log. */
#include "reader_int.h"

void
reader_message_row(sqlite3_stmt *s, const char *token, struct message *m)
{
	struct str sender = reader_column(s, 1);
	struct str content = reader_column(s, 2);
	struct str meta = reader_column(s, 3);
	struct str client = reader_column(s, 5);

	m->room_token = token;
	m->seq = (uint64_t)sqlite3_column_int64(s, 0);
	m->rev = (uint64_t)sqlite3_column_int64(s, 6);
	m->created_ms = sqlite3_column_int64(s, 4);
	m->edited_ms = sqlite3_column_int64(s, 7);
	m->deleted_ms = sqlite3_column_int64(s, 8);
	m->sender = sender.p;
	m->sender_len = sender.len;
	m->content = content.p;
	m->content_len = content.len;
	m->meta = meta.len > 0 ? meta.p : NULL;
	m->meta_len = meta.len;
	m->client_msg_id = client.len > 0 ? client.p : NULL;
	m->client_msg_id_len = client.len;
}

static int
messages_page(struct reader *r, enum reader_sql which, uint64_t room,
    const char *token, uint64_t seq, unsigned limit, reader_message_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, which);
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	sqlite3_bind_int64(s, 2,
	    seq > INT64_MAX ? INT64_MAX : (sqlite3_int64)seq);
	if (which != READER_MESSAGE)
		sqlite3_bind_int64(s, 3, limit);
	while ((rc = reader_step(r, s)) == 1) {
		struct message m;

		found = 1;
		reader_message_row(s, token, &m);
		if (!fn(&m, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

int
reader_messages_after(struct reader *r, uint64_t room, const char *token,
    uint64_t after, unsigned limit, reader_message_fn *fn, void *arg)
{
	return messages_page(r, READER_MESSAGES_AFTER, room, token, after,
	    limit, fn, arg);
}

int
reader_messages_before(struct reader *r, uint64_t room, const char *token,
    uint64_t before, unsigned limit, reader_message_fn *fn, void *arg)
{
	return messages_page(r, READER_MESSAGES_BEFORE, room, token, before,
	    limit, fn, arg);
}

int
reader_message(struct reader *r, uint64_t room, const char *token, uint64_t seq,
    reader_message_fn *fn, void *arg)
{
	return messages_page(r, READER_MESSAGE, room, token, seq, 1, fn, arg);
}
