/* SPDX-License-Identifier: MIT */
/* API keys and the hashes that stand for keys and messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/key.h"

#define BODY "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk019-_"

static void
test_new_keys(void **state)
{
	char a[KEY_TEXT_SIZE], b[KEY_TEXT_SIZE];
	uint8_t ha[KEY_HASH_SIZE], hb[KEY_HASH_SIZE], again[KEY_HASH_SIZE];

	(void)state;
	for (int i = 0; i < 200; i++) {
		key_new(a);
		key_new(b);
		assert_int_equal(strlen(a), KEY_TEXT_SIZE - 1);
		assert_memory_equal(a, "sk_", 3);
		assert_string_not_equal(a, b);
		assert_true(key_hash(a, strlen(a), ha));
		assert_true(key_hash(b, strlen(b), hb));
		assert_memory_not_equal(ha, hb, KEY_HASH_SIZE);
		assert_true(key_hash(a, strlen(a), again));
		assert_memory_equal(ha, again, KEY_HASH_SIZE);
	}
}

/* Rests in databases: it must never change. */
static void
test_hash_is_blake2b(void **state)
{
	static const uint8_t want[KEY_HASH_SIZE] = { 0xe0, 0xee, 0x6b, 0x4e,
		0x8c, 0xb8, 0xab, 0xc2, 0xea, 0x67, 0xf9, 0x62, 0x8b, 0xdc,
		0x91, 0xb2, 0x60, 0x90, 0x78, 0xeb, 0x02, 0x4a, 0x18, 0xc2,
		0x4f, 0xe6, 0xfc, 0x7e, 0xee, 0x1a, 0xe4, 0x3a };
	const char *key = "sk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	uint8_t h[KEY_HASH_SIZE];

	(void)state;
	assert_true(key_hash(key, strlen(key), h));
	assert_memory_equal(h, want, KEY_HASH_SIZE);
}

static void
test_what_is_no_key(void **state)
{
	static const char *const bad[] = { "", "sk_", "x", "sk_" BODY,
		"sk_" BODY "aa", "SK_" BODY "a", "pk_" BODY "a", "sk_" BODY "+",
		"sk_" BODY "/", "sk_" BODY "=", "sk_" BODY " ", "sk_" BODY "\n",
		"sk_" BODY "\xc3", " sk_" BODY, "sk-" BODY "a" };
	uint8_t h[KEY_HASH_SIZE];

	(void)state;
	assert_true(key_hash("sk_" BODY "a", 46, h));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(key_hash(bad[i], strlen(bad[i]), h));
	/* A NUL inside is no end. */
	assert_false(key_hash("sk_" BODY "\0", 46, h));
}

static void
test_ws_tokens(void **state)
{
	char a[KEY_WS_TOKEN_SIZE], b[KEY_WS_TOKEN_SIZE];
	uint8_t ha[KEY_HASH_SIZE], hb[KEY_HASH_SIZE];

	(void)state;
	for (int i = 0; i < 200; i++) {
		key_ws_token_new(a);
		key_ws_token_new(b);
		assert_int_equal(strlen(a), KEY_WS_TOKEN_SIZE - 1);
		assert_memory_equal(a, "wst_", 4);
		assert_true(key_ws_token_hash(a, strlen(a), ha));
		assert_true(key_ws_token_hash(b, strlen(b), hb));
		assert_memory_not_equal(ha, hb, KEY_HASH_SIZE);
		/* Neither is taken for the other. */
		assert_false(key_hash(a, strlen(a), ha));
		assert_false(key_hash(a + 1, strlen(a) - 1, ha));
	}
	key_new(a);
	assert_false(key_ws_token_hash(a, strlen(a), ha));
	assert_false(key_ws_token_hash("wst_" BODY "\0", 47, ha));
	assert_true(key_ws_token_hash("wst_" BODY "a", 47, ha));
	assert_false(key_ws_token_hash("wst_" BODY "a", 46, ha));
	assert_false(key_ws_token_hash("", 0, ha));
}

static void
test_equal_secrets(void **state)
{
	(void)state;
	assert_true(key_equal("", ""));
	assert_true(key_equal("master", "master"));
	assert_false(key_equal("master", "Master"));
	assert_false(key_equal("master", "master "));
	assert_false(key_equal("master", ""));
	assert_false(key_equal("", "master"));
}

static void
content_hash(uint8_t out[CONTENT_HASH_SIZE], const char *content,
    const char *meta)
{
	key_content_hash(out, content, strlen(content), meta,
	    meta == NULL ? 0 : strlen(meta));
}

static void
test_content_and_meta(void **state)
{
	static const struct {
		const char *content, *meta;
	} all[] = {
		{ "a", NULL },
		{ "ab", NULL },
		{ "a", "1" },
		{ "a1", NULL },
		{ "a", "\"1\"" },
		{ "A", NULL },
		{ "a{", "}" },
		{ "a", "{}" },
		{ "{}", "1" },
	};
	uint8_t a[CONTENT_HASH_SIZE], b[CONTENT_HASH_SIZE];
	size_t n = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			content_hash(a, all[i].content, all[i].meta);
			content_hash(b, all[k].content, all[k].meta);
			assert_int_equal(memcmp(a, b, sizeof(a)) == 0, i == k);
		}
	}
	/* A NUL counts. */
	key_content_hash(a, "a\0b", 3, NULL, 0);
	key_content_hash(b, "a\0c", 3, NULL, 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_keys),
		cmocka_unit_test(test_hash_is_blake2b),
		cmocka_unit_test(test_what_is_no_key),
		cmocka_unit_test(test_ws_tokens),
		cmocka_unit_test(test_equal_secrets),
		cmocka_unit_test(test_content_and_meta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
