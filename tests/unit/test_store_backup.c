/* SPDX-License-Identifier: MIT */
/*
 * A copy made between batches is the database as it stands when the last
 * page is copied; what nobody finishes is cleared away; and pages that
 * removal has emptied are given back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"
#include "tool/tool_int.h"

/* The database's name, and more. */
#define PATH_SIZE (sizeof(((struct dsn *)0)->path) + 64)

static char room[ID_TOKEN_SIZE];

/* A group of alice's with n messages of so many bytes. */
static void
history(struct fixture *f, unsigned n, size_t size)
{
	char *content = malloc(size + 1);

	assert_non_null(content);
	memset(content, 'x', size);
	content[size] = '\0';
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice,bob", room),
	    OUTCOME_OK);
	fixture_commit(f);
	for (unsigned i = 0; i < n; i += 50) {
		fixture_begin(f);
		for (unsigned k = 0; k < 50; k++)
			assert_int_equal(fixture_send(f, room, "alice", "",
					     content),
			    OUTCOME_OK);
		fixture_commit(f);
	}
	free(content);
}

static void
say(struct fixture *f, const char *content)
{
	fixture_begin(f);
	assert_int_equal(fixture_send(f, room, "alice", "", content),
	    OUTCOME_OK);
	fixture_commit(f);
}

static void
copy_path(struct fixture *f, char *out, size_t size)
{
	snprintf(out, size, "%s%s", f->dsn.path, store_backup_suffix(f->store));
}

/* One number out of a file. */
static int64_t
query(const char *path, const char *sql)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static void
begin(struct fixture *f)
{
	char err[STORE_BACKUP_ERR_SIZE];

	assert_int_equal(store_backup_begin(f->store, err, sizeof(err)), 0);
}

static int
step(struct fixture *f)
{
	char err[STORE_BACKUP_ERR_SIZE];

	return store_backup_step(f->store, 16, err, sizeof(err));
}

static void
test_follows_the_writer(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE], err[STORE_BACKUP_ERR_SIZE];
	uint64_t done, all, last = 0;
	unsigned said = 0;
	struct stat st;

	history(f, 500, 2000);
	begin(f);
	copy_path(f, path, sizeof(path));
	/* A batch that is taken back is in no copy; the copy begins anew. */
	assert_int_equal(step(f), 0);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, room, "bob", "", "never"), OUTCOME_OK);
	store_rollback(f->store);
	while (step(f) == 0) {
		char text[32];

		snprintf(text, sizeof(text), "new %u", ++said);
		say(f, text);
		store_maintain(f->store);
		store_backup_progress(f->store, &done, &all);
		/* Nothing else makes it. */
		assert_true(done > last && all >= done);
		last = done;
	}
	assert_true(said > 10);
	assert_int_equal(store_backup_end(f->store, true), 0);
	assert_false(store_backup_active(f->store));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_backup_seal(path, err, sizeof(err)), 0);
	assert_int_equal(query(path, "SELECT count(*) FROM message"),
	    500 + said);
	assert_int_equal(query(path, "SELECT last_seq FROM room_head"),
	    500 + said);
	assert_int_equal(query(path,
			     "SELECT count(*) FROM message"
			     " WHERE content = 'never'"),
	    0);
	assert_int_equal(query(path,
			     "SELECT count(*) FROM pragma_integrity_check"
			     " WHERE integrity_check = 'ok'"),
	    1);
	/* The original stands as it was. */
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"),
	    500 + said);
}

static void
test_seal(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE], err[STORE_BACKUP_ERR_SIZE];

	history(f, 50, 10);
	say(f, "one more batch");
	begin(f);
	copy_path(f, path, sizeof(path));
	while (step(f) == 0)
		;
	assert_int_equal(store_backup_end(f->store, true), 0);
	assert_int_equal(store_backup_seal(path, err, sizeof(err)), 0);
	/* One batch, the last, without receipts. */
	assert_int_equal(query(path, "SELECT count(*) FROM batch"), 1);
	assert_int_equal(query(path, "SELECT n FROM batch"),
	    store_batch(f->store));
	assert_int_equal(query(path, "SELECT length(receipts) FROM batch"), 0);
	assert_int_equal(query(path, "SELECT length(epoch) FROM state"), 32);
	assert_int_equal(query(path,
			     "SELECT count(*) FROM pragma_journal_mode"
			     " WHERE journal_mode = 'delete'"),
	    1);
	/* It refuses what is none. */
	assert_int_equal(store_backup_seal(f->dir, err, sizeof(err)), -1);
	assert_true(strlen(err) > 0);
}

