/* SPDX-License-Identifier: MIT */
/* Records about notifications and subscriptions.  Pure. */
#include "records_notify.h"

#include "records_fields.h"

#define OP_PAYLOAD_MAX (64 * 1024)

int
rec_event_notification_put(struct buf *b,
    const struct rec_event_notification *r)
{
	size_t at;

	if (r->nusers > EVENT_USERS_MAX)
		return -1;
	at = wire_begin(b, REC_EVENT_NOTIFICATION);
	wire_put_u64(b, r->tenant);
	field_put(b, r->text);
	field_put_users(b, r->list, r->nusers);
	for (uint32_t i = 0; i < r->nusers; i++)
		wire_put_u64(b, r->idlist[i]);
	return wire_end(b, at);
}

int
rec_event_notification_get(const struct wire_record *w,
    struct rec_event_notification *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_NOTIFICATION, &rd))
		return -1;
	r->tenant = wire_get_u64(&rd);
	r->text = field_get(&rd, 2, FIELD_TEXT_MAX);
	r->users = field_get_users(&rd, &r->nusers);
	r->ids = rd.bad ? NULL : wire_get_bytes(&rd, 8 * (size_t)r->nusers);
	r->idlist = NULL;
	r->list = NULL;
	return field_close(&rd);
}

bool
rec_event_notification_next(const struct rec_event_notification *r, size_t *at,
    struct str *user, uint64_t *id)
{
	/* The low bits of *at count: see field_next_user(). */
	uint32_t i = (uint32_t)(*at & 0xffff);

	if (!field_next_user(r->users, r->nusers, at, user))
		return false;
	*id = field_key(r->ids, i);
	return true;
}

int
rec_op_notify_put(struct buf *b, const struct rec_op_notify *r)
{
	size_t at;

	if (r->nusers > EVENT_USERS_MAX)
		return -1;
	at = wire_begin(b, REC_OP_NOTIFY);
	field_put_head(b, &r->h);
	wire_put_u8(b, r->targets);
	field_put(b, r->topic);
	field_put(b, r->payload);
	field_put(b, r->room);
	field_put_users(b, r->list, r->nusers);
	return wire_end(b, at);
}

/* Whether they go together, and with what comes with them. */
static bool
targets_valid(const struct rec_op_notify *r)
{
	unsigned some = NOTIFY_USERS | NOTIFY_ROOM | NOTIFY_TOPIC;

	if (r->targets != NOTIFY_ALL &&
	    (r->targets == 0 || (r->targets & ~some) != 0))
		return false;
	return ((r->targets & NOTIFY_ROOM) != 0 ?
		       id_token_valid(r->room.p, r->room.len) :
		       r->room.len == 0) &&
	    ((r->targets & NOTIFY_USERS) != 0 || r->nusers == 0);
}

int
rec_op_notify_get(const struct wire_record *w, struct rec_op_notify *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_NOTIFY, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->targets = wire_get_u8(&rd);
	r->topic = field_get(&rd, 1, NOTIFY_TOPIC_MAX);
	r->payload = field_get(&rd, 1, OP_PAYLOAD_MAX);
	r->room = field_get(&rd, 0, ID_TOKEN_LEN);
	r->users = field_get_users(&rd, &r->nusers);
	r->list = NULL;
	if (!rd.bad && !targets_valid(r))
		rd.bad = true;
	return field_close(&rd);
}

bool
rec_op_notify_next(const struct rec_op_notify *r, size_t *at, struct str *user)
{
	return field_next_user(r->users, r->nusers, at, user);
}

int
rec_op_of_user_put(struct buf *b, enum record_type type,
    const struct rec_op_of_user *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	field_put_head(b, &r->h);
	field_put(b, r->user);
	field_put(b, r->subject);
	return wire_end(b, at);
}

int
rec_op_of_user_get(const struct wire_record *w, struct rec_op_of_user *r)
{
	struct wire_reader rd;

	wire_reader_init(&rd, w);
	field_get_head(&rd, &r->h);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	switch (w->type) {
	case REC_OP_NOTIFICATION_ACK:
	case REC_OP_UNSUBSCRIBE:
		r->subject = field_get_token_str(&rd);
		break;
	case REC_OP_SUBSCRIBE:
		r->subject = field_get(&rd, 1, NOTIFY_TOPIC_MAX);
		break;
	case REC_OP_USER_SEEN:
		r->subject = field_get(&rd, 0, 0);
		break;
	default:
		return -1;
	}
	return field_close(&rd);
}
