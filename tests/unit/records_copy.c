/* SPDX-License-Identifier: MIT */
/* See records_copy.h.  A get that returned 0 promises that its fields can be
 * looked at: here all of them are. */
#include "records_copy.h"

#include "common/buf.h"
#include "common/config.h"
#include "common/records_tenant.h"
#include "common/records_courier.h"
#include "common/records_notify.h"
#include "common/records_token.h"

#define COPY(name) \
	static int copy_##name(struct buf *b, const struct wire_record *w) \
	{ \
		struct rec_##name r; \
\
		if (rec_##name##_get(w, &r) == -1) \
			return -1; \
		return rec_##name##_put(b, &r) == 0 ? 0 : -2; \
	}

COPY(hello)
COPY(peer)
COPY(attached)
COPY(presence)
COPY(event_message)
COPY(event_acked)
COPY(event_change)
COPY(event_typing)
COPY(event_tenant)
COPY(op_send)
COPY(op_ack)
COPY(op_member_remove)
COPY(op_room_update)
COPY(op_room_delete)
COPY(op_room_trim)
COPY(op_tenant_create)
COPY(op_key_used)
COPY(op_tenant_update)
COPY(op_ws_token_issue)
COPY(op_ws_token_redeem)
COPY(op_delivery_result)
COPY(op_webhook_drop)
COPY(reply)

static int
copy_empty(struct buf *b, const struct wire_record *w)
{
	if (rec_empty_get(w) == -1)
		return -1;
	return rec_empty_put(b, (enum record_type)w->type) == 0 ? 0 : -2;
}

static int
copy_number(struct buf *b, const struct wire_record *w)
{
	uint64_t v;

	if (w->type == REC_DRAIN) {
		if (rec_drain_get(w, &v) == -1)
			return -1;
		return rec_drain_put(b, v) == 0 ? 0 : -2;
	}
	if (rec_interest_ok_get(w, &v) == -1)
		return -1;
	return rec_interest_ok_put(b, v) == 0 ? 0 : -2;
}

static int
copy_config(struct buf *b, const struct wire_record *w)
{
	struct config config;
	struct rec_config r = { .config = &config };
	int rc;

	if (rec_config_get(w, &r) == -1)
		return -1;
	rc = rec_config_put(b, &r);
	config_free(&config);
	return rc == 0 ? 0 : -2;
}

static int
copy_attach(struct buf *b, const struct wire_record *w)
{
	struct rec_attach r;

	if (w->type == REC_ATTACH) {
		if (rec_attach_get(w, &r) == -1)
			return -1;
		return rec_attach_put(b, &r) == 0 ? 0 : -2;
	}
	if (rec_detach_get(w, &r) == -1)
		return -1;
	return rec_detach_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_interest(struct buf *b, const struct wire_record *w)
{
	static uint64_t keys[INTEREST_KEYS_MAX];
	struct rec_interest r;

	if (rec_interest_get(w, &r) == -1)
		return -1;
	for (uint32_t i = 0; i < r.nadd + r.ndel; i++)
		keys[i] = rec_interest_key(&r, i);
	r.add = keys;
	r.del = keys + r.nadd;
	return rec_interest_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_publish(struct buf *b, const struct wire_record *w)
{
	uint64_t keys[PUBLISH_KEYS_MAX];
	struct rec_publish r;
	size_t at;

	if (rec_publish_get(w, &r) == -1)
		return -1;
	for (uint16_t i = 0; i < r.nkeys; i++)
		keys[i] = rec_publish_key(&r, i);
	at = rec_publish_begin(b, keys, r.nkeys);
	wire_put_bytes(b, r.inner.whole, r.inner.whole_len);
	return rec_publish_end(b, at) == 0 ? 0 : -2;
}

static int
copy_control(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_control r;

	if (rec_control_get(w, &r) == -1)
		return -1;
	return rec_control_put(b, type, r.client, &r.inner) == 0 ? 0 : -2;
}

static int
copy_event_members(struct buf *b, const struct wire_record *w)
{
	static struct str list[EVENT_USERS_MAX];
	enum record_type type = (enum record_type)w->type;
	struct rec_event_members r;
	size_t at = 0, n = 0;

	if (rec_event_members_get(w, &r) == -1)
		return -1;
	while (rec_event_members_next(&r, &at, &list[n]))
		n++;
	r.list = list;
	return n == r.nusers && rec_event_members_put(b, type, &r) == 0 ? 0 :
									  -2;
}

static int
copy_op_room_create(struct buf *b, const struct wire_record *w)
{
	static struct str list[EVENT_USERS_MAX];
	struct rec_op_room_create r;
	size_t at = 0, n = 0;

	if (rec_op_room_create_get(w, &r) == -1)
		return -1;
	while (rec_op_room_create_next(&r, &at, &list[n]))
		n++;
	r.list = list;
	return n == r.nusers && rec_op_room_create_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_members_add(struct buf *b, const struct wire_record *w)
{
	static struct str list[EVENT_USERS_MAX];
	struct rec_op_members_add r;
	size_t at = 0, n = 0;

	if (rec_op_members_add_get(w, &r) == -1)
		return -1;
	while (rec_op_members_add_next(&r, &at, &list[n]))
		n++;
	r.list = list;
	return n == r.nusers && rec_op_members_add_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_admin(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_op_admin r;

	if (rec_op_admin_get(w, &r) == -1)
		return -1;
	return rec_op_admin_put(b, type, &r) == 0 ? 0 : -2;
}

static int
copy_event_webhook(struct buf *b, const struct wire_record *w)
{
	struct rec_event_tenant r;

	if (rec_event_webhook_get(w, &r) == -1)
		return -1;
	return rec_event_webhook_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_absence(struct buf *b, const struct wire_record *w)
{
	static struct str list[ABSENCE_USERS_MAX];
	struct rec_absence r;
	size_t at = 0, n = 0;

	if (rec_absence_get(w, &r) == -1)
		return -1;
	while (rec_absence_next(&r, &at, &list[n]))
		n++;
	r.list = list;
	return n == r.nusers && rec_absence_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_absence_ok(struct buf *b, const struct wire_record *w)
{
	static uint32_t list[ABSENCE_USERS_MAX];
	struct rec_absence_ok r;

	if (rec_absence_ok_get(w, &r) == -1)
		return -1;
	for (uint32_t i = 0; i < r.n; i++)
		list[i] = rec_absence_state(&r, i);
	r.list = list;
	return rec_absence_ok_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_outbox_step(struct buf *b, const struct wire_record *w)
{
	static struct str list[ABSENCE_USERS_MAX];
	static uint32_t wait_ms[ABSENCE_USERS_MAX];
	struct rec_op_outbox_step r;
	size_t at = 0, n = 0;

	if (rec_op_outbox_step_get(w, &r) == -1)
		return -1;
	while (rec_op_outbox_step_next(&r, &at, &list[n], &wait_ms[n]))
		n++;
	r.list = list;
	r.wait_ms = wait_ms;
	return n == r.nusers && rec_op_outbox_step_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_dead_letter(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_op_dead_letter r;

	if (rec_op_dead_letter_get(w, &r) == -1)
		return -1;
	return rec_op_dead_letter_put(b, type, &r) == 0 ? 0 : -2;
}

static int
copy_event_room(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_event_room r;

	if (rec_event_room_get(w, &r) == -1)
		return -1;
	return rec_event_room_put(b, type, &r) == 0 ? 0 : -2;
}

static int
copy_op_change(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_op_change r;

	if (rec_op_change_get(w, &r) == -1)
		return -1;
	return rec_op_change_put(b, type, &r) == 0 ? 0 : -2;
}

static int
copy_event_notification(struct buf *b, const struct wire_record *w)
{
	static struct str list[EVENT_USERS_MAX];
	static uint64_t ids[EVENT_USERS_MAX];
	struct rec_event_notification r;
	size_t at = 0, n = 0;

	if (rec_event_notification_get(w, &r) == -1)
		return -1;
	while (rec_event_notification_next(&r, &at, &list[n], &ids[n]))
		n++;
	r.list = list;
	r.idlist = ids;
	return n == r.nusers && rec_event_notification_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_notify(struct buf *b, const struct wire_record *w)
{
	static struct str list[EVENT_USERS_MAX];
	struct rec_op_notify r;
	size_t at = 0, n = 0;

	if (rec_op_notify_get(w, &r) == -1)
		return -1;
	while (rec_op_notify_next(&r, &at, &list[n]))
		n++;
	r.list = list;
	return n == r.nusers && rec_op_notify_put(b, &r) == 0 ? 0 : -2;
}

static int
copy_op_of_user(struct buf *b, const struct wire_record *w)
{
	enum record_type type = (enum record_type)w->type;
	struct rec_op_of_user r;

	if (rec_op_of_user_get(w, &r) == -1)
		return -1;
	return rec_op_of_user_put(b, type, &r) == 0 ? 0 : -2;
}

static int (*const copies[256])(struct buf *, const struct wire_record *) = {
	[REC_HELLO] = copy_hello,
	[REC_READY] = copy_empty,
	[REC_HEARTBEAT] = copy_empty,
	[REC_INTEREST] = copy_interest,
	[REC_ATTACH] = copy_attach,
	[REC_DETACH] = copy_attach,
	[REC_PUBLISH] = copy_publish,
	[REC_CONTROL_REPLY] = copy_control,
	[REC_DRAINED] = copy_empty,
	[REC_CONFIG] = copy_config,
	[REC_PEER] = copy_peer,
	[REC_INTEREST_OK] = copy_number,
	[REC_ATTACHED] = copy_attached,
	[REC_LOST] = copy_empty,
	[REC_DRAIN] = copy_number,
	[REC_CONTROL] = copy_control,
	[REC_PRESENCE] = copy_presence,
	[REC_PRESENCE_RESET] = copy_empty,
	[REC_CERTIFICATE] = copy_empty,
	[REC_EVENT_MESSAGE] = copy_event_message,
	[REC_EVENT_JOINED] = copy_event_members,
	[REC_EVENT_LEFT] = copy_event_members,
	[REC_EVENT_ACKED] = copy_event_acked,
	[REC_EVENT_TYPING] = copy_event_typing,
	[REC_EVENT_TENANT] = copy_event_tenant,
	[REC_EVENT_CHANGED] = copy_event_change,
	[REC_EVENT_ROOM_UPDATED] = copy_event_room,
	[REC_EVENT_ROOM_DELETED] = copy_event_room,
	[REC_EVENT_NOTIFICATION] = copy_event_notification,
	[REC_OP_SEND] = copy_op_send,
	[REC_OP_ACK] = copy_op_ack,
	[REC_OP_ROOM_CREATE] = copy_op_room_create,
	[REC_OP_MEMBERS_ADD] = copy_op_members_add,
	[REC_OP_MEMBER_REMOVE] = copy_op_member_remove,
	[REC_OP_TENANT_CREATE] = copy_op_tenant_create,
	[REC_OP_TENANT_LIST] = copy_op_admin,
	[REC_OP_TENANT_SHOW] = copy_op_admin,
	[REC_OP_KEY_ADD] = copy_op_admin,
	[REC_OP_KEY_REVOKE] = copy_op_admin,
	[REC_OP_KEY_LIST] = copy_op_admin,
	[REC_OP_KEY_USED] = copy_op_key_used,
	[REC_OP_MESSAGE_EDIT] = copy_op_change,
	[REC_OP_MESSAGE_DELETE] = copy_op_change,
	[REC_OP_ROOM_UPDATE] = copy_op_room_update,
	[REC_OP_ROOM_DELETE] = copy_op_room_delete,
	[REC_OP_ROOM_TRIM] = copy_op_room_trim,
	[REC_OP_TENANT_UPDATE] = copy_op_tenant_update,
	[REC_OP_TENANT_DELETE] = copy_op_admin,
	[REC_OP_WS_TOKEN_ISSUE] = copy_op_ws_token_issue,
	[REC_OP_WS_TOKEN_REDEEM] = copy_op_ws_token_redeem,
	[REC_OP_BACKUP] = copy_op_admin,
	[REC_OP_USER_ERASE] = copy_op_admin,
	[REC_OP_USER_ERASING] = copy_op_admin,
	[REC_OP_NOTIFY] = copy_op_notify,
	[REC_OP_NOTIFICATION_ACK] = copy_op_of_user,
	[REC_OP_SUBSCRIBE] = copy_op_of_user,
	[REC_OP_UNSUBSCRIBE] = copy_op_of_user,
	[REC_OP_USER_SEEN] = copy_op_of_user,
	[REC_ABSENCE] = copy_absence,
	[REC_ABSENCE_OK] = copy_absence_ok,
	[REC_EVENT_WEBHOOK] = copy_event_webhook,
	[REC_OP_OUTBOX_STEP] = copy_op_outbox_step,
	[REC_OP_DELIVERY_RESULT] = copy_op_delivery_result,
	[REC_OP_WEBHOOK_DROP] = copy_op_webhook_drop,
	[REC_OP_DEAD_LETTER_RETRY] = copy_op_dead_letter,
	[REC_OP_DEAD_LETTER_DROP] = copy_op_dead_letter,
	[REC_REPLY] = copy_reply,
	[REC_STATUS] = copy_empty,
	[REC_REPLACED] = copy_empty,
};

int
records_copy(struct buf *b, const struct wire_record *w)
{
	return copies[w->type] == NULL ? -1 : copies[w->type](b, w);
}
