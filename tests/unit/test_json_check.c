/* SPDX-License-Identifier: MIT */
/* The strict JSON check: RFC 8259's grammar, the numbers' borders, depth; and
 * json-c as a second opinion on thousands of mutated texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "common/json_check.h"

/* From memory that ends where the text ends, so that a sanitizer sees one
 * byte too many. */
static enum json_check
check_bytes(const char *s, size_t len)
{
	char *copy = malloc(len == 0 ? 1 : len);
	enum json_check res;

	assert_non_null(copy);
	memcpy(copy, s, len);
	res = json_check(copy, len, JSON_DEPTH_MAX);
	free(copy);
	return res;
}

static void
expect_all(const char *const *texts, size_t n, enum json_check want)
{
	enum json_check got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = check_bytes(texts[i], strlen(texts[i]));
		if (got != want)
			fail_msg("%s: %d, not %d", texts[i], got, want);
	}
}

#define EXPECT(want, ...) \
	do { \
		static const char *const texts[] = { __VA_ARGS__ }; \
		expect_all(texts, sizeof(texts) / sizeof(texts[0]), want); \
	} while (0)

static void
test_grammar(void **state)
{
	(void)state;
	EXPECT(JSON_CHECK_OK, "{}", "[]", "null", "true", "false", "\"\"", "0",
	    " \t\r\n1 \t\r\n", "[1,2,3]", "[ 1 , [ ] , { } ]", "{\"a\":1}",
	    "{ \"a\" : { \"b\" : [ null , true ] } , \"c\":\"\"}",
	    "{\"a\":1,\"a\":2}", "{\"\":0}",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFfFf\"", "\"\x7f\"",
	    "[[],[[]],{\"x\":[]}]");
	EXPECT(JSON_CHECK_SYNTAX, "", " ", "{", "}", "[", "]", "[1", "[1,",
	    "[1,]", "[,1]", "[1 2]", "[1,,2]", "{]", "[}", "[1}", "{\"a\":1]",
	    "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{1:2}", "{a:1}",
	    "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\"::1}", "{\"a\":1:2}",
	    "1 2", "{}{}", "[]]", "nul", "nulll", "True", "TRUE", "NaN",
	    "Infinity", "-Infinity", "undefined", "'a'", "\"", "\"a", "\"\\",
	    "\"\\\"", "\"\\x\"", "\"\\u\"", "\"\\u12\"", "\"\\u123g\"",
	    "\"\\U1234\"", "\"\n\"", "\"\t\"", "\"\x1f\"", "// x\n1",
	    "/* x */1", "1/**/", "[1;2]", "\f1", "\v1", "\xef\xbb\xbf{}",
	    "\xc2\xa0 1", "{\"a\":\xc3\xa4}", "\x80", "\"a\"\"b\"", ":", ",",
	    "true false", "truefalse", "-", "+1", ".5", "1.", "1.e1", "1e",
	    "1e+", "1e-", "01", "-01", "00", "-a", "0x10", "1_000", "1,5",
	    "1.2.3", "1e5.5", "--1", "1-", "١");
}

