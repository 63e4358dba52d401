/* SPDX-License-Identifier: MIT */
/*
 * Users who show a JWT: which tenant, under which key.  Runs in a worker;
 * keeps opened keys in memory and writes nothing.
 */
#include "auth_jwt.h"

#include <json-c/json_tokener.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/secret.h"
#include "auth.h"
#include "jwt.h"
#include "reader.h"
#include "worker.h"

/* Tenants whose keys are kept; two in one slot take turns. */
#define SLOTS 1024
#define LOG_EVERY_MS 1000

struct jwt_tenant {
	char token[ID_TOKEN_SIZE];
	uint64_t tenant;
	uint64_t jwt_n;
	uint32_t rate_limit;
	bool disabled;
	struct jwt_key *key; /* NULL = it has none */
};

struct auth_jwt {
	struct worker *w;
	struct json_tokener *tokener;
	uint64_t logged_ms;
	struct jwt_tenant *slots[SLOTS];
};

/* One sentence for all that only the tenant should tell apart. */
static const char not_his[] =
    "The token is not signed with the key and algorithm of the tenant that "
    "its tid names.";

struct auth_jwt *
auth_jwt_new(struct worker *w)
{
	struct auth_jwt *a = mem_alloc(sizeof(*a));

	a->w = w;
	a->tokener = jwt_tokener();
	if (a->tokener == NULL)
		abort();
	return a;
}

static void
slot_free(struct jwt_tenant **slot)
{
	if (*slot == NULL)
		return;
	jwt_key_free((*slot)->key);
	free(*slot);
	*slot = NULL;
}

void
auth_jwt_free(struct auth_jwt *a)
{
	if (a == NULL)
		return;
	auth_jwt_forget(a, 0);
	json_tokener_free(a->tokener);
	free(a);
}

void
auth_jwt_forget(struct auth_jwt *a, uint64_t tenant)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (a->slots[i] != NULL &&
		    (tenant == 0 || a->slots[i]->tenant == tenant))
			slot_free(&a->slots[i]);
}

static struct jwt_tenant **
slot_of(struct auth_jwt *a, const char *token)
{
	uint32_t h = 2166136261U;

	for (; *token != '\0'; token++)
		h = (h ^ (uint8_t)*token) * 16777619U;
	return &a->slots[h % SLOTS];
}

/* The secret cannot be read: an operator must see why. */
static void
log_secret(struct auth_jwt *a, enum secret_result result, const char *token)
{
	uint64_t now = clock_mono_ms();
	char quoted[600];
	const char *path = secret_path(a->w->secrets);

	if (a->logged_ms != 0 && now - a->logged_ms < LOG_EVERY_MS)
		return;
	a->logged_ms = now;
	log_error("a tenant's JWT secret cannot be opened",
	    "tenant=tenant_%s file=%s why=%s", token,
	    log_quote(quoted, sizeof(quoted), path, strlen(path)),
	    result == SECRET_NO_FILE      ? "missing" :
		result == SECRET_BAD_FILE ? "unreadable" :
					    "another");
}

/* OUTCOME_OK with *key NULL when there is none. */
static enum outcome
key_open(struct auth_jwt *a, const char *token, const struct reader_jwt *row,
    struct jwt_key **key)
{
	uint8_t secret[SECRET_MAX];
	enum secret_result result;
	size_t len;

	*key = NULL;
	if (row->alg == TENANT_JWT_EDDSA)
		*key = jwt_key_new(JWT_EDDSA, row->key, row->key_len);
	if (row->alg != TENANT_JWT_HS256)
		return OUTCOME_OK;
	result = secret_open(a->w->secrets, token, SECRET_JWT_HS256, row->key,
	    row->key_len, secret, &len);
	if (result == SECRET_OK)
		*key = jwt_key_new(JWT_HS256, secret, len);
	else
		log_secret(a, result, token);
	sodium_memzero(secret, sizeof(secret));
	return result == SECRET_OK ? OUTCOME_OK : OUTCOME_SECRETS;
}

/* Finds or loads the tenant. */
static enum outcome
tenant_load(struct auth_jwt *a, const char *token, struct jwt_tenant **out)
{
	struct jwt_tenant **slot = slot_of(a, token), *t = *slot;
	struct reader_jwt row;
	struct jwt_key *key;
	enum outcome o;

	if (t != NULL && memcmp(t->token, token, ID_TOKEN_SIZE) == 0) {
		*out = t;
		return OUTCOME_OK;
	}
	switch (reader_jwt(a->w->reader, token, &row)) {
	case 1:
		break;
	case 0:
		return OUTCOME_UNAUTHORIZED;
	default:
		return OUTCOME_STORAGE;
	}
	if ((o = key_open(a, token, &row, &key)) != OUTCOME_OK)
		return o;
	slot_free(slot);
	t = mem_alloc(sizeof(*t));
	memcpy(t->token, token, ID_TOKEN_SIZE);
	t->tenant = row.tenant;
	t->jwt_n = row.jwt_n;
	t->disabled = row.disabled;
	t->rate_limit = row.has_rate_limit ? row.rate_limit :
					     a->w->config.rate_limit;
	t->key = key;
	*slot = *out = t;
	return OUTCOME_OK;
}

enum outcome
auth_jwt_check(struct auth_jwt *a, const char *token, struct caller *out,
    const char **why)
{
	struct jwt_tenant *t = NULL;
	struct jwt j;
	enum outcome o;

	memset(out, 0, sizeof(*out));
	*why = jwt_parse(&j, a->tokener, token, strlen(token));
	if (*why != NULL)
		return OUTCOME_UNAUTHORIZED;
	o = tenant_load(a, j.tenant, &t);
	if (o != OUTCOME_OK && o != OUTCOME_UNAUTHORIZED)
		return o;
	*why = not_his;
	if (o != OUTCOME_OK || t->key == NULL || !jwt_verify(&j, t->key))
		return OUTCOME_UNAUTHORIZED;
	*why = jwt_check_time(&j, clock_unix_ms());
	if (*why != NULL)
		return OUTCOME_UNAUTHORIZED;
	if (t->disabled)
		return OUTCOME_TENANT_DISABLED;
	out->tenant = t->tenant;
	out->jwt_n = t->jwt_n;
	out->ends_ms = j.expires_ms;
	out->rate_limit = t->rate_limit;
	out->user_len = j.user_len;
	memcpy(out->user, j.user, j.user_len + 1);
	return OUTCOME_OK;
}
