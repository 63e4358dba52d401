/* SPDX-License-Identifier: MIT */
/*
 * Rules for the members of requests and frames.  Pure but for json-c; runs
 * in a worker.
 */
#include "fields.h"

#include <json-c/json.h>
#include <string.h>

#include "../common/utf8.h"

static int
field_fail(struct field_error *err, const char *field, const char *message)
{
	err->field = field;
	err->message = message;
	return -1;
}

static struct str
field_text(struct json_object *v)
{
	struct str s;

	s.p = json_object_get_string(v);
	s.len = (size_t)json_object_get_string_len(v);
	return s;
}

int
field_string(struct json_object *o, const char *name, size_t max,
    struct str *out, struct field_error *err)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v))
		return field_fail(err, name, "This member is required.");
	if (!json_object_is_type(v, json_type_string))
		return field_fail(err, name, "This member must be a string.");
	*out = field_text(v);
	if (out->len == 0)
		return field_fail(err, name, "This member must not be empty.");
	if (out->len > max)
		return field_fail(err, name, "This member is too long.");
	return 0;
}

int
field_content(struct json_object *o, struct str *out, struct field_error *err)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, "content", &v) ||
	    !json_object_is_type(v, json_type_string))
		return field_fail(err, "content",
		    "content is required and must be a string.");
	*out = field_text(v);
	if (out->len == 0)
		return field_fail(err, "content", "content must not be empty.");
	if (out->len > FIELD_CONTENT_MAX)
		return field_fail(err, "content",
		    "content is longer than 16384 bytes of UTF-8.");
	return 0;
}

int
field_client_msg_id(struct json_object *o, struct str *out,
    struct field_error *err)
{
	struct json_object *v;

	out->p = "";
	out->len = 0;
	if (!json_object_object_get_ex(o, "client_msg_id", &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_string))
		return field_fail(err, "client_msg_id",
		    "client_msg_id must be a string.");
	*out = field_text(v);
	if (out->len == 0 || out->len > FIELD_CLIENT_MSG_ID_MAX)
		return field_fail(err, "client_msg_id",
		    "client_msg_id must have 1 to 128 bytes.");
	return 0;
}

/* How deep arrays and objects nest; bounded by the parser's own limit. */
static int
field_depth(struct json_object *v)
{
	int deepest = 0;

	if (json_object_is_type(v, json_type_array)) {
		size_t n = json_object_array_length(v);

		for (size_t i = 0; i < n; i++) {
			int d = field_depth(json_object_array_get_idx(v, i));

			deepest = d > deepest ? d : deepest;
		}
		return deepest + 1;
	}
	if (json_object_is_type(v, json_type_object)) {
		json_object_object_foreach(v, key, member) {
			int d = field_depth(member);

			(void)key;
			deepest = d > deepest ? d : deepest;
		}
		return deepest + 1;
	}
	return 0;
}

int
field_json(struct json_object *o, const char *name, struct str *out,
    struct field_error *err)
{
	struct json_object *v;

	out->p = "";
	out->len = 0;
	if (!json_object_object_get_ex(o, name, &v) || v == NULL)
		return 0;
	if (field_depth(v) > FIELD_META_DEPTH)
		return field_fail(err, name,
		    "This member nests more than 32 arrays and objects.");
	out->p = json_object_to_json_string_length(v,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &out->len);
	if (out->p == NULL)
		return field_fail(err, name, "This member cannot be stored.");
	if (out->len > FIELD_META_MAX)
		return field_fail(err, name,
		    "This member is longer than 16384 bytes as JSON.");
	return 0;
}

int
field_payload(struct json_object *o, struct str *out, struct field_error *err)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, "payload", &v))
		return field_fail(err, "payload", "This member is required.");
	if (field_json(o, "payload", out, err) == -1)
		return -1;
	if (out->len == 0)
		*out = (struct str){ "null", 4 };
	return 0;
}

int
field_topic(struct json_object *o, struct str *out, struct field_error *err)
{
	if (field_string(o, "topic", FIELD_TOPIC_MAX, out, err) == -1)
		return -1;
	if (!utf8_user_id_valid(out->p, out->len))
		return field_fail(err, "topic",
		    "topic must hold no control characters.");
	return 0;
}

int
field_seq(struct json_object *o, const char *name, uint64_t *out,
    struct field_error *err)
{
	struct json_object *v;
	int64_t n;

	if (!json_object_object_get_ex(o, name, &v) ||
	    !json_object_is_type(v, json_type_int))
		return field_fail(err, name,
		    "This member is required and must be an integer.");
	n = json_object_get_int64(v);
	if (n < 0)
		return field_fail(err, name,
		    "This member must not be negative.");
	*out = (uint64_t)n;
	return 0;
}
