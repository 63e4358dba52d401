/* SPDX-License-Identifier: MIT */
/*
 * Who is calling: API keys and tenants, looked up once and cached until an
 * event says that they changed; and the tenant's rate limit.
 */
#ifndef WORKER_AUTH_H
#define WORKER_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/outcome.h"
#include "../common/rate.h"
#include "../common/records_tenant.h"

struct auth;
struct worker;

/* What an accepted caller is; small enough to copy. */
struct caller {
	uint64_t tenant;     /* internal id */
	uint64_t key;        /* internal id of the key; 0 = none */
	uint32_t rate_limit; /* a second; 0 = none */
	bool backend;        /* shown an API key without X-User-Id */
	bool by_key;         /* shown an API key (with or without) */
	uint64_t jwt_n;      /* batch of the JWT key; 0 = no JWT was shown */
	int64_t ends_ms;     /* Unix: the JWT is over; 0 = never */
	size_t user_len;
	char user[129]; /* "" for the backend */
};

struct auth *auth_new(struct worker *w);
void auth_free(struct auth *a);
/*
 * api_key and user_id as the headers have them (NULL = absent).  OUTCOME_OK,
 * UNAUTHORIZED, INVALID (a bad X-User-Id), TENANT_DISABLED or STORAGE; a
 * sentence for the client in *why (constant) when it is none of the first.
 */
enum outcome auth_api_key(struct auth *a, const char *api_key,
    const char *user_id, struct caller *out, const char **why);
/*
 * The same for a user's JWT: OUTCOME_OK, UNAUTHORIZED with a sentence in
 * *why, TENANT_DISABLED, SECRETS or STORAGE.
 */
enum outcome auth_token(struct auth *a, const char *token, struct caller *out,
    const char **why);
/* One request or frame of this tenant. */
struct rate_result auth_rate(struct auth *a, const struct caller *c);
/*
 * A caller made earlier is still good (a WebSocket's, after an event): OK,
 * with his tenant's rate limit as it now is; UNAUTHORIZED when his key is
 * gone or his tenant's JWT key another, TENANT_DISABLED also when his tenant is deleted, or STORAGE.
 */
enum outcome auth_recheck(struct auth *a, struct caller *c);
/* X-Master-Key: OK, UNAUTHORIZED or ADMIN_OFF. */
enum outcome auth_master(struct auth *a, const char *key);
/* An event came: forget this tenant's entries (0 = everything). */
void auth_forget(struct auth *a, uint64_t tenant);

#endif
