/* SPDX-License-Identifier: MIT */
/*
 * Tenants and their API keys, for the operator's commands and the admin API.
 * Runs in the writer.  Knows only hashes of keys.
 */
#include <stdio.h>
#include <string.h>

#include "../common/json_text.h"
#include "../common/utf8.h"
#include "store_int.h"

#define TENANT_NAME_MAX 256
#define PAGE_MAX 100

int
store_tenant_check(struct store *s, uint64_t tenant)
{
	struct tenant_entry *e = &s->tenants[tenant % TENANT_CACHE_SLOTS];
	sqlite3_stmt *st;
	int rc;

	if (tenant == 0)
		return OUTCOME_TENANT_NOT_FOUND;
	if (e->id != tenant) {
		if ((st = sql_get(s, SQL_TENANT)) == NULL)
			return -1;
		sql_bind_u64(st, 1, tenant);
		if ((rc = sql_step(s, st)) != 1)
			return rc == 0 ? OUTCOME_TENANT_NOT_FOUND : -1;
		e->id = tenant;
		e->disabled = sqlite3_column_int(st, 0) != 0;
		(void)sqlite3_reset(st);
	}
	return e->disabled ? OUTCOME_TENANT_DISABLED : OUTCOME_OK;
}

void
store_tenants_reset(struct store *s)
{
	memset(s->tenants, 0, sizeof(s->tenants));
}

/* A public id with or without its prefix; false when it is none. */
static bool
public_token(struct str id, const char *prefix, struct str *token)
{
	const char *p = id_token_of(id.p, id.len, prefix);

	if (p == NULL && id_token_valid(id.p, id.len))
		p = id.p;
	*token = (struct str){ p, ID_TOKEN_LEN };
	return p != NULL;
}

/* 1 with the statement on the tenant's row (reset it), 0 none, -1. */
static int
tenant_find(struct store *s, struct str id, sqlite3_stmt **st)
{
	struct str token;

	if (!public_token(id, "tenant_", &token))
		return 0;
	if ((*st = sql_get(s, SQL_TENANT_BY_PUBLIC_ID)) == NULL)
		return -1;
	sql_bind_str(*st, 1, token);
	return sql_step(s, *st);
}

/* Internal id of the tenant named, or 0, or -1. */
static int64_t
tenant_id(struct store *s, struct str id)
{
	sqlite3_stmt *st;
	int64_t result;
	int rc;

	if ((rc = tenant_find(s, id, &st)) != 1)
		return rc;
	result = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return result;
}

static void
json_id(struct buf *b, const char *prefix, sqlite3_stmt *st, int column)
{
	(void)buf_addf(b, "\"%s%s\"", prefix,
	    (const char *)sqlite3_column_text(st, column));
}

/* The row of SQL_TENANT_BY_PUBLIC_ID and SQL_TENANT_LIST. */
static void
tenant_json(struct buf *b, sqlite3_stmt *st)
{
	const char *name = (const char *)sqlite3_column_text(st, 2);

	(void)buf_adds(b, "{\"tenant_id\":");
	json_id(b, "tenant_", st, 1);
	(void)buf_adds(b, ",\"name\":");
	json_text_string(b, name == NULL ? "" : name,
	    (size_t)sqlite3_column_bytes(st, 2));
	(void)buf_adds(b, ",\"created_at\":");
	json_text_time(b, sqlite3_column_int64(st, 3));
	(void)buf_addf(b, ",\"disabled\":%s,\"rate_limit\":",
	    sqlite3_column_int(st, 4) != 0 ? "true" : "false");
	if (sqlite3_column_type(st, 5) == SQLITE_NULL)
		(void)buf_adds(b, "null}");
	else
		(void)buf_addf(b, "%lld}",
		    (long long)sqlite3_column_int64(st, 5));
}

static int
reply_text(struct store *s, struct op_ctx *ctx)
{
	if (s->text.failed)
		return store_refuse(ctx, OUTCOME_INTERNAL);
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	return 0;
}

static void
tenant_publish(struct store *s, struct op_ctx *ctx, uint64_t tenant)
{
	struct rec_event_tenant e = { .n = s->n + 1, .tenant = tenant };
	size_t at = rec_publish_begin(ctx->events, NULL, 0);

	(void)rec_event_tenant_put(ctx->events, &e);
	(void)rec_publish_end(ctx->events, at);
}

