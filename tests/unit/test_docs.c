/* SPDX-License-Identifier: MIT */
/*
 * doc/openapi.json against the table of routes, doc/asyncapi.json against the
 * table of frames: what the one has, the other has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/outcome.h"
#include "worker/api_docs.h"
#include "worker/route.h"
#include "worker/ws_commands.h"

#define PATTERN_MAX 256

static struct json_object *openapi, *asyncapi;

static const struct {
	const char *name;
	enum route_method method;
} methods[] = {
	{ "get", ROUTE_GET },
	{ "post", ROUTE_POST },
	{ "put", ROUTE_PUT },
	{ "patch", ROUTE_PATCH },
	{ "delete", ROUTE_DELETE },
};

#define NMETHODS (sizeof(methods) / sizeof(methods[0]))

static struct json_object *
parse(const char *text, size_t len)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *o;

	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(t, text, (int)len);
	assert_int_equal(json_tokener_get_error(t), json_tokener_success);
	json_tokener_free(t);
	return o;
}

static int
setup(void **state)
{
	(void)state;
	openapi = parse(doc_openapi, doc_openapi_len);
	asyncapi = parse(doc_asyncapi, doc_asyncapi_len);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	json_object_put(openapi);
	json_object_put(asyncapi);
	return 0;
}

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(o, name, &v);
	return v;
}

/* What a "#/a/b" within doc leads to; NULL when there is nothing. */
static struct json_object *
pointed(struct json_object *doc, const char *ref)
{
	char path[PATTERN_MAX], *save = NULL;
	struct json_object *o = doc;

	assert_int_equal(ref[0], '#');
	snprintf(path, sizeof(path), "%s", ref + 1);
	for (char *p = strtok_r(path, "/", &save); p != NULL && o != NULL;
	     p = strtok_r(NULL, "/", &save))
		o = member(o, p);
	return o;
}

static struct json_object *
followed(struct json_object *doc, struct json_object *o)
{
	struct json_object *ref = member(o, "$ref");

	return ref == NULL ? o : pointed(doc, json_object_get_string(ref));
}

/* "/rooms/{room_id}" as the table has it: "/rooms/{}". */
static void
pattern_of(const char *path, char out[PATTERN_MAX])
{
	size_t n = 0;

	assert_true(strlen(path) < PATTERN_MAX);
	for (; *path != '\0'; path++) {
		out[n++] = *path;
		if (*path == '{')
			path += strcspn(path, "}") - 1;
	}
	out[n] = '\0';
}

static struct json_object *
operation_of(const struct route *r)
{
	char pattern[PATTERN_MAX];

	json_object_object_foreach(member(openapi, "paths"), path, item) {
		pattern_of(path, pattern);
		if (strcmp(pattern, r->pattern) != 0)
			continue;
		for (size_t i = 0; i < NMETHODS; i++)
			if (methods[i].method == r->method)
				return member(item, methods[i].name);
	}
	return NULL;
}

static void
test_routes_are_described(void **state)
{
	(void)state;
	for (const struct route *r = route_table(); r->pattern != NULL; r++)
		if (operation_of(r) == NULL)
			fail_msg("doc/openapi.json lacks method %d of %s",
			    (int)r->method, r->pattern);
}

static bool
route_is_there(const char *pattern, enum route_method method)
{
	for (const struct route *r = route_table(); r->pattern != NULL; r++)
		if (r->method == method && strcmp(r->pattern, pattern) == 0)
			return true;
	return false;
}

static void
test_described_routes_are_there(void **state)
{
	char pattern[PATTERN_MAX];

	(void)state;
	json_object_object_foreach(member(openapi, "paths"), path, item) {
		pattern_of(path, pattern);
		for (size_t i = 0; i < NMETHODS; i++)
			if (member(item, methods[i].name) != NULL &&
			    !route_is_there(pattern, methods[i].method))
				fail_msg("there is no route %s %s",
				    methods[i].name, path);
	}
}

/* Whether one of the alternatives has exactly these schemes. */
static bool
secured_by(struct json_object *security, const char *a, const char *b)
{
	for (size_t i = 0; i < json_object_array_length(security); i++) {
		struct json_object *s = json_object_array_get_idx(security, i);

		if (json_object_object_length(s) == (b != NULL ? 2 : 1) &&
		    member(s, a) != NULL && (b == NULL || member(s, b) != NULL))
			return true;
	}
	return false;
}

static void
test_identities(void **state)
{
	(void)state;
	for (const struct route *r = route_table(); r->pattern != NULL; r++) {
		struct json_object *op = operation_of(r);
		struct json_object *s = member(op, "security");
		bool backend, user;

		if (s == NULL)
			s = member(openapi, "security");
		backend = secured_by(s, "apiKey", NULL);
		user = secured_by(s, "apiKey", "userId");
		if (r->identity == ROUTE_ADMIN)
			assert_true(secured_by(s, "masterKey", NULL));
		else if (r->identity == ROUTE_TENANT)
			assert_true(backend && user);
		else if (r->identity == ROUTE_BACKEND)
			assert_true(backend && !user);
		else if (r->identity == ROUTE_USER)
			assert_true(user && !backend);
		else if (r->identity == ROUTE_OPEN &&
		    strcmp(r->pattern, "/ws") != 0)
			assert_int_equal(json_object_array_length(s), 0);
	}
}

