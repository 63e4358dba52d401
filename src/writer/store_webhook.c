/* SPDX-License-Identifier: MIT */
/*
 * The outbox and the deliveries to tenants' webhooks: noted with a message,
 * then moved on by the courier's operations.  Runs in the writer.  Decides
 * nothing: who is absent, and when to try again, the courier knows.
 */
#include <stdio.h>

#include "../common/records_courier.h"
#include "store_int.h"

/* Rows of each kind that one WEBHOOK_DROP takes. */
#define DROP_ROWS 250

void
store_webhook_event(struct store *s, struct buf *events, uint64_t tenant)
{
	struct rec_event_tenant e = { .n = s->n + 1, .tenant = tenant };
	uint64_t nobody = 0;
	size_t at;

	/* Once a batch, if nobody else's came in between. */
	if (s->webhook_told == tenant)
		return;
	s->webhook_told = tenant;
	at = rec_publish_begin(events, &nobody, 1);
	(void)rec_event_webhook_put(events, &e);
	(void)rec_publish_end(events, at);
}

static int
outbox_insert(struct store *s, uint64_t tenant, int kind, uint64_t subject,
    uint64_t last, struct str after)
{
	sqlite3_stmt *st = sql_get(s, SQL_OUTBOX_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	(void)sqlite3_bind_int(st, 2, kind);
	sql_bind_u64(st, 3, subject);
	sql_bind_u64(st, 4, last);
	sql_bind_str(st, 5, after);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_outbox_message(struct store *s, struct op_ctx *ctx, const struct room *r)
{
	int rc;

	if (r->type == ROOM_CHANNEL)
		return 0;
	if ((rc = store_tenant_webhook(s, r->tenant)) != 1)
		return rc;
	if (outbox_insert(s, r->tenant, WEBHOOK_MESSAGE, r->id, r->last_seq,
		(struct str){ "", 0 }) == -1) {
		/* The message is there already and no savepoint: all must
		 * go. */
		s->err = SQLITE_INTERNAL;
		return -1;
	}
	store_webhook_event(s, ctx->events, r->tenant);
	return 0;
}

int
store_outbox_notification(struct store *s, const struct expansion *x,
    struct buf *events)
{
	char text[24];
	int rc, n;

	if ((rc = store_tenant_webhook(s, x->tenant)) != 1)
		return rc;
	/* They came one after another in this transaction. */
	n = snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)s->inbox_ids[0] - 1);
	if (outbox_insert(s, x->tenant, WEBHOOK_NOTIFICATION, x->notification,
		s->inbox_ids[x->n - 1], (struct str){ text, (size_t)n }) == -1)
		return -1;
	store_webhook_event(s, events, x->tenant);
	return 0;
}

/* ---- the courier's ---- */

/* Is the user up to whom the page goes still a member?  If not, his name is
 * not to be kept.  1, 0, -1. */
static int
outbox_next(struct store *s, const struct rec_op_outbox_step *op, int kind,
    uint64_t room)
{
	struct member m;

	if (kind != WEBHOOK_MESSAGE || op->next.len == 0)
		return 1;
	return store_member_get(s, room, op->next, &m);
}

/* Does the row stand where the operation takes it to stand?  1, 0, -1. */
static int
outbox_find(struct store *s, const struct rec_op_outbox_step *op, int *kind,
    uint64_t *room, uint64_t *seq)
{
	sqlite3_stmt *st = sql_get(s, SQL_OUTBOX);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, op->outbox);
	sql_bind_u64(st, 2, op->h.tenant);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*kind = sqlite3_column_int(st, 0);
	*room = (uint64_t)sqlite3_column_int64(st, 1);
	*seq = *kind == WEBHOOK_MESSAGE ?
	    (uint64_t)sqlite3_column_int64(st, 2) :
	    0;
	rc = str_same(sql_column_str(st, 3), op->after);
	(void)sqlite3_reset(st);
	return rc;
}

static int
delivery_insert(struct store *s, uint64_t tenant, int kind, uint64_t room,
    uint64_t seq, struct str user, uint32_t wait_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_DELIVERY_INSERT);
	char token[ID_TOKEN_SIZE];

	if (st == NULL)
		return -1;
	id_token_new(token, s->ms);
	sql_bind_str(st, 1, (struct str){ token, ID_TOKEN_LEN });
	sql_bind_u64(st, 2, tenant);
	(void)sqlite3_bind_int(st, 3, kind);
	sql_bind_u64(st, 4, room);
	sql_bind_u64(st, 5, seq);
	sql_bind_str(st, 6, user);
	(void)sqlite3_bind_int(st, 7, wait_ms == 0);
	sql_bind_u64(st, 8, (uint64_t)s->ms + wait_ms);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_outbox_step(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_outbox_step op;
	struct str user;
	uint64_t room, seq;
	uint32_t wait_ms;
	size_t at = 0;
	sqlite3_stmt *st;
	int rc, kind;

	if (rec_op_outbox_step_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = outbox_find(s, &op, &kind, &room, &seq)) == 1)
		rc = outbox_next(s, &op, kind, room);
	if (rc != 1) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return rc;
	}
	while (rec_op_outbox_step_next(&op, &at, &user, &wait_ms))
		if (delivery_insert(s, op.h.tenant, kind, room, seq, user,
			wait_ms) == -1)
			return -1;
	st = sql_get(s, op.next.len > 0 ? SQL_OUTBOX_MOVE : SQL_OUTBOX_DELETE);
	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, op.outbox);
	if (op.next.len > 0)
		sql_bind_str(st, 2, op.next);
	if (sql_step(s, st) != 0)
		return -1;
	ctx->changed = true;
	return 0;
}

