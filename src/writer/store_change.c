/* SPDX-License-Identifier: MIT */
/*
 * Edits and deletions of messages.  Runs in the writer.  Each one that
 * changes something takes the room's next rev; refusals come in the
 * contract's order: room, membership, the message, its sender, its state.
 */
#include <string.h>

#include "../common/message.h"
#include "store_int.h"

/* The message to change, as far as the rules need it. */
struct change {
	struct room *room;
	bool own;     /* the actor sent it */
	bool same;    /* its content is the operation's already */
	bool deleted; /* a tombstone */
};

/* 1 found, 0 not, -1 failed. */
static int
change_read(struct store *s, const struct rec_op_change *op, struct change *c)
{
	sqlite3_stmt *st = sql_get(s, SQL_MESSAGE);
	struct str sender, content;
	int rc;

	if (st == NULL)
		return -1;
	if (op->seq < c->room->first_seq || op->seq > c->room->last_seq)
		return 0;
	sql_bind_u64(st, 1, c->room->id);
	sql_bind_u64(st, 2, op->seq);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	sender.p = (const char *)sqlite3_column_text(st, 0);
	sender.len = (size_t)sqlite3_column_bytes(st, 0);
	content.p = (const char *)sqlite3_column_text(st, 1);
	content.len = (size_t)sqlite3_column_bytes(st, 1);
	c->own = sender.p != NULL && str_same(sender, op->actor);
	c->same = content.p != NULL && str_same(content, op->content);
	c->deleted = sqlite3_column_type(st, 3) != SQLITE_NULL;
	/* The time is part of the id: another one names no message. */
	if ((uint64_t)sqlite3_column_int64(st, 2) != op->created_ms)
		rc = 0;
	(void)sqlite3_reset(st);
	return rc;
}

/* Finds the message: OUTCOME_OK or a refusal; -1 failed. */
static int
change_find(struct store *s, const struct rec_op_change *op, struct change *c)
{
	int rc;

	if ((rc = store_room_get(s, op->h.tenant, op->room, &c->room)) != 1)
		return rc == 0 ? OUTCOME_ROOM_NOT_FOUND : -1;
	if (op->actor.len > 0 &&
	    (rc = store_member_is(s, c->room->id, op->actor)) != 1)
		return rc == 0 ? OUTCOME_NOT_MEMBER : -1;
	if ((rc = change_read(s, op, c)) != 1)
		return rc == 0 ? OUTCOME_MESSAGE_NOT_FOUND : -1;
	if (op->actor.len > 0 && !c->own)
		return OUTCOME_NOT_SENDER;
	return OUTCOME_OK;
}

/* The row is written: the rest of the change, and its announcement. */
static void
change_done(struct store *s, struct op_ctx *ctx, const struct rec_op_change *op,
    struct room *r, bool deleted)
{
	struct message m = {
		.room_token = r->token,
		.seq = op->seq,
		.rev = r->rev + 1,
		.created_ms = (int64_t)op->created_ms,
		.sender = op->actor.p,
		.sender_len = op->actor.len,
		.content = op->content.p,
		.content_len = op->content.len,
	};
	struct rec_event_change e = {
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.seq = op->seq,
		.rev = r->rev + 1,
	};
	uint64_t key = id_room_key(r->id);
	size_t at;

	if (deleted)
		m.deleted_ms = s->ms;
	else
		m.edited_ms = s->ms;
	r->rev++;
	store_room_dirty(s, r);
	ctx->changed = true;
	buf_clear(&s->text);
	message_json(&s->text, &m, MESSAGE_CHANGE);
	e.text = (struct str){ buf_head(&s->text), s->text.len };
	at = rec_publish_begin(ctx->events, &key, 1);
	(void)rec_event_change_put(ctx->events, &e);
	(void)rec_publish_end(ctx->events, at);
}

int
store_message_edit(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_change op;
	struct change c = { 0 };
	sqlite3_stmt *st;
	int rc;

	if (rec_op_change_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = change_find(s, &op, &c)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	if (c.deleted)
		return store_refuse(ctx, OUTCOME_MESSAGE_DELETED);
	ctx->reply.room = c.room->id;
	ctx->reply.seq = op.seq;
	if (c.same) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return 0;
	}
	if ((st = sql_get(s, SQL_MESSAGE_EDIT)) == NULL)
		return -1;
	sql_bind_u64(st, 1, c.room->id);
	sql_bind_u64(st, 2, op.seq);
	sql_bind_u64(st, 3, c.room->rev + 1);
	(void)sqlite3_bind_int64(st, 4, s->ms);
	sql_bind_str(st, 5, op.content);
	if (sql_step(s, st) != 0)
		return -1;
	change_done(s, ctx, &op, c.room, false);
	return 0;
}

int
store_message_delete(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_change op;
	struct change c = { 0 };
	sqlite3_stmt *st;
	int rc;

	if (rec_op_change_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = change_find(s, &op, &c)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	ctx->reply.room = c.room->id;
	ctx->reply.seq = op.seq;
	if (c.deleted) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return 0;
	}
	if ((st = sql_get(s, SQL_MESSAGE_DELETE)) == NULL)
		return -1;
	sql_bind_u64(st, 1, c.room->id);
	sql_bind_u64(st, 2, op.seq);
	sql_bind_u64(st, 3, c.room->rev + 1);
	(void)sqlite3_bind_int64(st, 4, s->ms);
	if (sql_step(s, st) != 0 ||
	    store_dead_of_message(s, c.room->id, op.seq) == -1)
		return -1;
	change_done(s, ctx, &op, c.room, true);
	return 0;
}