/* Adds a key to the tenant; its public id goes to `token`. */
static int
key_insert(struct store *s, uint64_t tenant, const uint8_t hash[KEY_HASH_SIZE],
    char token[ID_TOKEN_SIZE])
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
store_tenant_create(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_tenant_create op;
	char token[ID_TOKEN_SIZE], key[ID_TOKEN_SIZE];
	sqlite3_stmt *st;

	if (rec_op_tenant_create_get(rec, &op) == -1 || op.name.len == 0 ||
	    op.name.len > TENANT_NAME_MAX ||
	    !utf8_valid(op.name.p, op.name.len))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_TENANT_INSERT)) == NULL)
		return -1;
	id_token_new(token, s->ms);
	sql_bind_str(st, 1, (struct str){ token, ID_TOKEN_LEN });
	sql_bind_str(st, 2, op.name);
	(void)sqlite3_bind_int64(st, 3, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	ctx->reply.room = (uint64_t)sqlite3_last_insert_rowid(s->db);
	if (key_insert(s, ctx->reply.room, op.key_hash, key) == -1)
		return -1;
	ctx->changed = true;
	ctx->reply.ms = (uint64_t)s->ms;
	buf_clear(&s->text);
	(void)buf_add(&s->text, token, ID_TOKEN_LEN);
	return reply_text(s, ctx);
}

/* The internal id that a cursor stands for: 0 from the start; -1 failed,
 * -2 it is none. */
static int64_t
tenant_cursor(struct store *s, struct str cursor)
{
	int64_t id;

	if (cursor.len == 0)
		return 0;
	id = tenant_id(s, cursor);
	return id == 0 ? -2 : id;
}

int
store_tenant_list(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	struct buf *b = &s->text;
	sqlite3_stmt *st;
	char last[ID_PUBLIC_SIZE] = "";
	int64_t after;
	int rc, rows = 0;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((after = tenant_cursor(s, op.a)) < 0)
		return after == -1 ? -1 : store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_TENANT_LIST)) == NULL)
		return -1;
	(void)sqlite3_bind_int64(st, 1, after);
	(void)sqlite3_bind_int(st, 2, PAGE_MAX + 1);
	buf_clear(b);
	(void)buf_adds(b, "{\"tenants\":[");
	while ((rc = sql_step(s, st)) == 1 && rows < PAGE_MAX) {
		if (rows++ > 0)
			(void)buf_adds(b, ",");
		tenant_json(b, st);
		(void)snprintf(last, sizeof(last), "tenant_%s",
		    (const char *)sqlite3_column_text(st, 1));
	}
	if (rc == -1)
		return -1;
	(void)sqlite3_reset(st);
	if (rc == 1)
		(void)buf_addf(b, "],\"next_cursor\":\"%s\"}", last);
	else
		(void)buf_adds(b, "],\"next_cursor\":null}");
	return reply_text(s, ctx);
}

int
store_tenant_show(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	sqlite3_stmt *st;
	int rc;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = tenant_find(s, op.a, &st)) != 1)
		return rc == -1 ? -1 :
				  store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	buf_clear(&s->text);
	tenant_json(&s->text, st);
	ctx->reply.room = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return reply_text(s, ctx);
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
	if ((tenant = tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if (key_insert(s, (uint64_t)tenant, op.key_hash, token) == -1)
		return -1;
	ctx->changed = true;
	tenant_publish(s, ctx, (uint64_t)tenant);
	buf_clear(&s->text);
	(void)buf_addf(&s->text, "{\"key_id\":\"key_%s\"}", token);
	return reply_text(s, ctx);
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
	if ((tenant = tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if (!public_token(op.b, "key_", &token))
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
	tenant_publish(s, ctx, (uint64_t)tenant);
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
	char last[ID_PUBLIC_SIZE] = "";
	int64_t tenant;
	int rc, rows = 0;

	if (rec_op_admin_get(rec, &op) == -1 ||
	    (op.b.len > 0 && !public_token(op.b, "key_", &after)))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((tenant = tenant_id(s, op.a)) <= 0)
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
		(void)buf_adds(b,
		    rows++ > 0 ? ",{\"key_id\":" : "{\"key_id\":");
		json_id(b, "key_", st, 0);
		(void)buf_adds(b, ",\"created_at\":");
		json_text_time(b, sqlite3_column_int64(st, 1));
		(void)buf_adds(b, ",\"last_used_at\":");
		if (sqlite3_column_type(st, 2) == SQLITE_NULL)
			(void)buf_adds(b, "null");
		else
			json_text_time(b, sqlite3_column_int64(st, 2));
		(void)buf_adds(b, "}");
		(void)snprintf(last, sizeof(last), "key_%s",
		    (const char *)sqlite3_column_text(st, 0));
	}
	if (rc == -1)
		return -1;
	(void)sqlite3_reset(st);
	if (rc == 1)
		(void)buf_addf(b, "],\"next_cursor\":\"%s\"}", last);
	else
		(void)buf_adds(b, "],\"next_cursor\":null}");
	return reply_text(s, ctx);
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
