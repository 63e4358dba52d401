/* SPDX-License-Identifier: MIT */
/* Request targets taken apart, and the table they are looked up in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "worker/api.h"
#include "worker/route.h"

static struct route_target target;
static const char *field;

static const char *
parse(const char *text)
{
	return route_target_parse(&target, text, strlen(text), &field);
}

static void
assert_segment(unsigned i, const char *want)
{
	assert_true(i < target.nsegments);
	assert_int_equal(target.segments[i].len, strlen(want));
	assert_string_equal(target.segments[i].p, want);
}

static void
test_segments(void **state)
{
	(void)state;
	assert_null(parse("/rooms/room_1/members/a%2Fb%20c"));
	assert_int_equal(target.nsegments, 4);
	assert_segment(0, "rooms");
	assert_segment(1, "room_1");
	assert_segment(3, "a/b c");
	/* In a path '+' is a plus. */
	assert_null(parse("/rooms/a+b"));
	assert_segment(1, "a+b");
	assert_null(parse("/%e7%94%a8"));
	assert_segment(0, "\xe7\x94\xa8");
	assert_null(parse("http://host:80/rooms?limit=1"));
	assert_int_equal(target.nsegments, 1);
	assert_segment(0, "rooms");
	assert_string_equal(route_target_query(&target, "limit"), "1");
}

static void
test_paths_of_no_route(void **state)
{
	static const char *const paths[] = { "/", "", "//", "/rooms//x",
		"//rooms", "/a/b/c/d/e/f/g/h/i", "http://host",
		"http://host?x=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (*paths[i] == '\0')
			continue;
		assert_null(parse(paths[i]));
		assert_int_equal(target.nsegments, 0);
	}
}

/* A slash at the end is an empty segment, which no {} takes. */
static void
test_last_slash(void **state)
{
	static const char *const none[] = { "/rooms/", "/rooms/x/",
		"/rooms/x/messages/", "/admin/tenants/", "/console/x/",
		"/console/client/", "/console//", "/console/client/x/y" };
	struct route_match m;

	(void)state;
	assert_null(parse("/console/?x=1"));
	assert_int_equal(target.nsegments, 2);
	assert_segment(1, "");
	route_match(&m, &target, ROUTE_GET);
	assert_non_null(m.route);
	assert_string_equal(m.route->pattern, "/console/");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_null(parse(none[i]));
		route_match(&m, &target, ROUTE_GET);
		if (m.route != NULL || m.allowed != 0)
			fail_msg("%s is answered", none[i]);
	}
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = { "", "rooms", "*", "ftp://h/x", "/%",
		"/%4", "/%zz", "/a%2", "/%00", "/a%0ab", "/a\x01", "/a\x7f",
		"/%7f", "/\xff", "/%ff", "/%c3", "/%ed%a0%80", "/a#b",
		"/rooms?x=%", "/rooms?x=%4", "/rooms?%zz=1", "/rooms?x=%00",
		"/rooms?x=%ff", "host:80" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) == NULL)
			fail_msg("accepted: %s", bad[i]);
}

static void
test_length(void **state)
{
	char text[ROUTE_TARGET_MAX + 2];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	assert_null(route_target_parse(&target, text, ROUTE_TARGET_MAX,
	    &field));
	assert_int_equal(target.segments[0].len, ROUTE_TARGET_MAX - 1);
	assert_non_null(route_target_parse(&target, text, ROUTE_TARGET_MAX + 1,
	    &field));
	/* The most separators that can be in it. */
	memset(text, '/', sizeof(text));
	assert_null(route_target_parse(&target, text, ROUTE_TARGET_MAX,
	    &field));
	memset(text + 1, '&', sizeof(text) - 1);
	text[1] = 'a';
	text[2] = '?';
	assert_null(route_target_parse(&target, text, ROUTE_TARGET_MAX,
	    &field));
	assert_int_equal(target.npairs, 0);
}

static void
test_query(void **state)
{
	char many[4 * (ROUTE_QUERY_MAX + 2)] = "/r?";

	(void)state;
	assert_null(parse("/r?a=1&b=x+y%2Bz&&c&d=&a=2&=e&f=g=h"));
	assert_string_equal(route_target_query(&target, "a"), "2");
	assert_string_equal(route_target_query(&target, "b"), "x y+z");
	assert_string_equal(route_target_query(&target, "c"), "");
	assert_string_equal(route_target_query(&target, "d"), "");
	assert_string_equal(route_target_query(&target, ""), "e");
	assert_string_equal(route_target_query(&target, "f"), "g=h");
	assert_null(route_target_query(&target, "x"));
	assert_null(parse("/r?%61=%31"));
	assert_string_equal(route_target_query(&target, "a"), "1");
	assert_null(field);
	assert_non_null(parse("/r?a=1&cursor=%00"));
	assert_string_equal(field, "cursor");
	assert_non_null(parse("/r?%ff=1"));
	assert_null(field);
	assert_null(parse("/r?"));
	assert_int_equal(target.npairs, 0);
	for (int i = 0; i < ROUTE_QUERY_MAX; i++)
		strcat(many, "a&");
	assert_null(parse(many));
	assert_int_equal(target.npairs, ROUTE_QUERY_MAX);
	strcat(many, "a");
	assert_non_null(parse(many));
}