int
store_delivery_result(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	static const enum store_sql by_result[DELIVERY_RESULTS] = {
		[DELIVERY_DONE] = SQL_DELIVERY_DONE,
		[DELIVERY_FAILED] = SQL_DELIVERY_FAILED,
		[DELIVERY_DEAD] = SQL_DELIVERY_FAILED,
		[DELIVERY_WAIT] = SQL_DELIVERY_WAIT,
	};
	struct rec_op_delivery_result op;
	sqlite3_stmt *st;

	if (rec_op_delivery_result_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, by_result[op.result])) == NULL)
		return -1;
	sql_bind_u64(st, 1, op.delivery);
	sql_bind_u64(st, 2, op.h.tenant);
	(void)sqlite3_bind_int64(st, 3, op.attempts);
	if (op.result != DELIVERY_DONE)
		sql_bind_u64(st, 4, op.next_ms);
	if (op.result == DELIVERY_FAILED || op.result == DELIVERY_DEAD) {
		sql_bind_u64(st, 5, op.tried_ms);
		sql_bind_str(st, 6, op.error);
		(void)sqlite3_bind_int(st, 7, op.result == DELIVERY_DEAD);
	}
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return 0;
	}
	ctx->changed = true;
	return 0;
}

/* How many rows of the tenant went; -1 failed. */
static int
webhook_drop_some(struct store *s, enum store_sql id, uint64_t tenant)
{
	sqlite3_stmt *st = sql_get(s, id);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	(void)sqlite3_bind_int(st, 2, DROP_ROWS);
	return sql_step(s, st) == 0 ? sqlite3_changes(s->db) : -1;
}

int
store_webhook_drop(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_webhook_drop op;
	int rc, outbox, due;

	if (rec_op_webhook_drop_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_tenant_webhook(s, op.h.tenant)) != 0) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return rc == -1 ? -1 : 0;
	}
	outbox = webhook_drop_some(s, SQL_SWEEP_TENANT_OUTBOX, op.h.tenant);
	if (outbox == -1)
		return -1;
	due = webhook_drop_some(s, SQL_SWEEP_TENANT_DUE, op.h.tenant);
	if (due == -1)
		return -1;
	ctx->changed = outbox + due > 0;
	ctx->reply.room = op.h.tenant;
	ctx->reply.seq = (uint64_t)(outbox + due);
	return 0;
}

/* ---- dead letters ---- */

static int
dead_letter_run(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx, bool retry)
{
	struct rec_op_dead_letter op;
	sqlite3_stmt *st;
	int rc;

	if (rec_op_dead_letter_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if (retry && (rc = store_tenant_webhook(s, op.h.tenant)) != 1)
		return rc == -1 ? -1 : store_refuse(ctx, OUTCOME_NO_WEBHOOK);
	st = sql_get(s, retry ? SQL_DEAD_RETRY : SQL_DEAD_DROP);
	if (st == NULL)
		return -1;
	sql_bind_str(st, 1, op.id);
	sql_bind_u64(st, 2, op.h.tenant);
	if (retry)
		(void)sqlite3_bind_int64(st, 3, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return store_refuse(ctx, OUTCOME_DEAD_LETTER_NOT_FOUND);
	ctx->changed = true;
	if (retry)
		store_webhook_event(s, ctx->events, op.h.tenant);
	return 0;
}

int
store_dead_letter_retry(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	return dead_letter_run(s, rec, ctx, true);
}

int
store_dead_letter_drop(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	return dead_letter_run(s, rec, ctx, false);
}

int
store_dead_of_message(struct store *s, uint64_t room, uint64_t seq)
{
	sqlite3_stmt *st = sql_get(s, SQL_DEAD_OF_MESSAGE);

	if (st != NULL) {
		sql_bind_u64(st, 1, room);
		sql_bind_u64(st, 2, seq);
		if (sql_step(s, st) == 0)
			return 0;
	}
	/* The tombstone is there already and no savepoint: all must go. */
	s->err = SQLITE_INTERNAL;
	return -1;
}

int
store_dead_of_notification(struct store *s, uint64_t notification,
    struct str user)
{
	sqlite3_stmt *st = sql_get(s, SQL_DEAD_OF_NOTIFICATION);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, notification);
	sql_bind_str(st, 2, user);
	return sql_step(s, st) == 0 ? 0 : -1;
}
