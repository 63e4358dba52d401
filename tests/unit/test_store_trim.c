/* SPDX-License-Identifier: MIT */
/*
 * Retention's cut through a room's log: what is below is gone at once, for
 * the writer as for the workers, and nothing above is touched.
 */
#include <stdio.h>
#include <string.h>

#include "common/ids.h"
#include "store_fixture.h"
#include "worker/reader.h"

static uint64_t ms[101];

/* A group of alice and bob with messages 1 to 10, alice's "c1" to "c10";
 * 3 is edited, 4 deleted. */
static void
ten_messages(struct fixture *f, char g[ID_TOKEN_SIZE])
{
	char id[16];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice,bob", g),
	    OUTCOME_OK);
	for (int i = 1; i <= 10; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		assert_int_equal(fixture_send(f, g, "alice", id, id),
		    OUTCOME_OK);
		ms[i] = f->reply.ms;
	}
	assert_int_equal(fixture_edit(f, g, "alice", 3, ms[3], "x"),
	    OUTCOME_OK);
	assert_int_equal(fixture_delete(f, g, "alice", 4, ms[4]), OUTCOME_OK);
	fixture_commit(f);
}

static void
trim(struct fixture *f, const char *g, uint64_t first, enum outcome want)
{
	fixture_begin(f);
	assert_int_equal(fixture_trim(f, g, first), want);
	fixture_commit(f);
}

static void
sweep(struct fixture *f)
{
	int n = 0;

	while (store_sweep_pending(f->store)) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_true(++n < 10000);
	}
}

static int64_t
messages(struct fixture *f)
{
	return fixture_query(f, "SELECT count(*) FROM message");
}

static void
test_trim(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	ten_messages(f, g);
	trim(f, g, 6, OUTCOME_OK);
	assert_int_equal(f->reply.seq, 6);
	assert_true(f->reply.room != 0);
	assert_int_equal(fixture_query(f, "SELECT first_seq FROM room_head"),
	    6);
	/* Before and after their rows have gone. */
	for (int i = 0; i < 2; i++) {
		fixture_begin(f);
		assert_int_equal(fixture_edit(f, g, "alice", 5, ms[5], "y"),
		    OUTCOME_MESSAGE_NOT_FOUND);
		assert_int_equal(fixture_delete(f, g, "", 3, ms[3]),
		    OUTCOME_MESSAGE_NOT_FOUND);
		assert_int_equal(fixture_edit(f, g, "alice", 6, ms[6],
				     i == 0 ? "y" : "z"),
		    OUTCOME_OK);
		fixture_commit(f);
		sweep(f);
		assert_int_equal(messages(f), 5);
	}
	assert_int_equal(fixture_query(f, "SELECT min(seq) FROM message"), 6);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 4);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
	/* Never back, and not twice. */
	trim(f, g, 6, OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 6);
	trim(f, g, 0, OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 6);
	assert_false(store_sweep_pending(f->store));
	trim(f, g, 7, OUTCOME_OK);
	fixture_reopen(f);
	sweep(f);
	assert_int_equal(messages(f), 4);
}

static bool
last_of(const struct reader_room_row *row, void *arg)
{
	*(uint64_t *)arg = row->last == NULL ? 0 : row->last->seq;
	return true;
}

static uint64_t
last_message(struct fixture *f)
{
	struct reader *r = reader_open(f->dsn.path, 100);
	uint64_t seq[2] = { 1000, 1000 };

	assert_non_null(r);
	assert_int_equal(reader_rooms(r, f->tenant, str("bob"), 0, 0, 100,
			     last_of, &seq[0]),
	    1);
	assert_int_equal(reader_rooms(r, f->tenant, str(""), 0, 0, 100, last_of,
			     &seq[1]),
	    1);
	assert_int_equal(seq[0], seq[1]);
	reader_close(r);
	return seq[0];
}

/* Beyond the head is to the head: nothing is left, and the room goes on. */
static void
test_trim_all(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	ten_messages(f, g);
	assert_int_equal(last_message(f), 10);
	trim(f, g, UINT64_MAX, OUTCOME_OK);
	assert_int_equal(f->reply.seq, 11);
	assert_int_equal(last_message(f), 0);
	sweep(f);
	assert_int_equal(messages(f), 0);
	assert_int_equal(last_message(f), 0);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "bob", "", "next"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 11);
	fixture_commit(f);
	assert_int_equal(last_message(f), 11);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_ack(f, g, "alice", 5), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 5);
	fixture_commit(f);
}

static void
test_trim_of_an_empty_room(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice", g),
	    OUTCOME_OK);
	fixture_commit(f);
	trim(f, g, 100, OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	trim(f, "01kapdck0vabcdefghjkmn", 2, OUTCOME_ROOM_NOT_FOUND);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "alice", "", "x"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
}

/*
 * A client_msg_id holds for as long as its message lives.  After that it is
 * a new one, whether or not the old row is there still; the old message
 * never comes back.
 */
static void
test_client_msg_id_of_a_trimmed_one(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	ten_messages(f, g);
	fixture_begin(f);
	assert_int_equal(fixture_trim(f, g, 6), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "alice", "c1", "c1"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 11);
	/* Another content is no conflict with what does not exist. */
	assert_int_equal(fixture_send(f, g, "alice", "c2", "new"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 12);
	assert_int_equal(fixture_send(f, g, "alice", "c2", "new"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 12);
	/* That of one that lives is its own still. */
	assert_int_equal(fixture_send(f, g, "alice", "c6", "c6"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 6);
	assert_int_equal(fixture_send(f, g, "alice", "c7", "new"),
	    OUTCOME_CLIENT_MSG_CONFLICT);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_MESSAGE), 2);
	sweep(f);
	assert_int_equal(messages(f), 7);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "alice", "c3", "c3"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 13);
	assert_int_equal(fixture_send(f, g, "alice", "c1", "c1"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 11);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT min(seq) FROM message"), 6);
}

static void
test_rollback(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	ten_messages(f, g);
	fixture_begin(f);
	assert_int_equal(fixture_trim(f, g, 8), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "alice", "c1", "c1"), OUTCOME_OK);
	store_rollback(f->store);
	sweep(f);
	assert_int_equal(messages(f), 10);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "alice", "c1", "c1"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(fixture_edit(f, g, "alice", 5, ms[5], "y"),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT first_seq FROM room_head"),
	    1);
}

/* A room is trimmed again before the first cut's rows are gone, and then
 * deleted. */
static void
test_one_after_another(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], other[ID_TOKEN_SIZE];

	ten_messages(f, other);
	ten_messages(f, g);
	fixture_begin(f);
	assert_int_equal(fixture_trim(f, g, 3), OUTCOME_OK);
	assert_int_equal(fixture_trim(f, g, 9), OUTCOME_OK);
	assert_int_equal(fixture_trim(f, g, 5), OUTCOME_REPEATED);
	fixture_commit(f);
	sweep(f);
	assert_int_equal(messages(f), 12);
	fixture_begin(f);
	assert_int_equal(fixture_trim(f, g, 10), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, g, ""), OUTCOME_OK);
	fixture_commit(f);
	fixture_reopen(f);
	assert_true(store_sweep_pending(f->store));
	sweep(f);
	assert_int_equal(messages(f), 10);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM sweep"), 0);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_trim),
		TEST(test_trim_all),
		TEST(test_trim_of_an_empty_room),
		TEST(test_client_msg_id_of_a_trimmed_one),
		TEST(test_rollback),
		TEST(test_one_after_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