static void
test_match(void **state)
{
	struct route_match m;

	(void)state;
	assert_null(parse("/rooms/%72x/members/bob"));
	route_match(&m, &target, ROUTE_DELETE);
	assert_non_null(m.route);
	assert_ptr_equal(m.route->handler, api_members_remove);
	assert_int_equal(m.nparams, 2);
	assert_int_equal(m.params[0].len, 2);
	assert_memory_equal(m.params[0].p, "rx", 2);
	assert_memory_equal(m.params[1].p, "bob", 3);

	assert_null(parse("/%72ooms"));
	route_match(&m, &target, ROUTE_GET);
	assert_ptr_equal(m.route->handler, api_rooms_list);
	route_match(&m, &target, ROUTE_HEAD);
	assert_ptr_equal(m.route->handler, api_rooms_list);
	route_match(&m, &target, ROUTE_POST);
	assert_ptr_equal(m.route->handler, api_rooms_create);
	assert_true(m.route->json);
	assert_int_equal(m.route->body_max, 256 * 1024);
}

/* What changes a room or a message, by whom, with or without a body. */
static void
test_match_changes(void **state)
{
	static const struct {
		const char *path;
		enum route_method method;
		void (*handler)(struct http_request *q);
		enum route_identity identity;
		bool json;
	} all[] = {
		{ "/rooms/r", ROUTE_GET, api_rooms_get, ROUTE_TENANT, false },
		{ "/rooms/r", ROUTE_PATCH, api_rooms_update, ROUTE_TENANT,
		    true },
		{ "/rooms/r", ROUTE_DELETE, api_rooms_delete, ROUTE_TENANT,
		    false },
		{ "/rooms/r/messages/m", ROUTE_GET, api_messages_get,
		    ROUTE_TENANT, false },
		{ "/rooms/r/messages/m", ROUTE_PUT, api_messages_edit,
		    ROUTE_USER, true },
		{ "/rooms/r/messages/m", ROUTE_DELETE, api_messages_delete,
		    ROUTE_TENANT, false },
	};
	char allow[ROUTE_ALLOW_SIZE];
	struct route_match m;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_null(parse(all[i].path));
		route_match(&m, &target, all[i].method);
		assert_non_null(m.route);
		assert_ptr_equal(m.route->handler, all[i].handler);
		assert_int_equal(m.route->identity, all[i].identity);
		assert_int_equal(m.route->json, all[i].json);
		assert_int_equal(m.route->body_max, 64 * 1024);
	}
	route_match(&m, &target, ROUTE_PATCH);
	route_allow(allow, m.allowed);
	assert_string_equal(allow, "GET, HEAD, PUT, DELETE");
	assert_null(parse("/rooms/r"));
	route_match(&m, &target, ROUTE_PUT);
	assert_null(m.route);
	route_allow(allow, m.allowed);
	assert_string_equal(allow, "GET, HEAD, PATCH, DELETE");
}

static void
test_no_match(void **state)
{
	static const char *const unknown[] = { "/", "/room", "/Rooms",
		"/rooms/a/b", "/rooms/a/members/b/c", "/admin", "/wsx",
		"/rooms%2Fa/members" };
	struct route_match m;
	char allow[ROUTE_ALLOW_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_null(parse(unknown[i]));
		route_match(&m, &target, ROUTE_GET);
		assert_null(m.route);
		assert_int_equal(m.allowed, 0);
	}
	assert_null(parse("/rooms"));
	route_match(&m, &target, ROUTE_PUT);
	assert_null(m.route);
	route_allow(allow, m.allowed);
	assert_string_equal(allow, "GET, HEAD, POST");
	assert_null(parse("/acks"));
	route_match(&m, &target, ROUTE_OTHER);
	assert_null(m.route);
	route_allow(allow, m.allowed);
	assert_string_equal(allow, "POST");
}

/* The longest Allow there can be fits. */
static void
test_allow(void **state)
{
	char allow[ROUTE_ALLOW_SIZE];

	(void)state;
	route_allow(allow, UINT32_MAX);
	assert_string_equal(allow, "GET, HEAD, POST, PUT, PATCH, DELETE");
	route_allow(allow, 0);
	assert_string_equal(allow, "");
	assert_int_equal(route_method_parse("PATCH"), ROUTE_PATCH);
	assert_int_equal(route_method_parse("patch"), ROUTE_OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_paths_of_no_route),
		cmocka_unit_test(test_last_slash),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_changes),
		cmocka_unit_test(test_no_match),
		cmocka_unit_test(test_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
