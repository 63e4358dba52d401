/* SPDX-License-Identifier: MIT */
/*
 * Who sent a request, by its headers: an API key with or without a user, or
 * a user's JWT.  Runs in a worker; never guesses between two of them.
 */
#include <string.h>
#include <strings.h>

#include "auth.h"
#include "http.h"
#include "worker.h"

const char *
http_bearer(const struct http_request *q)
{
	const char *v = http_header(q, "Authorization");

	if (v == NULL || strncasecmp(v, "Bearer", 6) != 0 ||
	    (v[6] != ' ' && v[6] != '\0'))
		return NULL;
	v += 6;
	return v + strspn(v, " ");
}

enum outcome
http_identify_token(struct http_request *q, const char *token,
    struct caller *who, const char **field, const char **why)
{
	const char *user = http_header(q, "X-User-Id");
	enum outcome o;

	*field = NULL;
	if (strncmp(token, "sk_", 3) == 0) {
		*why = "An API key is no token: send it in the X-API-Key "
		       "header.";
		return OUTCOME_UNAUTHORIZED;
	}
	if (strncmp(token, "wst_", 4) == 0) {
		*why = "This token opens a WebSocket: GET /ws?token=…";
		return OUTCOME_UNAUTHORIZED;
	}
	o = auth_token(http_worker(q)->auth, token, who, why);
	if (o == OUTCOME_OK && user != NULL && strcmp(user, who->user) != 0) {
		*field = "X-User-Id";
		*why = "The token's sub is another user: leave X-User-Id out.";
		return OUTCOME_INVALID;
	}
	return o;
}

/* No key and no Bearer token: what to say. */
static const char *
identity_missing(const struct http_request *q)
{
	if (http_header(q, "Authorization") != NULL)
		return "The only Authorization understood is Bearer with a "
		       "JWT.";
	if (http_query(q, "token") != NULL)
		return "A token in the URL opens a WebSocket only: send a JWT "
		       "as Authorization: Bearer.";
	return "Send the tenant's key in the X-API-Key header, or a user's "
	       "JWT as Authorization: Bearer.";
}

enum outcome
http_identify(struct http_request *q, struct caller *who, const char **field,
    const char **why)
{
	const char *key = http_header(q, "X-API-Key");
	const char *user = http_header(q, "X-User-Id");
	const char *bearer = http_bearer(q);
	enum outcome o;

	*field = NULL;
	if (http_query(q, "api_key") != NULL) {
		*why = "An API key never travels in a URL: send it in the "
		       "X-API-Key header, and revoke this one.";
		return OUTCOME_UNAUTHORIZED;
	}
	if (key != NULL && bearer != NULL) {
		*why = "Send X-API-Key or Authorization: Bearer, not both.";
		return OUTCOME_UNAUTHORIZED;
	}
	if (bearer != NULL)
		return http_identify_token(q, bearer, who, field, why);
	if (key == NULL) {
		*why = identity_missing(q);
		return OUTCOME_UNAUTHORIZED;
	}
	o = auth_api_key(http_worker(q)->auth, key, user, who, why);
	if (o == OUTCOME_INVALID)
		*field = "X-User-Id";
	return o;
}
