/* SPDX-License-Identifier: MIT */
/*
 * Tokens that open one WebSocket: issued, redeemed once, removed in pieces
 * when their time is over.  Runs in the writer.  Knows only their hashes.
 */
#include "../common/clock.h"
#include "../common/records_token.h"
#include "store_int.h"

#define CHUNK_ROWS 16
/* Rows that wait out their time are looked at again after this long. */
#define LOOK_MS 5000

int
store_ws_token_issue(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_ws_token_issue op;
	uint64_t ends = (uint64_t)s->ms + WS_TOKEN_MS;
	sqlite3_stmt *st;

	if (rec_op_ws_token_issue_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_WS_TOKEN_INSERT)) == NULL)
		return -1;
	/* It lives no longer than what it stands for. */
	if (op.ends_ms != 0 && op.ends_ms < ends)
		ends = op.ends_ms;
	(void)sqlite3_bind_blob(st, 1, op.hash, KEY_HASH_SIZE, SQLITE_STATIC);
	sql_bind_u64(st, 2, op.h.tenant);
	sql_bind_str(st, 3, op.user);
	sql_bind_u64(st, 4, op.key);
	sql_bind_u64(st, 5, op.jwt_n);
	sql_bind_u64(st, 6, ends);
	sql_bind_u64(st, 7, op.ends_ms);
	if (sql_step(s, st) != 0)
		return -1;
	/* Also when the batch is rolled back: a look will tell. */
	if (s->tokens_ms == 0)
		s->tokens_ms = s->ms + WS_TOKEN_MS;
	ctx->changed = true;
	ctx->reply.ms = ends;
	return 0;
}

/* Fills in the reply for a token that is there.  False: it is no good. */
static bool
token_read(struct store *s, struct op_ctx *ctx, sqlite3_stmt *st, bool *off)
{
	uint64_t key = (uint64_t)sqlite3_column_int64(st, 2);

	buf_clear(&s->text);
	(void)buf_adds(&s->text, key != 0 ? "k" : "j");
	(void)buf_add(&s->text, sqlite3_column_blob(st, 1),
	    (size_t)sqlite3_column_bytes(st, 1));
	ctx->reply.room = (uint64_t)sqlite3_column_int64(st, 0);
	ctx->reply.seq = key != 0 ? key : (uint64_t)sqlite3_column_int64(st, 3);
	ctx->reply.ms = (uint64_t)sqlite3_column_int64(st, 5);
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	*off = sqlite3_column_int(st, 6) != 0;
	return sqlite3_column_int64(st, 4) > s->ms &&
	    sqlite3_column_int(st, 7) != 0 && !s->text.failed;
}

int
store_ws_token_redeem(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_ws_token_redeem op;
	sqlite3_stmt *st;
	bool good, off;
	int rc;

	if (rec_op_ws_token_redeem_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_WS_TOKEN)) == NULL)
		return -1;
	(void)sqlite3_bind_blob(st, 1, op.hash, KEY_HASH_SIZE, SQLITE_STATIC);
	if ((rc = sql_step(s, st)) != 1)
		return rc == -1 ? -1 : store_refuse(ctx, OUTCOME_UNAUTHORIZED);
	good = token_read(s, ctx, st, &off);
	(void)sqlite3_reset(st);
	/* What cannot be used is left to its time. */
	if (!good || off)
		return store_refuse(ctx,
		    good ? OUTCOME_TENANT_DISABLED : OUTCOME_UNAUTHORIZED);
	if ((st = sql_get(s, SQL_WS_TOKEN_DELETE)) == NULL)
		return -1;
	(void)sqlite3_bind_blob(st, 1, op.hash, KEY_HASH_SIZE, SQLITE_STATIC);
	if (sql_step(s, st) != 0)
		return -1;
	ctx->changed = true;
	return 0;
}

int
store_ws_tokens_start(struct store *s)
{
	int64_t some;

	if (sql_int(s, "SELECT EXISTS (SELECT 1 FROM ws_token)", &some) == -1)
		return -1;
	s->tokens_ms = some != 0 ? 1 : 0;
	return 0;
}

bool
store_ws_tokens_due(const struct store *s)
{
	return s->tokens_ms != 0 && clock_unix_ms() >= s->tokens_ms;
}

int
store_ws_tokens_sweep(struct store *s, uint64_t until)
{
	sqlite3_stmt *st = sql_get(s, SQL_WS_TOKEN_SWEEP);
	int64_t now = clock_unix_ms();

	if (st == NULL)
		return -1;
	do {
		(void)sqlite3_bind_int64(st, 1, now);
		(void)sqlite3_bind_int(st, 2, CHUNK_ROWS);
		if (sql_step(s, st) != 0)
			return -1;
		if (sqlite3_changes(s->db) < CHUNK_ROWS) {
			if (store_ws_tokens_start(s) == -1)
				return -1;
			if (s->tokens_ms != 0)
				s->tokens_ms = now + LOOK_MS;
			return 0;
		}
	} while (clock_mono_ns() < until);
	return 0;
}
