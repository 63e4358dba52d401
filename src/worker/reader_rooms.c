/* SPDX-License-Identifier: MIT */
/* The worker's reads of rooms and members. */
#include <string.h>

#include "reader_int.h"

/* Copies a string behind what r->text holds; an offset, as it may move. */
static size_t
text_keep(struct reader *r, struct str *v)
{
	size_t at = r->text.len;

	if (buf_add(&r->text, v->p, v->len) == -1)
		v->len = 0;
	return at;
}

/* The columns that ROOM_COLUMNS names, from `at` on; the strings are the
 * statement's. */
static void
room_columns(sqlite3_stmt *s, int at, struct reader_room *room)
{
	room->id = (uint64_t)sqlite3_column_int64(s, at);
	room->tenant = (uint64_t)sqlite3_column_int64(s, at + 1);
	reader_column_token(s, at + 2, room->token);
	room->type = (uint8_t)sqlite3_column_int(s, at + 3);
	room->has_name = sqlite3_column_type(s, at + 4) != SQLITE_NULL;
	room->name = reader_column(s, at + 4);
	room->metadata = reader_column(s, at + 5);
	room->dm_key = reader_column(s, at + 6);
	room->created_ms = sqlite3_column_int64(s, at + 7);
	room->last_seq = (uint64_t)sqlite3_column_int64(s, at + 8);
	room->first_seq = (uint64_t)sqlite3_column_int64(s, at + 9);
	room->rev = (uint64_t)sqlite3_column_int64(s, at + 10);
	room->activity = (uint64_t)sqlite3_column_int64(s, at + 11);
	room->members = (uint32_t)sqlite3_column_int64(s, at + 12);
}

/* The same with copies of the strings, good until the next room. */
static void
room_row(struct reader *r, sqlite3_stmt *s, struct reader_room *room)
{
	struct str *const texts[] = { &room->name, &room->metadata,
		&room->dm_key };
	size_t at[3];

	room_columns(s, 0, room);
	buf_clear(&r->text);
	for (int i = 0; i < 3; i++)
		at[i] = text_keep(r, texts[i]);
	for (int i = 0; i < 3; i++)
		texts[i]->p = texts[i]->len == 0 ? "" :
						   buf_head(&r->text) + at[i];
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
reader_room_changed(struct reader *r, uint64_t id, uint64_t *n)
{
	sqlite3_stmt *s = reader_statement(r, READER_ROOM_CHANGED);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	rc = reader_step(r, s);
	if (rc == 1)
		*n = (uint64_t)sqlite3_column_int64(s, 0);
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
		u.changed_n = (uint64_t)sqlite3_column_int64(s, 8);
		if (!fn(&u, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

/* Of the statements of GET /rooms: message, room, last_ack. */
#define ROOMS_ROOM 9
#define ROOMS_LAST_ACK (ROOMS_ROOM + 13)

/* Hands out what a bound statement finds. */
static int
rooms_run(struct reader *r, sqlite3_stmt *s, reader_room_fn *fn, void *arg)
{
	int rc, found = 0;

	while ((rc = reader_step(r, s)) == 1) {
		struct reader_room_row row;
		struct message m;

		found = 1;
		room_columns(s, ROOMS_ROOM, &row.room);
		row.last_ack = (uint64_t)sqlite3_column_int64(s,
		    ROOMS_LAST_ACK);
		row.last = NULL;
		if (sqlite3_column_type(s, 0) != SQLITE_NULL) {
			reader_message_row(s, row.room.token, &m);
			row.last = &m;
		}
		if (!fn(&row, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

int
reader_rooms(struct reader *r, uint64_t tenant, struct str user,
    uint64_t before, uint64_t before_room, unsigned limit, reader_room_fn *fn,
    void *arg)
{
	bool all = user.len == 0;
	sqlite3_stmt *s = reader_statement(r,
	    all ? READER_ROOMS_OF_TENANT : READER_ROOMS_OF_USER);
	bool top = before == 0 && before_room == 0;
	int n = 1;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, n++, (sqlite3_int64)tenant);
	if (!all) {
		reader_bind_text(s, n++, user.p, user.len);
		sqlite3_bind_int64(s, n++,
		    top ? INT64_MAX : (sqlite3_int64)before);
	}
	sqlite3_bind_int64(s, n++,
	    top ? INT64_MAX : (sqlite3_int64)before_room);
	sqlite3_bind_int64(s, n, limit);
	return rooms_run(r, s, fn, arg);
}

int
reader_rooms_moved(struct reader *r, uint64_t tenant, struct str user,
    uint64_t after, uint64_t after_room, unsigned limit, reader_room_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_ROOMS_MOVED);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user.p, user.len);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)after_room);
	sqlite3_bind_int64(s, 5, limit);
	return rooms_run(r, s, fn, arg);
}

int
reader_channels(struct reader *r, uint64_t tenant, uint64_t before,
    unsigned limit, reader_channel_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_CHANNELS);
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)before);
	sqlite3_bind_int64(s, 3, limit);
	while ((rc = reader_step(r, s)) == 1) {
		struct reader_room room;

		found = 1;
		room_columns(s, 0, &room);
		if (!fn(&room, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}