static void
test_bodies(void **state)
{
	(void)state;
	for (const struct route *r = route_table(); r->pattern != NULL; r++) {
		struct json_object *body = followed(openapi,
		    member(operation_of(r), "requestBody"));

		if ((body != NULL) != (r->json != 0))
			fail_msg("%s: a body here, none there", r->pattern);
		if (body != NULL)
			assert_int_equal(json_object_get_int64(member(body,
					     "x-max-bytes")),
			    r->body_max);
	}
}

/* ---- frames ---- */

static struct json_object *
frame_of(const char *type)
{
	return member(pointed(asyncapi, "#/components/messages"), type);
}

/* Whether an operation has the frame. */
static bool
frame_listed(const char *operation, const char *type)
{
	struct json_object *list = member(member(member(asyncapi, "operations"),
					      operation),
	    "messages");

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const char *ref = json_object_get_string(
		    member(json_object_array_get_idx(list, i), "$ref"));
		const char *slash = strrchr(ref, '/');

		if (strcmp(slash + 1, type) == 0)
			return true;
	}
	return false;
}

static void
test_frames_are_described(void **state)
{
	const char *type;
	bool rated;

	(void)state;
	for (size_t i = 0; (type = ws_commands_type(i, &rated)) != NULL; i++) {
		struct json_object *m = frame_of(type);

		if (m == NULL || !frame_listed("clientSends", type))
			fail_msg("doc/asyncapi.json lacks the frame %s", type);
		assert_int_equal(json_object_get_boolean(member(m, "x-rated")),
		    rated);
	}
}

static void
test_described_frames_are_there(void **state)
{
	(void)state;
	json_object_object_foreach(pointed(asyncapi, "#/components/messages"),
	    type, m) {
		bool client = frame_listed("clientSends", type), rated, found;
		const char *t;

		assert_int_equal(client, member(m, "x-rated") != NULL);
		assert_int_not_equal(client, frame_listed("serverSends", type));
		found = false;
		for (size_t i = 0; (t = ws_commands_type(i, &rated)) != NULL;
		     i++)
			found = found || strcmp(t, type) == 0;
		if (found != client)
			fail_msg("the server takes no frame %s", type);
	}
}

/* ---- errors ---- */

static bool
listed(struct json_object *list, const char *text)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (strcmp(json_object_get_string(
			       json_object_array_get_idx(list, i)),
			text) == 0)
			return true;
	return false;
}

static void
test_error_codes(void **state)
{
	struct json_object *codes = pointed(openapi,
	    "#/components/schemas/Error/properties/error/enum");

	(void)state;
	for (int o = 0; o < OUTCOME_LAST; o++) {
		const char *code = outcome_info((enum outcome)o)->code;

		if (code != NULL && o != OUTCOME_RESYNC_REQUIRED &&
		    !listed(codes, code))
			fail_msg("doc/openapi.json lacks the error %s", code);
	}
	for (size_t i = 0; i < json_object_array_length(codes); i++) {
		const char *code =
		    json_object_get_string(json_object_array_get_idx(codes, i));
		bool found = false;

		for (int o = 0; o < OUTCOME_LAST; o++) {
			const char *c = outcome_info((enum outcome)o)->code;

			found = found || (c != NULL && strcmp(c, code) == 0);
		}
		if (!found)
			fail_msg("nothing is refused with %s", code);
	}
}

/* ---- the documents themselves ---- */

static void
same_as_file(const char *name, const char *text, size_t len)
{
	const char *top = getenv("top_srcdir");
	char path[4096], *content;
	size_t n;
	FILE *f;

	if (top == NULL)
		skip();
	snprintf(path, sizeof(path), "%s/doc/%s", top, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	content = malloc(len + 2);
	assert_non_null(content);
	n = fread(content, 1, len + 2, f);
	fclose(f);
	assert_int_equal(n, len);
	assert_memory_equal(content, text, len);
	free(content);
}

static void
test_embedded(void **state)
{
	(void)state;
	same_as_file("openapi.json", doc_openapi, doc_openapi_len);
	same_as_file("asyncapi.json", doc_asyncapi, doc_asyncapi_len);
}

static void
test_version(void **state)
{
	(void)state;
	assert_string_equal(PACKAGE_VERSION,
	    json_object_get_string(pointed(openapi, "#/info/version")));
	assert_string_equal(PACKAGE_VERSION,
	    json_object_get_string(pointed(asyncapi, "#/info/version")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_are_described),
		cmocka_unit_test(test_described_routes_are_there),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_frames_are_described),
		cmocka_unit_test(test_described_frames_are_there),
		cmocka_unit_test(test_error_codes),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
