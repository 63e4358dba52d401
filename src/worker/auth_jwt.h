/* SPDX-License-Identifier: MIT */
/*
 * Users who show a JWT.  Each tenant's key is looked up and opened once, and
 * kept until an event says that something changed.  Behind auth.h.
 */
#ifndef WORKER_AUTH_JWT_H
#define WORKER_AUTH_JWT_H

#include <stdint.h>

#include "../common/outcome.h"

struct auth_jwt;
struct caller;
struct worker;

struct auth_jwt *auth_jwt_new(struct worker *w);
/* Wipes the keys. */
void auth_jwt_free(struct auth_jwt *a);
/*
 * OUTCOME_OK, UNAUTHORIZED, TENANT_DISABLED, SECRETS or STORAGE; a sentence
 * for the client in *why (constant) when it is UNAUTHORIZED.
 */
enum outcome auth_jwt_check(struct auth_jwt *a, const char *token,
    struct caller *out, const char **why);
/* Forgets this tenant's key (0 = all). */
void auth_jwt_forget(struct auth_jwt *a, uint64_t tenant);

#endif
