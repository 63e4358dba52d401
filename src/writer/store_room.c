/* SPDX-License-Identifier: MIT */
/*
 * Rooms: the memory of those in use, with the heads that the current batch
 * has moved on, and their creation.  Runs in the writer.  The memory is
 * thrown away whenever a batch is rolled back: the database is the truth.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "../common/utf8.h"
#include "store_int.h"

/* More rooms than this are forgotten between two batches (about 5 MB). */
#define ROOMS_MAX 32768

/* The end of a token is random. */
static size_t
room_slot(const struct rooms_cache *c, const char *token)
{
	uint64_t h;

	memcpy(&h, token + ID_TOKEN_LEN - sizeof(h), sizeof(h));
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 32) & (c->size - 1);
}

static void
rooms_grow(struct rooms_cache *c)
{
	struct rooms_cache old = *c;
	struct room *r, *next;

	c->size = old.size == 0 ? 256 : old.size * 2;
	c->slots = mem_alloc(c->size * sizeof(struct room *));
	for (size_t i = 0; i < old.size; i++)
		for (r = old.slots[i]; r != NULL; r = next) {
			size_t slot = room_slot(c, r->token);

			next = r->next;
			r->next = c->slots[slot];
			c->slots[slot] = r;
		}
	free(old.slots);
}

static struct room *
rooms_add(struct rooms_cache *c, const char *token)
{
	struct room *r = mem_alloc(sizeof(*r));
	size_t slot;

	if (c->count >= c->size)
		rooms_grow(c);
	memcpy(r->token, token, ID_TOKEN_LEN);
	slot = room_slot(c, token);
	r->next = c->slots[slot];
	c->slots[slot] = r;
	c->count++;
	return r;
}

void
store_rooms_reset(struct store *s)
{
	struct rooms_cache *c = &s->rooms;
	struct room *r, *next;

	for (size_t i = 0; i < c->size; i++)
		for (r = c->slots[i]; r != NULL; r = next) {
			next = r->next;
			free(r);
		}
	free(c->slots);
	memset(c, 0, sizeof(*c));
}

void
store_rooms_trim(struct store *s)
{
	if (s->rooms.count > ROOMS_MAX)
		store_rooms_reset(s);
}

int
store_room_find(struct store *s, struct str token, struct room **out)
{
	struct rooms_cache *c = &s->rooms;
	struct room *r = NULL;
	sqlite3_stmt *st;
	int rc;

	if (token.len != ID_TOKEN_LEN)
		return 0;
	if (c->size > 0)
		for (r = c->slots[room_slot(c, token.p)]; r != NULL;
		     r = r->next)
			if (memcmp(r->token, token.p, ID_TOKEN_LEN) == 0)
				break;
	if (r == NULL) {
		if (!id_token_valid(token.p, token.len))
			return 0;
		if ((st = sql_get(s, SQL_ROOM_BY_TOKEN)) == NULL)
			return -1;
		sql_bind_str(st, 1, token);
		if ((rc = sql_step(s, st)) != 1)
			return rc;
		r = rooms_add(c, token.p);
		r->id = (uint64_t)sqlite3_column_int64(st, 0);
		r->tenant = (uint64_t)sqlite3_column_int64(st, 1);
		r->type = (uint8_t)sqlite3_column_int(st, 2);
		r->last_seq = (uint64_t)sqlite3_column_int64(st, 3);
		r->first_seq = (uint64_t)sqlite3_column_int64(st, 4);
		r->rev = (uint64_t)sqlite3_column_int64(st, 5);
		r->activity = (uint64_t)sqlite3_column_int64(st, 6);
		r->members = (uint32_t)sqlite3_column_int64(st, 7);
		(void)sqlite3_reset(st);
	}
	if (r->deleted)
		return 0;
	*out = r;
	return 1;
}

int
store_room_get(struct store *s, uint64_t tenant, struct str token,
    struct room **out)
{
	int rc = store_room_find(s, token, out);

	return rc == 1 && (*out)->tenant != tenant ? 0 : rc;
}

void
store_room_dirty(struct store *s, struct room *r)
{
	s->changed = true;
	if (r->dirty)
		return;
	r->dirty = true;
	r->dirty_next = s->rooms.dirty;
	s->rooms.dirty = r;
}

int
store_rooms_flush(struct store *s)
{
	sqlite3_stmt *st;
	struct room *r;

	if (s->rooms.dirty == NULL)
		return 0;
	if ((st = sql_get(s, SQL_HEAD_UPDATE)) == NULL)
		return -1;
	while ((r = s->rooms.dirty) != NULL) {
		sql_bind_u64(st, 1, r->id);
		sql_bind_u64(st, 2, r->last_seq);
		sql_bind_u64(st, 3, r->rev);
		sql_bind_u64(st, 4, r->activity);
		sql_bind_u64(st, 5, r->members);
		sql_bind_u64(st, 6, r->first_seq);
		if (sql_step(s, st) != 0)
			return -1;
		s->rooms.dirty = r->dirty_next;
		r->dirty = false;
	}
	return 0;
}

