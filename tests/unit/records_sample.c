/* SPDX-License-Identifier: MIT */
/* See records_sample.h. */
#include "records_sample.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/config.h"

const struct str sample_users[3] = { { "alice", 5 },
	{ "b\xc3\xb6"
	  "b",
	    4 },
	{ "c", 1 } };
const uint64_t sample_keys[3] = { 1, UINT64_C(0xfedcba9876543210), UINT64_MAX };

const struct rec_hello sample_hello = { .role = ROLE_WORKER,
	.slot = 3,
	.pid = 4,
	.page_layout = 5,
	.schema = 6,
	.build = { "0.2.0", 5 } };
const struct rec_peer sample_peer = { .role = ROLE_COURIER,
	.slot = 63,
	.incarnation = 7 };
const struct rec_interest sample_interest = { .serial = 8,
	.nadd = 2,
	.ndel = 1,
	.add = sample_keys,
	.del = sample_keys + 2 };
const struct rec_attach sample_attach = { .conn = 9,
	.tenant = 10,
	.user = { "alice", 5 } };
const struct rec_attached sample_attached = { .conn = 11, .granted = true };
const struct rec_event_message sample_message = { .n = 12,
	.tenant = 13,
	.room = 14,
	.seq = 15,
	.sender = { "alice", 5 },
	.client_msg_id = { "c-1", 3 },
	.text = { "{\"type\":\"message\"}", 18 } };
const struct rec_event_members sample_members = { .n = 16,
	.tenant = 17,
	.room = 18,
	.token = SAMPLE_TOKEN,
	.head = 19,
	.members = 43,
	.nusers = 3,
	.list = sample_users };
const struct rec_event_acked sample_acked = { .n = 20,
	.tenant = 21,
	.room = 22,
	.seq = 23,
	.incarnation = 24,
	.conn = 25,
	.user = { "alice", 5 } };
const struct rec_presence sample_presence = { .tenant = 44,
	.online = true,
	.user = { "alice", 5 } };
const struct rec_event_change sample_event_change = { .n = 45,
	.tenant = 46,
	.room = 47,
	.seq = 48,
	.rev = 49,
	.text = { "{\"type\":\"message.edited\"}", 25 } };
const struct rec_event_room sample_event_room = { .n = 50,
	.tenant = 51,
	.room = 52,
	.text = { "{\"type\":\"room.updated\"}", 23 } };
const struct rec_event_typing sample_typing = { .tenant = 26,
	.room = 27,
	.start = true,
	.user = { "bob", 3 } };
const struct rec_event_tenant sample_tenant = { .n = 28, .tenant = 29 };
const struct rec_op_send sample_send = { .h = { 1001, 1000, 1002, 1003 },
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.sender = { "alice", 5 },
	.client_msg_id = { "c-2", 3 },
	.content = { "hi \0there", 9 },
	.meta = { "{\"a\":1}", 7 },
	.hash = "0123456789abcde" };
const struct rec_op_ack sample_ack = { .h = { 1001, 1000, 1002, 1003 },
	.conn = 30,
	.seq = 31,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.user = { "alice", 5 } };
const struct rec_op_room_create sample_room = { .h = { 1001, 1000, 1002, 1003 },
	.type = ROOM_CHANNEL,
	.creator = { "alice", 5 },
	.name = { "General", 7 },
	.metadata = { "[1]", 3 },
	.has_name = true,
	.nusers = 3,
	.list = sample_users };
const struct rec_op_members_add sample_add = { .h = { 1001, 1000, 1002, 1003 },
	.role = MEMBER_UNCHANGED,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 },
	.nusers = 3,
	.list = sample_users };
const struct rec_op_member_remove sample_remove = { .h = { 1001, 1000, 1002,
							1003 },
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 },
	.user = { "bob", 3 } };
const struct rec_op_change sample_edit = { .h = { 1001, 1000, 1002, 1003 },
	.seq = 53,
	.created_ms = 54,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 },
	.content = { "hi \0again", 9 } };
const struct rec_op_change sample_delete = { .h = { 1001, 1000, 1002, 1003 },
	.seq = 55,
	.created_ms = 56,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 },
	.content = { "", 0 } };
