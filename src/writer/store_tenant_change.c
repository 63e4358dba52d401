/* SPDX-License-Identifier: MIT */
/*
 * Changing and deleting tenants.  Runs in the writer.  Secrets come in the
 * clear and are stored sealed; neither they nor the key ever leave by a reply,
 * a receipt or the log.
 */
#include <sodium.h>

#include "../common/secret.h"
#include "../common/tenant_rules.h"
#include "store_tenant.h"

#define SEALED_MAX (SECRET_MAX + SECRET_OVERHEAD)

/* A tenant on its way from one state to the next. */
struct change {
	struct store *s;
	const struct rec_op_tenant_update *op;
	struct tenant_text t; /* strings: of `text`, or of the operation */
	uint64_t id;
	uint64_t jwt_n;
	struct buf text;           /* what the row held */
	struct buf webhook_secret; /* sealed */
	struct buf jwt_key;        /* sealed, or 32 bytes */
	bool changed;
	bool made_secret;
};

static void
change_free(struct change *c)
{
	buf_free(&c->text);
	buf_free(&c->webhook_secret);
	buf_free(&c->jwt_key);
}

static struct str
whole(const struct buf *b)
{
	return (struct str){ buf_head(b), b->len };
}

/* ---- sealing ---- */

/* True when that is what is sealed already. */
static bool
same_sealed(const struct change *c, enum secret_kind kind,
    const struct buf *sealed, struct str v)
{
	uint8_t old[SECRET_MAX];
	size_t len;
	bool same = sealed->len > 0 && c->s->secrets != NULL &&
	    secret_open(c->s->secrets, c->t.token, kind, buf_head(sealed),
		sealed->len, old, &len) == SECRET_OK &&
	    len == v.len && sodium_memcmp(old, v.p, len) == 0;

	sodium_memzero(old, sizeof(old));
	return same;
}

/* OUTCOME_OK with v in `sealed`; -1 failed. */
static int
change_seal(struct change *c, enum secret_kind kind, struct buf *sealed,
    struct str v)
{
	int rc = store_secrets_ready(c->s);

	if (rc != OUTCOME_OK)
		return rc;
	buf_clear(sealed);
	if (secret_seal(c->s->secrets, c->t.token, kind, v.p, v.len, sealed) ==
	    -1)
		return OUTCOME_INTERNAL;
	c->changed = true;
	return OUTCOME_OK;
}

/* ---- field by field ---- */

/* The operation is of this host, but its values are looked at again. */
static bool
update_valid(const struct rec_op_tenant_update *op)
{
	unsigned has = op->has;

	if ((has & TENANT_NAME) != 0 && tenant_rules_name(op->name) != NULL)
		return false;
	if ((has & TENANT_WEBHOOK_URL) != 0 && op->webhook_url.len > 0 &&
	    (tenant_rules_webhook_url(op->webhook_url, true) != NULL))
		return false;
	if ((has & TENANT_WEBHOOK_SECRET) != 0 && op->webhook_secret.len > 0 &&
	    tenant_rules_webhook_secret(op->webhook_secret) != NULL)
		return false;
	if ((has & TENANT_JWT_SECRET) != 0 && op->jwt_secret.len > 0 &&
	    tenant_rules_jwt_secret(op->jwt_secret) != NULL)
		return false;
	/* A tenant has one JWT key. */
	return (has & TENANT_JWT_SECRET) == 0 || op->jwt_secret.len == 0 ||
	    (has & TENANT_JWT_PUBLIC_KEY) == 0 || op->jwt_public_key.len == 0;
}

static void
change_plain(struct change *c)
{
	const struct rec_op_tenant_update *op = c->op;
	struct tenant_text *t = &c->t;

	if ((op->has & TENANT_NAME) != 0 && !str_same(t->name, op->name)) {
		t->name = op->name;
		c->changed = true;
	}
	if ((op->has & TENANT_DISABLED) != 0 && t->disabled != op->disabled) {
		t->disabled = op->disabled;
		c->changed = true;
	}
	if ((op->has & TENANT_RATE_LIMIT) != 0 &&
	    (t->has_rate_limit != op->has_rate_limit ||
		(op->has_rate_limit && t->rate_limit != op->rate_limit))) {
		t->has_rate_limit = op->has_rate_limit;
		t->rate_limit = op->rate_limit;
		c->changed = true;
	}
	if ((op->has & TENANT_RETENTION) != 0 &&
	    t->retention_days != op->retention_days) {
		t->retention_days = op->retention_days;
		c->changed = true;
	}
}

