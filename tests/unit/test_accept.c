/* SPDX-License-Identifier: MIT */
/* Who gets JSON from /metrics and who text, by the Accept header. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "worker/accept.h"

static const struct {
	const char *accept;
	bool json;
} cases[] = {
	{ NULL, false },
	{ "", false },
	{ "*/*", false },
	{ "application/json", true },
	{ "APPLICATION/JSON", true },
	{ " application/json ", true },
	{ "application/json; charset=utf-8", true },
	{ "application/*", true },
	{ "text/plain", false },
	{ "text/*", false },
	{ "text/html, application/xhtml+xml, */*;q=0.8", false },
	/* Prometheus. */
	{ "application/openmetrics-text;version=1.0.0,"
	  "application/openmetrics-text;version=0.0.1;q=0.75,"
	  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	    false },
	/* A common HTTP library of browsers. */
	{ "application/json, text/plain, */*", true },
	{ "application/json;q=0.5, text/plain", false },
	{ "application/json;q=0.5, text/plain;q=0.4", true },
	{ "application/json;q=0.5;x=1, text/*;q=0.6", false },
	{ "application/json;q=0.5, */*;q=0.6", false },
	{ "application/json;q=0.6, */*;q=0.5", true },
	{ "application/json;q=0", false },
	{ "application/json; Q=0.000", false },
	{ "application/json;q=0, text/plain;q=0", false },
	/* The closest range counts, wherever it stands. */
	{ "application/*, application/json;q=0", false },
	{ "application/json;q=0, application/*", false },
	{ "*/*;q=0, application/json", true },
	{ "text/*, text/plain;q=0.1, application/json;q=0.2", true },
	/* Near misses. */
	{ "application/jsonp", false },
	{ "application/jso", false },
	{ "xapplication/json", false },
	{ "application", false },
	{ "application/", false },
	{ "application/**", false },
	{ "applicationX*", false },
	{ "json", false },
	/* Malformed. */
	{ ",", false },
	{ ",,application/json,,", true },
	{ ";", false },
	{ ";q=1", false },
	{ "application/json;", true },
	{ "application/json;;", true },
	{ "application/json;q", true },
	{ "application/json;q=", true },
	{ "application/json;q=x, text/plain", true },
	{ "application/json;q=9, text/plain", true },
	{ "application/json;q=1.999, text/plain", true },
	{ "application/json;q=0.9999999999999, text/plain", false },
	{ "application/json;q=0., text/plain;q=0", false },
	{ "application/json ;q=0", false },
	{ "application/json; \t", true },
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (accept_json(cases[i].accept) != cases[i].json)
			fail_msg("%s", cases[i].accept);
}

/* Every short string over what matters ends, and reads nothing behind it. */
static void
test_any_text(void **state)
{
	static const char letters[] = ",;=q/*a1. \t";
	unsigned n = sizeof(letters) - 1, all = n * n * n * n;
	char text[5];

	(void)state;
	for (unsigned i = 0; i < all; i++) {
		unsigned rest = i;

		for (int k = 0; k < 4; k++, rest /= n)
			text[k] = letters[rest % n];
		text[4] = '\0';
		assert_false(accept_json(text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
