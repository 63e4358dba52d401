/* SPDX-License-Identifier: MIT */
/* Where a request stands, however its bytes are cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "worker/http_scan.h"

#define MOST 1000
#define CHUNKED "POST / HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n\r\n"

/* Scans it whole, and again in pieces of each size up to 7. */
static struct http_scan
scan(const char *text, size_t len)
{
	struct http_scan whole, cut;

	http_scan_begin(&whole);
	http_scan_bytes(&whole, text, len, MOST);
	for (size_t n = 1; n < 8; n++) {
		http_scan_begin(&cut);
		for (size_t at = 0; at < len; at += n)
			http_scan_bytes(&cut, text + at,
			    len - at < n ? len - at : n, MOST);
		assert_int_equal(cut.state, whole.state);
		assert_int_equal(cut.chunked, whole.chunked);
		assert_int_equal(cut.nul, whole.nul);
		assert_int_equal(cut.lost, whole.lost);
		assert_int_equal(cut.last, whole.last);
		assert_int_equal(cut.body, whole.body);
		assert_string_equal(cut.origin, whole.origin);
	}
	return whole;
}

#define SCAN(text) scan(text, sizeof(text) - 1)

static void
test_blank_line(void **state)
{
	(void)state;
	assert_int_equal(SCAN("").state, HTTP_SCAN_HEADERS);
	assert_int_equal(SCAN("GET / HTTP/1.1\r\nHost: x\r\n").state,
	    HTTP_SCAN_HEADERS);
	assert_int_equal(SCAN("GET / HTTP/1.1\r\nHost: x\r\n\r").state,
	    HTTP_SCAN_HEADERS);
	assert_int_equal(SCAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n").state,
	    HTTP_SCAN_BODY);
	assert_int_equal(SCAN("GET / HTTP/1.1\nHost: x\n\n").state,
	    HTTP_SCAN_BODY);
	assert_int_equal(SCAN("GET / HTTP/1.1\r\n\rHost: x\r\n").state,
	    HTTP_SCAN_HEADERS);
}

static void
test_announced_length(void **state)
{
	(void)state;
	assert_int_equal(SCAN("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
			     .state,
	    HTTP_SCAN_BODY);
	assert_int_equal(SCAN("POST / HTTP/1.1\r\ncontent-length:1001\r\n\r\n")
			     .state,
	    HTTP_SCAN_TOO_LONG);
	assert_int_equal(SCAN("POST / HTTP/1.1\r\nContent-Length: "
			      "99999999999999999999\r\n\r\n")
			     .state,
	    HTTP_SCAN_TOO_LONG);
	assert_int_equal(SCAN("POST / HTTP/1.1\r\nContent-Length: 1\r\n"
			      "Content-Length: 1001\r\n\r\n")
			     .state,
	    HTTP_SCAN_TOO_LONG);
	assert_int_equal(SCAN("POST / HTTP/1.1\r\nContent-Lengths: 1001"
			      "\r\n\r\n")
			     .state,
	    HTTP_SCAN_BODY);
}

static void
test_origin(void **state)
{
	static char head[400];

	(void)state;
	assert_string_equal(SCAN("GET / HTTP/1.1\r\nA: b\r\n").origin, "");
	assert_string_equal(SCAN("GET / HTTP/1.1\r\noRigin: \thttps://a.b:1 "
				 "\t\r\nOriginal: x\r\nX: y")
				.origin,
	    "https://a.b:1");
	assert_string_equal(SCAN("GET / HTTP/1.1\nOrigin:x\n").origin, "x");
	assert_string_equal(SCAN("GET / HTTP/1.1\r\nOrigin:\r\n").origin, "");
	/* Not until its line is whole, and not if there are two. */
	assert_string_equal(SCAN("GET / HTTP/1.1\r\nOrigin: x").origin, "");
	assert_string_equal(SCAN("GET / HTTP/1.1\r\nOrigin: x\r\n"
				 "Origin: x\r\n")
				.origin,
	    "");
	for (size_t n = 1; n < 300; n++) {
		struct http_scan s;
		int len = snprintf(head, sizeof(head),
		    "G / HTTP/1.1\r\nOrigin:%0*d\r\n", (int)n, 0);

		s = scan(head, (size_t)len);
		assert_int_equal(strlen(s.origin),
		    n <= HTTP_SCAN_ORIGIN ? n : 0);
	}
}

static void
test_nul(void **state)
{
	(void)state;
	assert_false(SCAN("GET / HTTP/1.1\r\n\r\n\0").nul);
	assert_true(SCAN("GET / HTTP/1.1\r\nA: \0\r\n\r\n").nul);
	assert_true(SCAN("GET / HTTP/1.1\0\r\n\r\n").nul);
}

static void
test_chunked(void **state)
{
	(void)state;
	assert_false(SCAN("GET / HTTP/1.1\r\nA: chunked\r\n\r\n").chunked);
	assert_false(SCAN("GET / HTTP/1.1\r\nX-Transfer-Encoding: chunked"
			  "\r\n\r\n")
			 .chunked);
	assert_true(SCAN(CHUNKED).chunked);
	assert_true(SCAN("A\nTransfer-Encoding:x\n\n").chunked);
}

static void
test_chunks(void **state)
{
	struct http_scan s = SCAN(CHUNKED "5\r\nhello\r\nA\r\n0123456789\r\n"
					  "0\r\n\r\n");

	(void)state;
	assert_int_equal(s.body, 15);
	assert_true(s.last);
	assert_false(s.lost);
	assert_int_equal(s.state, HTTP_SCAN_BODY);
	/* A chunk may hold what looks like a size. */
	s = SCAN(CHUNKED "4\r\nzz\r\n\r\n0\r\n");
	assert_true(s.last);
	assert_false(s.lost);
	s = SCAN(CHUNKED "3e8\r\n");
	assert_int_equal(s.state, HTTP_SCAN_BODY);
}

static void
test_too_long(void **state)
{
	(void)state;
	assert_int_equal(SCAN(CHUNKED "3e9\r\n").state, HTTP_SCAN_TOO_LONG);
	assert_int_equal(SCAN(CHUNKED "5\r\nhello\r\n3e4\r\n").state,
	    HTTP_SCAN_TOO_LONG);
	assert_int_equal(SCAN(CHUNKED "ffffffffffffffffffffffffffffffff1\r\n")
			     .state,
	    HTTP_SCAN_TOO_LONG);
}

static void
test_malformed_chunks(void **state)
{
	(void)state;
	assert_true(SCAN(CHUNKED "zz\r\n").lost);
	assert_true(SCAN(CHUNKED "0x10\r\n").lost);
	assert_true(SCAN(CHUNKED "-1\r\n").lost);
	assert_true(SCAN(CHUNKED "+5\r\n").lost);
	assert_true(SCAN(CHUNKED "5\r\nhelloworld\r\n").lost);
	/* What follows is not looked at any more. */
	assert_int_equal(SCAN(CHUNKED "zz\r\nfffff\r\n").state, HTTP_SCAN_BODY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blank_line),
		cmocka_unit_test(test_announced_length),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_malformed_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