static bool
there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
test_stale(void **state)
{
	struct fixture *f = *state;
	char stale[PATH_SIZE], held[PATH_SIZE], other[PATH_SIZE];
	int fd;

	snprintf(stale, sizeof(stale), "%s-staging/0123456789abcdef",
	    f->dsn.path);
	snprintf(held, sizeof(held), "%s-staging/fedcba9876543210",
	    f->dsn.path);
	snprintf(other, sizeof(other), "%s-staging/of-monday", f->dsn.path);
	store_backup_prepare(f->store);
	assert_int_equal(close(open(stale, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(close(open(other, O_CREAT | O_WRONLY, 0600)), 0);
	fd = open(held, O_CREAT | O_RDWR, 0600);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	fixture_reopen(f);
	assert_false(there(stale));
	assert_true(there(held));
	assert_true(there(other));
	assert_int_equal(close(fd), 0);
	fixture_reopen(f);
	assert_false(there(held));
	assert_true(there(other));
	assert_int_equal(unlink(other), 0);
}

static void
test_ends_with_the_store(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE];

	history(f, 100, 2000);
	begin(f);
	copy_path(f, path, sizeof(path));
	assert_int_equal(step(f), 0);
	assert_true(there(path));
	assert_false(store_backup_owned(f->store));
	fixture_reopen(f);
	assert_false(there(path));
}

static void
test_restoring(void **state)
{
	struct fixture *f = *state;
	char mark[PATH_SIZE], err[STORE_BACKUP_ERR_SIZE];

	snprintf(mark, sizeof(mark), "%s%s", f->dsn.path,
	    STORE_RESTORING_SUFFIX);
	assert_int_equal(close(open(mark, O_CREAT | O_WRONLY, 0600)), 0);
	assert_null(store_open(&f->dsn, err, sizeof(err)));
	assert_non_null(strstr(err, "interrupted"));
	assert_int_equal(unlink(mark), 0);
	fixture_reopen(f);
}

static void
test_gives_pages_back(void **state)
{
	struct fixture *f = *state;
	unsigned pieces = 0;
	int64_t before;
	char kept[ID_TOKEN_SIZE], large[ID_TOKEN_SIZE];

	history(f, 1000, 4000);
	memcpy(large, room, sizeof(large));
	/* Behind it, so that what stays must move. */
	history(f, 2000, 4000);
	memcpy(kept, room, sizeof(kept));
	memcpy(room, large, sizeof(room));
	history(f, 1000, 4000);
	before = fixture_query(f, "SELECT page_count FROM pragma_page_count");
	fixture_begin(f);
	assert_int_equal(fixture_drop(f, large, ""), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, room, ""), OUTCOME_OK);
	fixture_commit(f);
	while (store_sweep_pending(f->store)) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_true(++pieces < 10000);
		store_maintain(f->store);
		memcpy(room, kept, sizeof(room));
		say(f, "meanwhile");
	}
	assert_true(fixture_query(f,
			"SELECT page_count FROM pragma_page_count") <
	    before * 3 / 4);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message"
			     " WHERE content LIKE 'xxxx%'"),
	    2000);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM pragma_integrity_check"
			     " WHERE integrity_check = 'ok'"),
	    1);
	/* Not while a copy is made. */
	begin(f);
	assert_false(store_sweep_pending(f->store));
	assert_int_equal(store_backup_end(f->store, false), 0);
}

static void
test_progress(void **state)
{
	struct progress p = { .label = "copying", .bytes = true };
	char text[160];

	(void)state;
	progress_number(text, 1023, true);
	assert_string_equal(text, "1023 B");
	progress_number(text, 1536 * 1024, true);
	assert_string_equal(text, "1.5 MiB");
	progress_number(text, UINT64_MAX, true);
	assert_non_null(strstr(text, "TiB"));
	progress_number(text, 1536, false);
	assert_string_equal(text, "1536");
	progress_line(text, sizeof(text), &p, 10 << 20, 40 << 20, 1000);
	assert_string_equal(text,
	    "copying: 25 %, 10.0 MiB of 40.0 MiB, "
	    "10.0 MiB/s, 0:03 left");
	progress_line(text, sizeof(text), &p, 0, 0, 0);
	assert_string_equal(text, "copying: 100 %, 0 B of 0 B, 0 B/s");
	/* The whole may have shrunk. */
	progress_line(text, sizeof(text), &p, 5, 4, 1000);
	assert_string_equal(text, "copying: 100 %, 5 B of 4 B, 5 B/s");
	progress_line(text, 10, &p, 1, 4, 1000);
	assert_string_equal(text, "copying: ");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_up, fixture_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_follows_the_writer),
		TEST(test_seal),
		TEST(test_stale),
		TEST(test_ends_with_the_store),
		TEST(test_restoring),
		TEST(test_gives_pages_back),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
