/* SPDX-License-Identifier: MIT */
/*
 * PATCH and DELETE /rooms/{room_id}.  Runs in a worker; who may, and what
 * goes with a room, is the writer's.
 */
#include <json-c/json.h>

#include "../common/buf.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "api_rooms.h"
#include "http.h"
#include "worker.h"

static void
updated(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;

	if (reply->outcome == OUTCOME_OK || reply->outcome == OUTCOME_REPEATED)
		api_room_stored(q, 200, reply->room);
	else
		api_refuse(q, reply->outcome);
}

void
api_rooms_update(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct json_object *o = http_json(q);
	struct rec_op_room_update op = { 0 };
	const char *token = api_room_token(q);
	struct field_error err;
	struct buf *b;

	/* Named with null is not the same as not named: it is cleared. */
	op.has_name = json_object_object_get_ex(o, "name", NULL);
	op.has_metadata = json_object_object_get_ex(o, "metadata", NULL);
	if (api_room_name(o, &op.name, &err) == -1 ||
	    field_json(o, "metadata", &op.metadata, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.actor = (struct str){ who->user, who->user_len };
	rec_op_room_update_put(b, &op);
	api_submitted(q, submit_end(s, updated, q));
}

void
api_rooms_delete(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_room_delete op = { 0 };
	const char *token = api_room_token(q);
	struct buf *b;

	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.actor = (struct str){ who->user, who->user_len };
	rec_op_room_delete_put(b, &op);
	api_submitted(q, submit_end(s, api_done_empty, q));
}