/* An url never stands without a secret. */
static int
change_webhook(struct change *c)
{
	const struct rec_op_tenant_update *op = c->op;
	struct str secret = { "", 0 };
	bool named = (op->has & TENANT_WEBHOOK_SECRET) != 0;

	if (!named && (op->has & TENANT_WEBHOOK_URL) == 0)
		return OUTCOME_OK;
	if ((op->has & TENANT_WEBHOOK_URL) != 0 &&
	    !str_same(c->t.webhook_url, op->webhook_url)) {
		c->t.webhook_url = op->webhook_url;
		c->changed = true;
	}
	if (named)
		secret = op->webhook_secret;
	if (secret.len == 0 && c->t.webhook_url.len > 0 &&
	    (named || c->webhook_secret.len == 0)) {
		secret = op->new_secret;
		if (tenant_rules_webhook_secret(secret) != NULL)
			return OUTCOME_INVALID;
		c->made_secret = true;
	}
	if (secret.len > 0)
		return same_sealed(c, SECRET_WEBHOOK, &c->webhook_secret,
			   secret) ?
		    OUTCOME_OK :
		    change_seal(c, SECRET_WEBHOOK, &c->webhook_secret, secret);
	if (c->webhook_secret.len > 0 && (named || c->t.webhook_url.len == 0)) {
		buf_clear(&c->webhook_secret);
		c->changed = true;
	}
	return OUTCOME_OK;
}

static void
change_jwt_none(struct change *c, uint8_t alg)
{
	if (c->t.jwt_alg != alg)
		return;
	c->t.jwt_alg = TENANT_JWT_NONE;
	buf_clear(&c->jwt_key);
	c->jwt_n = c->s->n + 1;
	c->changed = true;
}

static int
change_jwt(struct change *c)
{
	const struct rec_op_tenant_update *op = c->op;
	struct str key = op->jwt_public_key;
	int rc;

	if ((op->has & TENANT_JWT_SECRET) != 0 && op->jwt_secret.len == 0)
		change_jwt_none(c, TENANT_JWT_HS256);
	if ((op->has & TENANT_JWT_PUBLIC_KEY) != 0 && key.len == 0)
		change_jwt_none(c, TENANT_JWT_EDDSA);
	if ((op->has & TENANT_JWT_SECRET) != 0 && op->jwt_secret.len > 0 &&
	    !(c->t.jwt_alg == TENANT_JWT_HS256 &&
		same_sealed(c, SECRET_JWT_HS256, &c->jwt_key,
		    op->jwt_secret))) {
		if ((rc = change_seal(c, SECRET_JWT_HS256, &c->jwt_key,
			 op->jwt_secret)) != OUTCOME_OK)
			return rc;
		c->t.jwt_alg = TENANT_JWT_HS256;
		c->jwt_n = c->s->n + 1;
	}
	if ((op->has & TENANT_JWT_PUBLIC_KEY) != 0 && key.len > 0 &&
	    !(c->t.jwt_alg == TENANT_JWT_EDDSA &&
		str_same(whole(&c->jwt_key), key))) {
		buf_clear(&c->jwt_key);
		(void)buf_add(&c->jwt_key, key.p, key.len);
		c->t.jwt_alg = TENANT_JWT_EDDSA;
		c->jwt_n = c->s->n + 1;
		c->changed = true;
	}
	return OUTCOME_OK;
}

/* ---- the row ---- */

/* Copies a string out of the statement. */
static struct str
kept(struct change *c, struct str v)
{
	struct str out = { buf_head(&c->text) + c->text.len, v.len };

	(void)buf_add(&c->text, v.p, v.len);
	return out;
}

/* 1 read, 0 no such tenant, -1 failed. */
static int
change_read(struct change *c)
{
	struct str v;
	sqlite3_stmt *st;
	int rc;

	if ((rc = store_tenant_find(c->s, c->op->tenant, &st)) != 1)
		return rc;
	c->id = (uint64_t)sqlite3_column_int64(st, 0);
	store_tenant_row(st, &c->t);
	/* One allocation: what was kept first must not move. */
	if (buf_reserve(&c->text, c->t.name.len + c->t.webhook_url.len + 1) ==
	    NULL) {
		(void)sqlite3_reset(st);
		return -1;
	}
	c->t.name = kept(c, c->t.name);
	c->t.webhook_url = kept(c, c->t.webhook_url);
	c->t.jwt_public_key = (struct str){ "", 0 };
	(void)sqlite3_reset(st);
	if ((st = sql_get(c->s, SQL_TENANT_SETTINGS)) == NULL)
		return -1;
	sql_bind_u64(st, 1, c->id);
	if ((rc = sql_step(c->s, st)) != 1)
		return rc;
	v = sql_column_str(st, 0);
	(void)buf_add(&c->webhook_secret, v.p, v.len);
	v = sql_column_str(st, 1);
	(void)buf_add(&c->jwt_key, v.p, v.len);
	c->jwt_n = (uint64_t)sqlite3_column_int64(st, 2);
	(void)sqlite3_reset(st);
	return 1;
}

