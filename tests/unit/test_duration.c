/* SPDX-License-Identifier: MIT */
/* Durations: what Go reads, rounded up to milliseconds, and back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/duration.h"

static void
test_accepted(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "300ms", 300 },
		{ "10s", 10000 },
		{ "+5s", 5000 },
		{ "1.5h", 5400000 },
		{ "2h45m", 9900000 },
		{ "1h1m1s1ms", 3661001 },
		{ "1m1m", 120000 },
		{ ".5s", 500 },
		{ "5.s", 5000 },
		{ "1us", 1 },
		{ "1\xc2\xb5s", 1 },
		{ "1\xce\xbcs", 1 },
		{ "1ns", 1 },
		{ "999999ns", 1 },
		{ "1000000ns", 1 },
		{ "1000001ns", 2 },
		{ "0.0001ns", 1 },
		{ "0.000ns", 0 },
		{ "0.001h", 3600 },
		{ "1.000000000000000000000001ms", 2 },
		/* The last that Go's int64 of nanoseconds can hold. */
		{ "9223372036854775807ns", 9223372036855 },
		{ "2562047h47m16.854775807s", 9223372036855 },
	};
	uint64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (duration_parse(cases[i].text, &ms) == -1)
			fail_msg("refused: %s", cases[i].text);
		if (ms != cases[i].ms)
			fail_msg("%s became %llu", cases[i].text,
			    (unsigned long long)ms);
	}
}

static void
test_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"+",
		"-",
		"-1s",
		"-0",
		"10",
		"1.5",
		"s",
		".s",
		".",
		"1x",
		"1 s",
		" 1s",
		"1s ",
		"1S",
		"1sm",
		"1s2",
		"3d",
		"1e3s",
		"0x1s",
		"++1s",
		"1s-1s",
		"1,5s",
		"9223372036854775808ns",
		"2562047h47m16.854775808s",
		"99999999999999999999h",
		"2562048h",
		"1s\n",
	};
	uint64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (duration_parse(cases[i], &ms) != -1)
			fail_msg("accepted: %s", cases[i]);
}

static void
test_format(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0s" },
		{ 1, "1ms" },
		{ 250, "250ms" },
		{ 1000, "1s" },
		{ 1500, "1.5s" },
		{ 1050, "1.05s" },
		{ 1001, "1.001s" },
		{ 60000, "1m" },
		{ 90000, "1m30s" },
		{ 60500, "1m0.5s" },
		{ 3600000, "1h" },
		{ 3605000, "1h5s" },
		{ 90061001, "25h1m1.001s" },
	};
	char text[40];
	uint64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		duration_format(text, sizeof(text), cases[i].ms);
		assert_string_equal(text, cases[i].text);
	}
	for (ms = 0; ms < 20000000; ms += 997) {
		uint64_t back;

		duration_format(text, sizeof(text), ms);
		assert_int_equal(duration_parse(text, &back), 0);
		assert_int_equal(back, ms);
	}
	duration_format(text, 4, 90000);
	assert_string_equal(text, "1m3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
