/* SPDX-License-Identifier: MIT */
/* Event records: what the writer or a worker announces.  Pure. */
#include <string.h>

#include "records_fields.h"

#define CLIENT_MSG_ID_MAX 128

int
rec_event_message_put(struct buf *b, const struct rec_event_message *r)
{
	size_t at = wire_begin(b, REC_EVENT_MESSAGE);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	wire_put_u64(b, r->seq);
	field_put(b, r->sender);
	field_put(b, r->client_msg_id);
	field_put(b, r->text);
	return wire_end(b, at);
}

int
rec_event_message_get(const struct wire_record *w, struct rec_event_message *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_MESSAGE, &rd))
		return -1;
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	r->seq = wire_get_u64(&rd);
	r->sender = field_get(&rd, 1, FIELD_USER_MAX);
	r->client_msg_id = field_get(&rd, 0, CLIENT_MSG_ID_MAX);
	r->text = field_get(&rd, 2, FIELD_TEXT_MAX);
	return field_close(&rd);
}

int
rec_event_change_put(struct buf *b, const struct rec_event_change *r)
{
	size_t at = wire_begin(b, REC_EVENT_CHANGED);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	wire_put_u64(b, r->seq);
	wire_put_u64(b, r->rev);
	field_put(b, r->text);
	return wire_end(b, at);
}

int
rec_event_change_get(const struct wire_record *w, struct rec_event_change *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_CHANGED, &rd))
		return -1;
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	r->seq = wire_get_u64(&rd);
	r->rev = wire_get_u64(&rd);
	r->text = field_get(&rd, 2, FIELD_TEXT_MAX);
	return field_close(&rd);
}

int
rec_event_room_put(struct buf *b, enum record_type type,
    const struct rec_event_room *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	field_put(b, r->text);
	return wire_end(b, at);
}

int
rec_event_room_get(const struct wire_record *w, struct rec_event_room *r)
{
	struct wire_reader rd;

	if (w->type != REC_EVENT_ROOM_UPDATED &&
	    w->type != REC_EVENT_ROOM_DELETED)
		return -1;
	wire_reader_init(&rd, w);
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	r->text = field_get(&rd, 2, FIELD_TEXT_MAX);
	return field_close(&rd);
}

int
rec_event_members_put(struct buf *b, enum record_type type,
    const struct rec_event_members *r)
{
	size_t at;

	if (r->nusers > EVENT_USERS_MAX)
		return -1;
	at = wire_begin(b, (uint8_t)type);
	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	field_put_token(b, r->token);
	wire_put_u64(b, r->head);
	wire_put_u32(b, r->members);
	field_put_users(b, r->list, r->nusers);
	return wire_end(b, at);
}

int
rec_event_members_get(const struct wire_record *w, struct rec_event_members *r)
{
	struct wire_reader rd;

	if (w->type != REC_EVENT_JOINED && w->type != REC_EVENT_LEFT)
		return -1;
	wire_reader_init(&rd, w);
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	field_get_token(&rd, r->token);
	r->head = wire_get_u64(&rd);
	r->members = wire_get_u32(&rd);
	r->users = field_get_users(&rd, &r->nusers);
	r->list = NULL;
	return field_close(&rd);
}

bool
rec_event_members_next(const struct rec_event_members *r, size_t *at,
    struct str *user)
{
	return field_next_user(r->users, r->nusers, at, user);
}

int
rec_event_acked_put(struct buf *b, const struct rec_event_acked *r)
{
	size_t at = wire_begin(b, REC_EVENT_ACKED);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	wire_put_u64(b, r->seq);
	wire_put_u64(b, r->incarnation);
	wire_put_u64(b, r->conn);
	field_put(b, r->user);
	return wire_end(b, at);
}

int
rec_event_acked_get(const struct wire_record *w, struct rec_event_acked *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_ACKED, &rd))
		return -1;
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	r->seq = wire_get_u64(&rd);
	r->incarnation = wire_get_u64(&rd);
	r->conn = wire_get_u64(&rd);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_event_typing_put(struct buf *b, const struct rec_event_typing *r)
{
	size_t at = wire_begin(b, REC_EVENT_TYPING);

	wire_put_u64(b, r->tenant);
	wire_put_u64(b, r->room);
	wire_put_u8(b, r->start);
	field_put(b, r->user);
	return wire_end(b, at);
}

int
rec_event_typing_get(const struct wire_record *w, struct rec_event_typing *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_TYPING, &rd))
		return -1;
	r->tenant = wire_get_u64(&rd);
	r->room = wire_get_u64(&rd);
	r->start = field_get_bool(&rd);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_event_tenant_put(struct buf *b, const struct rec_event_tenant *r)
{
	size_t at = wire_begin(b, REC_EVENT_TENANT);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	return wire_end(b, at);
}

int
rec_event_tenant_get(const struct wire_record *w, struct rec_event_tenant *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_TENANT, &rd))
		return -1;
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	return field_close(&rd);
}
