/* SPDX-License-Identifier: MIT */
/* What the store's files on tenants and keys share; no other file includes
 * it. */
#ifndef WRITER_STORE_TENANT_H
#define WRITER_STORE_TENANT_H

#include "../common/tenant_text.h"
#include "store_int.h"

/* The columns of a tenant, as store_tenant_row() reads them. */
#define STORE_TENANT_COLUMNS \
	"id, public_id, name, created_ms, disabled, rate_limit," \
	" webhook_url, jwt_alg, jwt_key, retention_days"

/* A public id with or without its prefix; false when it is none. */
bool store_public_token(struct str id, const char *prefix, struct str *token);
/* 1 with the statement on the tenant's row (reset it), 0 none, -1. */
int store_tenant_find(struct store *s, struct str id, sqlite3_stmt **st);
/* Internal id of the tenant named, or 0, or -1. */
int64_t store_tenant_id(struct store *s, struct str id);
/* The row's columns; strings are good until the statement's next step. */
void store_tenant_row(sqlite3_stmt *st, struct tenant_text *t);
/* Tells every worker that this tenant or one of its keys is not as before. */
void store_tenant_publish(struct store *s, struct op_ctx *ctx, uint64_t tenant);
/* What is remembered of it is not right any more. */
void store_tenant_forget(struct store *s, uint64_t tenant);
/* Adds a key to the tenant; its public id goes to `token`.  0, -1. */
int store_key_insert(struct store *s, uint64_t tenant,
    const uint8_t hash[KEY_HASH_SIZE], char token[ID_TOKEN_SIZE]);
/* OUTCOME_OK when something can be sealed, its refusal; -1 failed. */
int store_secrets_ready(struct store *s);
/* Makes s->text the reply's. */
int store_reply_text(struct store *s, struct op_ctx *ctx);

#endif