static void
test_bytes_in_texts(void **state)
{
	(void)state;
	assert_int_equal(check_bytes("\"a\0b\"", 5), JSON_CHECK_SYNTAX);
	assert_int_equal(check_bytes("1\0", 2), JSON_CHECK_SYNTAX);
	assert_int_equal(check_bytes("\0", 1), JSON_CHECK_SYNTAX);
	EXPECT(JSON_CHECK_OK, "\"\xc3\xa4\"", "\"\xe2\x82\xac\"",
	    "\"\xf0\x9f\x98\x80\"", "\"\xf4\x8f\xbf\xbf\"",
	    "\"12345678\xc3\xa4 12345678\xc3\xa4\"",
	    "{\"\xc3\xa4\":\"\xef\xbb\xbf\"}");
	EXPECT(JSON_CHECK_UTF8, "\"\x80\"", "\"\xc3\"", "\"\xc3",
	    "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
	    "\"\xff\"", "{\"\xc3\":1}", "\"1234567\x80\"", "\"\xe2\x82\"");
	EXPECT(JSON_CHECK_OK, "\"\\ud83d\\ude00\"", "\"\\uD800\\uDC00\"",
	    "\"\\udbff\\udfff\"", "\"\\ud7ff\\ue000\"");
	EXPECT(JSON_CHECK_SURROGATE, "\"\\ud83d\"", "\"\\ude00\"",
	    "\"\\ude00\\ud83d\"", "\"\\ud83d\\ud83d\\ude00\"", "\"\\ud83dx\"",
	    "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "{\"\\udfff\":1}",
	    "\"\\ud800");
	EXPECT(JSON_CHECK_KEY, "{\"\\u0000\":1}", "{\"type\\u0000x\":1}",
	    "[{\"a\":{\"b\\u0000\":1}}]");
}

static void
test_numbers(void **state)
{
	static char text[3000];
	int i;

	(void)state;
	EXPECT(JSON_CHECK_OK, "-0", "-0.0", "0e0", "1E+2", "1e-2", "10.25e3",
	    "18446744073709551615", "9223372036854775808",
	    "-9223372036854775808", "999999999999999999", "1e308",
	    "1.7976931348623157e308", "17976931348623157e292",
	    "0.00000000017976931348623157e318", "-1.7976931348623157e+308",
	    "1e-400", "0e999999999999999999999", "0.000e99999",
	    "1e-99999999999999999999999", "4.9e-324",
	    /* Rounds down to the largest double. */
	    "1.7976931348623158079e308", "18446744073709551616.0",
	    "0.000000000000000000000000000000000000000000000000001e359");
	EXPECT(JSON_CHECK_NUMBER, "18446744073709551616",
	    "-9223372036854775809", "99999999999999999999",
	    "100000000000000000000000000000", "-18446744073709551615", "1e309",
	    "-1e309", "1e400", "1e99999999999999999999999999",
	    /* The first that rounds to infinity. */
	    "1.7976931348623158080e308", "17976931348623159e292",
	    "0.000000000000000000000000000000000000000000000000001e360",
	    "[1,{\"a\":1e999}]");
	/* 2^1024 - 2^970, half way to what would be next, is infinite as its
	 * tie goes to even; any less is not. */
	EXPECT(JSON_CHECK_NUMBER,
	    "1797693134862315807937289714053034150799341327100378269361737"
	    "7898044496829276475094664901797758720709633028641669288791094"
	    "6555547851940402630657488671505820681908902000708383676273854"
	    "8458177115317644757302700698555713669596228429148198608349364"
	    "7529271907416844436551070434271155969950809304288017790417449"
	    "7792.0");
	EXPECT(JSON_CHECK_OK,
	    "1797693134862315807937289714053034150799341327100378269361737"
	    "7898044496829276475094664901797758720709633028641669288791094"
	    "6555547851940402630657488671505820681908902000708383676273854"
	    "8458177115317644757302700698555713669596228429148198608349364"
	    "7529271907416844436551070434271155969950809304288017790417449"
	    "7791.9");
	/* As long as one likes. */
	memset(text, '0', sizeof(text) - 1);
	text[1] = '.';
	text[sizeof(text) - 2] = '1';
	assert_int_equal(check_bytes(text, sizeof(text) - 1), JSON_CHECK_OK);
	memset(text, '9', 308);
	text[308] = '.';
	assert_int_equal(check_bytes(text, sizeof(text) - 1), JSON_CHECK_OK);
	memset(text, '9', 309);
	text[309] = '.';
	assert_int_equal(check_bytes(text, sizeof(text) - 1),
	    JSON_CHECK_NUMBER);
	for (i = 1; i < 25; i++) {
		memset(text, '1', (size_t)i);
		assert_int_equal(check_bytes(text, (size_t)i),
		    i <= 20 ? JSON_CHECK_OK : JSON_CHECK_NUMBER);
	}
}

/* n open brackets of the one or the other kind, and their ends. */
static size_t
nest(char *out, size_t n, char kind)
{
	char *o = out;
	size_t i;

	for (i = 0; i < n; i++) {
		*o++ = kind;
		if (kind == '{' && i + 1 < n) {
			memcpy(o, "\"\":", 3);
			o += 3;
		}
	}
	for (i = 0; i < n; i++)
		*o++ = kind == '{' ? '}' : ']';
	return (size_t)(o - out);
}

static void
test_depth(void **state)
{
	char text[1000];
	size_t n;
	int max;

	(void)state;
	for (max = 0; max <= 64; max++)
		for (n = 1; n <= 70; n++) {
			enum json_check want = n <= (size_t)max ?
			    JSON_CHECK_OK :
			    JSON_CHECK_DEPTH;

			assert_int_equal(json_check(text, nest(text, n, '['),
					     max),
			    want);
			assert_int_equal(json_check(text, nest(text, n, '{'),
					     max),
			    want);
		}
	assert_int_equal(json_check("1", 1, 0), JSON_CHECK_OK);
	/* More than the bitmap holds is not asked of it. */
	assert_int_equal(json_check(text, nest(text, 65, '['), 1000),
	    JSON_CHECK_DEPTH);
	/* What json-c parses with one level more. */
	n = nest(text, JSON_DEPTH_MAX, '[');
	assert_int_equal(json_check(text, n, JSON_DEPTH_MAX), JSON_CHECK_OK);
}

static void
test_string_positions(void **state)
{
	static const char specials[] = "\"\\\x01\x1f\x80";
	char text[64];
	size_t len, i, k;

	(void)state;
	/* Each special byte at each place of a word of eight. */
	for (len = 2; len < 40; len++)
		for (i = 1; i + 1 < len; i++)
			for (k = 0; k < sizeof(specials) - 1; k++) {
				memset(text, '!', len);
				text[0] = text[len - 1] = '"';
				assert_int_equal(check_bytes(text, len),
				    JSON_CHECK_OK);
				text[i] = specials[k];
				assert_int_equal(check_bytes(text, len),
				    k == 4 ? JSON_CHECK_UTF8 :
					     JSON_CHECK_SYNTAX);
			}
}

/* Does json-c, told to be strict, parse all of it? */
static bool
jsonc_parses(const char *s, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	struct json_object *o;
	bool ok;

	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, s, (int)len);
	/* A number at the end could go on. */
	if (json_tokener_get_error(tok) == json_tokener_continue)
		o = json_tokener_parse_ex(tok, "", 1);
	ok = json_tokener_get_error(tok) == json_tokener_success;
	json_object_put(o);
	json_tokener_free(tok);
	return ok;
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* What the check lets through, json-c parses: else a client would be told
 * something is wrong that the check did not find. */
static void
test_jsonc_agrees(void **state)
{
	static const char *const seeds[] = {
		("{\"type\":\"send_message\",\"room_id\":\"room_x\","
		 "\"content\":\"hi \\u00e4 \\ud83d\\ude00\",\"meta\":"
		 "{\"a\":[1,2.5,-3e2,null,true],\"b\":{}}}"),
		"[[[[1]]],{\"x\":{\"y\":[false]}},\"\xc3\xa4\xe2\x82\xac\"]",
		("{\"n\":18446744073709551615,\"m\":-9223372036854775808,"
		 "\"r\":1.25e-7}"),
	};
	static const char alphabet[] =
	    "{}[]:,\"\\ud09eE+-. \t\ntrufalsn\x80\xc3\xa4";
	uint32_t seed = 8259, accepted = 0;
	char text[256];
	size_t len, at, i;
	int round, edits;

	(void)state;
	for (round = 0; round < 60000; round++) {
		i = next_random(&seed) % 3;
		len = strlen(seeds[i]);
		memcpy(text, seeds[i], len);
		for (edits = next_random(&seed) % 3 + 1; edits > 0; edits--) {
			at = next_random(&seed) % len;
			text[at] = alphabet[next_random(&seed) %
			    (sizeof(alphabet) - 1)];
		}
		if (check_bytes(text, len) != JSON_CHECK_OK)
			continue;
		accepted++;
		if (!jsonc_parses(text, len))
			fail_msg("json-c refuses: %.*s", (int)len, text);
	}
	assert_in_range(accepted, 1000, 59000);
}

static void
test_messages(void **state)
{
	int i;

	(void)state;
	for (i = JSON_CHECK_SYNTAX; i <= JSON_CHECK_KEY; i++)
		assert_true(strlen(json_check_message(i)) > 10);
	assert_string_not_equal(json_check_message(JSON_CHECK_DEPTH),
	    json_check_message(JSON_CHECK_SYNTAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_bytes_in_texts),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_string_positions),
		cmocka_unit_test(test_jsonc_agrees),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
