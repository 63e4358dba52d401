/* SPDX-License-Identifier: MIT */
/* The clocks and their text, the latter against the C library's calendar. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

static void
assert_text(int64_t ms, const char *expected)
{
	char out[CLOCK_RFC3339_SIZE];

	memset(out, 'x', sizeof(out));
	clock_rfc3339(out, ms);
	assert_string_equal(out, expected);
}

static void
test_known_times(void **state)
{
	(void)state;
	assert_text(0, "1970-01-01T00:00:00.000Z");
	assert_text(1, "1970-01-01T00:00:00.001Z");
	assert_text(-1, "1969-12-31T23:59:59.999Z");
	assert_text(951782399999, "2000-02-28T23:59:59.999Z");
	assert_text(951782400000, "2000-02-29T00:00:00.000Z");
	assert_text(1795372516123, "2026-11-22T18:35:16.123Z");
	assert_text(4107542399999, "2100-02-28T23:59:59.999Z");
	assert_text(4107542400000, "2100-03-01T00:00:00.000Z");
	assert_text(253402300799999, "9999-12-31T23:59:59.999Z");
	assert_text(-62135596800000, "0001-01-01T00:00:00.000Z");
}

static void
test_out_of_range_is_the_nearest(void **state)
{
	(void)state;
	assert_text(253402300800000, "9999-12-31T23:59:59.999Z");
	assert_text(INT64_MAX, "9999-12-31T23:59:59.999Z");
	assert_text(-62135596800001, "0001-01-01T00:00:00.000Z");
	assert_text(INT64_MIN, "0001-01-01T00:00:00.000Z");
}

/* Each day of 10,000 years, at some time of it. */
static void
test_every_day(void **state)
{
	char out[CLOCK_RFC3339_SIZE], want[64];
	const time_t first = -62135596800, last = 253402300799;
	struct tm tm;

	(void)state;
	for (time_t t = first; t <= last; t += 86400) {
		time_t at = t + (t / 86400 * 7919 % 86400 + 86400) % 86400;

		gmtime_r(&at, &tm);
		snprintf(want, sizeof(want),
		    "%04d-%02d-%02dT%02d:%02d:%02d.007Z", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		clock_rfc3339(out, (int64_t)at * 1000 + 7);
		if (strcmp(out, want) != 0)
			fail_msg("%s instead of %s", out, want);
	}
}

static void
test_monotonic(void **state)
{
	uint64_t ns = clock_mono_ns(), ms = clock_mono_ms(), later;

	(void)state;
	assert_true(ns / 1000000 <= ms);
	for (int i = 0; i < 100000; i++) {
		later = clock_mono_ns();
		assert_true(later >= ns);
		ns = later;
	}
	assert_true(clock_mono_ms() >= ms);
	/* One clock for all processes. */
	assert_true(clock_mono_ms() - ms < 60000);
}

static int64_t
real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
near_ms(int64_t offset)
{
	int64_t d = clock_unix_ms() - real_ms() - offset;

	return d > -5000 && d < 5000;
}

static void
write_offset(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* In a child of its own: the variable is looked at once. */
static int
moved_clock(const char *path)
{
	if (!near_ms(0))
		return 1; /* there is no such file yet */
	write_offset(path, "3600000\n");
	if (!near_ms(3600000))
		return 2;
	write_offset(path, "-86400000");
	if (!near_ms(-86400000))
		return 3;
	write_offset(path, "soon");
	if (!near_ms(0))
		return 4;
	write_offset(path, "9223372036854775807");
	if (!near_ms(0))
		return 5;
	return 0;
}

static void
test_a_test_moves_it(void **state)
{
	char path[] = "test_clock.XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid;

	(void)state;
	assert_true(fd != -1);
	close(fd);
	unlink(path);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		setenv("CHATAPI_TEST_CLOCK_FILE", path, 1);
		_exit(moved_clock(path));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* Not for who does not ask for it. */
	assert_true(near_ms(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_times),
		cmocka_unit_test(test_out_of_range_is_the_nearest),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_a_test_moves_it),
	};

	unsetenv("CHATAPI_TEST_CLOCK_FILE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