/* Reads the founding members into s->users; -1 when one is no user id. */
static int
room_founders(struct store *s, const struct rec_op_room_create *op)
{
	size_t at = 0;
	uint32_t n = 0;

	if (op->nusers > EVENT_USERS_MAX)
		return -1;
	while (n < op->nusers &&
	    rec_op_room_create_next(op, &at, &s->users[n])) {
		if (!utf8_user_id_valid(s->users[n].p, s->users[n].len))
			return -1;
		n++;
	}
	return n == op->nusers ? 0 : -1;
}

/* 1 when the two users have a dm (then the reply names it), 0, or -1. */
static int
room_find_dm(struct store *s, struct op_ctx *ctx, const char *dm_key)
{
	sqlite3_stmt *st = sql_get(s, SQL_ROOM_BY_DM_KEY);
	const char *token;
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, ctx->head.tenant);
	sql_bind_str(st, 2, (struct str){ dm_key, strlen(dm_key) });
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	token = (const char *)sqlite3_column_text(st, 1);
	buf_clear(&s->text);
	(void)buf_adds(&s->text, token == NULL ? "" : token);
	ctx->reply.outcome = OUTCOME_REPEATED;
	ctx->reply.room = (uint64_t)sqlite3_column_int64(st, 0);
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	(void)sqlite3_reset(st);
	return 1;
}

/* Inserts the room and its head; fills in id and token. */
static int
room_insert(struct store *s, const struct rec_op_room_create *op,
    const char *dm_key, struct room *r)
{
	sqlite3_stmt *st = sql_get(s, SQL_ROOM_INSERT);

	if (st == NULL)
		return -1;
	id_token_new(r->token, s->ms);
	r->tenant = op->h.tenant;
	r->type = op->type;
	r->activity = (s->n + 1) * 1024 + s->index++;
	sql_bind_u64(st, 1, r->tenant);
	sql_bind_str(st, 2, (struct str){ r->token, ID_TOKEN_LEN });
	(void)sqlite3_bind_int(st, 3, r->type);
	if (op->has_name)
		sql_bind_str(st, 4, op->name);
	else
		(void)sqlite3_bind_null(st, 4);
	sql_bind_opt(st, 5, op->metadata);
	if (dm_key != NULL)
		sql_bind_str(st, 6, (struct str){ dm_key, strlen(dm_key) });
	else
		(void)sqlite3_bind_null(st, 6);
	(void)sqlite3_bind_int64(st, 7, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	r->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return 0;
}

/* The room_head of a new room, written once its members are counted. */
static int
room_insert_head(struct store *s, const struct room *r)
{
	sqlite3_stmt *st = sql_get(s, SQL_HEAD_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, r->activity);
	sql_bind_u64(st, 3, r->members);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_room_create(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_room_create op;
	struct room r = { 0 };
	char key[ID_DM_KEY_SIZE];
	const char *dm_key = NULL;
	int rc;

	if (rec_op_room_create_get(rec, &op) == -1 || op.type < ROOM_DM ||
	    op.type > ROOM_CHANNEL || room_founders(s, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if (op.type == ROOM_DM) {
		if (op.nusers != 2 || str_same(s->users[0], s->users[1]))
			return store_refuse(ctx, OUTCOME_INVALID);
		id_dm_key(key, s->users[0].p, s->users[0].len, s->users[1].p,
		    s->users[1].len);
		dm_key = key;
		if ((rc = room_find_dm(s, ctx, dm_key)) != 0)
			return rc == 1 ? 0 : -1;
	}
	if (room_insert(s, &op, dm_key, &r) == -1)
		return -1;
	for (uint32_t i = 0; i < op.nusers; i++) {
		bool admin = op.type != ROOM_DM && op.creator.len > 0 &&
		    str_same(s->users[i], op.creator);

		rc = store_member_insert(s, &r, s->users[i],
		    admin ? MEMBER_ADMIN : MEMBER_PLAIN, 0);
		if (rc == -1)
			return -1;
		r.members += (uint32_t)rc;
	}
	if (room_insert_head(s, &r) == -1)
		return -1;
	ctx->changed = true;
	store_member_event(s, ctx, REC_EVENT_JOINED, &r, 0, op.nusers);
	buf_clear(&s->text);
	(void)buf_add(&s->text, r.token, ID_TOKEN_LEN);
	ctx->reply.room = r.id;
	ctx->reply.ms = (uint64_t)s->ms;
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	return 0;
}
