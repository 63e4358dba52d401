/* SPDX-License-Identifier: MIT */
/*
 * The key file and what tenants have sealed under it: looked at when the
 * writer starts, made where nothing is sealed yet.  Runs in the writer, or in
 * a command in its place.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/secret.h"
#include "store_tenant.h"

/* May a key file be made?  Not while something is sealed under a lost one:
 * that one is to be put back.  1, 0, -1 failed. */
static int
nothing_sealed(struct store *s)
{
	sqlite3_stmt *st = sql_get(s, SQL_TENANT_ANY_SEALED);
	int rc;

	if (st == NULL)
		return -1;
	if ((rc = sql_step(s, st)) == 1)
		(void)sqlite3_reset(st);
	return rc == -1 ? -1 : !rc;
}

int
store_secrets_ready(struct store *s)
{
	enum secret_result result = SECRET_BAD_FILE;
	char err[512] = "no key file is known", quoted[600];
	int rc;

	if (s->secrets != NULL)
		result = secret_load(s->secrets, err, sizeof(err));
	if (result == SECRET_OK &&
	    access(secret_path(s->secrets), F_OK) == -1 && errno == ENOENT) {
		/* What is sealed now would be lost with this process. */
		(void)snprintf(err, sizeof(err),
		    "key file %s was there and is gone; put it back",
		    secret_path(s->secrets));
		result = SECRET_BAD_FILE;
	}
	if (result == SECRET_NO_FILE) {
		if ((rc = nothing_sealed(s)) == -1)
			return -1;
		if (rc == 1)
			result = secret_make(s->secrets, err, sizeof(err));
	}
	if (result == SECRET_OK)
		return OUTCOME_OK;
	log_error("secrets cannot be sealed", "error=%s",
	    log_quote(quoted, sizeof(quoted), err, strlen(err)));
	return OUTCOME_SECRETS;
}

#define LOGGED_MAX 100

static bool
row_opens(struct store *s, const char *token, enum secret_kind kind,
    struct str sealed)
{
	uint8_t secret[SECRET_MAX];
	enum secret_result result;
	size_t len;

	result = secret_open(s->secrets, token, kind, sealed.p, sealed.len,
	    secret, &len);
	sodium_memzero(secret, sizeof(secret));
	return result == SECRET_OK;
}

void
store_secrets(struct store *s, struct secrets *secrets)
{
	s->secrets = secrets;
}

int
store_secrets_check(struct store *s)
{
	sqlite3_stmt *st = sql_get(s, SQL_TENANT_SEALED);
	char token[ID_TOKEN_SIZE], err[512], quoted[600];
	bool webhook, jwt;
	int rc, lost = 0;

	if (st == NULL || s->secrets == NULL)
		return -1;
	while ((rc = sql_step(s, st)) == 1) {
		sql_column_token(st, 0, token);
		webhook = sqlite3_column_type(st, 1) == SQLITE_NULL ||
		    row_opens(s, token, SECRET_WEBHOOK, sql_column_str(st, 1));
		jwt = sqlite3_column_int(st, 2) != TENANT_JWT_HS256 ||
		    row_opens(s, token, SECRET_JWT_HS256,
			sql_column_str(st, 3));
		if (webhook && jwt)
			continue;
		/* Once, before the first of them. */
		if (lost++ == 0 &&
		    secret_load(s->secrets, err, sizeof(err)) != SECRET_OK)
			log_error("secrets cannot be opened", "error=%s",
			    log_quote(quoted, sizeof(quoted), err,
				strlen(err)));
		if (lost <= LOGGED_MAX)
			log_error("secrets of a tenant cannot be opened",
			    "tenant=tenant_%s webhook_secret=%s jwt_secret=%s",
			    token, webhook ? "good" : "lost",
			    jwt ? "good" : "lost");
	}
	if (lost > 0)
		log_error("put the right key file back and reload, or "
			  "clear or set these secrets anew",
		    "file=%s tenants=%d",
		    log_quote(quoted, sizeof(quoted), secret_path(s->secrets),
			strlen(secret_path(s->secrets))),
		    lost);
	return rc == -1 ? -1 : lost;
}

/* ---- what earlier versions sealed ---- */

