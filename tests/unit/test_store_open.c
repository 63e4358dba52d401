/* SPDX-License-Identifier: MIT */
/* Opening a database: new, known, newer, foreign, and after a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

static void
refused(struct fixture *f, const char *why)
{
	char err[512];

	assert_null(store_open(&f->dsn, err, sizeof(err)));
	if (strstr(err, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err, why);
	assert_non_null(strstr(err, f->dsn.path));
}

static void
test_settings(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(fixture_query(f, "PRAGMA page_size"), 4096);
	assert_int_equal(fixture_query(f, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(fixture_query(f,
			     "SELECT journal_mode = 'wal' "
			     "FROM pragma_journal_mode"),
	    1);
	assert_int_equal(fixture_query(f, "PRAGMA user_version"),
	    store_schema_version());
	assert_int_equal(fixture_query(f, "SELECT length(epoch) FROM state"),
	    32);
	assert_int_equal(stat(f->dsn.path, &st), 0);
	assert_int_equal(st.st_mode & 07, 0);
}

static void
test_epoch_stays(void **state)
{
	struct fixture *f = *state;
	int64_t sum;
	const char *sql =
	    "SELECT sum(unicode(substr(epoch, value, 1)) * "
	    "value) FROM state, json_each('[1,2,3,4,5,6,7,8,9,10,11,12]')";

	sum = fixture_query(f, sql);
	fixture_reopen(f);
	assert_int_equal(fixture_query(f, sql), sum);
}

static void
test_newer(void **state)
{
	struct fixture *f = *state;
	char sql[64];

	store_close(f->store);
	f->store = NULL;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %u",
	    store_schema_version() + 1);
	{
		sqlite3 *db;

		assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL),
		    SQLITE_OK);
		sqlite3_close(db);
	}
	refused(f, "newer");
	/* And left alone. */
	assert_int_equal(fixture_query(f, "PRAGMA user_version"),
	    store_schema_version() + 1);
}

static void
test_foreign(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	snprintf(f->dsn.path, sizeof(f->dsn.path), "%s/other.db", f->dir);
	assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE users (a)", NULL, NULL,
			     NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	refused(f, "another program");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) "
			     "FROM sqlite_master"),
	    1);
}

static void
test_not_a_database(void **state)
{
	struct fixture *f = *state;
	FILE *out;

	snprintf(f->dsn.path, sizeof(f->dsn.path), "%s/text.db", f->dir);
	out = fopen(f->dsn.path, "w");
	assert_non_null(out);
	for (int i = 0; i < 1000; i++)
		fputs("This is no database.\n", out);
	fclose(out);
	refused(f, "not a database");
}

static void
test_no_directory(void **state)
{
	struct fixture *f = *state;

	snprintf(f->dsn.path, sizeof(f->dsn.path), "%s/none/x.db", f->dir);
	refused(f, "No such file");
}

/* What a killed writer had committed is there, and synced into the file
 * before anybody reads it. */
static void
test_killed(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], wal[sizeof(f->dsn.path) + 8];
	struct stat st;
	pid_t pid;
	int status;

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice", a),
	    OUTCOME_OK);
	fixture_commit(f);
	store_close(f->store);
	f->store = NULL;
	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		char err[512];

		f->store = store_open(&f->dsn, err, sizeof(err));
		if (f->store == NULL)
			_exit(1);
		fixture_begin(f);
		if (fixture_send(f, a, "alice", "", "kept") != OUTCOME_OK)
			_exit(2);
		fixture_commit(f);
		fixture_begin(f);
		if (fixture_send(f, a, "alice", "", "lost") != OUTCOME_OK)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(wal, sizeof(wal), "%s-wal", f->dsn.path);
	assert_int_equal(stat(wal, &st), 0);
	assert_true(st.st_size > 0);
	fixture_reopen(f);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
	fixture_begin(f);
	/* Receipts are told apart by worker and number. */
	f->op = 1000;
	assert_int_equal(fixture_send(f, a, "alice", "", "next"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
}

static void
test_wal_stays_small(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], *big = malloc(16001);

	memset(big, 'y', 16000);
	big[16000] = '\0';
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice", a),
	    OUTCOME_OK);
	fixture_commit(f);
	for (int batch = 0; batch < 60; batch++) {
		fixture_begin(f);
		for (int i = 0; i < 64; i++)
			assert_int_equal(fixture_send(f, a, "alice", "", big),
			    OUTCOME_OK);
		fixture_commit(f);
		store_maintain(f->store);
	}
	/* 60 MB went through it. */
	assert_true(store_wal_bytes(f->store) < 8 * 1024 * 1024);
	assert_true(store_checkpoints(f->store) > 5);
	free(big);
}

/* Write calls of this process so far; -1 where the kernel does not say. */
static long
write_calls(void)
{
	FILE *in = fopen("/proc/self/io", "r");
	char line[128];
	long n = -1;

	if (in == NULL)
		return -1;
	while (fgets(line, sizeof(line), in) != NULL)
		(void)sscanf(line, "syscw: %ld", &n);
	fclose(in);
	return n;
}

/* A commit of many pages leaves in few writes, and another process can read
 * it as soon as it is done. */
static void
test_few_writes(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], text[3001];
	long calls = write_calls();

	if (calls == -1)
		skip();
	memset(text, 'w', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice", a),
	    OUTCOME_OK);
	fixture_commit(f);
	calls = write_calls();
	fixture_begin(f);
	for (int i = 0; i < 200; i++)
		assert_int_equal(fixture_send(f, a, "alice", "", text),
		    OUTCOME_OK);
	fixture_commit(f);
	assert_true(write_calls() - calls < 30);
	assert_int_equal(fixture_query(f,
			     "SELECT sum(length(content)) "
			     "FROM message"),
	    200 * 3000);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_settings),
		TEST(test_epoch_stays),
		TEST(test_newer),
		TEST(test_foreign),
		TEST(test_not_a_database),
		TEST(test_no_directory),
		TEST(test_killed),
		TEST(test_wal_stays_small),
		TEST(test_few_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
