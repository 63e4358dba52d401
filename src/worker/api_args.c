/* SPDX-License-Identifier: MIT */
/*
 * Arguments of REST requests.  Runs in a worker; knows no resource.
 */
#include "api_args.h"

#include <json-c/json.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_check.h"
#include "../common/utf8.h"
#include "http.h"

#define BODY_DEPTH JSON_DEPTH_MAX
#define CURSOR_MAX 192

struct json_tokener *
api_args_tokener(void)
{
	struct json_tokener *t = json_tokener_new_ex(BODY_DEPTH + 2);

	if (t != NULL)
		json_tokener_set_flags(t,
		    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return t;
}

/* The members that requests have; errors name these. */
static const char *const known[] = { "client_msg_id", "content", "members",
	"meta", "metadata", "name", "role", "room_id", "seq", "type", "user_id",
	"user_ids", "rate_limit", "disabled", "webhook_url", "webhook_secret",
	"jwt_secret", "jwt_public_key", "retention_days", "topic", "payload",
	"targets" };

/* Behind the string that p stands on. */
static const char *
string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

/* The comma or bracket behind a member's value. */
static const char *
value_end(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = string_end(p, end);
			continue;
		}
		if (depth == 0 && (*p == ',' || *p == '}'))
			break;
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		p++;
	}
	return p;
}

/*
 * Which known member of an object is to blame when the whole is not sound;
 * NULL when none is.  The text may be anything.
 */
static const char *
culprit(const char *p, size_t len)
{
	const char *end = p + len;

	p = memchr(p, '{', len);
	while (p != NULL && p + 1 < end) {
		const char *name = memchr(p + 1, '"', (size_t)(end - p - 1));
		const char *name_end, *value;

		if (name == NULL)
			return NULL;
		name_end = string_end(name, end);
		value = memchr(name_end, ':', (size_t)(end - name_end));
		if (value == NULL)
			return NULL;
		p = value_end(++value, end);
		if (json_check(value, (size_t)(p - value), BODY_DEPTH - 2) ==
		    JSON_CHECK_OK)
			continue;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i]) + 2 == (size_t)(name_end - name) &&
			    memcmp(known[i], name + 1, strlen(known[i])) == 0)
				return known[i];
		return NULL;
	}
	return NULL;
}

int
api_args_parse(struct json_tokener *t, const char *p, size_t len,
    struct json_object **out, struct field_error *err)
{
	enum json_check c = json_check(p, len, BODY_DEPTH);
	struct json_object *o;

	*out = NULL;
	if (c != JSON_CHECK_OK) {
		err->field = c == JSON_CHECK_SYNTAX ? NULL : culprit(p, len);
		err->message = json_check_message(c);
		return -1;
	}
	json_tokener_reset(t);
	o = json_tokener_parse_ex(t, p, (int)len);
	if (json_object_is_type(o, json_type_object)) {
		*out = o;
		return 0;
	}
	json_object_put(o);
	err->field = NULL;
	err->message = "The body must be one JSON object.";
	return -1;
}

static int
args_fail(struct field_error *err, const char *field, const char *message)
{
	err->field = field;
	err->message = message;
	return -1;
}

static int
user_get(struct json_object *v, const char *name, struct str *out,
    struct field_error *err)
{
	if (!json_object_is_type(v, json_type_string))
		return args_fail(err, name, "A user's id must be a string.");
	out->p = json_object_get_string(v);
	out->len = (size_t)json_object_get_string_len(v);
	if (!utf8_user_id_valid(out->p, out->len))
		return args_fail(err, name,
		    "A user's id has 1 to 128 bytes of UTF-8 without control "
		    "characters.");
	return 0;
}

static int
str_compare(const void *a, const void *b)
{
	const struct str *x = *(const struct str *const *)a;
	const struct str *y = *(const struct str *const *)b;
	size_t len = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->p, y->p, len);

	if (c != 0)
		return c;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	/* The one that came first stays. */
	return x < y ? -1 : 1;
}

