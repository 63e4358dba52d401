/* SPDX-License-Identifier: MIT */
/*
 * Tenants: whether they may do anything, new ones, and looking at them, for
 * the operator's commands and the admin API.  Runs in the writer.  Changes
 * are in store_tenant_change.c, API keys in store_key.c.
 */
#include <stdio.h>
#include <string.h>

#include "../common/tenant_rules.h"
#include "store_tenant.h"

#define PAGE_MAX 100

/* 1 with what is remembered of it, 0 no such tenant, -1 failed. */
static int
tenant_entry(struct store *s, uint64_t tenant, struct tenant_entry **out)
{
	struct tenant_entry *e = &s->tenants[tenant % TENANT_CACHE_SLOTS];
	sqlite3_stmt *st;
	int rc;

	*out = e;
	if (tenant == 0 || e->id == tenant)
		return tenant != 0;
	if ((st = sql_get(s, SQL_TENANT)) == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	e->id = tenant;
	e->disabled = sqlite3_column_int(st, 0) != 0;
	e->webhook = sqlite3_column_int(st, 1) != 0;
	(void)sqlite3_reset(st);
	return 1;
}

int
store_tenant_check(struct store *s, uint64_t tenant)
{
	struct tenant_entry *e;
	int rc = tenant_entry(s, tenant, &e);

	if (rc != 1)
		return rc == 0 ? OUTCOME_TENANT_NOT_FOUND : -1;
	return e->disabled ? OUTCOME_TENANT_DISABLED : OUTCOME_OK;
}

int
store_tenant_webhook(struct store *s, uint64_t tenant)
{
	struct tenant_entry *e;
	int rc = tenant_entry(s, tenant, &e);

	return rc == 1 ? e->webhook : rc;
}

void
store_tenant_forget(struct store *s, uint64_t tenant)
{
	struct tenant_entry *e = &s->tenants[tenant % TENANT_CACHE_SLOTS];

	if (e->id == tenant)
		e->id = 0;
}

void
store_tenants_reset(struct store *s)
{
	memset(s->tenants, 0, sizeof(s->tenants));
}

bool
store_public_token(struct str id, const char *prefix, struct str *token)
{
	const char *p = id_token_of(id.p, id.len, prefix);

	if (p == NULL && id_token_valid(id.p, id.len))
		p = id.p;
	*token = (struct str){ p, ID_TOKEN_LEN };
	return p != NULL;
}

int
store_tenant_find(struct store *s, struct str id, sqlite3_stmt **st)
{
	struct str token;

	if (!store_public_token(id, "tenant_", &token))
		return 0;
	if ((*st = sql_get(s, SQL_TENANT_BY_PUBLIC_ID)) == NULL)
		return -1;
	sql_bind_str(*st, 1, token);
	return sql_step(s, *st);
}

int64_t
store_tenant_id(struct store *s, struct str id)
{
	sqlite3_stmt *st;
	int64_t result;
	int rc;

	if ((rc = store_tenant_find(s, id, &st)) != 1)
		return rc;
	result = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return result;
}

void
store_tenant_row(sqlite3_stmt *st, struct tenant_text *t)
{
	int64_t rate = sqlite3_column_int64(st, 5);

	memset(t, 0, sizeof(*t));
	sql_column_token(st, 1, t->token);
	t->name = sql_column_str(st, 2);
	t->created_ms = sqlite3_column_int64(st, 3);
	t->disabled = sqlite3_column_int(st, 4) != 0;
	t->has_rate_limit = sqlite3_column_type(st, 5) != SQLITE_NULL;
	t->rate_limit = (uint32_t)rate;
	t->webhook_url = sql_column_str(st, 6);
	t->jwt_alg = (uint8_t)sqlite3_column_int(st, 7);
	if (t->jwt_alg == TENANT_JWT_EDDSA)
		t->jwt_public_key = sql_column_str(st, 8);
	t->retention_days = (uint32_t)sqlite3_column_int64(st, 9);
}

int
store_reply_text(struct store *s, struct op_ctx *ctx)
{
	if (s->text.failed)
		return store_refuse(ctx, OUTCOME_INTERNAL);
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	return 0;
}

void
store_tenant_publish(struct store *s, struct op_ctx *ctx, uint64_t tenant)
{
	struct rec_event_tenant e = { .n = s->n + 1, .tenant = tenant };
	size_t at = rec_publish_begin(ctx->events, NULL, 0);

	(void)rec_event_tenant_put(ctx->events, &e);
	(void)rec_publish_end(ctx->events, at);
}

int
store_tenant_create(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_tenant_create op;
	char token[ID_TOKEN_SIZE], key[ID_TOKEN_SIZE];
	sqlite3_stmt *st;

	if (rec_op_tenant_create_get(rec, &op) == -1 ||
	    tenant_rules_name(op.name) != NULL)
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
	if (store_key_insert(s, ctx->reply.room, op.key_hash, key) == -1)
		return -1;
	ctx->changed = true;
	ctx->reply.ms = (uint64_t)s->ms;
	buf_clear(&s->text);
	(void)buf_add(&s->text, token, ID_TOKEN_LEN);
	return store_reply_text(s, ctx);
}

int
store_tenant_list(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	struct buf *b = &s->text;
	sqlite3_stmt *st;
	struct tenant_text t = { .token = "" };
	struct str after = { "", 0 };
	int rc, rows = 0;

	if (rec_op_admin_get(rec, &op) == -1 ||
	    (op.a.len > 0 && !store_public_token(op.a, "tenant_", &after)))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((st = sql_get(s, SQL_TENANT_LIST)) == NULL)
		return -1;
	sql_bind_str(st, 1, after);
	(void)sqlite3_bind_int(st, 2, PAGE_MAX + 1);
	buf_clear(b);
	(void)buf_adds(b, "{\"tenants\":[");
	while ((rc = sql_step(s, st)) == 1 && rows < PAGE_MAX) {
		if (rows++ > 0)
			(void)buf_adds(b, ",");
		store_tenant_row(st, &t);
		tenant_text(b, &t);
	}
	if (rc == -1)
		return -1;
	(void)sqlite3_reset(st);
	if (rc == 1)
		(void)buf_addf(b, "],\"next_cursor\":\"tenant_%s\"}", t.token);
	else
		(void)buf_adds(b, "],\"next_cursor\":null}");
	return store_reply_text(s, ctx);
}

int
store_tenant_show(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	struct tenant_text t;
	sqlite3_stmt *st;
	int rc;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_tenant_find(s, op.a, &st)) != 1)
		return rc == -1 ? -1 :
				  store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	buf_clear(&s->text);
	store_tenant_row(st, &t);
	tenant_text(&s->text, &t);
	ctx->reply.room = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return store_reply_text(s, ctx);
}