const struct rec_op_room_update sample_update = { .h = { 1001, 1000, 1002,
						      1003 },
	.has_name = true,
	.has_metadata = true,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 },
	.name = { "Other", 5 },
	.metadata = { "[2]", 3 } };
const struct rec_op_room_delete sample_room_delete = { .h = { 1001, 1000, 1002,
							   1003 },
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.actor = { "alice", 5 } };
const struct rec_op_room_trim sample_trim = { .h = { 1001, 1000, 1002, 1003 },
	.first_seq = 57,
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN } };
const struct rec_op_tenant_create sample_new_tenant = { .h = { 1001, 1000, 1002,
							    0 },
	.name = { "Acme", 4 },
	.key_hash = "0123456789abcdef0123456789abcde" };
const struct rec_op_admin sample_admin = { .h = { 1001, 1000, 1002, 0 },
	.a = { "tenant_" SAMPLE_TOKEN, 29 },
	.b = { "key_" SAMPLE_TOKEN, 26 },
	.key_hash = "123456789abcdef0123456789abcdef" };
const struct rec_op_key_used sample_key_used = { .h = { 1001, 1000, 1002,
						     1003 },
	.key = 32,
	.unix_ms = 33 };
const struct rec_op_tenant_update sample_tenant_update = { .h = { 1001, 1000,
							       1002, 0 },
	.has = TENANT_FIELDS_ALL,
	.tenant = { "tenant_" SAMPLE_TOKEN, 29 },
	.name = { "Acme 2", 6 },
	.disabled = true,
	.has_rate_limit = true,
	.rate_limit = 58,
	.webhook_url = { "https://example.org/", 20 },
	.webhook_secret = { "whsec_1", 7 },
	.new_secret = { "whsec_2", 7 },
	.jwt_secret = { "a secret", 8 },
	.jwt_public_key = { "0123456789abcdef0123456789abcdef", 32 },
	.retention_days = 59 };
const struct rec_op_ws_token_issue sample_issue = { .h = { 1001, 1000, 1002,
							1003 },
	.hash = "23456789abcdef0123456789abcdef0",
	.user = { "alice", 5 },
	.jwt_n = 60,
	.ends_ms = 61 };
const struct rec_op_ws_token_redeem sample_redeem = { .h = { 1001, 1000, 1002,
							  1003 },
	.hash = "3456789abcdef0123456789abcdef01" };
const uint64_t sample_inbox[3] = { 62, 63, UINT64_C(1) << 40 };
const struct rec_event_notification sample_notification = { .tenant = 64,
	.text = { "{\"type\":\"notification\"}", 23 },
	.nusers = 3,
	.idlist = sample_inbox,
	.list = sample_users };
const struct rec_op_notify sample_notify = { .h = { 1001, 1000, 1002, 1003 },
	.targets = NOTIFY_USERS | NOTIFY_ROOM | NOTIFY_TOPIC,
	.topic = { "orders", 6 },
	.payload = { "{\"a\":1}", 7 },
	.room = { SAMPLE_TOKEN, ID_TOKEN_LEN },
	.nusers = 3,
	.list = sample_users };
const struct rec_op_of_user sample_subscribe = { .h = { 1001, 1000, 1002,
						     1003 },
	.user = { "alice", 5 },
	.subject = { "orders", 6 } };
const struct rec_op_of_user sample_note_ack = { .h = { 1001, 1000, 1002, 1003 },
	.user = { "alice", 5 },
	.subject = { SAMPLE_TOKEN, ID_TOKEN_LEN } };
const struct rec_op_of_user sample_seen = { .h = { 1001, 1000, 1002, 1003 },
	.user = { "alice", 5 },
	.subject = { "", 0 } };
static const uint32_t sample_waits[3] = { 0, 5000, ABSENCE_ONLINE };
const struct rec_absence sample_absence = { .serial = 60,
	.tenant = 61,
	.nusers = 3,
	.list = sample_users };
const struct rec_absence_ok sample_absence_ok = { .serial = 62,
	.n = 3,
	.list = sample_waits };
const struct rec_op_outbox_step sample_step = { .h = { 1001, 1000, 1002, 1003 },
	.outbox = 63,
	.after = { "aa", 2 },
	.next = { "c", 1 },
	.nusers = 3,
	.list = sample_users,
	.wait_ms = sample_waits };