/* Drops repeats, keeping the first of each. */
static uint32_t
users_unique(struct str *list, uint32_t n)
{
	const struct str *order[API_USERS_MAX];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		order[i] = &list[i];
	qsort(order, n, sizeof(order[0]), str_compare);
	for (uint32_t i = n; i > 1; i--) {
		const struct str *a = order[i - 2], *b = order[i - 1];

		if (a->len == b->len && memcmp(a->p, b->p, a->len) == 0)
			list[b - list].len = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		if (list[i].len > 0)
			list[kept++] = list[i];
	return kept;
}

int
api_args_users(struct json_object *o, const char *name, struct str *list,
    uint32_t *n, struct field_error *err)
{
	struct json_object *v;
	size_t count;

	*n = 0;
	if (!json_object_object_get_ex(o, name, &v))
		return 0;
	if (!json_object_is_type(v, json_type_array))
		return args_fail(err, name,
		    "This member must be an array of users' ids.");
	count = json_object_array_length(v);
	if (count > API_USERS_MAX)
		return args_fail(err, name,
		    "At most 1000 ids may be in one list.");
	for (size_t i = 0; i < count; i++)
		if (user_get(json_object_array_get_idx(v, i), name, &list[i],
			err) == -1)
			return -1;
	*n = users_unique(list, (uint32_t)count);
	return 0;
}

int
api_args_user(struct json_object *o, const char *name, struct str *out,
    struct field_error *err)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v))
		return args_fail(err, name, "This member is required.");
	return user_get(v, name, out, err);
}

int
api_args_number(const char *s, uint64_t *out)
{
	uint64_t v = 0;
	bool over = false;

	if (*s == '\0')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		if (v > (INT64_MAX - 9) / 10)
			over = true;
		else
			v = v * 10 + (uint64_t)(*s - '0');
	}
	*out = over ? INT64_MAX : v;
	return 0;
}

void
api_args_cursor_put(struct buf *b, char kind, const void *p, size_t len)
{
	unsigned char raw[1 + CURSOR_MAX];
	char text[2 * CURSOR_MAX];

	if (len > CURSOR_MAX)
		abort();
	raw[0] = (unsigned char)kind;
	memcpy(raw + 1, p, len);
	sodium_bin2base64(text, sizeof(text), raw, len + 1,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_adds(b, "\"");
	buf_adds(b, text);
	buf_adds(b, "\"");
}

int
api_args_cursor_get(const char *text, char kind, void *p, size_t max,
    size_t *len)
{
	unsigned char raw[1 + CURSOR_MAX];
	const char *end;
	size_t n, text_len = strlen(text);

	if (sodium_base642bin(raw, sizeof(raw), text, text_len, NULL, &n, &end,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    end != text + text_len || n < 1 || n - 1 > max ||
	    raw[0] != (unsigned char)kind)
		return -1;
	memcpy(p, raw + 1, n - 1);
	*len = n - 1;
	return 0;
}

bool
api_args_limit(struct http_request *q, unsigned def, unsigned most,
    unsigned *out)
{
	const char *text = http_query(q, "limit");
	uint64_t v;

	*out = def;
	if (text == NULL)
		return true;
	if (api_args_number(text, &v) == -1 || v == 0) {
		http_error(q, OUTCOME_INVALID, "limit",
		    "limit must be a whole number from 1 on.");
		return false;
	}
	*out = v > most ? most : (unsigned)v;
	return true;
}

bool
api_args_cursor(struct http_request *q, char kind, void *p, size_t max,
    size_t *len)
{
	const char *text = http_query(q, "cursor");

	*len = 0;
	if (text == NULL)
		return true;
	if (api_args_cursor_get(text, kind, p, max, len) == 0 && *len > 0)
		return true;
	http_error(q, OUTCOME_INVALID, "cursor",
	    "cursor must be a next_cursor of this list.");
	return false;
}

void
api_args_refuse(struct http_request *q, const struct field_error *err)
{
	http_error(q, OUTCOME_INVALID, err->field, err->message);
}

void
api_refuse(struct http_request *q, enum outcome o)
{
	if (o == OUTCOME_UNKNOWN)
		http_abandon(q);
	else
		http_error(q, o, NULL, NULL);
}

void
api_done_empty(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;

	if (reply->outcome == OUTCOME_OK || reply->outcome == OUTCOME_REPEATED)
		http_reply(q, 204, NULL);
	else
		api_refuse(q, reply->outcome);
}

void
api_submitted(struct http_request *q, struct submit_op *op)
{
	if (op == NULL)
		http_error(q, OUTCOME_BUSY, NULL, NULL);
}
