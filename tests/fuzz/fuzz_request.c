/* SPDX-License-Identifier: MIT */
/*
 * The arguments of requests: a body that is accepted gives fields within
 * their limits, one that is not gives a sentence; cursors are never read
 * beyond what they hold.
 */
#include "fuzz.h"

#include <json-c/json.h>
#include <string.h>

#include "common/buf.h"
#include "common/json_check.h"
#include "common/utf8.h"
#include "worker/api_args.h"

static struct str list[API_USERS_MAX];

static void
check_users(struct json_object *o, const char *name)
{
	struct field_error err = { NULL, NULL };
	struct str one;
	uint32_t n;

	if (api_args_users(o, name, list, &n, &err) == -1)
		FUZZ_CHECK(err.message != NULL && err.field == name);
	else
		for (uint32_t i = 0; i < n; i++) {
			FUZZ_CHECK(utf8_user_id_valid(list[i].p, list[i].len));
			if (i > 0)
				FUZZ_CHECK(list[i].len != list[i - 1].len ||
				    memcmp(list[i].p, list[i - 1].p,
					list[i].len) != 0);
		}
	if (api_args_user(o, "user_id", &one, &err) == 0)
		FUZZ_CHECK(utf8_user_id_valid(one.p, one.len));
}

static void
check_fields(struct json_object *o)
{
	struct field_error err;
	struct str s;
	uint64_t seq;

	if (field_content(o, &s, &err) == 0)
		FUZZ_CHECK(s.len > 0 && s.len <= FIELD_CONTENT_MAX &&
		    utf8_valid(s.p, s.len));
	if (field_client_msg_id(o, &s, &err) == 0)
		FUZZ_CHECK(s.len <= FIELD_CLIENT_MSG_ID_MAX);
	if (field_json(o, "meta", &s, &err) == 0 && s.len > 0) {
		FUZZ_CHECK(s.len <= FIELD_META_MAX);
		FUZZ_CHECK(json_check(s.p, s.len, FIELD_META_DEPTH) ==
		    JSON_CHECK_OK);
	}
	if (field_seq(o, "seq", &seq, &err) == 0)
		FUZZ_CHECK(seq <= UINT64_C(1) << 53);
	if (field_string(o, "name", 256, &s, &err) == 0)
		FUZZ_CHECK(s.len > 0 && s.len <= 256);
}

static void
check_cursor(const char *text, const uint8_t *data, size_t size)
{
	char raw[64], again[64];
	size_t len, n = size < sizeof(raw) ? size : sizeof(raw);
	uint64_t number;
	struct buf b;

	if (api_args_cursor_get(text, 'r', raw, sizeof(raw), &len) == 0)
		FUZZ_CHECK(len <= sizeof(raw));
	if (api_args_number(text, &number) == 0)
		FUZZ_CHECK(number <= INT64_MAX);
	buf_init(&b, 1024);
	api_args_cursor_put(&b, 'm', data, n);
	buf_add(&b, "", 1);
	FUZZ_CHECK(!b.failed && b.len > 2);
	b.data[b.off + b.len - 2] = '\0'; /* the closing quote */
	FUZZ_CHECK(api_args_cursor_get(buf_head(&b) + 1, 'r', again,
		       sizeof(again), &len) == -1);
	FUZZ_CHECK(api_args_cursor_get(buf_head(&b) + 1, 'm', again,
		       sizeof(again), &len) == 0);
	FUZZ_CHECK(len == n && memcmp(again, data, n) == 0);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_tokener *tok;
	struct field_error err = { NULL, NULL };
	struct json_object *o;
	char *text;

	if (tok == NULL)
		tok = api_args_tokener();
	FUZZ_CHECK(tok != NULL);
	if (size > 65536)
		return 0;
	/* Of its exact size, so that a step beyond it is seen. */
	text = malloc(size + 1);
	FUZZ_CHECK(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (api_args_parse(tok, text, size, &o, &err) == -1)
		FUZZ_CHECK(err.message != NULL && o == NULL);
	else {
		check_fields(o);
		check_users(o, "members");
		check_users(o, "user_ids");
		json_object_put(o);
	}
	check_cursor(text, data, size);
	free(text);
	return 0;
}
