/* SPDX-License-Identifier: MIT */
/* Public ids: exact texts, both ways, sorting by time; and the keys by which
 * the hub routes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ids.h"

#define TOKEN "0123456789abcdefghjkmn"

static void
test_new_tokens(void **state)
{
	char a[ID_TOKEN_SIZE], b[ID_TOKEN_SIZE];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		id_token_new(a, 1795372516123 + i);
		id_token_new(b, 1795372516123 + i);
		assert_int_equal(strlen(a), ID_TOKEN_LEN);
		assert_true(id_token_valid(a, ID_TOKEN_LEN));
		/* The same time, another token. */
		assert_memory_equal(a, b, 10);
		assert_string_not_equal(a, b);
	}
}

static void
test_tokens_sort_by_time(void **state)
{
	static const int64_t times[] = { INT64_MIN, -1, 1, 31, 32, 1023, 1024,
		1795372516123, 1795372516124, (INT64_C(1) << 50) - 1 };
	char last[ID_TOKEN_SIZE] = "", a[ID_TOKEN_SIZE];

	(void)state;
	for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
		id_token_new(a, times[i]);
		assert_true(strcmp(last, a) < 0);
		memcpy(last, a, sizeof(a));
	}
	/* Beyond what fits: the nearest, not another time. */
	id_token_new(a, INT64_MAX);
	assert_memory_equal(a, "zzzzzzzzzz", 10);
	id_token_new(a, INT64_MIN);
	assert_memory_equal(a, "0000000000", 10);
}

static void
test_what_is_no_token(void **state)
{
	char s[ID_TOKEN_SIZE];

	(void)state;
	assert_true(id_token_valid(TOKEN, ID_TOKEN_LEN));
	assert_false(id_token_valid(TOKEN, ID_TOKEN_LEN - 1));
	assert_false(id_token_valid(TOKEN "0", ID_TOKEN_LEN + 1));
	assert_false(id_token_valid("", 0));
	/* Each of the 256 bytes at each place. */
	for (int at = 0; at < ID_TOKEN_LEN; at++) {
		for (int c = 0; c < 256; c++) {
			memcpy(s, TOKEN, sizeof(s));
			s[at] = (char)c;
			assert_int_equal(id_token_valid(s, ID_TOKEN_LEN),
			    c != 0 &&
				strchr("0123456789abcdefghjkmnpqrstvwxyz", c) !=
				    NULL);
		}
	}
}

static void
test_prefixes(void **state)
{
	const char *s = "room_" TOKEN;

	(void)state;
	assert_ptr_equal(id_token_of(s, strlen(s), "room_"), s + 5);
	assert_null(id_token_of(s, strlen(s), "tenant_"));
	assert_null(id_token_of(s, strlen(s), "msg_"));
	assert_null(id_token_of(s, strlen(s) - 1, "room_"));
	assert_null(id_token_of("room_" TOKEN "0", strlen(s) + 1, "room_"));
	assert_null(id_token_of("Room_" TOKEN, strlen(s), "room_"));
	assert_null(id_token_of("room_" TOKEN, 3, "room_"));
	assert_null(id_token_of("", 0, "room_"));
	s = "room_0123456789abcdefghjkmu";
	assert_null(id_token_of(s, strlen(s), "room_"));
}

static void
test_message_id_text(void **state)
{
	char id[ID_MESSAGE_SIZE];

	(void)state;
	id_message(id, TOKEN, 0, 1);
	assert_string_equal(id, "msg_0000000000" TOKEN "000000001");
	id_message(id, TOKEN, 32 * 32, 33);
	assert_string_equal(id, "msg_0000000100" TOKEN "000000011");
	id_message(id, TOKEN, (INT64_C(1) << 50) - 1, ID_SEQ_MAX);
	assert_string_equal(id, "msg_zzzzzzzzzz" TOKEN "zzzzzzzzz");
	/* Never another message's id for want of digits. */
	id_message(id, TOKEN, INT64_MAX, ID_SEQ_MAX + 2);
	assert_string_equal(id, "msg_zzzzzzzzzz" TOKEN "zzzzzzzzz");
	id_message(id, TOKEN, -5, 1);
	assert_string_equal(id, "msg_0000000000" TOKEN "000000001");
}

static void
test_message_id_both_ways(void **state)
{
	static const int64_t times[] = { 0, 1, 1795372516123,
		(INT64_C(1) << 50) - 1 };
	static const uint64_t seqs[] = { 1, 2, 31, 32, 123456789, ID_SEQ_MAX };
	char id[ID_MESSAGE_SIZE], token[ID_TOKEN_SIZE], made[ID_TOKEN_SIZE];
	int64_t ms;
	uint64_t seq;

	(void)state;
	for (int t = 0; t < 4; t++) {
		for (int s = 0; s < 6; s++) {
			id_token_new(made, times[t]);
			id_message(id, made, times[t], seqs[s]);
			assert_int_equal(id_message_parse(id, strlen(id), token,
					     &ms, &seq),
			    0);
			assert_string_equal(token, made);
			assert_true(ms == times[t]);
			assert_true(seq == seqs[s]);
		}
	}
}

