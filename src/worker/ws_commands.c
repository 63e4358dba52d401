/* SPDX-License-Identifier: MIT */
/*
 * Client frames: parsed, checked, and turned into operations or answers.
 * Runs in a worker; a bad frame costs its sender an error frame, nothing
 * else.
 */
#include "ws_commands.h"

#include <json-c/json.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_check.h"
#include "../common/json_text.h"
#include "../common/page.h"
#include "auth.h"
#include "bus.h"
#include "feed.h"
#include "fields.h"
#include "reader.h"
#include "resume.h"
#include "typing.h"
#include "worker.h"
#include "ws_command.h"
#include "ws_conn.h"
#include "ws_list.h"

void
command_error(struct command *m, enum outcome o, const char *field,
    const char *message, uint64_t retry_ms)
{
	const struct outcome_info *info = outcome_info(o);
	struct buf b;

	page_add(m->c->w->page, m->c->w->page_slot, COUNTER_FRAMES_REFUSED, 1);
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

void
command_field_error(struct command *m, const struct field_error *e)
{
	command_error(m, OUTCOME_INVALID, e->field, e->message, 0);
}

void
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

int
command_room_id(struct command *m, struct str *id)
{
	struct field_error e;

	if (field_string(m->o, "room_id", 128, id, &e) == 0)
		return 0;
	command_field_error(m, &e);
	return -1;
}

const char *
command_room(struct command *m, struct str id)
{
	const char *token = id_token_of(id.p, id.len, "room_");

	if (token == NULL)
		command_error(m, OUTCOME_ROOM_NOT_FOUND, NULL, NULL, 0);
	return token;
}

/* ---- what a worker answers by itself ---- */

/* A feed for a member of the room, if he is one; NULL when answered with an
 * error. */
static struct feed *
command_new_feed(struct command *m, const char *token)
{
	struct ws_conn *c = m->c;
	struct reader *r = c->w->reader;
	struct reader_room room;
	struct reader_member member;
	char id[ID_TOKEN_SIZE];
	bool found = false;
	uint64_t n;
	int rc;

	memcpy(id, token, ID_TOKEN_LEN);
	id[ID_TOKEN_LEN] = '\0';
	rc = reader_begin(r, &n);
	if (rc == 0) {
		rc = reader_room(r, c->user->tenant, id, &room);
		found = rc == 1;
		if (found)
			rc = reader_member(r, room.id, c->user->name,
			    c->user->len, &member);
		reader_end(r);
	}
	if (rc == 1)
		return feed_new_member(c, &room, member.last_ack, n);
	if (rc == -1)
		command_error(m, OUTCOME_STORAGE, NULL, NULL, 1000);
	else
		command_error(m,
		    found ? OUTCOME_NOT_MEMBER : OUTCOME_ROOM_NOT_FOUND, NULL,
		    NULL, 0);
	return NULL;
}

/*
 * The connection's feed in the frame's room; NULL when answered with an
 * error.  A member whose list of rooms has not been read that far yet gets
 * his feed here.
 */
static struct feed *
command_feed(struct command *m)
{
	struct ws_conn *c = m->c;
	const char *token;
	struct str text;
	struct feed *f;

	if (command_room_id(m, &text) == -1 ||
	    (token = command_room(m, text)) == NULL)
		return NULL;
	/* Where a room begins is what the resume will say. */
	if (resume_waiting(c)) {
		command_error(m, OUTCOME_INVALID, "type",
		    "This connection waits for its resume; send that first.",
		    0);
		return NULL;
	}
	f = feed_find(c, token);
	return f != NULL ? f : command_new_feed(m, token);
}

/* The id of the frame's room for one who needs no feed in it; -1 when
 * answered with an error. */
static int
command_room_internal(struct command *m, uint64_t *room_id)
{
	struct ws_conn *c = m->c;
	struct reader_room room;
	char id[ID_TOKEN_SIZE];
	const char *token;
	struct str text;
	struct feed *f;
	int rc;

	if (command_room_id(m, &text) == -1 ||
	    (token = command_room(m, text)) == NULL)
		return -1;
	f = feed_find(c, token);
	if (f != NULL) {
		*room_id = f->room->id;
		return 0;
	}
	memcpy(id, token, ID_TOKEN_LEN);
	id[ID_TOKEN_LEN] = '\0';
	rc = reader_room(c->w->reader, c->user->tenant, id, &room);
	if (rc == 1) {
		*room_id = room.id;
		return 0;
	}
	if (rc == 0)
		command_error(m, OUTCOME_ROOM_NOT_FOUND, NULL, NULL, 0);
	else
		command_error(m, OUTCOME_STORAGE, NULL, NULL, 1000);
	return -1;
}

/* No more than a person would make; the rest is not told. */
static bool
command_typing_floor(struct ws_conn *c)
{
	uint32_t now = ws_list_now_s();

	if (c->typing_s != now) {
		c->typing_s = now;
		c->typing_frames = 0;
	}
	return ++c->typing_frames <= TYPING_FRAMES_MAX;
}

static void
command_typing(struct command *m, bool start)
{
	struct ws_conn *c = m->c;
	struct rec_event_typing e = { 0 };
	struct reader_feed pos;
	uint64_t room;
	int rc;

	if (command_room_internal(m, &room) == -1)
		return;
	rc = reader_feed(c->w->reader, room, c->user->name, c->user->len, &pos);
	if (rc == -1) {
		command_error(m, OUTCOME_STORAGE, NULL, NULL, 1000);
		return;
	}
	if (rc == 0 || !pos.member) {
		command_error(m,
		    rc == 0 ? OUTCOME_ROOM_NOT_FOUND : OUTCOME_NOT_MEMBER, NULL,
		    NULL, 0);
		return;
	}
	if (command_typing_floor(c) && pos.members <= TYPING_MEMBERS_MAX) {
		e.tenant = c->user->tenant;
		e.room = room;
		e.start = start;
		e.user.p = c->user->name;
		e.user.len = c->user->len;
		bus_publish_typing(c->w->bus, &e);
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
	struct subscribe_from from = { 0 };
	struct feed *f;

	from.has_seq = json_object_object_get_ex(m->o, "after_seq", &v) &&
	    v != NULL;
	from.has_rev = json_object_object_get_ex(m->o, "rev", &v) && v != NULL;
	if ((from.has_seq &&
		field_seq(m->o, "after_seq", &from.seq, &e) == -1) ||
	    (from.has_rev && field_seq(m->o, "rev", &from.rev, &e) == -1)) {
		command_field_error(m, &e);
		return;
	}
	f = command_feed(m);
	if (f != NULL)
		feed_subscribe(f, &from, id);
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
	{ "resume", true, command_resume },
	{ "notification.ack", true, command_notification_ack },
	{ "ping", false, command_ping },
};

const char *
ws_commands_type(size_t i, bool *rated)
{
	if (i >= sizeof(command_types) / sizeof(command_types[0]))
		return NULL;
	*rated = command_types[i].rated;
	return command_types[i].type;
}

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
	if (m->len > WS_FRAME_MAX && (t == NULL || t->run != command_resume)) {
		ws_conn_close(m->c, WS_CLOSE_TOO_BIG, "message too big");
		return;
	}
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

/*
 * A frame that json_check refused.  When it is JSON all the same, only with a
 * value that cannot be kept, its request_id is echoed: somebody waits for it.
 */
static void
command_refuse(struct command *m, struct json_tokener *tok,
    enum json_check check, const char *text, size_t len)
{
	struct json_object *root = NULL;

	if (check == JSON_CHECK_SURROGATE || check == JSON_CHECK_NUMBER ||
	    check == JSON_CHECK_KEY) {
		json_tokener_reset(tok);
		root = json_tokener_parse_ex(tok, text, (int)len);
	}
	if (json_object_is_type(root, json_type_object)) {
		struct json_object *data;

		m->o = root;
		if (json_object_object_get_ex(root, "data", &data) &&
		    json_object_is_type(data, json_type_object))
			m->o = data;
		(void)command_request_id(m, root);
	}
	command_error(m, OUTCOME_INVALID, NULL, json_check_message(check), 0);
	json_object_put(root);
}

void
ws_commands_run(struct ws_conn *c, const char *text, size_t len)
{
	enum json_check check = json_check(text, len, JSON_DEPTH_MAX);
	struct json_tokener *tok = ws_list_tokener(c->w->ws);
	struct command m;
	struct json_object *root;

	page_add(c->w->page, c->w->page_slot, COUNTER_FRAMES_RECEIVED, 1);
	m.c = c;
	m.len = len;
	m.id_len = 0;
	if (check != JSON_CHECK_OK) {
		command_refuse(&m, tok, check, text, len);
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
