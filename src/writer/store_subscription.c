/* SPDX-License-Identifier: MIT */
/*
 * The topics that users want, and whom a tenant knows.  Runs in the writer.
 */
#include "../common/ids.h"
#include "../common/records_notify.h"
#include "../common/utf8.h"
#include "store_int.h"

#define SUBSCRIPTIONS_MAX 100 /* a user */

int
store_user_add(struct store *s, uint64_t tenant, struct str user)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	sql_bind_str(st, 2, user);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_user_seen(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_of_user op;

	if (rec_op_of_user_get(rec, &op) == -1 ||
	    !utf8_user_id_valid(op.user.p, op.user.len))
		return store_refuse(ctx, OUTCOME_INVALID);
	if (store_user_add(s, op.h.tenant, op.user) == -1)
		return -1;
	if (sqlite3_changes(s->db) > 0)
		ctx->changed = true;
	else
		ctx->reply.outcome = OUTCOME_REPEATED;
	return 0;
}

/* The reply names a subscription. */
static void
subscription_reply(struct store *s, struct op_ctx *ctx, struct str token,
    int64_t created_ms)
{
	buf_clear(&s->text);
	(void)buf_add(&s->text, token.p, token.len);
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	ctx->reply.ms = (uint64_t)created_ms;
}

/* 1 when he has it already (then the reply names it), 0, or -1. */
static int
subscription_find(struct store *s, const struct rec_op_of_user *op,
    struct op_ctx *ctx)
{
	sqlite3_stmt *st = sql_get(s, SQL_SUBSCRIPTION);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, op->h.tenant);
	sql_bind_str(st, 2, op->user);
	sql_bind_str(st, 3, op->subject);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	subscription_reply(s, ctx, sql_column_str(st, 0),
	    sqlite3_column_int64(st, 1));
	ctx->reply.outcome = OUTCOME_REPEATED;
	(void)sqlite3_reset(st);
	return 1;
}

/* How many he has; -1 failed. */
static int
subscription_count(struct store *s, const struct rec_op_of_user *op)
{
	sqlite3_stmt *st = sql_get(s, SQL_SUBSCRIPTION_COUNT);
	int n;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, op->h.tenant);
	sql_bind_str(st, 2, op->user);
	if (sql_step(s, st) != 1)
		return -1;
	n = sqlite3_column_int(st, 0);
	(void)sqlite3_reset(st);
	return n;
}

int
store_subscribe(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_of_user op;
	char token[ID_TOKEN_SIZE];
	sqlite3_stmt *st;
	int rc;

	if (rec_op_of_user_get(rec, &op) == -1 ||
	    !utf8_user_id_valid(op.user.p, op.user.len) ||
	    !utf8_user_id_valid(op.subject.p, op.subject.len))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = subscription_find(s, &op, ctx)) != 0)
		return rc == 1 ? 0 : -1;
	if ((rc = subscription_count(s, &op)) == -1)
		return -1;
	if (rc >= SUBSCRIPTIONS_MAX)
		return store_refuse(ctx, OUTCOME_SUBSCRIPTIONS_FULL);
	if ((st = sql_get(s, SQL_SUBSCRIPTION_INSERT)) == NULL)
		return -1;
	id_token_new(token, s->ms);
	sql_bind_str(st, 1, (struct str){ token, ID_TOKEN_LEN });
	sql_bind_u64(st, 2, op.h.tenant);
	sql_bind_str(st, 3, op.user);
	sql_bind_str(st, 4, op.subject);
	(void)sqlite3_bind_int64(st, 5, s->ms);
	if (sql_step(s, st) != 0 ||
	    store_user_add(s, op.h.tenant, op.user) == -1)
		return -1;
	ctx->changed = true;
	subscription_reply(s, ctx, (struct str){ token, ID_TOKEN_LEN }, s->ms);
	return 0;
}

int
store_unsubscribe(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_of_user op;
	sqlite3_stmt *st;

	if (rec_op_of_user_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_SUBSCRIPTION_DELETE)) == NULL)
		return -1;
	sql_bind_str(st, 1, op.subject);
	sql_bind_u64(st, 2, op.h.tenant);
	sql_bind_str(st, 3, op.user);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return store_refuse(ctx, OUTCOME_SUBSCRIPTION_NOT_FOUND);
	ctx->changed = true;
	return 0;
}
