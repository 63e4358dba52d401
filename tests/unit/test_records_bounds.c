/* SPDX-License-Identifier: MIT */
/* Where records end: the longest and the shortest that each field may be, and
 * that a writer which goes over leaves nothing behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/page.h"
#include "common/records.h"
#include "records_copy.h"
#include "records_sample.h"

static struct buf buf;
static char *long_text;

static int
setup(void **state)
{
	(void)state;
	buf_init(&buf, 8 * WIRE_RECORD_MAX);
	long_text = malloc(WIRE_RECORD_MAX);
	memset(long_text, 'x', WIRE_RECORD_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&buf);
	free(long_text);
	return 0;
}

/* Takes what was put; 0 when its get takes it, too. */
static int
taken(int put)
{
	struct wire_record w;
	struct buf copy;
	int rc;

	assert_int_equal(put, 0);
	assert_int_equal(wire_next((uint8_t *)buf_head(&buf), buf.len, &w),
	    buf.len);
	buf_init(&copy, 2 * WIRE_RECORD_MAX);
	rc = records_copy(&copy, &w);
	assert_int_not_equal(rc, -2);
	buf_free(&copy);
	buf_clear(&buf);
	return rc;
}

static struct str
text(size_t len)
{
	return (struct str){ long_text, len };
}

static void
test_users(void **state)
{
	struct rec_attach attach = sample_attach;
	struct rec_event_message message = sample_message;
	struct rec_event_acked acked = sample_acked;
	struct rec_event_typing typing = sample_typing;
	struct rec_op_send send = sample_send;
	struct rec_op_ack ack = sample_ack;
	struct rec_op_member_remove remove = sample_remove;
	struct rec_op_change edit = sample_edit;
	struct rec_presence presence = sample_presence;
	size_t lens[] = { 0, 1, 128, 129, 5000 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		int want = lens[i] >= 1 && lens[i] <= 128 ? 0 : -1;
		struct str user = text(lens[i]);

		attach.user = message.sender = acked.user = user;
		typing.user = send.sender = ack.user = remove.user = user;
		edit.actor = presence.user = user;
		assert_int_equal(taken(rec_op_change_put(&buf,
				     REC_OP_MESSAGE_EDIT, &edit)),
		    want);
		assert_int_equal(taken(rec_presence_put(&buf, &presence)),
		    want);
		assert_int_equal(taken(rec_attach_put(&buf, &attach)), want);
		assert_int_equal(taken(rec_detach_put(&buf, &attach)), want);
		assert_int_equal(taken(rec_event_message_put(&buf, &message)),
		    want);
		assert_int_equal(taken(rec_event_acked_put(&buf, &acked)),
		    want);
		assert_int_equal(taken(rec_event_typing_put(&buf, &typing)),
		    want);
		assert_int_equal(taken(rec_op_send_put(&buf, &send)), want);
		assert_int_equal(taken(rec_op_ack_put(&buf, &ack)), want);
		assert_int_equal(taken(rec_op_member_remove_put(&buf, &remove)),
		    want);
	}
}

/* No actor is the backend. */
static void
test_actors(void **state)
{
	struct rec_op_member_remove remove = sample_remove;
	struct rec_op_members_add add = sample_add;
	struct rec_op_room_create room = sample_room;
	struct rec_op_change delete = sample_delete;
	struct rec_op_room_update update = sample_update;
	struct rec_op_room_delete drop = sample_room_delete;
	size_t lens[] = { 0, 1, 128, 129 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		int want = lens[i] <= 128 ? 0 : -1;

		remove.actor = add.actor = room.creator = text(lens[i]);
		assert_int_equal(taken(rec_op_member_remove_put(&buf, &remove)),
		    want);
		assert_int_equal(taken(rec_op_members_add_put(&buf, &add)),
		    want);
		assert_int_equal(taken(rec_op_room_create_put(&buf, &room)),
		    want);
		delete.actor = update.actor = drop.actor = text(lens[i]);
		assert_int_equal(taken(rec_op_change_put(&buf,
				     REC_OP_MESSAGE_DELETE, &delete)),
		    want);
		assert_int_equal(taken(rec_op_room_update_put(&buf, &update)),
		    want);
		assert_int_equal(taken(rec_op_room_delete_put(&buf, &drop)),
		    want);
	}
}

