/* SPDX-License-Identifier: MIT */
/*
 * POST /rooms, GET /rooms and GET /rooms/{room_id}.  Runs in a worker;
 * creating is the writer's.
 */
#include "api_rooms.h"

#include <json-c/json.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/message.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "room_json.h"
#include "worker.h"

#define ROOMS_MOST 100
#define ROOM_NAME_MAX 256

const char *
api_room_token(const struct http_request *q)
{
	struct str id = http_param(q, 0);

	return id_token_of(id.p, id.len, "room_");
}

bool
api_room_open(struct http_request *q, struct reader_room *room)
{
	struct reader *r = http_worker(q)->reader;
	const struct caller *who = http_caller(q);
	const char *token = api_room_token(q);
	struct reader_member m;
	int found = token == NULL ? 0 :
				    reader_room(r, who->tenant, token, room);
	enum outcome o = OUTCOME_OK;

	if (found == 0)
		o = OUTCOME_ROOM_NOT_FOUND;
	if (found == 1 && !who->backend) {
		found = reader_member(r, room->id, who->user, who->user_len,
		    &m);
		if (found == 0)
			o = OUTCOME_NOT_MEMBER;
	}
	if (found == -1)
		o = OUTCOME_STORAGE;
	if (o != OUTCOME_OK)
		http_error(q, o, NULL, NULL);
	return o == OUTCOME_OK;
}

static void
room_reply(struct http_request *q, int status, const struct reader_room *room)
{
	struct buf *b = http_body(q);

	room_json(b, room);
	http_reply(q, status, b);
}

void
api_rooms_get(struct http_request *q)
{
	struct reader *r = http_worker(q)->reader;
	struct reader_room room;
	uint64_t n;
	bool good;

	if (reader_begin(r, &n) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	good = api_room_open(q, &room);
	reader_end(r);
	if (good)
		room_reply(q, 200, &room);
}

/* ---- GET /rooms ---- */

/*
 * Where a page ended, and where the first one began.  A room that becomes
 * active while the list is paged jumps over the pages to come; so what has
 * moved above the beginning follows at the end, upwards, and whatever moves
 * again meanwhile still lies ahead.
 */
struct rooms_cursor {
	uint64_t activity;
	uint64_t room;
	uint64_t top_activity;
	uint64_t top_room;
	uint64_t up; /* 1 = among those that have moved */
};

struct rooms_page {
	struct buf *b;
	bool backend;
	unsigned left;
	unsigned rows;
	bool more;
	struct rooms_cursor at;
};

static bool
rooms_page_row(const struct reader_room_row *row, void *arg)
{
	struct rooms_page *p = arg;
	struct buf *b = p->b;
	uint64_t unread = row->room.last_seq > row->last_ack ?
	    row->room.last_seq - row->last_ack :
	    0;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(b, ",");
	room_json_open(b, &row->room);
	if (!p->backend) {
		buf_adds(b, ",\"last_ack\":");
		buf_add_u64(b, row->last_ack);
		buf_adds(b, ",\"unread_count\":");
		buf_add_u64(b, unread);
	}
	buf_adds(b, ",\"last_message\":");
	if (row->last != NULL)
		message_json(b, row->last, MESSAGE_REST);
	else
		buf_adds(b, "null");
	buf_adds(b, "}");
	p->at.activity = row->room.activity;
	p->at.room = row->room.id;
	if (p->at.top_room == 0) {
		p->at.top_activity = p->at.activity;
		p->at.top_room = p->at.room;
	}
	return true;
}

static bool
rooms_cursor_valid(const struct rooms_cursor *c)
{
	return c->room > 0 && c->room <= INT64_MAX &&
	    c->activity <= INT64_MAX && c->top_room <= INT64_MAX &&
	    c->top_activity <= INT64_MAX && c->up <= 1;
}

/* Fills the page; -1 when the database failed. */
static int
rooms_page_fill(struct rooms_page *p, struct reader *r, uint64_t tenant,
    struct str user, bool first)
{
	if (p->at.up == 0 &&
	    reader_rooms(r, tenant, user, p->at.activity, p->at.room,
		p->left + 1, rooms_page_row, p) == -1)
		return -1;
	if (p->more || p->backend || first)
		return 0;
	if (p->at.up == 0) {
		p->at.up = 1;
		p->at.activity = p->at.top_activity;
		p->at.room = p->at.top_room;
	}
	return reader_rooms_moved(r, tenant, user, p->at.activity, p->at.room,
		   p->left + 1, rooms_page_row, p) == -1 ?
	    -1 :
	    0;
}

void
api_rooms_list(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct str user = { who->user, who->user_len };
	struct rooms_page p = { .backend = who->backend };
	size_t len;

	if (!api_args_limit(q, ROOMS_MOST, ROOMS_MOST, &p.left) ||
	    !api_args_cursor(q, 'r', &p.at, sizeof(p.at), &len))
		return;
	if (len != 0 && (len != sizeof(p.at) || !rooms_cursor_valid(&p.at))) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	p.b = http_body(q);
	buf_adds(p.b, "{\"rooms\":[");
	if (rooms_page_fill(&p, http_worker(q)->reader, who->tenant, user,
		len == 0) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'r', &p.at, sizeof(p.at));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- POST /rooms ---- */

void
api_room_stored(struct http_request *q, int status, uint64_t id)
{
	struct reader_room room;

	if (reader_room_by_id(http_worker(q)->reader, id, &room) == 1)
		room_reply(q, status, &room);
	else
		http_abandon(q);
}

static void
room_created(const struct rec_reply *reply, void *arg)
{
	if (reply->outcome == OUTCOME_OK)
		api_room_stored(arg, 201, reply->room);
	else if (reply->outcome == OUTCOME_REPEATED)
		api_room_stored(arg, 200, reply->room);
	else
		api_refuse(arg, reply->outcome);
}

static int
create_fail(struct field_error *err, const char *field, const char *message)
{
	err->field = field;
	err->message = message;
	return -1;
}

int
api_room_name(struct json_object *o, struct str *out, struct field_error *err)
{
	struct json_object *v;

	out->p = "";
	out->len = 0;
	if (!json_object_object_get_ex(o, "name", &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_string))
		return create_fail(err, "name",
		    "name must be a string or null.");
	out->p = json_object_get_string(v);
	out->len = (size_t)json_object_get_string_len(v);
	if (out->len > ROOM_NAME_MAX)
		return create_fail(err, "name",
		    "name has at most 256 bytes of UTF-8.");
	return 0;
}

/* type, name, metadata */
static int
create_fields(struct json_object *o, struct rec_op_room_create *op,
    struct field_error *err)
{
	struct str type;

	if (field_string(o, "type", 16, &type, err) == -1)
		return create_fail(err, "type",
		    "type must be \"dm\", \"group\" or \"channel\".");
	for (uint8_t i = ROOM_DM; i <= ROOM_CHANNEL; i++)
		if (strlen(room_type_name(i)) == type.len &&
		    memcmp(room_type_name(i), type.p, type.len) == 0)
			op->type = i;
	if (op->type == 0)
		return create_fail(err, "type",
		    "type must be \"dm\", \"group\" or \"channel\".");
	if (api_room_name(o, &op->name, err) == -1)
		return -1;
	op->has_name = op->name.len > 0;
	return field_json(o, "metadata", &op->metadata, err);
}

/* The caller is one of them. */
static bool
create_names(const struct str *list, uint32_t n, const struct caller *who)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i].len == who->user_len &&
		    memcmp(list[i].p, who->user, who->user_len) == 0)
			return true;
	return false;
}

