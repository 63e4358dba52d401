/* SPDX-License-Identifier: MIT */
/* The JSON forms of a message, to the byte, and as valid JSON whatever the
 * texts in them hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <string.h>

#include "common/buf.h"
#include "common/json_check.h"
#include "common/message.h"

#define TOKEN "01kapdck0vabcdefghjkmn"
#define ID "msg_01kapdck0v" TOKEN "000000017"
#define CREATED INT64_C(1763836316699)
#define CREATED_TEXT "2025-11-22T18:31:56.699Z"

static struct message
sample(void)
{
	return (struct message){ .room_token = TOKEN,
		.seq = 39,
		.created_ms = CREATED,
		.sender = "alice",
		.sender_len = 5,
		.content = "hi",
		.content_len = 2 };
}

static void
assert_json(const struct message *m, enum message_form form, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	message_json(&b, m, form);
	assert_false(b.failed);
	buf_add(&b, "", 1);
	assert_string_equal(buf_head(&b), want);
	assert_int_equal(json_check(buf_head(&b), b.len - 1, 34),
	    JSON_CHECK_OK);
	buf_free(&b);
}

static void
test_plain(void **state)
{
	struct message m = sample();

	(void)state;
	assert_json(&m, MESSAGE_FRAME,
	    "{\"type\":\"message\",\"room_id\":\"room_" TOKEN
	    "\",\"message_id\":\"" ID "\",\"seq\":39,\"sender_id\":\"alice\","
	    "\"content\":\"hi\",\"created_at\":\"" CREATED_TEXT "\"}");
	assert_json(&m, MESSAGE_REST,
	    "{\"message_id\":\"" ID "\",\"room_id\":\"room_" TOKEN
	    "\",\"sender_id\":\"alice\",\"seq\":39,\"content\":\"hi\","
	    "\"created_at\":\"" CREATED_TEXT "\"}");
}

static void
test_meta(void **state)
{
	struct message m = sample();

	(void)state;
	m.meta = "{\"a\":[1,null]}, this is beyond its end";
	m.meta_len = 14;
	/* Its own connections are told apart; see message_json_own(). */
	m.client_msg_id = "c1";
	m.client_msg_id_len = 2;
	assert_json(&m, MESSAGE_FRAME,
	    "{\"type\":\"message\",\"room_id\":\"room_" TOKEN
	    "\",\"message_id\":\"" ID "\",\"seq\":39,\"sender_id\":\"alice\","
	    "\"content\":\"hi\",\"meta\":{\"a\":[1,null]},"
	    "\"created_at\":\"" CREATED_TEXT "\"}");
}

static void
test_edited(void **state)
{
	struct message m = sample();

	(void)state;
	m.rev = 3;
	m.edited_ms = CREATED + 1000;
	assert_json(&m, MESSAGE_REST,
	    "{\"message_id\":\"" ID "\",\"room_id\":\"room_" TOKEN
	    "\",\"sender_id\":\"alice\",\"seq\":39,\"content\":\"hi\","
	    "\"created_at\":\"" CREATED_TEXT "\",\"rev\":3,"
	    "\"edited_at\":\"2025-11-22T18:31:57.699Z\"}");
}

/* Nothing of a deleted message's text leaves, even if it were still there. */
static void
test_tombstone(void **state)
{
	struct message m = sample();

	(void)state;
	m.rev = 4;
	m.deleted_ms = CREATED + 2000;
	m.meta = "1";
	m.meta_len = 1;
	assert_json(&m, MESSAGE_FRAME,
	    "{\"type\":\"message\",\"room_id\":\"room_" TOKEN
	    "\",\"message_id\":\"" ID "\",\"seq\":39,\"sender_id\":\"alice\","
	    "\"created_at\":\"" CREATED_TEXT "\",\"rev\":4,"
	    "\"deleted_at\":\"2025-11-22T18:31:58.699Z\"}");
	m.content = m.meta = NULL;
	m.content_len = m.meta_len = 0;
	assert_json(&m, MESSAGE_REST,
	    "{\"message_id\":\"" ID "\",\"room_id\":\"room_" TOKEN
	    "\",\"sender_id\":\"alice\",\"seq\":39,"
	    "\"created_at\":\"" CREATED_TEXT "\",\"rev\":4,"
	    "\"deleted_at\":\"2025-11-22T18:31:58.699Z\"}");
}

