/* SPDX-License-Identifier: MIT */
/*
 * Client frames: parsed, checked, and turned into operations or answers.
 * Runs in a worker; a bad frame costs its sender an error frame, nothing
 * else.
 */
#include "ws_commands.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "../common/json_check.h"
#include "../common/json_text.h"
#include "../common/key.h"
#include "../common/mem.h"
#include "auth.h"
#include "feed.h"
#include "fields.h"
#include "reader.h"
#include "submit.h"
#include "typing.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_list.h"

#define REQUEST_ID_MAX 128 /* bytes of a string; JSON text below */
#define REQUEST_ID_TEXT (6 * REQUEST_ID_MAX + 3)

/* One frame being run. */
struct command {
	struct ws_conn *c;
	struct json_object *o; /* where its fields are */
	size_t id_len;
	char id[REQUEST_ID_TEXT]; /* request_id as JSON text */
};

/* An operation at the writer, for its answer. */
struct ws_op {
	LIST_ENTRY(ws_op) link;
	struct ws_conn *c;
	struct submit_op *op;
	char token[ID_TOKEN_SIZE];
	size_t id_len;
	size_t client_len; /* client_msg_id as JSON text */
	char text[];       /* id, then client_msg_id */
};

static void
command_error(struct command *m, enum outcome o, const char *field,
    const char *message, uint64_t retry_ms)
{
	const struct outcome_info *info = outcome_info(o);
	struct buf b;

	buf_init(&b, 8192);
	buf_addf(&b, "{\"type\":\"error\",\"code\":\"%s\",\"message\":",
	    info->code != NULL ? info->code : "internal_error");
	if (message == NULL)
		message = info->message;
	json_text_string(&b, message, strlen(message));
	if (field == NULL)
		field = info->field;
	if (field != NULL)
		buf_addf(&b, ",\"field\":\"%s\"", field);
	buf_addf(&b, ",\"temporary\":%s", info->temporary ? "true" : "false");
	if (retry_ms > 0)
		buf_addf(&b, ",\"retry_after_ms\":%llu",
		    (unsigned long long)retry_ms);
	if (m->id_len > 0)
		buf_addf(&b, ",\"request_id\":%.*s", (int)m->id_len, m->id);
	buf_adds(&b, "}");
	ws_conn_send_text(m->c, buf_head(&b), b.len);
	buf_free(&b);
}

static void
command_field_error(struct command *m, const struct field_error *e)
{
	command_error(m, OUTCOME_INVALID, e->field, e->message, 0);
}

/* `ok` for a frame that has no other answer, when it asked for one. */
static void
command_ok(struct command *m)
{
	struct buf b;

	if (m->id_len == 0)
		return;
	buf_init(&b, 2048);
	buf_addf(&b, "{\"type\":\"ok\",\"request_id\":%.*s}", (int)m->id_len,
	    m->id);
	ws_conn_send_text(m->c, buf_head(&b), b.len);
	buf_free(&b);
}

/* The token of the frame's room_id; NULL when answered with an error. */
static const char *
command_room(struct command *m)
{
	struct field_error e;
	const char *token;
	struct str id;

	if (field_string(m->o, "room_id", 128, &id, &e) == -1) {
		command_field_error(m, &e);
		return NULL;
	}
	token = id_token_of(id.p, id.len, "room_");
	if (token == NULL)
		command_error(m, OUTCOME_ROOM_NOT_FOUND, NULL, NULL, 0);
	return token;
}

/* ---- operations ---- */

static struct ws_op *
ws_op_new(struct command *m, const char *token, struct str client)
{
	struct ws_op *op;
	struct buf b;

	buf_init(&b, 2048);
	if (client.len > 0)
		json_text_string(&b, client.p, client.len);
	op = mem_alloc(sizeof(*op) + m->id_len + b.len + 1);
	op->c = m->c;
	memcpy(op->token, token, ID_TOKEN_LEN);
	op->id_len = m->id_len;
	op->client_len = b.len;
	memcpy(op->text, m->id, m->id_len);
	if (b.len > 0)
		memcpy(op->text + m->id_len, buf_head(&b), b.len);
	buf_free(&b);
	return op;
}