static void
test_tokens(void **state)
{
	static const char *const bad[] = { "", "01kapdck0vabcdefghjkm",
		SAMPLE_TOKEN "0", "01kapdck0vabcdefghjkmu",
		"01KAPDCK0VABCDEFGHJKMN" };
	struct rec_op_send send = sample_send;
	struct rec_op_ack ack = sample_ack;
	struct rec_op_members_add add = sample_add;
	struct rec_op_member_remove remove = sample_remove;
	struct rec_event_members members = sample_members;
	struct rec_op_change edit = sample_edit;
	struct rec_op_room_update update = sample_update;
	struct rec_op_room_delete drop = sample_room_delete;
	struct rec_op_room_trim trim = sample_trim;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str room = { bad[i], strlen(bad[i]) };

		send.room = ack.room = add.room = remove.room = room;
		edit.room = update.room = drop.room = trim.room = room;
		assert_int_equal(taken(rec_op_change_put(&buf,
				     REC_OP_MESSAGE_EDIT, &edit)),
		    -1);
		assert_int_equal(taken(rec_op_room_update_put(&buf, &update)),
		    -1);
		assert_int_equal(taken(rec_op_room_delete_put(&buf, &drop)),
		    -1);
		assert_int_equal(taken(rec_op_room_trim_put(&buf, &trim)), -1);
		assert_int_equal(taken(rec_op_send_put(&buf, &send)), -1);
		assert_int_equal(taken(rec_op_ack_put(&buf, &ack)), -1);
		assert_int_equal(taken(rec_op_members_add_put(&buf, &add)), -1);
		assert_int_equal(taken(rec_op_member_remove_put(&buf, &remove)),
		    -1);
	}
	members.token[5] = 'U';
	assert_int_equal(taken(rec_event_members_put(&buf, REC_EVENT_JOINED,
			     &members)),
	    -1);
}

static void
test_texts(void **state)
{
	struct rec_op_send send = sample_send;
	struct rec_event_message message = sample_message;

	(void)state;
	send.content = text(0);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), -1);
	send.content = send.meta = text(64 * 1024);
	send.client_msg_id = text(128);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), 0);
	send.content = text(64 * 1024 + 1);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), -1);
	send.content = text(1);
	send.meta = text(64 * 1024 + 1);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), -1);
	send.meta = text(0);
	send.client_msg_id = text(129);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), -1);
	send.client_msg_id = text(0);
	assert_int_equal(taken(rec_op_send_put(&buf, &send)), 0);
	/* The frame of the longest content, each byte escaped as six. */
	message.text = text(6 * 64 * 1024 + 64 * 1024 + 2048);
	message.client_msg_id = text(128);
	assert_int_equal(taken(rec_event_message_put(&buf, &message)), 0);
	message.client_msg_id = text(129);
	assert_int_equal(taken(rec_event_message_put(&buf, &message)), -1);
	message.client_msg_id = text(0);
	message.text = text(1);
	assert_int_equal(taken(rec_event_message_put(&buf, &message)), -1);
}

static void
test_texts_of_changes(void **state)
{
	struct rec_op_change edit = sample_edit, delete = sample_delete;
	struct rec_event_change change = sample_event_change;
	struct rec_event_room room = sample_event_room;
	size_t frame = 6 * 64 * 1024 + 2048;

	(void)state;
	edit.content = text(0);
	assert_int_equal(taken(rec_op_change_put(&buf, REC_OP_MESSAGE_EDIT,
			     &edit)),
	    -1);
	edit.content = text(64 * 1024);
	assert_int_equal(taken(rec_op_change_put(&buf, REC_OP_MESSAGE_EDIT,
			     &edit)),
	    0);
	edit.content = text(64 * 1024 + 1);
	assert_int_equal(taken(rec_op_change_put(&buf, REC_OP_MESSAGE_EDIT,
			     &edit)),
	    -1);
	/* What is deleted has no new content. */
	delete.content = text(1);
	assert_int_equal(taken(rec_op_change_put(&buf, REC_OP_MESSAGE_DELETE,
			     &delete)),
	    -1);
	change.text = room.text = text(frame);
	assert_int_equal(taken(rec_event_change_put(&buf, &change)), 0);
	assert_int_equal(taken(rec_event_room_put(&buf, REC_EVENT_ROOM_UPDATED,
			     &room)),
	    0);
	change.text = room.text = text(1);
	assert_int_equal(taken(rec_event_change_put(&buf, &change)), -1);
	assert_int_equal(taken(rec_event_room_put(&buf, REC_EVENT_ROOM_DELETED,
			     &room)),
	    -1);
}

