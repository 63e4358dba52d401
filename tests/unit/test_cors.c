/* SPDX-License-Identifier: MIT */
/* Which origins ALLOWED_ORIGINS lets in, and what an answer says of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "worker/cors.h"

#define LIST "https://app.example, http://b.example:8080 ,https://c.example"

static void
test_verdicts(void **state)
{
	static const struct {
		const char *list, *origin, *host;
		enum cors_verdict want;
	} all[] = {
		{ NULL, NULL, "h", CORS_NONE },
		{ "*", NULL, "h", CORS_NONE },
		/* No list: the host that was asked, by either scheme. */
		{ NULL, "http://h.example:80", "h.example:80", CORS_OWN },
		{ NULL, "https://H.example", "h.EXAMPLE", CORS_OWN },
		{ "", "http://[::1]:8080", "[::1]:8080", CORS_OWN },
		{ NULL, "http://h.example", "h.example:80", CORS_OTHER },
		{ NULL, "http://h.example:81", "h.example:80", CORS_OTHER },
		{ NULL, "ftp://h", "h", CORS_OTHER },
		{ NULL, "http://h", NULL, CORS_OTHER },
		{ NULL, "http://", "", CORS_OTHER },
		{ NULL, "null", "null", CORS_OTHER },
		{ NULL, "", "", CORS_OTHER },
		{ NULL, "http://a b", "a b", CORS_OTHER },
		{ NULL, "http://a\r\nX: y", "a\r\nX: y", CORS_OTHER },
		/* A list: exactly what is in it. */
		{ LIST, "https://app.example", "x", CORS_LISTED },
		{ LIST, "HTTPS://APP.example", "x", CORS_LISTED },
		{ LIST, "http://b.example:8080", "x", CORS_LISTED },
		{ LIST, "https://c.example", "x", CORS_LISTED },
		{ LIST, "http://app.example", "x", CORS_OTHER },
		{ LIST, "https://app.example:443", "x", CORS_OTHER },
		{ LIST, "https://app.example.", "x", CORS_OTHER },
		{ LIST, "https://app.exampl", "x", CORS_OTHER },
		{ LIST, "https://app.example/", "x", CORS_OTHER },
		{ LIST, "https://app.example,", "x", CORS_OTHER },
		{ LIST, "https://evil.example/https://c.example", "x",
		    CORS_OTHER },
		{ LIST, "app.example", "x", CORS_OTHER },
		{ LIST, "*", "x", CORS_OTHER },
		{ LIST, "null", "x", CORS_OTHER },
		{ LIST, "", "x", CORS_OTHER },
		{ LIST, "http://x", "x", CORS_OTHER },
		/* Everybody; who is named, too, gets more. */
		{ "*", "https://a.example", "x", CORS_ANY },
		{ "*", "null", "x", CORS_ANY },
		{ "*", "*", "x", CORS_ANY },
		{ "*, https://a.example", "https://a.example", "x",
		    CORS_LISTED },
		{ "https://a.example,*", "https://b.example", "x", CORS_ANY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (cors_check(all[i].list, all[i].origin, NULL, all[i].host) !=
		    all[i].want)
			fail_msg("%s in %s",
			    all[i].origin ? all[i].origin : "(none)",
			    all[i].list ? all[i].list : "(none)");
}

static const char *
headers(enum cors_verdict v, const char *origin)
{
	static char text[1024];
	struct buf b;

	buf_init(&b, sizeof(text) - 1);
	cors_headers(&b, v, origin);
	assert_false(b.failed);
	memcpy(text, buf_head(&b), b.len);
	text[b.len] = '\0';
	buf_free(&b);
	return text;
}

static void
test_headers(void **state)
{
	const char *h;

	(void)state;
	assert_string_equal(headers(CORS_NONE, NULL), "");
	assert_string_equal(headers(CORS_OTHER, "http://x"),
	    "Vary: Origin\r\n");
	h = headers(CORS_LISTED, "https://a.example");
	assert_non_null(strstr(h,
	    "Access-Control-Allow-Origin: https://a.example\r\n"));
	assert_non_null(strstr(h,
	    "Access-Control-Allow-Credentials: true\r\n"));
	assert_non_null(strstr(h, "Vary: Origin\r\n"));
	h = headers(CORS_ANY, "https://a.example");
	assert_non_null(strstr(h, "Access-Control-Allow-Origin: *\r\n"));
	/* A browser would refuse the two together. */
	assert_null(strstr(h, "Credentials"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
