/* SPDX-License-Identifier: MIT */
/*
 * PUT and DELETE /rooms/{room_id}/messages/{message_id}: edit and delete.
 * Runs in a worker; who may change which message is the writer's.
 */
#include <json-c/json.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "api_rooms.h"
#include "http.h"
#include "worker.h"

/*
 * The room and message of the path into op, the token into the request's
 * scratch memory; false when answered.  A text that is no message's id, or
 * another room's, is looked for by nobody; but a stranger must hear that he
 * is one before he hears that.
 */
static bool
change_target(struct http_request *q, struct rec_op_change *op)
{
	const char *token = api_room_token(q);
	struct str id = http_param(q, 1);
	char named[ID_TOKEN_SIZE];
	struct reader_room room;
	int64_t created_ms;
	char *keep;

	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return false;
	}
	if (id_message_parse(id.p, id.len, named, &created_ms, &op->seq) ==
		-1 ||
	    op->seq == 0 || memcmp(named, token, ID_TOKEN_LEN) != 0) {
		if (api_room_open(q, &room))
			http_error(q, OUTCOME_MESSAGE_NOT_FOUND, NULL, NULL);
		return false;
	}
	keep = http_scratch(q, ID_TOKEN_SIZE);
	memcpy(keep, token, ID_TOKEN_LEN);
	op->created_ms = (uint64_t)created_ms;
	op->room = (struct str){ keep, ID_TOKEN_LEN };
	return true;
}

static void
change_submit(struct http_request *q, enum record_type type,
    struct rec_op_change *op, submit_cb *done)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct buf *b = submit_begin(s, &op->h, who->tenant);

	op->actor = (struct str){ who->user, who->user_len };
	rec_op_change_put(b, type, op);
	api_submitted(q, submit_end(s, done, q));
}

static void
edited(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;

	if (reply->outcome == OUTCOME_OK || reply->outcome == OUTCOME_REPEATED)
		api_message_stored(q, reply->room, http_scratch_get(q),
		    reply->seq);
	else
		api_refuse(q, reply->outcome);
}

void
api_messages_edit(struct http_request *q)
{
	struct rec_op_change op = { 0 };
	struct field_error err;

	if (field_content(http_json(q), &op.content, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if (change_target(q, &op))
		change_submit(q, REC_OP_MESSAGE_EDIT, &op, edited);
}

void
api_messages_delete(struct http_request *q)
{
	struct rec_op_change op = { 0 };

	if (change_target(q, &op))
		change_submit(q, REC_OP_MESSAGE_DELETE, &op, api_done_empty);
}
