/* SPDX-License-Identifier: MIT */
/*
 * A disk that fails under the store: what may be refused is refused, and
 * what nobody can know is not answered.  The faults come from a VFS between
 * SQLite and the file system.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "store_fixture.h"

static sqlite3_vfs vfs, *below;
/* Of the WAL and the like, and of the database: they differ in locks. */
static sqlite3_io_methods methods[2];
static const sqlite3_io_methods *real[2];
/* Results of the next calls; 0 = as usual. */
static int fail_sync, fail_write;
/* So many writes go through before they fail. */
static int good_writes;

static const sqlite3_io_methods *
real_of(const sqlite3_file *f)
{
	return real[f->pMethods - methods];
}

static int
fault_sync(sqlite3_file *f, int flags)
{
	return fail_sync != 0 ? fail_sync : real_of(f)->xSync(f, flags);
}

static int
fault_write(sqlite3_file *f, const void *p, int len, sqlite3_int64 at)
{
	if (fail_write != 0 && good_writes-- <= 0)
		return fail_write;
	return real_of(f)->xWrite(f, p, len, at);
}

static int
fault_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
    int *out)
{
	int rc = below->xOpen(below, name, f, flags, out);
	bool i = (flags & SQLITE_OPEN_MAIN_DB) != 0;

	(void)v;
	if (rc != SQLITE_OK || f->pMethods == NULL)
		return rc;
	if (real[i] == NULL) {
		real[i] = f->pMethods;
		methods[i] = *real[i];
		methods[i].xSync = fault_sync;
		methods[i].xWrite = fault_write;
	}
	assert_ptr_equal(f->pMethods, real[i]);
	f->pMethods = &methods[i];
	return SQLITE_OK;
}

static int
register_faults(void **state)
{
	(void)state;
	below = sqlite3_vfs_find(NULL);
	vfs = *below;
	vfs.zName = "faults";
	vfs.pNext = NULL;
	vfs.xOpen = fault_open;
	return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK ? 0 : -1;
}

static int
up(void **state)
{
	fail_sync = fail_write = good_writes = 0;
	return fixture_up(state);
}

static void
one_room(struct fixture *f, char token[ID_TOKEN_SIZE])
{
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice,bob", token),
	    OUTCOME_OK);
	fixture_commit(f);
}

/* Puts the same operation into a batch again, as a worker does that has had
 * no answer. */
static enum outcome
resubmit(struct fixture *f, const char *room, uint64_t op)
{
	f->op = op - 1;
	return fixture_send(f, room, "alice", "", "kept or lost");
}

static void
test_sync_fails(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	uint64_t op;

	one_room(f, a);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "", "kept or lost"),
	    OUTCOME_OK);
	op = f->op;
	fail_sync = SQLITE_IOERR_FSYNC;
	assert_int_equal(store_commit(f->store), STORE_FATAL);
	fail_sync = 0;
	/* Whatever became of it: the next writer has it exactly once. */
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(resubmit(f, a, op), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
}

static void
test_write_fails(void **state)
{
	static const int codes[] = { SQLITE_FULL, SQLITE_IOERR_WRITE };
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], big[3001];
	uint64_t seq = 0;

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	one_room(f, a);
	for (unsigned i = 0; i < 2; i++)
		for (int good = 0; good < 3; good++) {
			fixture_begin(f);
			for (int k = 0; k < 100; k++)
				assert_int_equal(fixture_send(f, a, "alice", "",
						     big),
				    OUTCOME_OK);
			fail_write = codes[i];
			good_writes = good;
			assert_int_equal(store_commit(f->store), STORE_REFUSED);
			assert_int_equal(store_probe(f->store), STORE_REFUSED);
			fail_write = 0;
			assert_int_equal(store_probe(f->store), STORE_OK);
			fixture_begin(f);
			assert_int_equal(fixture_send(f, a, "bob", "", "x"),
			    OUTCOME_OK);
			assert_int_equal(f->reply.seq, ++seq);
			fixture_commit(f);
		}
	fixture_reopen(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), seq);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) "
			     "FROM pragma_integrity_check "
			     "WHERE integrity_check = 'ok'"),
	    1);
}

/* The room's operations that were refused may be asked for again. */
static void
test_refused_has_no_receipt(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	uint64_t op;

	one_room(f, a);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "", "kept or lost"),
	    OUTCOME_OK);
	op = f->op;
	fail_write = SQLITE_FULL;
	assert_int_equal(store_commit(f->store), STORE_REFUSED);
	fail_write = 0;
	fixture_begin(f);
	assert_int_equal(resubmit(f, a, op), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_MESSAGE), 1);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
}

static void
test_checkpoint_fails(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], big[16001];
	int sent = 0;

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	one_room(f, a);
	while (store_wal_bytes(f->store) < 5 * 1024 * 1024) {
		fixture_begin(f);
		for (int i = 0; i < 50; i++, sent++)
			assert_int_equal(fixture_send(f, a, "alice", "", big),
			    OUTCOME_OK);
		fixture_commit(f);
	}
	fail_sync = SQLITE_IOERR_FSYNC;
	store_maintain(f->store);
	fail_sync = 0;
	assert_int_equal(store_probe(f->store), STORE_OK);
	while (store_wal_bytes(f->store) > 4 * 1024 * 1024) {
		fixture_begin(f);
		for (int i = 0; i < 50; i++, sent++)
			assert_int_equal(fixture_send(f, a, "alice", "", big),
			    OUTCOME_OK);
		fixture_commit(f);
		store_maintain(f->store);
		assert_true(sent < 20000);
	}
	fixture_reopen(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"),
	    sent);
}

/* A piece of a removal that fails is as if it had not been. */
static void
test_removal_fails(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], b[ID_TOKEN_SIZE];

	one_room(f, a);
	one_room(f, b);
	fixture_begin(f);
	for (int i = 0; i < 100; i++)
		assert_int_equal(fixture_send(f, a, "alice", "", "x"),
		    OUTCOME_OK);
	assert_int_equal(fixture_send(f, b, "alice", "", "x"), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, a, ""), OUTCOME_OK);
	fixture_commit(f);
	fail_write = SQLITE_FULL;
	assert_int_equal(store_sweep(f->store), STORE_REFUSED);
	fail_write = 0;
	assert_true(store_sweep_pending(f->store));
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 101);
	/* What was known of the others is right still. */
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "", "x"),
	    OUTCOME_ROOM_NOT_FOUND);
	assert_int_equal(fixture_send(f, b, "bob", "", "x"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
	/* A sync that fails leaves the outcome open, as for a batch. */
	fail_sync = SQLITE_IOERR_FSYNC;
	assert_int_equal(store_sweep(f->store), STORE_FATAL);
	fail_sync = 0;
	fixture_reopen(f);
	for (int i = 0; i < 1000 && store_sweep_pending(f->store); i++)
		assert_int_equal(store_sweep(f->store), STORE_OK);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 2);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_sync_fails),
		TEST(test_write_fails),
		TEST(test_refused_has_no_receipt),
		TEST(test_checkpoint_fails),
		TEST(test_removal_fails),
	};

	return cmocka_run_group_tests(tests, register_faults, NULL);
}
