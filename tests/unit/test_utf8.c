/* SPDX-License-Identifier: MIT */
/* UTF-8 validity against RFC 3629, every code point included. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/utf8.h"

/* Encodes by the RFC's table, without asking whether it may. */
static size_t
encode(char out[4], uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

static void
test_every_code_point(void **state)
{
	char text[4];
	uint32_t cp;
	size_t n, cut;
	bool scalar;

	(void)state;
	for (cp = 0; cp < 0x140000; cp++) {
		n = encode(text, cp);
		scalar = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
		assert_int_equal(utf8_valid(text, n), scalar);
		assert_int_equal(utf8_run(text, n),
		    scalar && cp >= 0x80 ? n : 0);
		for (cut = 1; cut < n; cut++)
			assert_false(utf8_valid(text, cut));
	}
}

/* Every pair of bytes, and every triple behind a leading byte of three: the
 * valid ones must be exactly those that encode() makes. */
static void
test_every_short_sequence(void **state)
{
	unsigned a, b, c, found = 0;
	char text[3];

	(void)state;
	for (a = 0x80; a < 0x100; a++)
		for (b = 0; b < 0x100; b++) {
			text[0] = (char)a;
			text[1] = (char)b;
			found += utf8_run(text, 2) == 2;
			for (c = 0; a >= 0xe0 && c < 0x100; c++) {
				text[2] = (char)c;
				found += utf8_run(text, 3) == 3;
			}
		}
	assert_int_equal(found, (0x800 - 0x80) + (0x10000 - 0x800 - 0x800));
}

static void
test_every_long_beginning(void **state)
{
	unsigned a, b, found = 0;
	char text[4] = { 0, 0, (char)0x80, (char)0x80 };

	(void)state;
	for (a = 0xf0; a < 0x100; a++)
		for (b = 0; b < 0x100; b++) {
			text[0] = (char)a;
			text[1] = (char)b;
			found += utf8_sequence(text, 4) == 4;
		}
	/* One for each 4,096 code points above the basic plane. */
	assert_int_equal(found, 0x100000 / 4096);
}

static void
test_run(void **state)
{
	(void)state;
	assert_int_equal(utf8_run("", 0), 0);
	assert_int_equal(utf8_run("a", 1), 0);
	assert_int_equal(utf8_run("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x", 10),
	    9);
	assert_int_equal(utf8_run("\xc3\xa4\xe2\x82\xac", 4), 2);
	assert_int_equal(utf8_run("\xc3\xa4\x80", 3), 2);
}

static void
test_position(void **state)
{
	char text[40];
	size_t i;

	(void)state;
	/* A bad byte is seen wherever it stands against the words of eight. */
	for (i = 0; i < sizeof(text); i++) {
		memset(text, 'x', sizeof(text));
		assert_true(utf8_valid(text, sizeof(text)));
		text[i] = (char)0x80;
		assert_false(utf8_valid(text, sizeof(text)));
		assert_true(utf8_valid(text, i));
	}
	for (i = 0; i + 4 <= sizeof(text); i++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		assert_true(utf8_valid(text, sizeof(text)));
		assert_false(utf8_valid(text, i + 3));
	}
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\0b", 3));
}

static bool
id(const char *s)
{
	return utf8_user_id_valid(s, strlen(s));
}

static void
test_user_id(void **state)
{
	char text[USER_ID_MAX + 2];

	(void)state;
	assert_true(id("alice"));
	assert_true(id("with space/and:more"));
	assert_true(id("\xc3\xa4\xf0\x9f\x98\x80"));
	assert_true(id("\xc2\xa0")); /* the first behind C1 */
	assert_false(id(""));
	assert_false(id("a\tb"));
	assert_false(id("a\n"));
	assert_false(id("\x7f"));
	assert_false(id("x\xc2\x80"));
	assert_false(id("x\xc2\x9f"));
	assert_false(id("\xff"));
	assert_false(utf8_user_id_valid("a\0b", 3));
	memset(text, 'u', sizeof(text));
	assert_true(utf8_user_id_valid(text, USER_ID_MAX));
	assert_false(utf8_user_id_valid(text, USER_ID_MAX + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_every_short_sequence),
		cmocka_unit_test(test_every_long_beginning),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_position),
		cmocka_unit_test(test_user_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
