/* SPDX-License-Identifier: MIT */
/* The log: what lands on stderr, line by line.  Stderr is a pipe of packets,
 * one for each write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

static int reader, real_stderr;

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	if (pipe2(fds, O_DIRECT | O_NONBLOCK | O_CLOEXEC) == -1)
		return -1;
	real_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	log_set_level(LOG_LEVEL_INFO);
	log_init("worker", 2);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
	return 0;
}

/* What one write wrote; empty when there was none. */
static const char *
next_write(void)
{
	static char text[8192];
	ssize_t n = read(reader, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The line behind the time, which is checked. */
static const char *
next_line(void)
{
	static const char shape[] = "ts=dddd-dd-ddTdd:dd:dd.dddZ ";
	const char *s = next_write();

	for (size_t i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == 'd')
			assert_in_range(s[i], '0', '9');
		else
			assert_int_equal(s[i], shape[i]);
	}
	return s + sizeof(shape) - 1;
}

static void
test_line(void **state)
{
	(void)state;
	log_info("listening", "addr=%s port=%d", "::", 8080);
	assert_string_equal(next_line(),
	    "level=info role=worker slot=2 msg=\"listening\" addr=:: "
	    "port=8080\n");
	log_warn("no tail", NULL);
	assert_string_equal(next_line(),
	    "level=warn role=worker slot=2 msg=\"no tail\"\n");
	log_init("master", -1);
	log_error("stopped", NULL);
	assert_string_equal(next_line(),
	    "level=error role=master msg=\"stopped\"\n");
	assert_string_equal(next_write(), "");
}

static void
test_levels(void **state)
{
	(void)state;
	log_debug("hidden", NULL);
	assert_string_equal(next_write(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("shown", NULL);
	assert_string_equal(next_line(),
	    "level=debug role=worker slot=2 msg=\"shown\"\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("hidden", NULL);
	log_info("hidden", NULL);
	assert_string_equal(next_write(), "");
	log_error("shown", NULL);
	assert_non_null(strstr(next_write(), "shown"));
}

static void
test_level_names(void **state)
{
	static const char *const bad[] = { "", "Info", "infos", "inf", "trace",
		"3", " info", "warn " };
	enum log_level level;

	(void)state;
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_int_equal(log_level_parse(log_level_name(i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("warning", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(log_level_parse(bad[i], &level), -1);
}

static void
test_one_line_whatever_is_in_it(void **state)
{
	char text[3000];
	const char *s;
	size_t len;

	(void)state;
	log_info("request", "path=%s", "/a\nlevel=error\r\t\x1b[31m\x7f");
	assert_string_equal(next_line(),
	    "level=info role=worker slot=2 msg=\"request\" "
	    "path=/a?level=error???[31m?\n");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("long", "text=%s", text);
	s = next_write();
	len = strlen(s);
	assert_in_range(len, 900, 1001);
	assert_ptr_equal(strchr(s, '\n'), s + len - 1);
	assert_string_equal(next_write(), "");
}

static void
test_errno_goes_in_and_survives(void **state)
{
	char want[200];

	(void)state;
	errno = ENOSPC;
	log_info("write failed", "error=\"%m\"");
	assert_int_equal(errno, ENOSPC);
	snprintf(want, sizeof(want),
	    "level=info role=worker slot=2 msg=\"write failed\" "
	    "error=\"%s\"\n",
	    strerror(ENOSPC));
	assert_string_equal(next_line(), want);
	close(STDERR_FILENO);
	errno = EAGAIN;
	log_info("nobody reads this", NULL);
	assert_int_equal(errno, EAGAIN);
}

static void
test_journal(void **state)
{
	struct stat st;
	char text[64];

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	log_init("writer", -1);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("a", NULL);
	assert_string_equal(next_write(),
	    "<3>level=error role=writer msg=\"a\"\n");
	log_warn("a", NULL);
	assert_memory_equal(next_write(), "<4>", 3);
	log_info("a", NULL);
	assert_memory_equal(next_write(), "<6>", 3);
	log_debug("a", NULL);
	assert_memory_equal(next_write(), "<7>", 3);
	log_complain("line 1: no");
	assert_string_equal(next_write(), "<3>chatapi: line 1: no\n");
	/* Inherited, but stderr goes elsewhere. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_init("writer", -1);
	log_error("a", NULL);
	assert_memory_equal(next_write(), "ts=", 3);
	log_complain("line 1: no");
	assert_string_equal(next_write(), "chatapi: line 1: no\n");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	log_init("writer", -1);
	log_error("a", NULL);
	assert_memory_equal(next_write(), "ts=", 3);
	unsetenv("JOURNAL_STREAM");
}

static void
assert_quoted(const char *s, const char *want)
{
	char out[100];

	assert_string_equal(log_quote(out, sizeof(out), s, strlen(s)), want);
}

static void
test_quote(void **state)
{
	(void)state;
	assert_quoted("", "\"\"");
	assert_quoted("plain text", "\"plain text\"");
	assert_quoted("a\"b\\c", "\"a\\\"b\\\\c\"");
	assert_quoted("a\nb\x1b", "\"a?b?\"");
	assert_quoted("\xc3\xa9\xe2\x82\xac", "\"\xc3\xa9\xe2\x82\xac\"");
	/* No UTF-8, and the control characters U+0080 to U+009F. */
	assert_quoted("a\xff"
		      "b\xc3",
	    "\"a?b?\"");
	assert_quoted("\xc2\x9b"
		      "31m",
	    "\"?31m\"");
	assert_quoted("\xc2\xa0", "\"\xc2\xa0\"");
}

static void
test_quote_cuts(void **state)
{
	const char *s = "ab\"\xe2\x82\xac\\cdef";
	char *out, *all = malloc(64);

	(void)state;
	assert_string_equal(log_quote(all, 64, s, strlen(s)),
	    "\"ab\\\"\xe2\x82\xac\\\\cdef\"");
	/* Any size gives a closed value of whole characters. */
	for (size_t size = 0; size < 20; size++) {
		const char *q;
		size_t len;

		out = malloc(size == 0 ? 1 : size);
		q = log_quote(out, size, s, strlen(s));
		len = strlen(q);
		assert_true(len >= 2 && (size < 3 || len < size));
		assert_int_equal(q[0], '"');
		assert_int_equal(q[len - 1], '"');
		assert_memory_equal(q, all, len - 1);
		assert_true(q[len - 2] != '\\' || len < 3 ||
		    q[len - 3] == '\\');
		assert_true((q[len - 2] & 0xe0) != 0xe0);
		free(out);
	}
	free(all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_line),
		TEST(test_levels),
		TEST(test_level_names),
		TEST(test_one_line_whatever_is_in_it),
		TEST(test_errno_goes_in_and_survives),
		TEST(test_journal),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