/* Hands the operation begun with submit_begin() over. */
static void
ws_op_submit(struct command *m, struct ws_op *op, submit_cb *cb)
{
	struct ws_conn *c = m->c;

	op->op = submit_end(c->w->submit, cb, op);
	if (op->op == NULL) {
		free(op);
		command_error(m, OUTCOME_BUSY, NULL, NULL, 1000);
		return;
	}
	LIST_INSERT_HEAD(&c->ops, op, link);
	c->pending++;
}

static void
ws_op_done(struct ws_op *op)
{
	struct ws_conn *c = op->c;

	LIST_REMOVE(op, link);
	c->pending--;
	free(op);
	ws_conn_drain(c);
	ws_conn_throttle(c);
}

/* True when the reply is a refusal, which has then been answered. */
static bool
ws_op_refused(struct ws_op *op, const struct rec_reply *r)
{
	struct command m = { 0 };

	if (r->outcome == OUTCOME_OK || r->outcome == OUTCOME_REPEATED)
		return false;
	if (r->outcome == OUTCOME_UNKNOWN) {
		/* An answer might be a lie: the client asks again. */
		ws_conn_close(op->c, WS_CLOSE_INTERNAL, "outcome unknown");
		return true;
	}
	m.c = op->c;
	m.id_len = op->id_len;
	memcpy(m.id, op->text, op->id_len);
	command_error(&m, (enum outcome)r->outcome, NULL, NULL,
	    outcome_info((enum outcome)r->outcome)->temporary ? 1000 : 0);
	return true;
}

static void
command_sent(const struct rec_reply *r, void *arg)
{
	struct ws_op *op = arg;
	char id[ID_MESSAGE_SIZE];
	struct buf b;

	if (ws_op_refused(op, r)) {
		ws_op_done(op);
		return;
	}
	id_message(id, op->token, (int64_t)r->ms, r->seq);
	buf_init(&b, 8192);
	buf_adds(&b, "{\"type\":\"message.sent\"");
	if (op->id_len > 0) {
		buf_adds(&b, ",\"request_id\":");
		buf_add(&b, op->text, op->id_len);
	}
	if (op->client_len > 0) {
		buf_adds(&b, ",\"client_msg_id\":");
		buf_add(&b, op->text + op->id_len, op->client_len);
	}
	buf_adds(&b, ",\"room_id\":\"room_");
	buf_adds(&b, op->token);
	buf_adds(&b, "\",\"message_id\":\"");
	buf_adds(&b, id);
	buf_adds(&b, "\",\"seq\":");
	buf_add_u64(&b, r->seq);
	buf_adds(&b, ",\"created_at\":");
	json_text_time(&b, (int64_t)r->ms);
	buf_adds(&b,
	    r->outcome == OUTCOME_REPEATED ? ",\"duplicate\":true}" :
					     ",\"duplicate\":false}");
	ws_conn_send_text(op->c, buf_head(&b), b.len);
	buf_free(&b);
	ws_op_done(op);
}

