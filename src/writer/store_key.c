/* SPDX-License-Identifier: MIT */
/*
 * API keys: adding, revoking, listing them, and when each was last used.
 * Runs in the writer.  Knows only hashes of keys.
 */
#include "store_tenant.h"

#define PAGE_MAX 100

int
store_key_insert(struct store *s, uint64_t tenant,
    const uint8_t hash[KEY_HASH_SIZE], char token[ID_TOKEN_SIZE])
{
	sqlite3_stmt *st = sql_get(s, SQL_KEY_INSERT);

	if (st == NULL)
		return -1;
	id_token_new(token, s->ms);
	sql_bind_str(st, 1, (struct str){ token, ID_TOKEN_LEN });
	sql_bind_u64(st, 2, tenant);
	(void)sqlite3_bind_blob(st, 3, hash, KEY_HASH_SIZE, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 4, s->ms);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_key_add(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	char token[ID_TOKEN_SIZE];
	int64_t tenant;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((tenant = store_tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if (store_key_insert(s, (uint64_t)tenant, op.key_hash, token) == -1)
		return -1;
	ctx->changed = true;
	store_tenant_publish(s, ctx, (uint64_t)tenant);
	buf_clear(&s->text);
	(void)buf_addf(&s->text, "{\"key_id\":\"key_%s\"}", token);
	return store_reply_text(s, ctx);
}

int
store_key_revoke(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	struct str token;
	sqlite3_stmt *st;
	int64_t tenant;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((tenant = store_tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if (!store_public_token(op.b, "key_", &token))
		return store_refuse(ctx, OUTCOME_KEY_NOT_FOUND);
	if ((st = sql_get(s, SQL_KEY_REVOKE)) == NULL)
		return -1;
	sql_bind_str(st, 1, token);
	(void)sqlite3_bind_int64(st, 2, tenant);
	(void)sqlite3_bind_int64(st, 3, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return store_refuse(ctx, OUTCOME_KEY_NOT_FOUND);
	ctx->changed = true;
	store_tenant_publish(s, ctx, (uint64_t)tenant);
	return 0;
}

int
store_key_list(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	struct buf *b = &s->text;
	struct str after = { "", 0 };
	sqlite3_stmt *st;
	struct key_text k = { .token = "" };
	int64_t tenant;
	int rc, rows = 0;

	if (rec_op_admin_get(rec, &op) == -1 ||
	    (op.b.len > 0 && !store_public_token(op.b, "key_", &after)))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((tenant = store_tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if ((st = sql_get(s, SQL_KEY_LIST)) == NULL)
		return -1;
	(void)sqlite3_bind_int64(st, 1, tenant);
	sql_bind_str(st, 2, after);
	(void)sqlite3_bind_int(st, 3, PAGE_MAX + 1);
	buf_clear(b);
	(void)buf_adds(b, "{\"keys\":[");
	while ((rc = sql_step(s, st)) == 1 && rows < PAGE_MAX) {
		if (rows++ > 0)
			(void)buf_adds(b, ",");
		sql_column_token(st, 0, k.token);
		k.created_ms = sqlite3_column_int64(st, 1);
		k.last_used_ms = sqlite3_column_int64(st, 2);
		key_text(b, &k);
	}
	if (rc == -1)
		return -1;
	(void)sqlite3_reset(st);
	if (rc == 1)
		(void)buf_addf(b, "],\"next_cursor\":\"key_%s\"}", k.token);
	else
		(void)buf_adds(b, "],\"next_cursor\":null}");
	return store_reply_text(s, ctx);
}

int
store_key_used(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_key_used op;
	sqlite3_stmt *st;

	if (rec_op_key_used_get(rec, &op) == -1 || op.unix_ms > INT64_MAX)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_KEY_USED)) == NULL)
		return -1;
	sql_bind_u64(st, 1, op.key);
	sql_bind_u64(st, 2, op.h.tenant);
	sql_bind_u64(st, 3, op.unix_ms);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) > 0)
		ctx->changed = true;
	return 0;
}