/* The founding members into list (one more than API_USERS_MAX). */
static int
create_members(struct json_object *o, const struct caller *who,
    struct rec_op_room_create *op, struct str *list, struct field_error *err)
{
	struct str caller = { who->user, who->user_len };
	struct json_object *v;
	size_t named;

	if (api_args_users(o, "members", list, &op->nusers, err) == -1)
		return -1;
	named = json_object_object_get_ex(o, "members", &v) ?
	    json_object_array_length(v) :
	    0;
	if (op->type == ROOM_DM && named == 1 && !who->backend)
		list[op->nusers++] = caller;
	if (op->type == ROOM_DM) {
		if (named < 1 || named > 2 || op->nusers != 2 ||
		    (list[0].len == list[1].len &&
			memcmp(list[0].p, list[1].p, list[0].len) == 0))
			return create_fail(err, "members",
			    "A dm has exactly two distinct members.");
		return 0;
	}
	if (who->backend)
		return 0;
	op->creator = caller;
	if (create_names(list, op->nusers, who))
		return 0;
	list[op->nusers++] = caller;
	return 0;
}

void
api_rooms_create(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct json_object *o = http_json(q);
	struct rec_op_room_create op = { 0 };
	struct str list[API_USERS_MAX + 1];
	struct field_error err;
	struct buf *b;

	if (create_fields(o, &op, &err) == -1 ||
	    create_members(o, who, &op, list, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if (op.type == ROOM_DM && !who->by_key &&
	    !create_names(list, op.nusers, who)) {
		http_error(q, OUTCOME_FORBIDDEN, "members",
		    "A user makes a dm with himself as one of its members.");
		return;
	}
	op.list = list;
	b = submit_begin(s, &op.h, who->tenant);
	rec_op_room_create_put(b, &op);
	api_submitted(q, submit_end(s, room_created, q));
}
