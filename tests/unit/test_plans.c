/* SPDX-License-Identifier: MIT */
/*
 * How SQLite goes about every statement of the workers and of the writer: by
 * a key or an index, never through a whole table, whose size is the users'.
 */
#include "store_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "courier/view_int.h"
#include "worker/reader_int.h"
#include "writer/store_int.h"

/* Steps that a plan may have although they look like a scan or a sort. */
struct step {
	const char *sql; /* how the statement begins, or part of it */
	const char *step;
};

static const struct step allowed[] = {
	/* A page of at most 101 narrow rows, chosen by index. */
	{ ") top ", "SCAN top" },
	/* A user's rooms by activity: sorted on two integers each; and the
	 * page, once more, when it is put together. */
	{ ") top ", "USE TEMP B-TREE FOR ORDER BY" },
	/* A tenant has few keys. */
	{ "FROM api_key WHERE tenant", "USE TEMP B-TREE FOR ORDER BY" },
	/* At start: what the receipts keep, a few rows. */
	{ "SELECT n, ms, receipts FROM batch", "SCAN batch" },
	/* Only its first row. */
	{ "FROM sweep ORDER BY room LIMIT 1", "SCAN sweep" },
	{ "WHERE deleted_ms IS NOT NULL ORDER BY id LIMIT 1",
	    "SCAN tenant USING INDEX tenant_deleted" },
	/* As many rows as there are tables with AUTOINCREMENT. */
	{ "SELECT seq FROM sqlite_sequence", "SCAN sqlite_sequence" },
	/* At the start, and before a key file is made. */
	{ "WHERE (webhook_secret IS NOT NULL OR jwt_alg = 1)", "SCAN tenant" },
	{ "WHERE webhook_secret IS NOT NULL OR jwt_alg = 1", "SCAN tenant" },
	/* Bounded by its limit. */
	{ "SELECT count(*) FROM (SELECT 1 FROM delivery", "SCAN (subquery-1)" },
	{ "SELECT count(*) FROM (SELECT 1 FROM delivery",
	    "SCAN delivery USING INDEX delivery_due" },
	{ "SELECT count(*) FROM (SELECT 1 FROM delivery",
	    "SCAN delivery USING INDEX delivery_dead" },
};

static bool
step_allowed(const char *sql, const char *step)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (strstr(sql, allowed[i].sql) != NULL &&
		    strcmp(step, allowed[i].step) == 0)
			return true;
	return false;
}

static bool
step_bad(const char *step)
{
	/* A SELECT of one row without a table is none of these. */
	if (strcmp(step, "SCAN CONSTANT ROW") == 0)
		return false;
	return strncmp(step, "SCAN ", 5) == 0 ||
	    strstr(step, "AUTOMATIC") != NULL ||
	    strstr(step, "TEMP B-TREE") != NULL;
}

/* The plan of a prepared statement; how many of its steps hold `wanted`. */
static unsigned
plan_check(sqlite3 *db, sqlite3_stmt *statement, const char *wanted)
{
	const char *sql = sqlite3_sql(statement);
	size_t size = strlen(sql) + sizeof("EXPLAIN QUERY PLAN ");
	char *text = malloc(size);
	sqlite3_stmt *plan;
	unsigned found = 0;

	assert_non_null(text);
	strcpy(text, "EXPLAIN QUERY PLAN ");
	strcat(text, sql);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(plan, 3);

		assert_non_null(step);
		if (step_bad(step) && !step_allowed(sql, step))
			fail_msg("%s\n  of: %s", step, sql);
		if (wanted != NULL && strstr(step, wanted) != NULL)
			found++;
	}
	sqlite3_finalize(plan);
	free(text);
	return found;
}

static void
test_writer(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SQL_COUNT; i++) {
		sqlite3_stmt *s = sql_get(f->store, (enum store_sql)i);

		assert_non_null(s);
		plan_check(f->store->db, s, NULL);
	}
}

static void
test_workers(void **state)
{
	struct fixture *f = *state;
	struct reader *r = reader_open(f->dsn.path, 1000);

	assert_non_null(r);
	for (int i = 0; i < READER_SQL_LAST; i++) {
		sqlite3_stmt *s = reader_statement(r, (enum reader_sql)i);

		assert_non_null(s);
		plan_check(r->db, s, NULL);
	}
	reader_close(r);
}

static void
test_courier(void **state)
{
	struct fixture *f = *state;
	struct view *v = view_open(f->dsn.path, 1000);

	assert_non_null(v);
	for (int i = 0; i < VIEW_SQL_LAST; i++) {
		sqlite3_stmt *s = view_statement(v, (enum view_sql)i);

		assert_non_null(s);
		plan_check(v->db, s, NULL);
	}
	view_close(v);
}

/* GET /rooms: his rooms come out of the index alone, and everything else is
 * looked up by key. */
static void
test_rooms_of_a_user(void **state)
{
	struct fixture *f = *state;
	struct reader *r = reader_open(f->dsn.path, 1000);
	sqlite3_stmt *s;

	assert_non_null(r);
	s = reader_statement(r, READER_ROOMS_OF_USER);
	assert_non_null(s);
	assert_int_equal(plan_check(r->db, s,
			     "SEARCH i USING COVERING INDEX member_user "
			     "(tenant=? AND user=?)"),
	    1);
	assert_int_equal(plan_check(r->db, s,
			     "SEARCH g USING PRIMARY KEY (room=? AND seq=?)"),
	    1);
	assert_int_equal(plan_check(r->db, s,
			     "SEARCH m USING PRIMARY KEY (room=? AND user=?)"),
	    1);
	assert_int_equal(plan_check(r->db, s,
			     "USING INTEGER PRIMARY KEY (rowid=?)"),
	    3);
	reader_close(r);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_writer),
		TEST(test_workers),
		TEST(test_courier),
		TEST(test_rooms_of_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
