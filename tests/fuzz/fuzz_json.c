/* SPDX-License-Identifier: MIT */
/*
 * The strict JSON check against json-c: what it lets through json-c parses,
 * writes out again, and reads back as the same value, and every string comes
 * through json_text unharmed.
 */
#include "fuzz.h"

#include <json-c/json.h>
#include <json-c/json_visit.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/json_check.h"
#include "common/json_text.h"
#include "common/utf8.h"

static struct json_object *
parse(const char *s, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	struct json_object *o;

	FUZZ_CHECK(tok != NULL);
	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, s, (int)len);
	/* A number at the end could go on; a NUL tells that it does not. */
	if (json_tokener_get_error(tok) == json_tokener_continue)
		o = json_tokener_parse_ex(tok, "", 1);
	FUZZ_CHECK(json_tokener_get_error(tok) == json_tokener_success);
	json_tokener_free(tok);
	return o;
}

static void
check_string(const char *s, size_t len)
{
	struct json_object *o;
	struct buf b;

	FUZZ_CHECK(utf8_valid(s, len));
	buf_init(&b, 6 * len + 2);
	json_text_string(&b, s, len);
	FUZZ_CHECK(!b.failed);
	FUZZ_CHECK(json_check(buf_head(&b), b.len, 0) == JSON_CHECK_OK);
	o = parse(buf_head(&b), b.len);
	FUZZ_CHECK((size_t)json_object_get_string_len(o) == len);
	FUZZ_CHECK(memcmp(json_object_get_string(o), s, len) == 0);
	json_object_put(o);
	buf_free(&b);
}

static int
visit(json_object *o, int flags, json_object *parent, const char *key,
    size_t *index, void *arg)
{
	(void)parent;
	(void)index;
	(void)arg;
	if (key != NULL && !(flags & JSON_C_VISIT_SECOND))
		check_string(key, strlen(key));
	if (json_object_is_type(o, json_type_string))
		check_string(json_object_get_string(o),
		    (size_t)json_object_get_string_len(o));
	return JSON_C_VISIT_RETURN_CONTINUE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data, *text;
	struct json_object *o, *again;
	size_t len;
	int depth;

	if (size > 65536 ||
	    json_check(s, size, JSON_DEPTH_MAX) != JSON_CHECK_OK)
		return 0;
	/* Allowing more depth never refuses; less never crashes. */
	for (depth = JSON_DEPTH_MAX; depth <= 64; depth++)
		FUZZ_CHECK(json_check(s, size, depth) == JSON_CHECK_OK);
	json_check(s, size, 1);
	o = parse(s, size);
	json_c_visit(o, 0, visit, NULL);
	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN,
	    &len);
	FUZZ_CHECK(json_check(text, len, JSON_DEPTH_MAX) == JSON_CHECK_OK);
	again = parse(text, len);
	FUZZ_CHECK(json_object_equal(o, again));
	json_object_put(again);
	json_object_put(o);
	return 0;
}
