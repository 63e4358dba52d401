/* SPDX-License-Identifier: MIT */
/*
 * POST /notify and /notifications.  Runs in a worker; whom a notification is
 * for is found out by the writer.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/records_notify.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "reader.h"
#include "reader_notify.h"
#include "worker.h"

#define NOTIFICATIONS_MOST 100
/* Longer than any room's id; a text this long is none. */
#define ROOM_ID_MAX 256

/* ---- notify ---- */

struct targets {
	struct str room; /* as it was given */
	const char *token;
	struct str list[API_USERS_MAX];
};

static int
notify_fail(struct field_error *err, const char *field, const char *message)
{
	err->field = field;
	err->message = message;
	return -1;
}

/* The members of `targets`; -1 with *err. */
static int
notify_targets(struct json_object *o, struct rec_op_notify *op,
    struct targets *t, struct field_error *err)
{
	struct json_object *v;

	if (json_object_object_get_ex(o, "user_ids", &v)) {
		op->targets |= NOTIFY_USERS;
		if (api_args_users(o, "user_ids", t->list, &op->nusers, err) ==
		    -1)
			return -1;
	}
	if (json_object_object_get_ex(o, "room_id", &v)) {
		op->targets |= NOTIFY_ROOM;
		if (field_string(o, "room_id", ROOM_ID_MAX, &t->room, err) ==
		    -1)
			return -1;
		t->token = id_token_of(t->room.p, t->room.len, "room_");
	}
	if (json_object_object_get_ex(o, "topic_subscribers", &v)) {
		if (!json_object_is_type(v, json_type_boolean))
			return notify_fail(err, "topic_subscribers",
			    "topic_subscribers must be true or false.");
		/* An empty list of users reaches nobody. */
		op->targets |= json_object_get_boolean(v) ? NOTIFY_TOPIC :
							    NOTIFY_USERS;
	}
	/* A misspelt member must not reach everybody. */
	if (op->targets == 0 && json_object_object_length(o) > 0)
		return notify_fail(err, "targets",
		    "targets has user_ids, room_id or topic_subscribers; leave "
		    "it out to reach everybody.");
	return 0;
}

/* The whole body; -1 with *err. */
static int
notify_args(struct json_object *o, struct rec_op_notify *op, struct targets *t,
    struct field_error *err)
{
	struct json_object *v;

	if (field_topic(o, &op->topic, err) == -1 ||
	    field_payload(o, &op->payload, err) == -1)
		return -1;
	if (json_object_object_get_ex(o, "targets", &v)) {
		if (!json_object_is_type(v, json_type_object))
			return notify_fail(err, "targets",
			    "targets must be an object.");
		if (notify_targets(v, op, t, err) == -1)
			return -1;
	}
	if (op->targets == 0)
		op->targets = NOTIFY_ALL;
	return 0;
}

static void
notify_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK) {
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{\"notification_id\":\"ntf_");
	buf_add(b, reply->text.p, reply->text.len);
	buf_adds(b, "\",\"created_at\":");
	json_text_time(b, (int64_t)reply->ms);
	buf_adds(b, "}");
	http_reply(q, 202, b);
}

/* A user's own token is not enough; whether the room is there comes first. */
static void
notify_forbidden(struct http_request *q, const struct targets *t)
{
	char token[ID_TOKEN_SIZE] = "";
	struct reader_room room;
	int rc = 1;

	if (t->token != NULL) {
		memcpy(token, t->token, ID_TOKEN_LEN);
		rc = reader_room(http_worker(q)->reader, http_caller(q)->tenant,
		    token, &room);
	}
	if (rc == 1)
		http_error(q, OUTCOME_FORBIDDEN, NULL,
		    "Only holders of an API key notify; ask the tenant's "
		    "backend to.");
	else
		http_error(q,
		    rc == 0 ? OUTCOME_ROOM_NOT_FOUND : OUTCOME_STORAGE, NULL,
		    NULL);
}

void
api_notify_post(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_notify op = { .room = { "", 0 } };
	struct targets t = { .token = NULL };
	struct field_error err;
	struct buf *b;

	if (notify_args(http_json(q), &op, &t, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if ((op.targets & NOTIFY_ROOM) != 0 && t.token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	if (!who->by_key) {
		notify_forbidden(q, &t);
		return;
	}
	if (t.token != NULL)
		op.room = (struct str){ t.token, ID_TOKEN_LEN };
	op.list = t.list;
	b = submit_begin(s, &op.h, who->tenant);
	(void)rec_op_notify_put(b, &op);
	api_submitted(q, submit_end(s, notify_done, q));
}

/* ---- list ---- */

struct page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
	uint64_t at; /* where the page ended */
};

static bool
list_row(uint64_t id, const struct notify_text *t, void *arg)
{
	struct page *p = arg;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	notify_text(p->b, t);
	p->at = id;
	return true;
}

void
api_notifications_list(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct page p = { 0 };
	uint64_t after = 0;
	size_t len;

	if (!api_args_limit(q, NOTIFICATIONS_MOST, NOTIFICATIONS_MOST,
		&p.left) ||
	    !api_args_cursor(q, 'n', &after, sizeof(after), &len))
		return;
	if (len != 0 && (len != sizeof(after) || after > INT64_MAX)) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	p.b = http_body(q);
	buf_adds(p.b, "{\"notifications\":[");
	if (reader_inbox(http_worker(q)->reader, who->tenant, who->user,
		who->user_len, after, p.left + 1, list_row, &p) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'n', &p.at, sizeof(p.at));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- acknowledge ---- */

static void
ack_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK) {
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{\"notification_id\":\"ntf_");
	buf_adds(b, http_scratch_get(q));
	buf_adds(b, "\"}");
	http_reply(q, 200, b);
}

void
api_notifications_ack(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct str id = http_param(q, 0);
	const char *token = id_token_of(id.p, id.len, "ntf_");
	struct rec_op_of_user op = { 0 };
	struct buf *b;

	if (token == NULL) {
		http_error(q, OUTCOME_NOTIFICATION_NOT_FOUND, NULL, NULL);
		return;
	}
	memcpy(http_scratch(q, ID_TOKEN_SIZE), token, ID_TOKEN_LEN);
	op.user = (struct str){ who->user, who->user_len };
	op.subject = (struct str){ token, ID_TOKEN_LEN };
	b = submit_begin(s, &op.h, who->tenant);
	(void)rec_op_of_user_put(b, REC_OP_NOTIFICATION_ACK, &op);
	api_submitted(q, submit_end(s, ack_done, q));
}