static void
test_texts_of_rooms(void **state)
{
	struct rec_op_room_update update = sample_update;

	(void)state;
	update.name = update.metadata = text(0);
	assert_int_equal(taken(rec_op_room_update_put(&buf, &update)), 0);
	update.name = text(1024);
	update.metadata = text(64 * 1024);
	assert_int_equal(taken(rec_op_room_update_put(&buf, &update)), 0);
	update.name = text(1025);
	assert_int_equal(taken(rec_op_room_update_put(&buf, &update)), -1);
	update.name = text(0);
	update.metadata = text(64 * 1024 + 1);
	assert_int_equal(taken(rec_op_room_update_put(&buf, &update)), -1);
}

static void
test_numbers_out_of_range(void **state)
{
	struct rec_hello hello = sample_hello;
	struct rec_peer peer = sample_peer;
	struct rec_op_room_create room = sample_room;
	struct rec_op_members_add add = sample_add;
	struct rec_reply reply = sample_reply;

	(void)state;
	for (int v = 0; v < 256; v++) {
		hello.role = (uint8_t)v;
		assert_int_equal(taken(rec_hello_put(&buf, &hello)),
		    v <= ROLE_COURIER ? 0 : -1);
		peer.role = (uint8_t)v;
		assert_int_equal(taken(rec_peer_put(&buf, &peer)),
		    v <= ROLE_COURIER ? 0 : -1);
		room.type = (uint8_t)v;
		assert_int_equal(taken(rec_op_room_create_put(&buf, &room)),
		    v >= ROOM_DM && v <= ROOM_CHANNEL ? 0 : -1);
		add.role = (uint8_t)v;
		assert_int_equal(taken(rec_op_members_add_put(&buf, &add)),
		    v <= MEMBER_UNCHANGED ? 0 : -1);
		reply.outcome = (uint8_t)v;
		assert_int_equal(taken(rec_reply_put(&buf, &reply)),
		    v < OUTCOME_LAST ? 0 : -1);
		hello.role = ROLE_WORKER;
		peer.role = ROLE_WORKER;
		hello.slot = peer.slot = (uint32_t)v;
		assert_int_equal(taken(rec_hello_put(&buf, &hello)),
		    v < PAGE_WORKERS_MAX ? 0 : -1);
		assert_int_equal(taken(rec_peer_put(&buf, &peer)),
		    v < PAGE_WORKERS_MAX ? 0 : -1);
	}
}

static void
test_flags(void **state)
{
	struct wire_record w;
	struct rec_attached attached;
	struct rec_event_typing typing;

	(void)state;
	rec_attached_put(&buf, &sample_attached);
	wire_next((uint8_t *)buf_head(&buf), buf.len, &w);
	buf_head(&buf)[WIRE_HEADER + 8] = 2;
	assert_int_equal(rec_attached_get(&w, &attached), -1);
	buf_head(&buf)[WIRE_HEADER + 8] = 0;
	assert_int_equal(rec_attached_get(&w, &attached), 0);
	assert_false(attached.granted);
	buf_clear(&buf);
	rec_event_typing_put(&buf, &sample_typing);
	wire_next((uint8_t *)buf_head(&buf), buf.len, &w);
	buf_head(&buf)[WIRE_HEADER + 16] = 2;
	assert_int_equal(rec_event_typing_get(&w, &typing), -1);
	buf_head(&buf)[WIRE_HEADER + 16] = 0;
	assert_int_equal(rec_event_typing_get(&w, &typing), 0);
	assert_false(typing.start);
}