const struct rec_op_delivery_result sample_result = { .h = { 1001, 1000, 1002,
							  1003 },
	.delivery = 64,
	.attempts = 3,
	.result = DELIVERY_DEAD,
	.next_ms = 65,
	.tried_ms = 66,
	.error = { "HTTP status 500", 15 } };
const struct rec_op_webhook_drop sample_webhook_drop = { .h = { 1001, 1000,
							     1002, 1003 } };
const struct rec_op_dead_letter sample_dead_letter = { .h = { 1001, 1000, 1002,
							   1003 },
	.id = { SAMPLE_TOKEN, 22 } };
const struct rec_reply sample_reply = { .op = 34,
	.outcome = OUTCOME_NOT_MEMBER,
	.room = 35,
	.seq = 36,
	.ms = 37,
	.text = { "{}", 2 } };

static size_t
sample_config(struct buf *b)
{
	struct config c = { .nlisten = 2,
		.log_level = LOG_LEVEL_WARN,
		.workers = 3,
		.rate_limit = 100,
		.ws_max_per_user = 5,
		.drain_timeout_ms = 10000,
		.retry_max_attempts = 5,
		.retry_interval_ms = 30000,
		.presence_grace_ms = 5000,
		.resume_wait_ms = 30000 };
	struct rec_config r = { .incarnation = 38,
		.nlisteners = 2,
		.kinds = { 0, LISTENER_TLS },
		.config = &c };
	size_t ok;

	c.listen[0] = strdup(":8080");
	c.listen[1] = strdup("[::1]:9000");
	c.dsn_text = strdup("file:x.db");
	strcpy(c.dsn.path, "x.db");
	c.dsn.busy_timeout_ms = 5000;
	c.master_key = strdup("secret");
	c.key_file = strdup("/key");
	c.console_dir = strdup("/console");
	ok = rec_config_put(b, &r) == 0;
	config_free(&c);
	return ok;
}

static size_t
sample_bus(struct buf *b)
{
	struct wire_record inner;
	size_t n = 0, at;

	n += rec_hello_put(b, &sample_hello) == 0;
	n += rec_empty_put(b, REC_READY) == 0;
	n += rec_empty_put(b, REC_HEARTBEAT) == 0;
	n += rec_empty_put(b, REC_LOST) == 0;
	n += rec_empty_put(b, REC_DRAINED) == 0;
	n += sample_config(b);
	n += rec_peer_put(b, &sample_peer) == 0;
	n += rec_interest_put(b, &sample_interest) == 0;
	n += rec_interest_ok_put(b, 39) == 0;
	n += rec_attach_put(b, &sample_attach) == 0;
	n += rec_detach_put(b, &sample_attach) == 0;
	n += rec_attached_put(b, &sample_attached) == 0;
	n += rec_drain_put(b, 40) == 0;
	n += rec_presence_put(b, &sample_presence) == 0;
	n += rec_empty_put(b, REC_PRESENCE_RESET) == 0;
	n += rec_empty_put(b, REC_CERTIFICATE) == 0;
	at = rec_publish_begin(b, sample_keys, 3);
	(void)rec_event_message_put(b, &sample_message);
	n += rec_publish_end(b, at) == 0;
	at = b->len;
	(void)rec_op_admin_put(b, REC_OP_KEY_REVOKE, &sample_admin);
	(void)wire_next((uint8_t *)buf_head(b) + at, b->len - at, &inner);
	/* The record may move while it is being wrapped. */
	inner.whole = memcpy(malloc(inner.whole_len), inner.whole,
	    inner.whole_len);
	n += rec_control_put(b, REC_CONTROL, 41, &inner) == 0;
	free((void *)inner.whole);
	return n + 1;
}

static size_t
sample_control_reply(struct buf *b)
{
	struct wire_record inner;
	struct buf reply;
	size_t n;

	buf_init(&reply, 1000);
	(void)rec_reply_put(&reply, &sample_reply);
	(void)wire_next((uint8_t *)buf_head(&reply), reply.len, &inner);
	n = rec_control_put(b, REC_CONTROL_REPLY, 42, &inner) == 0;
	buf_free(&reply);
	return n;
}

