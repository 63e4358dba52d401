/* SPDX-License-Identifier: MIT */
/* The members that requests and frames share: each limit at, below, above. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "worker/fields.h"

static struct json_object *
with_string(const char *name, size_t len)
{
	struct json_object *o = json_object_new_object();
	char *s = malloc(len + 1);

	memset(s, 'a', len);
	json_object_object_add(o, name,
	    json_object_new_string_len(s, (int)len));
	free(s);
	return o;
}

static void
test_content_limits(void **state)
{
	const struct {
		size_t len;
		int rc;
	} cases[] = { { 0, -1 }, { 1, 0 }, { FIELD_CONTENT_MAX, 0 },
		{ FIELD_CONTENT_MAX + 1, -1 } };
	struct field_error e;
	struct str s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *o = with_string("content", cases[i].len);

		assert_int_equal(field_content(o, &s, &e), cases[i].rc);
		if (cases[i].rc == 0)
			assert_int_equal(s.len, cases[i].len);
		else
			assert_string_equal(e.field, "content");
		json_object_put(o);
	}
}

static void
test_content_keeps_nul(void **state)
{
	struct json_object *o;
	struct field_error e;
	struct str s;

	(void)state;
	o = json_tokener_parse("{\"content\":\"a\\u0000b\"}");
	assert_int_equal(field_content(o, &s, &e), 0);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.p, "a\0b", 3);
	json_object_put(o);
}

static void
test_client_msg_id(void **state)
{
	struct json_object *o = json_object_new_object();
	struct field_error e;
	struct str s;

	(void)state;
	assert_int_equal(field_client_msg_id(o, &s, &e), 0);
	assert_int_equal(s.len, 0);
	json_object_put(o);
	o = with_string("client_msg_id", 128);
	assert_int_equal(field_client_msg_id(o, &s, &e), 0);
	json_object_put(o);
	o = with_string("client_msg_id", 129);
	assert_int_equal(field_client_msg_id(o, &s, &e), -1);
	json_object_put(o);
	o = json_tokener_parse("{\"client_msg_id\":7}");
	assert_int_equal(field_client_msg_id(o, &s, &e), -1);
	json_object_put(o);
}

static struct json_object *
nested(int depth)
{
	struct json_object *o = json_object_new_object();
	struct json_object *v = json_object_new_int(1);

	for (int i = 0; i < depth; i++) {
		struct json_object *a = json_object_new_array();

		json_object_array_add(a, v);
		v = a;
	}
	json_object_object_add(o, "meta", v);
	return o;
}

static void
test_meta_depth_and_size(void **state)
{
	struct field_error e;
	struct json_object *o;
	struct str s;

	(void)state;
	o = nested(32);
	assert_int_equal(field_json(o, "meta", &s, &e), 0);
	json_object_put(o);
	o = nested(33);
	assert_int_equal(field_json(o, "meta", &s, &e), -1);
	assert_string_equal(e.field, "meta");
	json_object_put(o);
	o = with_string("meta", FIELD_META_MAX - 2);
	assert_int_equal(field_json(o, "meta", &s, &e), 0);
	assert_int_equal(s.len, FIELD_META_MAX);
	json_object_put(o);
	o = with_string("meta", FIELD_META_MAX - 1);
	assert_int_equal(field_json(o, "meta", &s, &e), -1);
	json_object_put(o);
	o = json_tokener_parse("{\"meta\":null}");
	assert_int_equal(field_json(o, "meta", &s, &e), 0);
	assert_int_equal(s.len, 0);
	json_object_put(o);
}

static void
test_seq(void **state)
{
	const struct {
		const char *text;
		int rc;
	} cases[] = { { "{\"seq\":0}", 0 }, { "{\"seq\":-1}", -1 },
		{ "{\"seq\":9007199254740992}", 0 },
		{ "{\"seq\":9223372036854775807}", 0 }, { "{\"seq\":1.5}", -1 },
		{ "{\"seq\":\"1\"}", -1 }, { "{}", -1 },
		{ "{\"seq\":null}", -1 } };
	struct field_error e;
	uint64_t seq;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *o = json_tokener_parse(cases[i].text);

		assert_int_equal(field_seq(o, "seq", &seq, &e), cases[i].rc);
		json_object_put(o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_limits),
		cmocka_unit_test(test_content_keeps_nul),
		cmocka_unit_test(test_client_msg_id),
		cmocka_unit_test(test_meta_depth_and_size),
		cmocka_unit_test(test_seq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