static void
test_lists_of_users(void **state)
{
	struct str *list = calloc(EVENT_USERS_MAX + 1, sizeof(*list));
	struct rec_event_members members = sample_members;
	struct rec_op_room_create room = sample_room;
	struct rec_op_members_add add = sample_add;

	(void)state;
	for (int i = 0; i <= EVENT_USERS_MAX; i++)
		list[i] = text(128);
	members.list = room.list = add.list = list;
	members.nusers = room.nusers = add.nusers = EVENT_USERS_MAX;
	room.metadata = text(64 * 1024);
	assert_int_equal(taken(rec_event_members_put(&buf, REC_EVENT_JOINED,
			     &members)),
	    0);
	assert_int_equal(taken(rec_op_room_create_put(&buf, &room)), 0);
	assert_int_equal(taken(rec_op_members_add_put(&buf, &add)), 0);
	/* One too many is not even written. */
	members.nusers = room.nusers = add.nusers = EVENT_USERS_MAX + 1;
	assert_int_equal(rec_event_members_put(&buf, REC_EVENT_JOINED,
			     &members),
	    -1);
	assert_int_equal(rec_op_room_create_put(&buf, &room), -1);
	assert_int_equal(rec_op_members_add_put(&buf, &add), -1);
	assert_int_equal(buf.len, 0);
	assert_false(buf.failed);
	/* One bad name among good ones. */
	members.nusers = room.nusers = add.nusers = 1000;
	list[998] = text(129);
	assert_int_equal(taken(rec_event_members_put(&buf, REC_EVENT_JOINED,
			     &members)),
	    -1);
	assert_int_equal(taken(rec_op_room_create_put(&buf, &room)), -1);
	list[998] = text(0);
	assert_int_equal(taken(rec_op_members_add_put(&buf, &add)), -1);
	free(list);
}

static void
test_interest_keys(void **state)
{
	uint64_t *keys = calloc(INTEREST_KEYS_MAX, sizeof(*keys));
	struct rec_interest r = { .serial = 1, .add = keys, .del = keys };

	(void)state;
	assert_int_equal(taken(rec_interest_put(&buf, &r)), 0);
	r.nadd = 1;
	r.ndel = INTEREST_KEYS_MAX - 1;
	assert_int_equal(taken(rec_interest_put(&buf, &r)), 0);
	r.ndel++;
	assert_int_equal(rec_interest_put(&buf, &r), -1);
	r.nadd = 2;
	r.ndel = UINT32_MAX;
	assert_int_equal(rec_interest_put(&buf, &r), -1);
	r.nadd = UINT32_MAX;
	r.ndel = 2;
	assert_int_equal(rec_interest_put(&buf, &r), -1);
	assert_int_equal(buf.len, 0);
	free(keys);
}

static void
test_publish_keys(void **state)
{
	uint64_t *keys = calloc(PUBLISH_KEYS_MAX + 1, sizeof(*keys));
	size_t at;

	(void)state;
	at = rec_publish_begin(&buf, keys, PUBLISH_KEYS_MAX);
	rec_event_tenant_put(&buf, &sample_tenant);
	assert_int_equal(taken(rec_publish_end(&buf, at)), 0);
	at = rec_publish_begin(&buf, keys, PUBLISH_KEYS_MAX + 1);
	rec_event_tenant_put(&buf, &sample_tenant);
	assert_int_equal(rec_publish_end(&buf, at), -1);
	assert_int_equal(buf.len, 0);
	assert_false(buf.failed);
	free(keys);
}

/* An event that did not fit takes its envelope with it, and nothing else. */
static void
test_publish_of_nothing(void **state)
{
	struct rec_event_message message = sample_message;
	size_t before, at;

	(void)state;
	rec_event_tenant_put(&buf, &sample_tenant);
	before = buf.len;
	message.text = text(WIRE_RECORD_MAX);
	at = rec_publish_begin(&buf, sample_keys, 3);
	assert_int_equal(rec_event_message_put(&buf, &message), -1);
	assert_int_equal(rec_publish_end(&buf, at), -1);
	assert_int_equal(buf.len, before);
	/* The event alone fits; together they don't. */
	message.text = text(WIRE_RECORD_MAX - 80);
	at = rec_publish_begin(&buf, sample_keys, 3);
	assert_int_equal(rec_event_message_put(&buf, &message), 0);
	assert_int_equal(rec_publish_end(&buf, at), -1);
	assert_int_equal(buf.len, before);
	assert_false(buf.failed);
}