size_t
records_sample(struct buf *b)
{
	size_t n = sample_bus(b) + sample_control_reply(b);

	n += rec_event_message_put(b, &sample_message) == 0;
	n += rec_event_members_put(b, REC_EVENT_JOINED, &sample_members) == 0;
	n += rec_event_members_put(b, REC_EVENT_LEFT, &sample_members) == 0;
	n += rec_event_acked_put(b, &sample_acked) == 0;
	n += rec_event_typing_put(b, &sample_typing) == 0;
	n += rec_event_tenant_put(b, &sample_tenant) == 0;
	n += rec_event_change_put(b, &sample_event_change) == 0;
	n += rec_event_room_put(b, REC_EVENT_ROOM_UPDATED,
		 &sample_event_room) == 0;
	n += rec_event_room_put(b, REC_EVENT_ROOM_DELETED,
		 &sample_event_room) == 0;
	n += rec_op_send_put(b, &sample_send) == 0;
	n += rec_op_ack_put(b, &sample_ack) == 0;
	n += rec_op_room_create_put(b, &sample_room) == 0;
	n += rec_op_members_add_put(b, &sample_add) == 0;
	n += rec_op_member_remove_put(b, &sample_remove) == 0;
	n += rec_op_tenant_create_put(b, &sample_new_tenant) == 0;
	n += rec_op_admin_put(b, REC_OP_TENANT_LIST, &sample_admin) == 0;
	n += rec_op_admin_put(b, REC_OP_TENANT_SHOW, &sample_admin) == 0;
	n += rec_op_admin_put(b, REC_OP_KEY_ADD, &sample_admin) == 0;
	n += rec_op_admin_put(b, REC_OP_KEY_LIST, &sample_admin) == 0;
	n += rec_op_key_used_put(b, &sample_key_used) == 0;
	n += rec_op_change_put(b, REC_OP_MESSAGE_EDIT, &sample_edit) == 0;
	n += rec_op_change_put(b, REC_OP_MESSAGE_DELETE, &sample_delete) == 0;
	n += rec_op_room_update_put(b, &sample_update) == 0;
	n += rec_op_room_delete_put(b, &sample_room_delete) == 0;
	n += rec_op_room_trim_put(b, &sample_trim) == 0;
	n += rec_op_tenant_update_put(b, &sample_tenant_update) == 0;
	n += rec_op_admin_put(b, REC_OP_TENANT_DELETE, &sample_admin) == 0;
	n += rec_op_ws_token_issue_put(b, &sample_issue) == 0;
	n += rec_op_ws_token_redeem_put(b, &sample_redeem) == 0;
	n += rec_event_notification_put(b, &sample_notification) == 0;
	n += rec_op_notify_put(b, &sample_notify) == 0;
	n += rec_op_of_user_put(b, REC_OP_NOTIFICATION_ACK, &sample_note_ack) ==
	    0;
	n += rec_op_of_user_put(b, REC_OP_SUBSCRIBE, &sample_subscribe) == 0;
	n += rec_op_of_user_put(b, REC_OP_UNSUBSCRIBE, &sample_note_ack) == 0;
	n += rec_op_of_user_put(b, REC_OP_USER_SEEN, &sample_seen) == 0;
	n += rec_event_webhook_put(b, &sample_tenant) == 0;
	n += rec_absence_put(b, &sample_absence) == 0;
	n += rec_absence_ok_put(b, &sample_absence_ok) == 0;
	n += rec_op_outbox_step_put(b, &sample_step) == 0;
	n += rec_op_delivery_result_put(b, &sample_result) == 0;
	n += rec_op_webhook_drop_put(b, &sample_webhook_drop) == 0;
	n += rec_op_dead_letter_put(b, REC_OP_DEAD_LETTER_RETRY,
		 &sample_dead_letter) == 0;
	n += rec_op_dead_letter_put(b, REC_OP_DEAD_LETTER_DROP,
		 &sample_dead_letter) == 0;
	n += rec_reply_put(b, &sample_reply) == 0;
	n += rec_empty_put(b, REC_STATUS) == 0;
	n += rec_empty_put(b, REC_REPLACED) == 0;
	return n;
}
