/* SPDX-License-Identifier: MIT */
/*
 * Tenants and their keys as the operator sees them.  Runs in a worker; reads
 * no secret.
 */
#include <string.h>

#include "reader_int.h"

/* The columns that TENANT_COLUMNS names. */
static void
tenant_row(sqlite3_stmt *s, struct tenant_text *t)
{
	int64_t rate = sqlite3_column_int64(s, 5);

	memset(t, 0, sizeof(*t));
	reader_column_token(s, 1, t->token);
	t->name = reader_column(s, 2);
	t->created_ms = sqlite3_column_int64(s, 3);
	t->disabled = sqlite3_column_int(s, 4) != 0;
	t->has_rate_limit = sqlite3_column_type(s, 5) != SQLITE_NULL;
	t->rate_limit = (uint32_t)rate;
	t->webhook_url = reader_column(s, 6);
	t->jwt_alg = (uint8_t)sqlite3_column_int(s, 7);
	if (t->jwt_alg == TENANT_JWT_EDDSA) {
		t->jwt_public_key.p = sqlite3_column_blob(s, 8);
		t->jwt_public_key.len = (size_t)sqlite3_column_bytes(s, 8);
	}
	t->retention_days = (uint32_t)sqlite3_column_int64(s, 9);
}

int
reader_tenants(struct reader *r, uint64_t after, unsigned limit,
    reader_tenant_fn *fn, void *arg, uint64_t *last)
{
	sqlite3_stmt *s = reader_statement(r, READER_TENANTS);
	struct tenant_text t;
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 2, limit);
	while ((rc = reader_step(r, s)) == 1) {
		found = 1;
		tenant_row(s, &t);
		if (!fn(&t, arg))
			break;
		*last = (uint64_t)sqlite3_column_int64(s, 0);
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

/* Copies into r->text, so that the statement can end. */
static struct str
kept(struct reader *r, struct str v)
{
	struct str out = { buf_head(&r->text) + r->text.len, v.len };

	buf_add(&r->text, v.p, v.len);
	return out;
}

int
reader_tenant_text(struct reader *r, const char *token, struct tenant_text *t,
    uint64_t *id)
{
	sqlite3_stmt *s = reader_statement(r, READER_TENANT_BY_TOKEN);
	int rc;

	if (s == NULL)
		return -1;
	reader_bind_text(s, 1, token, ID_TOKEN_LEN);
	if ((rc = reader_step(r, s)) != 1)
		return reader_reset(s, rc);
	tenant_row(s, t);
	*id = (uint64_t)sqlite3_column_int64(s, 0);
	buf_clear(&r->text);
	/* At once, so that nothing moves while it is filled. */
	if (buf_reserve(&r->text,
		t->name.len + t->webhook_url.len + t->jwt_public_key.len + 1) ==
	    NULL)
		return reader_reset(s, -1);
	t->name = kept(r, t->name);
	t->webhook_url = kept(r, t->webhook_url);
	t->jwt_public_key = kept(r, t->jwt_public_key);
	return reader_reset(s, 1);
}

int
reader_keys(struct reader *r, uint64_t tenant, uint64_t after, unsigned limit,
    reader_key_fn *fn, void *arg, uint64_t *last)
{
	sqlite3_stmt *s = reader_statement(r, READER_KEYS);
	struct key_text k;
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 3, limit);
	while ((rc = reader_step(r, s)) == 1) {
		found = 1;
		reader_column_token(s, 1, k.token);
		k.created_ms = sqlite3_column_int64(s, 2);
		k.last_used_ms = sqlite3_column_int64(s, 3);
		if (!fn(&k, arg))
			break;
		*last = (uint64_t)sqlite3_column_int64(s, 0);
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}
