/* SPDX-License-Identifier: MIT */
/*
 * Appending messages, the hot path: one insert into the log, and nothing
 * else but memory until the commit.  Runs in the writer.
 */
#include <string.h>

#include "../common/log.h"
#include "../common/message.h"
#include "store_int.h"

static int
message_remove(struct store *s, const struct room *r, uint64_t seq)
{
	sqlite3_stmt *st = sql_get(s, SQL_MESSAGE_REMOVE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, seq);
	return sql_step(s, st) == 0 ? 0 : -1;
}

/*
 * The sender's message with that client_msg_id was there already: the same
 * one is answered again, another one refused.  1 when it was one that is
 * trimmed and only waits to be swept: it is gone now, insert again.
 */
static int
message_repeated(struct store *s, const struct room *r,
    const struct rec_op_send *op, struct op_ctx *ctx)
{
	sqlite3_stmt *st = sql_get(s, SQL_MESSAGE_BY_CLIENT_ID);
	uint64_t seq;
	bool same;
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, op->sender);
	sql_bind_str(st, 3, op->client_msg_id);
	if ((rc = sql_step(s, st)) == -1)
		return -1;
	if (rc == 0) {
		/* Then it is seq that was taken: the head is wrong. */
		log_error("room head behind its log", "room=%llu seq=%llu",
		    (unsigned long long)r->id,
		    (unsigned long long)r->last_seq + 1);
		return store_refuse(ctx, OUTCOME_INTERNAL);
	}
	seq = (uint64_t)sqlite3_column_int64(st, 0);
	if (seq < r->first_seq) {
		(void)sqlite3_reset(st);
		return message_remove(s, r, seq) == -1 ? -1 : 1;
	}
	same = sqlite3_column_bytes(st, 2) == CONTENT_HASH_SIZE &&
	    memcmp(sqlite3_column_blob(st, 2), op->hash, CONTENT_HASH_SIZE) ==
		0;
	ctx->reply.outcome = same ? OUTCOME_REPEATED :
				    OUTCOME_CLIENT_MSG_CONFLICT;
	if (same) {
		ctx->reply.room = r->id;
		ctx->reply.seq = seq;
		ctx->reply.ms = (uint64_t)sqlite3_column_int64(st, 1);
	}
	(void)sqlite3_reset(st);
	return 0;
}

/* 0, -1 failed, or 1 when a unique index refused it. */
static int
message_insert(struct store *s, const struct room *r, uint64_t seq,
    const struct rec_op_send *op)
{
	sqlite3_stmt *st = sql_get(s, SQL_MESSAGE_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, seq);
	sql_bind_str(st, 3, op->sender);
	sql_bind_str(st, 4, op->content);
	sql_bind_opt(st, 5, op->meta);
	(void)sqlite3_bind_int64(st, 6, s->ms);
	sql_bind_opt(st, 7, op->client_msg_id);
	if (op->client_msg_id.len > 0)
		(void)sqlite3_bind_blob(st, 8, op->hash, CONTENT_HASH_SIZE,
		    SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, 8);
	if (sql_step(s, st) == 0)
		return 0;
	return s->err == SQLITE_CONSTRAINT_UNIQUE ||
		s->err == SQLITE_CONSTRAINT_PRIMARYKEY ?
	    1 :
	    -1;
}

static void
message_publish(struct store *s, const struct room *r,
    const struct rec_op_send *op, struct op_ctx *ctx)
{
	struct message m = {
		.room_token = r->token,
		.seq = r->last_seq,
		.created_ms = s->ms,
		.sender = op->sender.p,
		.sender_len = op->sender.len,
		.content = op->content.p,
		.content_len = op->content.len,
		.meta = op->meta.len > 0 ? op->meta.p : NULL,
		.meta_len = op->meta.len,
	};
	struct rec_event_message e = {
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.seq = r->last_seq,
		.sender = op->sender,
		.client_msg_id = op->client_msg_id,
	};
	uint64_t key = id_room_key(r->id);
	size_t at;

	buf_clear(&s->text);
	message_json(&s->text, &m, MESSAGE_FRAME);
	e.text = (struct str){ buf_head(&s->text), s->text.len };
	at = rec_publish_begin(ctx->events, &key, 1);
	(void)rec_event_message_put(ctx->events, &e);
	(void)rec_publish_end(ctx->events, at);
}

int
store_send(struct store *s, const struct wire_record *rec, struct op_ctx *ctx)
{
	struct rec_op_send op;
	struct room *r;
	int rc;

	if (rec_op_send_get(rec, &op) == -1 || op.sender.len == 0 ||
	    op.content.len == 0)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = store_member_is(s, r->id, op.sender)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_NOT_MEMBER) : -1;
	if (r->last_seq >= ID_SEQ_MAX)
		return store_refuse(ctx, OUTCOME_INTERNAL);
	while ((rc = message_insert(s, r, r->last_seq + 1, &op)) == 1)
		if ((rc = message_repeated(s, r, &op, ctx)) != 1)
			return rc;
	if (rc == -1)
		return -1;
	r->last_seq++;
	r->activity = (s->n + 1) * 1024 + s->index++;
	store_room_dirty(s, r);
	if (store_outbox_message(s, ctx, r) == -1)
		return -1;
	s->messages++;
	ctx->changed = true;
	ctx->reply.room = r->id;
	ctx->reply.seq = r->last_seq;
	ctx->reply.ms = (uint64_t)s->ms;
	message_publish(s, r, &op, ctx);
	return 0;
}
