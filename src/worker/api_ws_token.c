/* SPDX-License-Identifier: MIT */
/*
 * POST /ws/token: a token with which a page opens one WebSocket without
 * showing a key.  Runs in a worker; only the token's hash leaves it.
 */
#include <json-c/json.h>
#include <sodium.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/submit.h"
#include "../common/records_token.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "worker.h"

struct ws_token {
	char text[KEY_WS_TOKEN_SIZE];
	uint64_t expires_in; /* seconds */
};

static void
token_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct ws_token *t = http_scratch_get(q);
	struct buf *b;

	if (reply->outcome != OUTCOME_OK)
		api_refuse(q, reply->outcome);
	else {
		b = http_body(q);
		buf_adds(b, "{\"token\":\"");
		buf_adds(b, t->text);
		buf_adds(b, "\",\"expires_in\":");
		buf_add_u64(b, t->expires_in);
		buf_adds(b, "}");
		/* The request is gone with its answer. */
		sodium_memzero(t, sizeof(*t));
		http_reply(q, 200, b);
	}
}

/* For whom; false when it was refused. */
static bool
token_user(struct http_request *q, struct str *user)
{
	const struct caller *who = http_caller(q);
	struct field_error err;
	struct json_object *v;

	*user = (struct str){ who->user, who->user_len };
	if (!who->backend &&
	    !json_object_object_get_ex(http_json(q), "user_id", &v))
		return true;
	if (api_args_user(http_json(q), "user_id", user, &err) == -1) {
		api_args_refuse(q, &err);
		return false;
	}
	if (who->backend ||
	    (user->len == who->user_len &&
		memcmp(user->p, who->user, user->len) == 0))
		return true;
	if (who->by_key)
		http_error(q, OUTCOME_INVALID, "user_id",
		    "user_id and X-User-Id name two users: send one of them.");
	else
		http_error(q, OUTCOME_FORBIDDEN, NULL,
		    "A user gets tokens for himself only.");
	return false;
}

/* A token for a JWT that is nearly over is over with it. */
static uint64_t
token_seconds(const struct caller *who)
{
	int64_t left = who->ends_ms - clock_unix_ms();

	if (who->ends_ms == 0 || left >= WS_TOKEN_MS)
		return WS_TOKEN_MS / 1000;
	return left > 0 ? (uint64_t)left / 1000 : 0;
}

void
api_ws_token_issue(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_ws_token_issue op = { 0 };
	struct ws_token *t;
	struct buf *b;

	if (!token_user(q, &op.user))
		return;
	t = http_scratch(q, sizeof(*t));
	key_ws_token_new(t->text);
	t->expires_in = token_seconds(who);
	if (!key_ws_token_hash(t->text, strlen(t->text), op.hash)) {
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	op.key = who->key;
	op.jwt_n = who->jwt_n;
	op.ends_ms = (uint64_t)who->ends_ms;
	b = submit_begin(s, &op.h, who->tenant);
	rec_op_ws_token_issue_put(b, &op);
	api_submitted(q, submit_end(s, token_done, q));
}