static void
bind_blob(sqlite3_stmt *st, int i, const struct buf *b)
{
	if (b->len == 0)
		(void)sqlite3_bind_null(st, i);
	else
		(void)sqlite3_bind_blob(st, i, buf_head(b), (int)b->len,
		    SQLITE_STATIC);
}

static int
change_write(struct change *c)
{
	sqlite3_stmt *st = sql_get(c->s, SQL_TENANT_UPDATE);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, c->id);
	sql_bind_str(st, 2, c->t.name);
	(void)sqlite3_bind_int(st, 3, c->t.disabled);
	if (c->t.has_rate_limit)
		sql_bind_u64(st, 4, c->t.rate_limit);
	else
		(void)sqlite3_bind_null(st, 4);
	sql_bind_opt(st, 5, c->t.webhook_url);
	bind_blob(st, 6, &c->webhook_secret);
	(void)sqlite3_bind_int(st, 7, c->t.jwt_alg);
	bind_blob(st, 8, &c->jwt_key);
	sql_bind_u64(st, 9, c->jwt_n);
	if (c->t.retention_days != 0)
		sql_bind_u64(st, 10, c->t.retention_days);
	else
		(void)sqlite3_bind_null(st, 10);
	rc = sql_step(c->s, st);
	/* They point into memory that goes. */
	(void)sqlite3_clear_bindings(st);
	return rc == 0 ? 0 : -1;
}

/* OUTCOME_OK, a refusal, or -1. */
static int
change_run(struct change *c)
{
	int rc;

	if ((rc = change_read(c)) != 1)
		return rc == 0 ? OUTCOME_TENANT_NOT_FOUND : -1;
	change_plain(c);
	if ((rc = change_webhook(c)) != OUTCOME_OK ||
	    (rc = change_jwt(c)) != OUTCOME_OK)
		return rc;
	if (c->text.failed || c->webhook_secret.failed || c->jwt_key.failed)
		return OUTCOME_INTERNAL;
	if (c->t.jwt_alg == TENANT_JWT_EDDSA)
		c->t.jwt_public_key = whole(&c->jwt_key);
	return c->changed ? change_write(c) : OUTCOME_OK;
}

int
store_tenant_update(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_tenant_update op;
	struct change c = { .s = s, .op = &op };
	int rc;

	if (rec_op_tenant_update_get(rec, &op) == -1 || !update_valid(&op))
		return store_refuse(ctx, OUTCOME_INVALID);
	buf_init(&c.text, 8 * 1024);
	buf_init(&c.webhook_secret, SEALED_MAX);
	buf_init(&c.jwt_key, SEALED_MAX);
	if ((rc = change_run(&c)) == OUTCOME_OK) {
		if (c.changed) {
			ctx->changed = true;
			store_tenant_forget(s, c.id);
			store_tenant_publish(s, ctx, c.id);
			store_webhook_event(s, ctx->events, c.id);
		}
		ctx->reply.room = c.id;
		ctx->reply.seq = c.made_secret;
		buf_clear(&s->text);
		tenant_text(&s->text, &c.t);
		rc = store_reply_text(s, ctx);
	} else if (rc != -1)
		rc = store_refuse(ctx, (enum outcome)rc);
	change_free(&c);
	return rc;
}

int
store_tenant_delete(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_admin op;
	sqlite3_stmt *st;
	int64_t tenant;

	if (rec_op_admin_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((tenant = store_tenant_id(s, op.a)) <= 0)
		return tenant == -1 ?
		    -1 :
		    store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND);
	if ((st = sql_get(s, SQL_TENANT_DELETE)) == NULL)
		return -1;
	(void)sqlite3_bind_int64(st, 1, tenant);
	(void)sqlite3_bind_int64(st, 2, s->ms);
	sql_bind_u64(st, 3, s->n + 1);
	if (sql_step(s, st) != 0)
		return -1;
	/* Also when the batch is rolled back: a look will tell. */
	s->sweep = true;
	ctx->changed = true;
	ctx->reply.room = (uint64_t)tenant;
	store_tenant_forget(s, (uint64_t)tenant);
	store_tenant_publish(s, ctx, (uint64_t)tenant);
	return 0;
}
