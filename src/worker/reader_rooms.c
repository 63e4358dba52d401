/* SPDX-License-Identifier: MIT */
/* The worker's reads of rooms and members. */
#include <string.h>

#include "reader_int.h"

/* Copies a column behind what r->text holds; offsets, as it may move. */
static size_t
text_keep(struct reader *r, sqlite3_stmt *s, int column, struct str *out)
{
	struct str v = reader_column(s, column);
	size_t at = r->text.len;

	out->len = buf_add(&r->text, v.p, v.len) == 0 ? v.len : 0;
	return at;
}

static void
room_row(struct reader *r, sqlite3_stmt *s, struct reader_room *room)
{
	size_t name, metadata, dm_key;

	room->id = (uint64_t)sqlite3_column_int64(s, 0);
	room->tenant = (uint64_t)sqlite3_column_int64(s, 1);
	reader_column_token(s, 2, room->token);
	room->type = (uint8_t)sqlite3_column_int(s, 3);
	room->has_name = sqlite3_column_type(s, 4) != SQLITE_NULL;
	room->created_ms = sqlite3_column_int64(s, 7);
	room->last_seq = (uint64_t)sqlite3_column_int64(s, 8);
	room->first_seq = (uint64_t)sqlite3_column_int64(s, 9);
	room->rev = (uint64_t)sqlite3_column_int64(s, 10);
	room->activity = (uint64_t)sqlite3_column_int64(s, 11);
	room->members = (uint32_t)sqlite3_column_int64(s, 12);
	buf_clear(&r->text);
	name = text_keep(r, s, 4, &room->name);
	metadata = text_keep(r, s, 5, &room->metadata);
	dm_key = text_keep(r, s, 6, &room->dm_key);
	room->name.p = r->text.data == NULL ? "" : buf_head(&r->text) + name;
	room->metadata.p = r->text.data == NULL ? "" :
						  buf_head(&r->text) + metadata;
	room->dm_key.p = r->text.data == NULL ? "" :
						buf_head(&r->text) + dm_key;
}

int
reader_room(struct reader *r, uint64_t tenant, const char *token,
    struct reader_room *room)
{
	sqlite3_stmt *s = reader_statement(r, READER_ROOM);
	int rc;

	if (s == NULL)
		return -1;
	reader_bind_text(s, 1, token, strnlen(token, ID_TOKEN_LEN));
	rc = reader_step(r, s);
	if (rc == 1 && (uint64_t)sqlite3_column_int64(s, 1) != tenant)
		rc = 0;
	if (rc == 1)
		room_row(r, s, room);
	return reader_reset(s, rc);
}

int
reader_room_by_id(struct reader *r, uint64_t id, struct reader_room *room)
{
	sqlite3_stmt *s = reader_statement(r, READER_ROOM_BY_ID);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	rc = reader_step(r, s);
	if (rc == 1)
		room_row(r, s, room);
	return reader_reset(s, rc);
}

int
reader_member(struct reader *r, uint64_t room, const char *user,
    size_t user_len, struct reader_member *m)
{
	sqlite3_stmt *s = reader_statement(r, READER_MEMBER);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	reader_bind_text(s, 2, user, user_len);
	rc = reader_step(r, s);
	if (rc == 1) {
		m->role = (uint8_t)sqlite3_column_int(s, 0);
		m->joined_ms = sqlite3_column_int64(s, 1);
		m->last_ack = (uint64_t)sqlite3_column_int64(s, 2);
	}
	return reader_reset(s, rc);
}

int
reader_members(struct reader *r, uint64_t room, struct str after,
    unsigned limit, reader_member_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_MEMBERS);
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	reader_bind_text(s, 2, after.p, after.len);
	sqlite3_bind_int64(s, 3, limit);
	while ((rc = reader_step(r, s)) == 1) {
		struct reader_member_row m;

		found = 1;
		m.user = reader_column(s, 0);
		m.role = (uint8_t)sqlite3_column_int(s, 1);
		m.joined_ms = sqlite3_column_int64(s, 2);
		if (!fn(&m, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

int
reader_user_rooms(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_user_room_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_USER_ROOMS);
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user, user_len);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 4, limit);
	while ((rc = reader_step(r, s)) == 1) {
		struct reader_user_room u;

		found = 1;
		u.room = (uint64_t)sqlite3_column_int64(s, 0);
		reader_column_token(s, 1, u.token);
		u.type = (uint8_t)sqlite3_column_int(s, 2);
		u.last_ack = (uint64_t)sqlite3_column_int64(s, 3);
		u.last_seq = (uint64_t)sqlite3_column_int64(s, 4);
		u.first_seq = (uint64_t)sqlite3_column_int64(s, 5);
		u.rev = (uint64_t)sqlite3_column_int64(s, 6);
		u.members = (uint32_t)sqlite3_column_int64(s, 7);
		if (!fn(&u, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

/* One row of GET /rooms, with the room's newest message.  *more becomes
 * false when fn has had enough. */
static int
rooms_row(struct reader *r, uint64_t id, uint64_t last_ack, reader_room_fn *fn,
    void *arg, bool *more)
{
	sqlite3_stmt *s = reader_statement(r, READER_MESSAGE);
	struct reader_room_row row = { .last_ack = last_ack, .last = NULL };
	struct message m;
	int rc = reader_room_by_id(r, id, &row.room);

	if (s == NULL || rc == -1)
		return -1;
	if (rc == 0)
		return 0;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)row.room.last_seq);
	rc = reader_step(r, s);
	if (rc == 1) {
		reader_message_row(s, row.room.token, &m);
		row.last = &m;
	}
	if (rc >= 0)
		*more = fn(&row, arg);
	return reader_reset(s, rc == -1 ? -1 : 1);
}

int
reader_rooms(struct reader *r, uint64_t tenant, struct str user,
    uint64_t before, uint64_t before_room, unsigned limit, reader_room_fn *fn,
    void *arg)
{
	bool all = user.len == 0, more = true;
	sqlite3_stmt *s = reader_statement(r,
	    all ? READER_ROOMS_OF_TENANT : READER_ROOMS_OF_USER);
	int rc = 0, found = 0, n = 1;
	sqlite3_int64 room = before_room == 0 && before == 0 ?
	    INT64_MAX :
	    (sqlite3_int64)before_room;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, n++, (sqlite3_int64)tenant);
	if (!all) {
		reader_bind_text(s, n++, user.p, user.len);
		sqlite3_bind_int64(s, n++,
		    before == 0 && before_room == 0 ? INT64_MAX :
						      (sqlite3_int64)before);
	}
	sqlite3_bind_int64(s, n++, room);
	sqlite3_bind_int64(s, n, limit);
	while (more && (rc = reader_step(r, s)) == 1) {
		int one = rooms_row(r, (uint64_t)sqlite3_column_int64(s, 0),
		    (uint64_t)sqlite3_column_int64(s, 1), fn, arg, &more);

		if (one == -1)
			return reader_reset(s, -1);
		found |= one;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}