static void
test_what_is_no_message_id(void **state)
{
	char id[ID_MESSAGE_SIZE + 1], token[ID_TOKEN_SIZE];
	int64_t ms;
	uint64_t seq;

	(void)state;
	id_message(id, TOKEN, 1795372516123, 7);
	for (size_t len = 0; len < ID_MESSAGE_SIZE - 1; len++)
		assert_int_equal(id_message_parse(id, len, token, &ms, &seq),
		    -1);
	id[ID_MESSAGE_SIZE - 1] = '0';
	assert_int_equal(id_message_parse(id, ID_MESSAGE_SIZE, token, &ms,
			     &seq),
	    -1);
	for (size_t at = 0; at < ID_MESSAGE_SIZE - 1; at++) {
		id_message(id, TOKEN, 1795372516123, 7);
		id[at] = 'U';
		assert_int_equal(id_message_parse(id, ID_MESSAGE_SIZE - 1,
				     token, &ms, &seq),
		    -1);
	}
	/* Messages count from 1. */
	id_message(id, TOKEN, 1795372516123, 0);
	assert_int_equal(id_message_parse(id, ID_MESSAGE_SIZE - 1, token, &ms,
			     &seq),
	    -1);
}

static void
assert_dm_key(const char *a, const char *b, const char *want)
{
	char key[ID_DM_KEY_SIZE];

	id_dm_key(key, a, strlen(a), b, strlen(b));
	assert_string_equal(key, want);
	id_dm_key(key, b, strlen(b), a, strlen(a));
	assert_string_equal(key, want);
}

static void
test_dm_keys(void **state)
{
	(void)state;
	assert_dm_key("alice", "bob", "alice:bob");
	assert_dm_key("al", "alice", "al:alice");
	assert_dm_key("Bob", "alice", "Bob:alice");
	assert_dm_key("z", "\xc3\xa9", "z:\xc3\xa9");
	/* Two pairs never make one key. */
	assert_dm_key("a:b", "c", "a%3Ab:c");
	assert_dm_key("a", "b:c", "a:b%3Ac");
	assert_dm_key("a%3Ab", "c", "a%253Ab:c");
}

static void
test_longest_dm_key(void **state)
{
	char a[128], b[128], *key = malloc(ID_DM_KEY_SIZE);

	(void)state;
	memset(a, ':', sizeof(a));
	memset(b, '%', sizeof(b));
	id_dm_key(key, a, sizeof(a), b, sizeof(b));
	assert_int_equal(strlen(key), ID_DM_KEY_SIZE - 1);
	assert_memory_equal(key, "%25%25", 6);
	assert_memory_equal(key + 384, ":%3A", 4);
	free(key);
}

static int
order(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x < y ? -1 : x > y;
}

static void
test_routing_keys_differ(void **state)
{
	enum { N = 20000 };
	uint64_t *keys = malloc(3 * N * sizeof(*keys));
	char user[32];
	size_t n = 0;

	(void)state;
	for (uint64_t i = 0; i < N; i++) {
		snprintf(user, sizeof(user), "user%u", (unsigned)i);
		keys[n++] = id_room_key(i);
		keys[n++] = id_user_key(1, user, strlen(user));
		keys[n++] = id_user_key(2, user, strlen(user));
	}
	qsort(keys, n, sizeof(*keys), order);
	assert_true(keys[0] != 0);
	for (size_t i = 1; i < n; i++)
		assert_true(keys[i] != keys[i - 1]);
	free(keys);
}

static void
test_routing_keys_agree(void **state)
{
	char user[129];

	(void)state;
	assert_true(id_room_key(7) == id_room_key(7));
	assert_true(id_user_key(7, "alice", 5) == id_user_key(7, "alice!", 5));
	assert_true(id_user_key(7, "alice", 5) != id_user_key(7, "alice", 4));
	/* All of the longest name counts. */
	memset(user, 'x', sizeof(user));
	assert_true(id_user_key(1, user, 128) != id_user_key(1, user, 127));
	user[127] = 'y';
	assert_true(id_user_key(1, user, 128) != 0);
	user[128] = 'x';
	assert_true(id_user_key(1, user, 128) != id_user_key(1, user + 1, 128));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_tokens),
		cmocka_unit_test(test_tokens_sort_by_time),
		cmocka_unit_test(test_what_is_no_token),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_message_id_text),
		cmocka_unit_test(test_message_id_both_ways),
		cmocka_unit_test(test_what_is_no_message_id),
		cmocka_unit_test(test_dm_keys),
		cmocka_unit_test(test_longest_dm_key),
		cmocka_unit_test(test_routing_keys_differ),
		cmocka_unit_test(test_routing_keys_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