static void
bind_sealed(sqlite3_stmt *st, int i, const struct buf *b)
{
	if (b->len == 0)
		(void)sqlite3_bind_null(st, i);
	else
		(void)sqlite3_bind_blob(st, i, buf_head(b), (int)b->len,
		    SQLITE_STATIC);
}

/* 1 with it sealed anew; 0 when it is not outdated, or does not open: then it
 * is to stay as it is, and `sealed` is empty.  -1 failed. */
static int
column_renew(struct store *s, const char *token, enum secret_kind kind,
    struct str old, struct buf *sealed)
{
	uint8_t secret[SECRET_MAX];
	size_t len;
	int rc;

	buf_clear(sealed);
	if (!secret_outdated(old.p, old.len) ||
	    secret_open(s->secrets, token, kind, old.p, old.len, secret,
		&len) != SECRET_OK)
		return 0;
	rc = secret_seal(s->secrets, token, kind, secret, len, sealed);
	sodium_memzero(secret, sizeof(secret));
	return rc == 0 ? 1 : -1;
}

static int
row_renew(struct store *s, int64_t id, const struct buf *webhook,
    const struct buf *jwt)
{
	sqlite3_stmt *st = sql_get(s, SQL_TENANT_RENEW);

	if (st == NULL)
		return -1;
	(void)sqlite3_bind_int64(st, 1, id);
	bind_sealed(st, 2, webhook);
	bind_sealed(st, 3, jwt);
	return sql_step(s, st);
}

/* The next tenant after *id; 1, 0 there is none, -1 failed. */
static int
tenant_renew(struct store *s, int64_t *id, struct buf *webhook, struct buf *jwt,
    int *renewed)
{
	sqlite3_stmt *st = sql_get(s, SQL_TENANT_NEXT_OUTDATED);
	char token[ID_TOKEN_SIZE];
	int rc, of_webhook, of_jwt;

	if (st == NULL)
		return -1;
	(void)sqlite3_bind_int64(st, 1, *id);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*id = sqlite3_column_int64(st, 0);
	sql_column_token(st, 1, token);
	of_webhook = column_renew(s, token, SECRET_WEBHOOK,
	    sql_column_str(st, 2), webhook);
	of_jwt = column_renew(s, token, SECRET_JWT_HS256, sql_column_str(st, 3),
	    jwt);
	(void)sqlite3_reset(st);
	if (of_webhook == -1 || of_jwt == -1)
		return -1;
	if (of_webhook == 0 && of_jwt == 0)
		return 1;
	(*renewed)++;
	return row_renew(s, *id, webhook, jwt) == 0 ? 1 : -1;
}

/* All in one transaction; -1 rolled back. */
static int
tenants_renew(struct store *s)
{
	struct buf webhook, jwt;
	int64_t id = 0;
	int rc, renewed = 0;

	if (sql_exec(s, "BEGIN IMMEDIATE") == -1)
		return -1;
	buf_init(&webhook, SECRET_MAX + SECRET_OVERHEAD);
	buf_init(&jwt, SECRET_MAX + SECRET_OVERHEAD);
	do
		rc = tenant_renew(s, &id, &webhook, &jwt, &renewed);
	while (rc == 1);
	buf_free(&webhook);
	buf_free(&jwt);
	if (rc == 0 && sql_exec(s, "COMMIT") == 0) {
		if (renewed > 0)
			log_info("secrets sealed anew, by kind", "tenants=%d",
			    renewed);
		return 0;
	}
	if (!sqlite3_get_autocommit(s->db))
		(void)sql_exec(s, "ROLLBACK");
	return -1;
}

void
store_secrets_prepare(struct store *s)
{
	char err[512], quoted[600];
	enum secret_result result = secret_load(s->secrets, err, sizeof(err));

	if (result == SECRET_NO_FILE && nothing_sealed(s) == 1)
		result = secret_make(s->secrets, err, sizeof(err));
	else if (result == SECRET_NO_FILE)
		return;
	if (result != SECRET_OK)
		log_warn("no key file", "error=%s",
		    log_quote(quoted, sizeof(quoted), err, strlen(err)));
	else if (tenants_renew(s) == -1)
		log_error("secrets cannot be sealed anew", "error=\"%s\"",
		    sqlite3_errstr(s->err));
}
