/* SPDX-License-Identifier: MIT */
/*
 * Edits and deletions of messages as the writer stores and announces them:
 * who may, what counts as a change, and that nothing is done twice.
 */
#include <stdio.h>
#include <string.h>

#include "common/ids.h"
#include "store_fixture.h"

/* A group of alice and bob in which each has sent one message: seq 1 is
 * alice's, 2 bob's. */
struct two {
	char room[ID_TOKEN_SIZE];
	uint64_t ms[3];
};

static void
two_messages(struct fixture *f, struct two *t)
{
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice,bob", t->room),
	    OUTCOME_OK);
	assert_int_equal(fixture_send(f, t->room, "alice", "c1", "one"),
	    OUTCOME_OK);
	t->ms[1] = f->reply.ms;
	assert_int_equal(fixture_send(f, t->room, "bob", "", "two"),
	    OUTCOME_OK);
	t->ms[2] = f->reply.ms;
	fixture_commit(f);
}

static void
assert_change(struct fixture *f, unsigned n, uint64_t seq, uint64_t rev,
    const char *begin)
{
	struct rec_event_change e;
	struct rec_publish p;

	fixture_event(f, n, &p);
	assert_int_equal(p.inner.type, REC_EVENT_CHANGED);
	assert_int_equal(rec_event_change_get(&p.inner, &e), 0);
	assert_int_equal(p.nkeys, 1);
	assert_int_equal(rec_publish_key(&p, 0), id_room_key(e.room));
	assert_int_equal(e.tenant, f->tenant);
	assert_int_equal(e.n, store_batch(f->store));
	assert_int_equal(e.seq, seq);
	assert_int_equal(e.rev, rev);
	assert_true(e.text.len > strlen(begin));
	assert_memory_equal(e.text.p, begin, strlen(begin));
}

static void
test_edit(void **state)
{
	struct fixture *f = *state;
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "bob", 2, t.ms[2], "zwei"),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	assert_true(f->reply.room != 0);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "eins"),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 2);
	assert_change(f, 0, 2, 1, "{\"type\":\"message.edited\",");
	assert_change(f, 1, 1, 2, "{\"type\":\"message.edited\",");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message WHERE seq = 2"
			     " AND content = 'zwei' AND rev = 1"
			     " AND edited_ms >= created_ms"
			     " AND deleted_ms IS NULL"),
	    1);
	assert_int_equal(fixture_query(f,
			     "SELECT rev FROM message WHERE seq = 1"),
	    2);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 2);
	/* An edit is no activity: rooms keep their order. */
	assert_int_equal(fixture_query(f, "SELECT last_seq FROM room_head"), 2);
}

static void
test_same_content_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct two t;
	uint64_t n;

	two_messages(f, &t);
	n = store_batch(f->store);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "one"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(store_batch(f->store), n);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message"
			     " WHERE edited_ms IS NOT NULL OR rev > 0"),
	    0);
	/* Back to an earlier content is a change. */
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "oneone"),
	    OUTCOME_OK);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "one"),
	    OUTCOME_OK);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "one"),
	    OUTCOME_REPEATED);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 2);
}

static void
test_delete(void **state)
{
	struct fixture *f = *state;
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_delete(f, t.room, "alice", 1, t.ms[1]),
	    OUTCOME_OK);
	/* The backend may delete any. */
	assert_int_equal(fixture_delete(f, t.room, "", 2, t.ms[2]), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 2);
	assert_change(f, 0, 1, 1, "{\"type\":\"message.deleted\",");
	assert_change(f, 1, 2, 2, "{\"type\":\"message.deleted\",");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message"
			     " WHERE content IS NULL AND meta IS NULL"
			     " AND deleted_ms >= created_ms AND rev = seq"),
	    2);
	/* What is deleted stays so, and nothing changes. */
	fixture_begin(f);
	assert_int_equal(fixture_delete(f, t.room, "alice", 1, t.ms[1]),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(fixture_delete(f, t.room, "", 1, t.ms[1]),
	    OUTCOME_REPEATED);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "x"),
	    OUTCOME_MESSAGE_DELETED);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 2);
}

