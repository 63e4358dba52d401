/* SPDX-License-Identifier: MIT */
/*
 * /rooms/{room_id}/members: list, add, remove.  Runs in a worker; who may
 * and what changes is the writer's.
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/submit.h"
#include "../common/utf8.h"
#include "api.h"
#include "api_args.h"
#include "api_rooms.h"
#include "http.h"
#include "worker.h"

#define MEMBERS_MOST 1000

static void
member_json(struct buf *b, struct str user, uint8_t role, int64_t joined_ms)
{
	buf_adds(b, "{\"user_id\":");
	json_text_string(b, user.p, user.len);
	buf_adds(b,
	    role == MEMBER_ADMIN ? ",\"role\":\"admin\"" :
				   ",\"role\":\"member\"");
	buf_adds(b, ",\"joined_at\":");
	json_text_time(b, joined_ms);
	buf_adds(b, "}");
}

/* ---- list ---- */

struct members_page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
	size_t last_len;
	char last[USER_ID_MAX];
};

static bool
members_row(const struct reader_member_row *m, void *arg)
{
	struct members_page *p = arg;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	member_json(p->b, m->user, m->role, m->joined_ms);
	p->last_len = m->user.len < USER_ID_MAX ? m->user.len : USER_ID_MAX;
	memcpy(p->last, m->user.p, p->last_len);
	return true;
}

void
api_members_list(struct http_request *q)
{
	struct reader *r = http_worker(q)->reader;
	struct members_page p = { 0 };
	char after_text[USER_ID_MAX];
	struct str after = { after_text, 0 };
	struct reader_room room;
	uint64_t n;
	bool good;
	int rc = 0;

	if (!api_args_limit(q, MEMBERS_MOST, MEMBERS_MOST, &p.left) ||
	    !api_args_cursor(q, 'm', after_text, sizeof(after_text),
		&after.len))
		return;
	if (reader_begin(r, &n) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	good = api_room_open(q, &room);
	if (good) {
		p.b = http_body(q);
		buf_adds(p.b, "{\"members\":[");
		rc = reader_members(r, room.id, after, p.left + 1, members_row,
		    &p);
	}
	reader_end(r);
	if (!good)
		return;
	if (rc == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'm', p.last, p.last_len);
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- add ---- */

/* The users of the body, "user_id" or "user_ids", and their role. */
static int
add_fields(struct json_object *o, struct str *list, uint32_t *n, uint8_t *role,
    struct field_error *err)
{
	struct json_object *v;
	struct str text;
	bool one = json_object_object_get_ex(o, "user_id", NULL);
	bool many = json_object_object_get_ex(o, "user_ids", NULL);

	err->field = "user_id";
	err->message = "Give user_id or user_ids, one of the two.";
	if (one == many)
		return -1;
	*n = 1;
	if ((one ? api_args_user(o, "user_id", list, err) :
		   api_args_users(o, "user_ids", list, n, err)) == -1)
		return -1;
	*role = MEMBER_UNCHANGED;
	if (!json_object_object_get_ex(o, "role", &v) || v == NULL)
		return 0;
	if (field_string(o, "role", 16, &text, err) == 0) {
		if (text.len == 5 && memcmp(text.p, "admin", 5) == 0)
			*role = MEMBER_ADMIN;
		if (text.len == 6 && memcmp(text.p, "member", 6) == 0)
			*role = MEMBER_PLAIN;
	}
	err->field = "role";
	err->message = "role must be \"member\" or \"admin\".";
	return *role == MEMBER_UNCHANGED ? -1 : 0;
}

/* Adds one of the users named as he now stands; false = database failed. */
static bool
added_user(struct http_request *q, struct buf *b, uint64_t room,
    struct str user, unsigned *rows)
{
	struct reader_member m;
	int rc = reader_member(http_worker(q)->reader, room, user.p, user.len,
	    &m);

	if (rc != 1)
		return rc == 0;
	if ((*rows)++ > 0)
		buf_adds(b, ",");
	member_json(b, user, m.role, m.joined_ms);
	return true;
}

static void
added(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct reader *r = http_worker(q)->reader;
	struct str *list;
	struct field_error err;
	unsigned rows = 0;
	uint64_t snapshot;
	uint32_t n = 0;
	uint8_t role;
	bool good = true;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED) {
		api_refuse(q, reply->outcome);
		return;
	}
	list = calloc(API_USERS_MAX, sizeof(*list));
	/* It is stored: an error answer would not be true. */
	if (list == NULL ||
	    add_fields(http_json(q), list, &n, &role, &err) == -1 ||
	    reader_begin(r, &snapshot) == -1) {
		free(list);
		http_abandon(q);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{\"members\":[");
	for (uint32_t i = 0; i < n && good; i++)
		good = added_user(q, b, reply->room, list[i], &rows);
	reader_end(r);
	free(list);
	buf_adds(b, "]}");
	if (good)
		http_reply(q, 200, b);
	else
		http_abandon(q);
}

void
api_members_add(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_members_add op = { 0 };
	struct str list[API_USERS_MAX];
	const char *token = api_room_token(q);
	struct field_error err;
	struct buf *b;

	if (add_fields(http_json(q), list, &op.nusers, &op.role, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if (op.nusers == 0) {
		http_error(q, OUTCOME_INVALID, "user_ids",
		    "user_ids must name somebody.");
		return;
	}
	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.actor = (struct str){ who->user, who->user_len };
	op.list = list;
	rec_op_members_add_put(b, &op);
	api_submitted(q, submit_end(s, added, q));
}

/* ---- remove ---- */

void
api_members_remove(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_member_remove op = { 0 };
	const char *token = api_room_token(q);
	struct str user = http_param(q, 1);
	struct buf *b;

	if (!utf8_user_id_valid(user.p, user.len)) {
		http_error(q, OUTCOME_INVALID, "user_id",
		    "A user's id has 1 to 128 bytes of UTF-8 without control "
		    "characters.");
		return;
	}
	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.actor = (struct str){ who->user, who->user_len };
	op.user = user;
	rec_op_member_remove_put(b, &op);
	api_submitted(q, submit_end(s, api_done_empty, q));
}
