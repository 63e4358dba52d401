/* SPDX-License-Identifier: MIT */
/* Operation records and their reply: worker or tool to writer.  Pure. */
#include <string.h>

#include "records_fields.h"

#define OP_CONTENT_MAX (64 * 1024)
#define OP_JSON_MAX (64 * 1024)
#define OP_CLIENT_MSG_ID_MAX 128

int
rec_op_head_get(const struct wire_record *w, struct op_head *h)
{
	struct wire_reader rd;

	if (w->type < REC_OP_SEND || w->type >= REC_OP_END)
		return -1;
	wire_reader_init(&rd, w);
	field_get_head(&rd, h);
	return rd.bad ? -1 : 0;
}

int
rec_op_send_put(struct buf *b, const struct rec_op_send *r)
{
	size_t at = wire_begin(b, REC_OP_SEND);

	field_put_head(b, &r->h);
	field_put(b, r->room);
	field_put(b, r->sender);
	field_put(b, r->client_msg_id);
	field_put(b, r->content);
	field_put(b, r->meta);
	wire_put_bytes(b, r->hash, CONTENT_HASH_SIZE);
	return wire_end(b, at);
}

int
rec_op_send_get(const struct wire_record *w, struct rec_op_send *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_SEND, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->room = field_get_token_str(&rd);
	r->sender = field_get(&rd, 1, FIELD_USER_MAX);
	r->client_msg_id = field_get(&rd, 0, OP_CLIENT_MSG_ID_MAX);
	r->content = field_get(&rd, 1, OP_CONTENT_MAX);
	r->meta = field_get(&rd, 0, OP_JSON_MAX);
	field_get_fixed(&rd, r->hash, CONTENT_HASH_SIZE);
	return field_close(&rd);
}

int
rec_op_ack_put(struct buf *b, const struct rec_op_ack *r)
{
	size_t at = wire_begin(b, REC_OP_ACK);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->conn);
	wire_put_u64(b, r->seq);
	field_put(b, r->room);
	field_put(b, r->user);
	return wire_end(b, at);
}