static void
test_refusals(void **state)
{
	struct fixture *f = *state;
	char other[ID_TOKEN_SIZE];
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "carol", other),
	    OUTCOME_OK);
	fixture_commit(f);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, "01kapdck0vabcdefghjkmn", "alice", 1,
			     t.ms[1], "x"),
	    OUTCOME_ROOM_NOT_FOUND);
	assert_int_equal(fixture_edit(f, t.room, "carol", 1, t.ms[1], "x"),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_delete(f, t.room, "carol", 9, t.ms[1]),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_edit(f, t.room, "alice", 0, t.ms[1], "x"),
	    OUTCOME_MESSAGE_NOT_FOUND);
	assert_int_equal(fixture_edit(f, t.room, "alice", 3, t.ms[1], "x"),
	    OUTCOME_MESSAGE_NOT_FOUND);
	assert_int_equal(fixture_edit(f, t.room, "alice", UINT64_MAX, t.ms[1],
			     "x"),
	    OUTCOME_MESSAGE_NOT_FOUND);
	/* The time in a message's id is part of its name. */
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1] + 1, "x"),
	    OUTCOME_MESSAGE_NOT_FOUND);
	assert_int_equal(fixture_delete(f, t.room, "", 1, t.ms[1] - 1),
	    OUTCOME_MESSAGE_NOT_FOUND);
	assert_int_equal(fixture_edit(f, t.room, "bob", 1, t.ms[1], "x"),
	    OUTCOME_NOT_SENDER);
	assert_int_equal(fixture_delete(f, t.room, "alice", 2, t.ms[2]),
	    OUTCOME_NOT_SENDER);
	/* Another tenant's room is none. */
	f->tenant += 1000;
	assert_int_equal(fixture_delete(f, t.room, "", 1, t.ms[1]),
	    OUTCOME_UNAUTHORIZED);
	f->tenant -= 1000;
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f, "SELECT sum(rev) FROM room_head"), 0);
	assert_int_equal(fixture_query(f, "SELECT sum(rev) FROM message"), 0);
}

/* Who has left changes nothing any more. */
static void
test_after_leaving(void **state)
{
	struct fixture *f = *state;
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_remove(f, t.room, "alice", "alice"),
	    OUTCOME_OK);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "x"),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_delete(f, t.room, "alice", 1, t.ms[1]),
	    OUTCOME_NOT_MEMBER);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 0);
}

/* client_msg_id goes by what was sent, whatever became of it. */
static void
test_client_msg_id_outlives_changes(void **state)
{
	struct fixture *f = *state;
	struct two t;

	two_messages(f, &t);
	for (int i = 0; i < 2; i++) {
		fixture_begin(f);
		if (i == 0)
			assert_int_equal(fixture_edit(f, t.room, "alice", 1,
					     t.ms[1], "changed"),
			    OUTCOME_OK);
		else
			assert_int_equal(fixture_delete(f, t.room, "alice", 1,
					     t.ms[1]),
			    OUTCOME_OK);
		assert_int_equal(fixture_send(f, t.room, "alice", "c1", "one"),
		    OUTCOME_REPEATED);
		assert_int_equal(f->reply.seq, 1);
		assert_int_equal(f->reply.ms, t.ms[1]);
		assert_int_equal(fixture_send(f, t.room, "alice", "c1",
				     "changed"),
		    OUTCOME_CLIENT_MSG_CONFLICT);
		fixture_commit(f);
	}
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 2);
}

/* A batch that fails takes its changes along, in memory too. */
static void
test_rollback(void **state)
{
	struct fixture *f = *state;
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "x"),
	    OUTCOME_OK);
	assert_int_equal(fixture_delete(f, t.room, "bob", 2, t.ms[2]),
	    OUTCOME_OK);
	store_rollback(f->store);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "one"),
	    OUTCOME_REPEATED);
	assert_int_equal(fixture_edit(f, t.room, "bob", 2, t.ms[2], "zwei"),
	    OUTCOME_OK);
	fixture_commit(f);
	/* The revs that were rolled back are given again. */
	assert_int_equal(fixture_events(f, 0), 1);
	assert_change(f, 0, 2, 1, "{\"type\":\"message.edited\",");
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 1);
}

/* The next writer knows what the last one did. */
static void
test_receipts(void **state)
{
	struct fixture *f = *state;
	struct two t;
	uint64_t op;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "x"),
	    OUTCOME_OK);
	op = f->op;
	assert_int_equal(fixture_delete(f, t.room, "bob", 2, t.ms[2]),
	    OUTCOME_OK);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "y"),
	    OUTCOME_OK);
	fixture_commit(f);
	fixture_reopen(f);
	f->op = op - 1;
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], "x"),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(fixture_delete(f, t.room, "bob", 2, t.ms[2]),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f, "SELECT rev FROM room_head"), 3);
	assert_int_equal(fixture_query(f,
			     "SELECT content = 'y' FROM message"
			     " WHERE seq = 1"),
	    1);
}

/* A content with every kind of character is kept and told as it is. */
static void
test_any_content(void **state)
{
	static const char content[] = "a\"\\\n\xc3\xa9 \x01";
	struct fixture *f = *state;
	struct rec_event_change e;
	struct rec_publish p;
	struct two t;

	two_messages(f, &t);
	fixture_begin(f);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], content),
	    OUTCOME_OK);
	assert_int_equal(fixture_edit(f, t.room, "alice", 1, t.ms[1], content),
	    OUTCOME_REPEATED);
	fixture_commit(f);
	fixture_event(f, 0, &p);
	assert_int_equal(rec_event_change_get(&p.inner, &e), 0);
	assert_non_null(memmem(e.text.p, e.text.len,
	    "\"content\":\"a\\\"\\\\\\n\xc3\xa9 \\u0001\"", 26));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_edit),
		TEST(test_same_content_changes_nothing),
		TEST(test_delete),
		TEST(test_refusals),
		TEST(test_after_leaving),
		TEST(test_client_msg_id_outlives_changes),
		TEST(test_rollback),
		TEST(test_receipts),
		TEST(test_any_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
