/* SPDX-License-Identifier: MIT */
/* Database names: what go-sqlite's users write, and what is too weak. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/dsn.h"

static struct dsn dsn;
static char err[256], warn[128];

static int
parse(const char *s)
{
	return dsn_parse(s, &dsn, err, sizeof(err), warn, sizeof(warn));
}

static void
test_paths(void **state)
{
	static const struct {
		const char *text, *path;
	} cases[] = {
		{ "chatapi.db", "chatapi.db" },
		{ "/var/lib/chat api.db", "/var/lib/chat api.db" },
		{ "100%.db", "100%.db" },
		{ "a#b.db", "a#b.db" },
		{ "file:chatapi.db", "chatapi.db" },
		{ "file:chatapi.db?_journal_mode=WAL&_busy_timeout=5000",
		    "chatapi.db" },
		{ "file:/srv/a%20b%3fc.db?_sync=FULL", "/srv/a b?c.db" },
		{ "file:///srv/a.db", "/srv/a.db" },
		{ "file://localhost/srv/a.db", "/srv/a.db" },
		{ "file:a.db#part", "a.db" },
		{ "file:a.db?mode=rwc#part", "a.db" },
		{ "a.db?", "a.db" },
		{ "a.db?&&mode=rw&", "a.db" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].text) == -1)
			fail_msg("%s: %s", cases[i].text, err);
		assert_string_equal(dsn.path, cases[i].path);
		assert_int_equal(dsn.busy_timeout_ms, 5000);
		assert_string_equal(warn, "");
		assert_string_equal(err, "");
	}
}

static void
test_bad_paths(void **state)
{
	static const char *const cases[] = {
		"",
		"?x=1",
		"file:",
		"file:?_busy_timeout=1",
		":memory:",
		"file::memory:",
		"file:%3amemory:",
		"file:a%0",
		"file:a%zz",
		"file:a%00b",
		"file://host/a.db",
		"file://",
		"file://localhost",
		"dir/",
		"file:dir/",
	};
	char text[5000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i]) != -1)
			fail_msg("accepted: %s", cases[i]);
		assert_string_not_equal(err, "");
	}
	memset(text, 'x', sizeof(text));
	text[sizeof(dsn.path)] = '\0';
	assert_int_equal(parse(text), -1);
	text[sizeof(dsn.path) - 1] = '\0';
	assert_int_equal(parse(text), 0);
	memset(text, 'x', sizeof(text));
	memcpy(text, "file:", 5);
	text[sizeof(dsn.path) + 4] = '\0';
	assert_int_equal(parse(text), 0);
	assert_int_equal(strlen(dsn.path), sizeof(dsn.path) - 1);
	text[sizeof(dsn.path) + 4] = 'x';
	text[sizeof(dsn.path) + 5] = '\0';
	assert_int_equal(parse(text), -1);
}

static void
test_busy_timeout(void **state)
{
	(void)state;
	assert_int_equal(parse("a?_busy_timeout=0"), 0);
	assert_int_equal(dsn.busy_timeout_ms, 0);
	assert_int_equal(parse("a?_timeout=60000"), 0);
	assert_int_equal(dsn.busy_timeout_ms, 60000);
	assert_int_equal(parse("a?_busy_timeout=60001"), -1);
	assert_non_null(strstr(err, "60000"));
	assert_int_equal(parse("a?_busy_timeout="), -1);
	assert_int_equal(parse("a?_busy_timeout"), -1);
	assert_int_equal(parse("a?_busy_timeout=-1"), -1);
	assert_int_equal(parse("a?_busy_timeout=5s"), -1);
	assert_int_equal(parse("a?_busy_timeout=99999999999999999999"), -1);
}

/* Each would lose messages, hide them, or let a second writer in. */
static void
test_weakening_is_refused(void **state)
{
	static const char *const cases[] = {
		"_journal_mode=DELETE",
		"_journal_mode=OFF",
		"_journal_mode=memory",
		"_journal_mode=",
		"_journal=TRUNCATE",
		"_synchronous=OFF",
		"_synchronous=NORMAL",
		"_synchronous=0",
		"_synchronous=1",
		"_sync=normal",
		"_sync=1",
		"_sync=",
		"_locking_mode=EXCLUSIVE",
		"_locking=exclusive",
		"mode=memory",
		"mode=ro",
		"immutable=1",
		"immutable=true",
		"cache=shared",
		"nolock=1",
		"vfs=unix-none",
		"vfs=unix",
		"_query_only=1",
		"_s%79nc=OFF",
		"_busy_timeout=1&_sync=OFF",
	};
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, "file:a.db?");
		strcat(text, cases[i]);
		if (parse(text) != -1)
			fail_msg("accepted: %s", text);
		assert_string_not_equal(err, "");
		/* The same without file:. */
		if (parse(text + strlen("file:")) != -1)
			fail_msg("accepted: %s", text);
	}
	/* The sentence says which one. */
	assert_int_equal(parse("a?_busy_timeout=1&_sync=OFF"), -1);
	assert_non_null(strstr(err, "_sync=OFF"));
}

static void
test_harmless(void **state)
{
	static const char *const cases[] = {
		"_journal_mode=wal",
		"_journal=WAL",
		"_synchronous=FULL",
		"_sync=extra",
		"_sync=2",
		"_sync=3",
		"_locking_mode=normal",
		"mode=rw",
		"mode=rwc",
		"immutable=0",
		"nolock=false",
		"cache=private",
		"_query_only=off",
	};
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, "file:a.db?");
		strcat(text, cases[i]);
		if (parse(text) == -1)
			fail_msg("%s: %s", text, err);
		assert_string_equal(warn, "");
	}
	assert_int_equal(parse("a?_txlock=immediate&_fk=1&mode=rw"), 0);
	assert_non_null(strstr(warn, "_txlock, _fk"));
	assert_null(strstr(warn, "mode"));
}

static void
test_small_buffers(void **state)
{
	char text[1200] = "a.db?", small[16];
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		strcat(text, "unknown=1&");
	assert_int_equal(dsn_parse(text, &dsn, err, sizeof(err), small,
			     sizeof(small)),
	    0);
	assert_int_equal(strlen(small), sizeof(small) - 1);
	assert_int_equal(dsn_parse("a?_sync=OFF", &dsn, small, sizeof(small),
			     warn, sizeof(warn)),
	    -1);
	assert_int_equal(strlen(small), sizeof(small) - 1);
	strcpy(text, "a?");
	memset(text + 2, 'n', 400);
	assert_int_equal(parse(text), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_busy_timeout),
		cmocka_unit_test(test_weakening_is_refused),
		cmocka_unit_test(test_harmless),
		cmocka_unit_test(test_small_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