int
rec_op_ack_get(const struct wire_record *w, struct rec_op_ack *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_ACK, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->conn = wire_get_u64(&rd);
	r->seq = wire_get_u64(&rd);
	r->room = field_get_token_str(&rd);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_op_room_create_put(struct buf *b, const struct rec_op_room_create *r)
{
	size_t at;

	if (r->nusers > EVENT_USERS_MAX)
		return -1;
	at = wire_begin(b, REC_OP_ROOM_CREATE);
	field_put_head(b, &r->h);
	wire_put_u8(b, r->type);
	field_put(b, r->creator);
	wire_put_u8(b, r->has_name);
	field_put(b, r->name);
	field_put(b, r->metadata);
	field_put_users(b, r->list, r->nusers);
	return wire_end(b, at);
}

int
rec_op_room_create_get(const struct wire_record *w,
    struct rec_op_room_create *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_ROOM_CREATE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->type = wire_get_u8(&rd);
	if (r->type < ROOM_DM || r->type > ROOM_CHANNEL)
		rd.bad = true;
	r->creator = field_get(&rd, 0, FIELD_USER_MAX);
	r->has_name = field_get_bool(&rd);
	r->name = field_get(&rd, 0, FIELD_NAME_MAX);
	r->metadata = field_get(&rd, 0, OP_JSON_MAX);
	r->users = field_get_users(&rd, &r->nusers);
	r->list = NULL;
	return field_close(&rd);
}

bool
rec_op_room_create_next(const struct rec_op_room_create *r, size_t *at,
    struct str *user)
{
	return field_next_user(r->users, r->nusers, at, user);
}

int
rec_op_members_add_put(struct buf *b, const struct rec_op_members_add *r)
{
	size_t at;

	if (r->nusers > EVENT_USERS_MAX)
		return -1;
	at = wire_begin(b, REC_OP_MEMBERS_ADD);
	field_put_head(b, &r->h);
	wire_put_u8(b, r->role);
	field_put(b, r->room);
	field_put(b, r->actor);
	field_put_users(b, r->list, r->nusers);
	return wire_end(b, at);
}

int
rec_op_members_add_get(const struct wire_record *w,
    struct rec_op_members_add *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_MEMBERS_ADD, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->role = wire_get_u8(&rd);
	if (r->role > MEMBER_UNCHANGED)
		rd.bad = true;
	r->room = field_get_token_str(&rd);
	r->actor = field_get(&rd, 0, FIELD_USER_MAX);
	r->users = field_get_users(&rd, &r->nusers);
	r->list = NULL;
	return field_close(&rd);
}

bool
rec_op_members_add_next(const struct rec_op_members_add *r, size_t *at,
    struct str *user)
{
	return field_next_user(r->users, r->nusers, at, user);
}

int
rec_op_member_remove_put(struct buf *b, const struct rec_op_member_remove *r)
{
	size_t at = wire_begin(b, REC_OP_MEMBER_REMOVE);

	field_put_head(b, &r->h);
	field_put(b, r->room);
	field_put(b, r->actor);
	field_put(b, r->user);
	return wire_end(b, at);
}

int
rec_op_member_remove_get(const struct wire_record *w,
    struct rec_op_member_remove *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_MEMBER_REMOVE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->room = field_get_token_str(&rd);
	r->actor = field_get(&rd, 0, FIELD_USER_MAX);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_op_change_put(struct buf *b, enum record_type type,
    const struct rec_op_change *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->seq);
	wire_put_u64(b, r->created_ms);
	field_put(b, r->room);
	field_put(b, r->actor);
	field_put(b, r->content);
	return wire_end(b, at);
}

int
rec_op_change_get(const struct wire_record *w, struct rec_op_change *r)
{
	bool edit = w->type == REC_OP_MESSAGE_EDIT;
	struct wire_reader rd;

	if (!edit && w->type != REC_OP_MESSAGE_DELETE)
		return -1;
	wire_reader_init(&rd, w);
	field_get_head(&rd, &r->h);
	r->seq = wire_get_u64(&rd);
	r->created_ms = wire_get_u64(&rd);
	r->room = field_get_token_str(&rd);
	r->actor = field_get(&rd, edit ? 1 : 0, FIELD_USER_MAX);
	r->content = field_get(&rd, edit ? 1 : 0, edit ? OP_CONTENT_MAX : 0);
	return field_close(&rd);
}

int
rec_op_room_update_put(struct buf *b, const struct rec_op_room_update *r)
{
	size_t at = wire_begin(b, REC_OP_ROOM_UPDATE);

	field_put_head(b, &r->h);
	wire_put_u8(b, r->has_name);
	wire_put_u8(b, r->has_metadata);
	field_put(b, r->room);
	field_put(b, r->actor);
	field_put(b, r->name);
	field_put(b, r->metadata);
	return wire_end(b, at);
}

int
rec_op_room_update_get(const struct wire_record *w,
    struct rec_op_room_update *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_ROOM_UPDATE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->has_name = field_get_bool(&rd);
	r->has_metadata = field_get_bool(&rd);
	r->room = field_get_token_str(&rd);
	r->actor = field_get(&rd, 0, FIELD_USER_MAX);
	r->name = field_get(&rd, 0, FIELD_NAME_MAX);
	r->metadata = field_get(&rd, 0, OP_JSON_MAX);
	return field_close(&rd);
}

int
rec_op_room_delete_put(struct buf *b, const struct rec_op_room_delete *r)
{
	size_t at = wire_begin(b, REC_OP_ROOM_DELETE);

	field_put_head(b, &r->h);
	field_put(b, r->room);
	field_put(b, r->actor);
	return wire_end(b, at);
}

int
rec_op_room_delete_get(const struct wire_record *w,
    struct rec_op_room_delete *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_ROOM_DELETE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->room = field_get_token_str(&rd);
	r->actor = field_get(&rd, 0, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_op_room_trim_put(struct buf *b, const struct rec_op_room_trim *r)
{
	size_t at = wire_begin(b, REC_OP_ROOM_TRIM);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->first_seq);
	field_put(b, r->room);
	return wire_end(b, at);
}

int
rec_op_room_trim_get(const struct wire_record *w, struct rec_op_room_trim *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_ROOM_TRIM, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->first_seq = wire_get_u64(&rd);
	r->room = field_get_token_str(&rd);
	return field_close(&rd);
}

int
rec_reply_put(struct buf *b, const struct rec_reply *r)
{
	size_t at = wire_begin(b, REC_REPLY);

	wire_put_u64(b, r->op);
	wire_put_u8(b, r->outcome);
	wire_put_u64(b, r->room);
	wire_put_u64(b, r->seq);
	wire_put_u64(b, r->ms);
	field_put(b, r->text);
	return wire_end(b, at);
}

int
rec_reply_get(const struct wire_record *w, struct rec_reply *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_REPLY, &rd))
		return -1;
	r->op = wire_get_u64(&rd);
	r->outcome = wire_get_u8(&rd);
	if (r->outcome >= OUTCOME_LAST)
		rd.bad = true;
	r->room = wire_get_u64(&rd);
	r->seq = wire_get_u64(&rd);
	r->ms = wire_get_u64(&rd);
	r->text = field_get(&rd, 0, WIRE_RECORD_MAX);
	return field_close(&rd);
}