static void
test_publish_into_a_full_buffer(void **state)
{
	struct buf small;
	size_t at, whole;

	(void)state;
	at = rec_publish_begin(&buf, sample_keys, 3);
	rec_event_message_put(&buf, &sample_message);
	assert_int_equal(rec_publish_end(&buf, at), 0);
	whole = buf.len;
	for (size_t max = 1; max < whole; max++) {
		buf_init(&small, max);
		at = rec_publish_begin(&small, sample_keys, 3);
		(void)rec_event_message_put(&small, &sample_message);
		assert_int_equal(rec_publish_end(&small, at), -1);
		assert_true(small.failed);
		assert_int_equal(small.len, 0);
		buf_free(&small);
	}
}

static void
test_credentials_of_tokens(void **state)
{
	struct rec_op_ws_token_issue issue = sample_issue;

	(void)state;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), 0);
	issue.key = 1;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
	issue.jwt_n = 0;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
	issue.ends_ms = 0;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), 0);
	issue.user = text(128);
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), 0);
	issue.user = text(129);
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
	issue.user = text(0);
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
	issue.user = text(1);
	issue.key = UINT64_MAX;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
	issue.key = 0;
	assert_int_equal(taken(rec_op_ws_token_issue_put(&buf, &issue)), -1);
}

/* Only events are published, only operations and replies are passed on. */
static void
test_nested_types(void **state)
{
	struct wire_record op, reply, event;
	struct buf b;
	size_t at;

	(void)state;
	buf_init(&b, 10000);
	rec_op_key_used_put(&b, &sample_key_used);
	at = b.len;
	rec_reply_put(&b, &sample_reply);
	rec_event_tenant_put(&b, &sample_tenant);
	wire_next((uint8_t *)buf_head(&b), b.len, &op);
	wire_next((uint8_t *)buf_head(&b) + at, b.len - at, &reply);
	at += reply.whole_len;
	wire_next((uint8_t *)buf_head(&b) + at, b.len - at, &event);

	assert_int_equal(taken(rec_control_put(&buf, REC_CONTROL, 1, &op)), 0);
	assert_int_equal(taken(rec_control_put(&buf, REC_CONTROL_REPLY, 1,
			     &reply)),
	    0);
	assert_int_equal(taken(rec_control_put(&buf, REC_CONTROL, 1, &reply)),
	    -1);
	assert_int_equal(taken(rec_control_put(&buf, REC_CONTROL, 1, &event)),
	    -1);
	assert_int_equal(taken(rec_control_put(&buf, REC_CONTROL_REPLY, 1,
			     &op)),
	    -1);
	at = rec_publish_begin(&buf, sample_keys, 3);
	wire_put_bytes(&buf, op.whole, op.whole_len);
	assert_int_equal(rec_publish_end(&buf, at), -1);
	at = rec_publish_begin(&buf, sample_keys, 3);
	wire_put_bytes(&buf, event.whole, event.whole_len);
	wire_put_bytes(&buf, event.whole, event.whole_len);
	assert_int_equal(rec_publish_end(&buf, at), -1);
	assert_int_equal(buf.len, 0);
	buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_users),
		TEST(test_actors),
		TEST(test_tokens),
		TEST(test_texts),
		TEST(test_texts_of_changes),
		TEST(test_texts_of_rooms),
		TEST(test_numbers_out_of_range),
		TEST(test_flags),
		TEST(test_lists_of_users),
		TEST(test_credentials_of_tokens),
		TEST(test_interest_keys),
		TEST(test_publish_keys),
		TEST(test_publish_of_nothing),
		TEST(test_publish_into_a_full_buffer),
		TEST(test_nested_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
