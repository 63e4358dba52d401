/* SPDX-License-Identifier: MIT */
/* Requests that the HTTP library lets through and the guard must not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "worker/guard.h"

static struct guard_header headers[GUARD_HEADERS_MAX + 1];
static struct guard_request request;

static void
begin(void)
{
	memset(&request, 0, sizeof(request));
	request.major = 1;
	request.minor = 1;
	request.headers = headers;
	headers[0] = (struct guard_header){ "Host", "x" };
	request.nheaders = 1;
}

static void
add(const char *name, const char *value)
{
	headers[request.nheaders++] = (struct guard_header){ name, value };
}

static void
test_ordinary(void **state)
{
	(void)state;
	begin();
	assert_null(guard_check(&request));
	add("Content-Length", "17");
	add("X-Anything!#$%&'*+-.^_`|~09", "a\tb \xc3\xbc");
	add("Accept", "a");
	add("Accept", "b");
	assert_null(guard_check(&request));
	begin();
	add("Transfer-Encoding", "Chunked");
	assert_null(guard_check(&request));
	begin();
	request.minor = 0;
	request.nheaders = 0;
	assert_null(guard_check(&request));
	begin();
	request.bodyless = true;
	add("Content-Length", "0");
	assert_null(guard_check(&request));
}

static void
test_version(void **state)
{
	(void)state;
	begin();
	request.major = 0;
	assert_non_null(guard_check(&request));
	request.major = 2;
	assert_non_null(guard_check(&request));
	begin();
	request.minor = -1;
	assert_non_null(guard_check(&request));
}

static void
test_host(void **state)
{
	(void)state;
	begin();
	request.nheaders = 0;
	assert_non_null(guard_check(&request));
	begin();
	add("host", "y");
	assert_non_null(guard_check(&request));
}

static void
test_framing(void **state)
{
	static const char *const lengths[] = { "", "x", "-1", "+5", " 5", "5 ",
		"0x5", "5,5", "5, 5", "1.5", "9999999999999999999" };
	static const char *const encodings[] = { "", "gzip", "identity",
		"gzip, chunked", "chunked, chunked", "xchunked", "chunked;x" };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		begin();
		add("Content-Length", lengths[i]);
		if (guard_check(&request) == NULL)
			fail_msg("length accepted: '%s'", lengths[i]);
	}
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		begin();
		add("Transfer-Encoding", encodings[i]);
		if (guard_check(&request) == NULL)
			fail_msg("encoding accepted: '%s'", encodings[i]);
	}
	begin();
	add("Content-Length", "5");
	add("content-length", "5");
	assert_non_null(guard_check(&request));
	begin();
	add("Content-Length", "5");
	add("Transfer-Encoding", "chunked");
	assert_non_null(guard_check(&request));
	begin();
	request.minor = 0;
	add("Transfer-Encoding", "chunked");
	assert_non_null(guard_check(&request));
	begin();
	request.chunks = true;
	assert_non_null(guard_check(&request));
}

/* A body behind a method that has none would be the next request. */
static void
test_bodyless(void **state)
{
	(void)state;
	begin();
	request.bodyless = true;
	add("Content-Length", "5");
	assert_non_null(guard_check(&request));
	begin();
	request.bodyless = true;
	add("Transfer-Encoding", "chunked");
	assert_non_null(guard_check(&request));
}

static void
test_names(void **state)
{
	static const char *const names[] = { "", "a b", "Content-Length ",
		"a:b", "a\tb", "\xc3\xbc", "a\x01", "(a)", "a/b" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin();
		add(names[i], "x");
		if (guard_check(&request) == NULL)
			fail_msg("name accepted: '%s'", names[i]);
	}
	begin();
	request.nul = true;
	assert_non_null(guard_check(&request));
}

/* Two of these would leave open who is calling. */
static void
test_once(void **state)
{
	static const char *const once[] = { "X-API-Key", "x-user-id",
		"X-Master-Key", "AUTHORIZATION", "Idempotency-Key",
		"Content-Type", "Origin", "Sec-WebSocket-Key",
		"Sec-WebSocket-Version" };

	(void)state;
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		begin();
		add(once[i], "a");
		assert_null(guard_check(&request));
		add(once[i], "a");
		if (guard_check(&request) == NULL)
			fail_msg("twice accepted: %s", once[i]);
	}
}

static void
test_many(void **state)
{
	(void)state;
	begin();
	while (request.nheaders < GUARD_HEADERS_MAX)
		add("X-A", "b");
	assert_null(guard_check(&request));
	add("X-A", "b");
	assert_non_null(guard_check(&request));
}

static void
test_look_up(void **state)
{
	(void)state;
	begin();
	add("X-A", "first");
	add("x-a", "second");
	assert_string_equal(guard_header(headers, 3, "x-A"), "first");
	assert_null(guard_header(headers, 1, "X-A"));
	assert_true(guard_has_token("keep-alive, Upgrade", "upgrade"));
	assert_true(guard_has_token(" close ", "close"));
	assert_false(guard_has_token("upgraded", "upgrade"));
	assert_false(guard_has_token("up", "upgrade"));
	assert_false(guard_has_token("", "upgrade"));
	assert_false(guard_has_token(", ,", "upgrade"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_bodyless),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_look_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
