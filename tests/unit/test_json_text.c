/* SPDX-License-Identifier: MIT */
/* JSON text: the escapes that RFC 8259 demands, no others, and json-c reading
 * back what was written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "common/buf.h"
#include "common/json_check.h"
#include "common/json_text.h"

static void
expect_text(const char *s, size_t len, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	json_text_string(&b, s, len);
	assert_false(b.failed);
	assert_int_equal(b.len, strlen(want));
	assert_memory_equal(buf_head(&b), want, b.len);
	buf_free(&b);
}

static void
test_escapes(void **state)
{
	char want[16];
	char ch;

	(void)state;
	expect_text("", 0, "\"\"");
	expect_text("plain", 5, "\"plain\"");
	expect_text("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
	expect_text("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
	expect_text("a\0b", 3, "\"a\\u0000b\"");
	expect_text("\x7f", 1, "\"\x7f\"");
	expect_text("\xe2\x80\xa8\xe2\x80\xa9", 6,
	    "\"\xe2\x80\xa8\xe2\x80\xa9\"");
	expect_text("\xf0\x9f\x98\x80<>&'", 8, "\"\xf0\x9f\x98\x80<>&'\"");
	for (ch = 0; ch < 0x20; ch++) {
		if (strchr("\b\f\n\r\t", ch) != NULL && ch != 0)
			continue;
		snprintf(want, sizeof(want), "\"\\u%04x\"", ch);
		expect_text(&ch, 1, want);
	}
}

static void
test_read_back(void **state)
{
	struct json_object *o;
	struct buf b;
	char text[300];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 37 % 128);
	buf_init(&b, 4096);
	for (len = 0; len <= sizeof(text); len++) {
		buf_clear(&b);
		json_text_string(&b, text, len);
		assert_int_equal(json_check(buf_head(&b), b.len, 1),
		    JSON_CHECK_OK);
		assert_int_equal(buf_add(&b, "", 1), 0);
		o = json_tokener_parse(buf_head(&b));
		assert_non_null(o);
		assert_int_equal(json_object_get_string_len(o), len);
		assert_memory_equal(json_object_get_string(o), text, len);
		json_object_put(o);
	}
	buf_free(&b);
}

/* Each byte at each place of a word of eight, among ASCII and others. */
static void
test_positions(void **state)
{
	char text[40], want[64];
	size_t len, i;
	unsigned ch, fill;

	(void)state;
	for (fill = 0x61; fill < 0x100; fill += 0x9e)
		for (len = 1; len < sizeof(text); len++)
			for (i = 0; i < len; i++)
				for (ch = 0x20; ch < 0x100; ch++) {
					bool escaped = ch == '"' || ch == '\\';

					memset(text, (int)fill, len);
					text[i] = (char)ch;
					want[0] = '"';
					memcpy(want + 1, text, i);
					want[1 + i] = '\\';
					memcpy(want + 1 + i + escaped, text + i,
					    len - i);
					strcpy(want + 1 + len + escaped, "\"");
					want[2 + len + escaped] = '\0';
					expect_text(text, len, want);
				}
}

static void
test_maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	json_text_string(&b, "123456", 6);
	assert_false(b.failed);
	assert_int_equal(b.len, 8);
	buf_clear(&b);
	json_text_string(&b, "1234567", 7);
	assert_true(b.failed);
	assert_true(b.len <= 8);
	buf_clear(&b);
	json_text_string(&b, "\x01\x01\x01\x01", 4);
	assert_true(b.failed);
	buf_free(&b);
}

static void
test_time(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	json_text_time(&b, INT64_C(1795372516123));
	assert_int_equal(b.len, 26);
	assert_memory_equal(buf_head(&b), "\"2026-11-22T18:35:16.123Z\"", 26);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
