/* SPDX-License-Identifier: MIT */
/* POST /acks: moves a user's cursor forward.  Runs in a worker. */
#include <json-c/json.h>

#include "../common/buf.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "worker.h"

/* Longer than any room's id; a text this long is none. */
#define ROOM_ID_MAX 256

static void
ack_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED) {
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{\"room_id\":\"room_");
	buf_adds(b, http_scratch_get(q));
	buf_adds(b, "\",\"seq\":");
	buf_add_u64(b, reply->seq);
	buf_adds(b, "}");
	http_reply(q, 200, b);
}

void
api_acks_post(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_ack op = { 0 };
	struct field_error err;
	struct str id;
	const char *token;
	struct buf *b;

	if (field_string(http_json(q), "room_id", ROOM_ID_MAX, &id, &err) ==
		-1 ||
	    field_seq(http_json(q), "seq", &op.seq, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	token = id_token_of(id.p, id.len, "room_");
	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	memcpy(http_scratch(q, ID_TOKEN_SIZE), token, ID_TOKEN_LEN);
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.user = (struct str){ who->user, who->user_len };
	rec_op_ack_put(b, &op);
	api_submitted(q, submit_end(s, ack_done, q));
}