static void
command_send_message(struct command *m)
{
	struct ws_conn *c = m->c;
	const char *token = command_room(m);
	struct rec_op_send r = { 0 };
	struct field_error e;

	if (token == NULL)
		return;
	if (field_content(m->o, &r.content, &e) == -1 ||
	    field_json(m->o, "meta", &r.meta, &e) == -1 ||
	    field_client_msg_id(m->o, &r.client_msg_id, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	r.room.p = token;
	r.room.len = ID_TOKEN_LEN;
	r.sender.p = c->user->name;
	r.sender.len = c->user->len;
	if (r.client_msg_id.len > 0)
		key_content_hash(r.hash, r.content.p, r.content.len, r.meta.p,
		    r.meta.len);
	(void)rec_op_send_put(submit_begin(c->w->submit, &r.h, c->user->tenant),
	    &r);
	ws_op_submit(m, ws_op_new(m, token, r.client_msg_id), command_sent);
}

static void
command_acked(const struct rec_reply *r, void *arg)
{
	struct ws_op *op = arg;
	struct ws_conn *c = op->c;
	struct buf b;

	if (ws_op_refused(op, r)) {
		ws_op_done(op);
		return;
	}
	buf_init(&b, 8192);
	buf_addf(&b,
	    "{\"type\":\"ack.received\",\"room_id\":\"room_%s\","
	    "\"seq\":%llu,\"user_id\":",
	    op->token, (unsigned long long)r->seq);
	json_text_string(&b, c->user->name, c->user->len);
	if (op->id_len > 0)
		buf_addf(&b, ",\"request_id\":%.*s", (int)op->id_len, op->text);
	buf_adds(&b, "}");
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
	ws_op_done(op);
}

static void
command_ack(struct command *m)
{
	struct ws_conn *c = m->c;
	const char *token = command_room(m);
	struct str none = { "", 0 };
	struct rec_op_ack r = { 0 };
	struct field_error e;

	if (token == NULL)
		return;
	if (field_seq(m->o, "seq", &r.seq, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	r.conn = c->id;
	r.room.p = token;
	r.room.len = ID_TOKEN_LEN;
	r.user.p = c->user->name;
	r.user.len = c->user->len;
	(void)rec_op_ack_put(submit_begin(c->w->submit, &r.h, c->user->tenant),
	    &r);
	ws_op_submit(m, ws_op_new(m, token, none), command_acked);
}

/* ---- what a worker answers by itself ---- */

/*
 * The connection's feed in the frame's room; NULL when answered with an
 * error.  A member whose list of rooms has not been read that far yet gets
 * his feed here.
 */
static struct feed *
command_feed(struct command *m)
{
	struct ws_conn *c = m->c;
	const char *token = command_room(m);
	struct reader_room room;
	struct reader_member member;
	char id[ID_TOKEN_SIZE];
	struct feed *f;
	int rc;

	if (token == NULL)
		return NULL;
	f = feed_find(c, token);
	if (f != NULL)
		return f;
	memcpy(id, token, ID_TOKEN_LEN);
	id[ID_TOKEN_LEN] = '\0';
	rc = reader_room(c->w->reader, c->user->tenant, id, &room);
	if (rc == 1) {
		rc = reader_member(c->w->reader, room.id, c->user->name,
		    c->user->len, &member);
		if (rc == 1)
			return feed_new(c, room.id, id, member.last_ack);
		if (rc == 0)
			command_error(m, OUTCOME_NOT_MEMBER, NULL, NULL, 0);
	} else if (rc == 0) {
		command_error(m, OUTCOME_ROOM_NOT_FOUND, NULL, NULL, 0);
	}
	if (rc == -1)
		command_error(m, OUTCOME_STORAGE, NULL, NULL, 1000);
	return NULL;
}

static void
command_typing(struct command *m, bool start)
{
	struct ws_conn *c = m->c;
	struct feed *f = command_feed(m);
	struct reader_feed pos;

	if (f == NULL)
		return;
	if (reader_feed(c->w->reader, f->room->id, c->user->name, c->user->len,
		&pos) == 1 &&
	    pos.member && pos.members <= TYPING_MEMBERS_MAX) {
		if (start)
			typing_start(c->w->typing, f->room, c->user);
		else
			typing_stop(c->w->typing, f->room, c->user);
	}
	command_ok(m);
}

static void
command_typing_start(struct command *m)
{
	command_typing(m, true);
}

static void
command_typing_stop(struct command *m)
{
	command_typing(m, false);
}

static void
command_subscribe(struct command *m)
{
	struct json_object *v;
	struct field_error e;
	struct str id = { m->id, m->id_len };
	uint64_t after = 0, rev;
	bool has_after;
	struct feed *f;

	has_after = json_object_object_get_ex(m->o, "after_seq", &v) &&
	    v != NULL;
	if ((has_after && field_seq(m->o, "after_seq", &after, &e) == -1) ||
	    (json_object_object_get_ex(m->o, "rev", &v) && v != NULL &&
		field_seq(m->o, "rev", &rev, &e) == -1)) {
		command_field_error(m, &e);
		return;
	}
	f = command_feed(m);
	if (f != NULL)
		feed_subscribe(f, has_after, after, id);
}

static void
command_unsubscribe(struct command *m)
{
	struct feed *f = command_feed(m);

	if (f == NULL)
		return;
	feed_unsubscribe(f);
	command_ok(m);
}

static void
command_ping(struct command *m)
{
	struct buf b;

	buf_init(&b, 2048);
	buf_adds(&b, "{\"type\":\"pong\"");
	if (m->id_len > 0)
		buf_addf(&b, ",\"request_id\":%.*s", (int)m->id_len, m->id);
	buf_adds(&b, "}");
	ws_conn_send_text(m->c, buf_head(&b), b.len);
	buf_free(&b);
}

static const struct command_type {
	const char *type;
	bool rated; /* draws on the tenant's rate limit */
	void (*run)(struct command *m);
} command_types[] = {
	{ "send_message", true, command_send_message },
	{ "ack", true, command_ack },
	{ "typing.start", false, command_typing_start },
	{ "typing.stop", false, command_typing_stop },
	{ "subscribe", true, command_subscribe },
	{ "unsubscribe", false, command_unsubscribe },
	{ "ping", false, command_ping },
};

static const struct command_type *
command_find(struct json_object *type)
{
	size_t len = (size_t)json_object_get_string_len(type);
	size_t n = sizeof(command_types) / sizeof(command_types[0]);

	for (size_t i = 0; i < n; i++) {
		if (strlen(command_types[i].type) == len &&
		    memcmp(command_types[i].type, json_object_get_string(type),
			len) == 0)
			return &command_types[i];
	}
	return NULL;
}

/* request_id as JSON text into m->id; -1 when it is none. */
static int
command_request_id(struct command *m, struct json_object *root)
{
	struct json_object *v;
	const char *s;
	size_t len;
	struct buf b;

	if ((!json_object_object_get_ex(root, "request_id", &v) || v == NULL) &&
	    (!json_object_object_get_ex(m->o, "request_id", &v) || v == NULL))
		return 0;
	if (!json_object_is_type(v, json_type_string) &&
	    !json_object_is_type(v, json_type_int))
		return -1;
	s = json_object_get_string(v);
	len = strlen(s);
	if (json_object_is_type(v, json_type_string))
		len = (size_t)json_object_get_string_len(v);
	if (len > REQUEST_ID_MAX)
		return -1;
	buf_init(&b, REQUEST_ID_TEXT);
	if (json_object_is_type(v, json_type_string))
		json_text_string(&b, s, len);
	else
		buf_add(&b, s, len);
	memcpy(m->id, buf_head(&b), b.len);
	m->id_len = b.len;
	buf_free(&b);
	return 0;
}

static void
command_dispatch(struct command *m, struct json_object *root)
{
	const struct command_type *t = NULL;
	struct rate_result rate;
	struct caller who = { 0 };
	struct json_object *v;

	m->o = root;
	if (json_object_object_get_ex(root, "data", &v) &&
	    json_object_is_type(v, json_type_object))
		m->o = v;
	if (command_request_id(m, root) == -1) {
		command_error(m, OUTCOME_INVALID, "request_id",
		    "request_id must be an integer or a string of at most "
		    "128 bytes.",
		    0);
		return;
	}
	if (json_object_object_get_ex(root, "type", &v) &&
	    json_object_is_type(v, json_type_string))
		t = command_find(v);
	if (t == NULL) {
		command_error(m, OUTCOME_INVALID, "type",
		    "The frame needs a type that this server knows.", 0);
		return;
	}
	if (t->rated) {
		who.tenant = m->c->user->tenant;
		who.rate_limit = m->c->rate_limit;
		rate = auth_rate(m->c->w->auth, &who);
		if (!rate.allowed) {
			command_error(m, OUTCOME_RATE_LIMITED, NULL, NULL,
			    (rate.retry_in_ns + 999999) / 1000000);
			return;
		}
	}
	t->run(m);
}

void
ws_commands_run(struct ws_conn *c, const char *text, size_t len)
{
	enum json_check check = json_check(text, len, JSON_DEPTH_MAX);
	struct json_tokener *tok = ws_list_tokener(c->w->ws);
	struct command m;
	struct json_object *root;

	m.c = c;
	m.id_len = 0;
	if (check != JSON_CHECK_OK) {
		command_error(&m, OUTCOME_INVALID, NULL,
		    json_check_message(check), 0);
		return;
	}
	json_tokener_reset(tok);
	root = json_tokener_parse_ex(tok, text, (int)len);
	/* A number at the end of the text still waits for its end. */
	if (root == NULL || !json_object_is_type(root, json_type_object))
		command_error(&m, OUTCOME_INVALID, NULL,
		    "The frame must be one JSON object.", 0);
	else
		command_dispatch(&m, root);
	json_object_put(root);
}

void
ws_commands_cancel(struct ws_conn *c)
{
	struct ws_op *op;

	while ((op = LIST_FIRST(&c->ops)) != NULL) {
		LIST_REMOVE(op, link);
		submit_cancel(op->op);
		free(op);
	}
	c->pending = 0;
}