/* What a change is to those who have the message already. */
static void
test_change(void **state)
{
	struct message m = sample();

	(void)state;
	m.rev = 3;
	m.edited_ms = CREATED + 1000;
	m.meta = "1";
	m.meta_len = 1;
	assert_json(&m, MESSAGE_CHANGE,
	    "{\"type\":\"message.edited\",\"room_id\":\"room_" TOKEN
	    "\",\"message_id\":\"" ID "\",\"seq\":39,\"rev\":3,"
	    "\"sender_id\":\"alice\",\"content\":\"hi\","
	    "\"edited_at\":\"2025-11-22T18:31:57.699Z\"}");
	m.rev = 4;
	m.deleted_ms = CREATED + 2000;
	assert_json(&m, MESSAGE_CHANGE,
	    "{\"type\":\"message.deleted\",\"room_id\":\"room_" TOKEN
	    "\",\"message_id\":\"" ID "\",\"seq\":39,\"rev\":4}");
}

/* A member of a JSON object, as another implementation reads it. */
static void
assert_member(struct json_object *o, const char *key, const char *s, size_t len)
{
	struct json_object *v = json_object_object_get(o, key);

	assert_non_null(v);
	assert_int_equal(json_object_get_string_len(v), len);
	assert_memory_equal(json_object_get_string(v), s, len);
}

static void
test_any_text_survives(void **state)
{
	static const char content[] = "\"\\/\b\f\n\r\t\x01\x1f\x7f \0 "
				      "\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80";
	struct message m = sample();
	struct json_object *o;
	struct buf b;

	(void)state;
	m.content = content;
	m.content_len = sizeof(content) - 1;
	m.sender = "a\"b\\c";
	m.sender_len = 5;
	buf_init(&b, 4096);
	message_json(&b, &m, MESSAGE_FRAME);
	assert_int_equal(json_check(buf_head(&b), b.len, 34), JSON_CHECK_OK);
	buf_add(&b, "", 1);
	o = json_tokener_parse(buf_head(&b));
	assert_non_null(o);
	assert_member(o, "content", content, sizeof(content) - 1);
	assert_member(o, "sender_id", "a\"b\\c", 5);
	json_object_put(o);
	buf_free(&b);
}

static void
test_own(void **state)
{
	struct message m = sample();
	struct buf b, own;
	struct json_object *o;

	(void)state;
	buf_init(&b, 4096);
	buf_init(&own, 4096);
	message_json(&b, &m, MESSAGE_FRAME);
	message_json_own(&own, buf_head(&b), b.len, "a\"1", 3);
	assert_memory_equal(buf_head(&own), buf_head(&b), b.len - 1);
	buf_add(&own, "", 1);
	assert_string_equal(buf_head(&own) + b.len - 1,
	    ",\"client_msg_id\":\"a\\\"1\"}");
	o = json_tokener_parse(buf_head(&own));
	assert_non_null(o);
	assert_member(o, "client_msg_id", "a\"1", 3);
	json_object_put(o);
	buf_free(&own);
	/* What is no object is not made one. */
	message_json_own(&own, "", 0, "x", 1);
	assert_true(own.failed);
	buf_clear(&own);
	message_json_own(&own, "[1]", 3, "x", 1);
	assert_true(own.failed);
	assert_int_equal(own.len, 0);
	buf_free(&own);
	buf_free(&b);
}

static void
test_full_buffer_says_so(void **state)
{
	struct message m = sample();
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b, 4096);
	message_json(&b, &m, MESSAGE_FRAME);
	len = b.len;
	buf_free(&b);
	for (size_t max = 0; max < len; max++) {
		buf_init(&b, max);
		message_json(&b, &m, MESSAGE_FRAME);
		assert_true(b.failed);
		buf_free(&b);
	}
	buf_init(&b, len);
	message_json(&b, &m, MESSAGE_FRAME);
	assert_false(b.failed);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_edited),
		cmocka_unit_test(test_tombstone),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_any_text_survives),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_full_buffer_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
