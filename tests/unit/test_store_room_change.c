/* SPDX-License-Identifier: MIT */
/*
 * Rooms that get another name and rooms that go: who may, what is told, and
 * that a deleted room is gone at once for writer and workers, its rows soon.
 */
#include <stdio.h>
#include <string.h>

#include "common/ids.h"
#include "store_fixture.h"
#include "worker/reader.h"

/* Everything that is not reachable any more is removed. */
static void
sweep(struct fixture *f)
{
	int n = 0;

	while (store_sweep_pending(f->store)) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_true(++n < 10000);
	}
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM sweep"), 0);
}

static void
new_room(struct fixture *f, enum room_type type, const char *creator,
    const char *users, char token[ID_TOKEN_SIZE])
{
	fixture_begin(f);
	assert_int_equal(fixture_room(f, type, creator, users, token),
	    OUTCOME_OK);
	fixture_commit(f);
}

static void
assert_room_event(struct fixture *f, unsigned n, enum record_type type,
    const char *text)
{
	struct rec_event_room e;
	struct rec_publish p;

	fixture_event(f, n, &p);
	assert_int_equal(p.inner.type, type);
	assert_int_equal(rec_event_room_get(&p.inner, &e), 0);
	assert_int_equal(p.nkeys, 1);
	assert_int_equal(rec_publish_key(&p, 0), id_room_key(e.room));
	assert_int_equal(e.n, store_batch(f->store));
	assert_int_equal(e.tenant, f->tenant);
	assert_non_null(memmem(e.text.p, e.text.len, text, strlen(text)));
}

static void
test_update(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], text[200];

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	assert_int_equal(fixture_query(f, "SELECT changed_n FROM room"), 0);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "A \"room\"", NULL),
	    OUTCOME_OK);
	assert_true(f->reply.room != 0);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 1);
	snprintf(text, sizeof(text),
	    "{\"type\":\"room.updated\",\"room_id\":\"room_%s\","
	    "\"room\":{\"room_id\":\"room_%s\",\"type\":\"group\","
	    "\"name\":\"A \\\"room\\\"\",\"metadata\":null,\"last_seq\":0,",
	    g, g);
	assert_room_event(f, 0, REC_EVENT_ROOM_UPDATED, text);
	assert_int_equal(fixture_query(f, "SELECT changed_n FROM room"),
	    store_batch(f->store));

	/* The other one stays as it is. */
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "", NULL, "[1]"), OUTCOME_OK);
	fixture_commit(f);
	assert_room_event(f, 0, REC_EVENT_ROOM_UPDATED,
	    "\"name\":\"A \\\"room\\\"\",\"metadata\":[1],");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM room WHERE"
			     " name = 'A \"room\"' AND metadata = '[1]'"),
	    1);
	/* Both go. */
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "", ""), OUTCOME_OK);
	fixture_commit(f);
	assert_room_event(f, 0, REC_EVENT_ROOM_UPDATED,
	    "\"name\":null,\"metadata\":null,");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM room WHERE"
			     " name IS NULL AND metadata IS NULL"),
	    1);
}

static void
test_update_that_changes_nothing(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];
	int64_t n;

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "x", "1"), OUTCOME_OK);
	fixture_commit(f);
	n = (int64_t)store_batch(f->store);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "x", "1"),
	    OUTCOME_REPEATED);
	assert_int_equal(fixture_update(f, g, "alice", NULL, NULL),
	    OUTCOME_REPEATED);
	assert_int_equal(fixture_update(f, g, "", "x", NULL), OUTCOME_REPEATED);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f, "SELECT changed_n FROM room"), n);
	assert_int_equal(store_batch(f->store), n);
}

static void
test_who_may(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], c[ID_TOKEN_SIZE], d[ID_TOKEN_SIZE];

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	new_room(f, ROOM_CHANNEL, "alice", "alice,bob", c);
	new_room(f, ROOM_DM, "", "alice,bob", d);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "bob", "x", NULL),
	    OUTCOME_NOT_ADMIN);
	assert_int_equal(fixture_update(f, c, "carol", "x", NULL),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_update(f, d, "carol", "x", NULL),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_drop(f, g, "bob"), OUTCOME_NOT_ADMIN);
	assert_int_equal(fixture_drop(f, c, "carol"), OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_drop(f, d, "alice"), OUTCOME_DM_BACKEND_ONLY);
	assert_int_equal(fixture_drop(f, d, "carol"), OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_drop(f, "01kapdck0vabcdefghjkmn", ""),
	    OUTCOME_ROOM_NOT_FOUND);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f, "SELECT sum(changed_n) FROM room"),
	    0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM room"), 3);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, d, "bob", "us", NULL), OUTCOME_OK);
	assert_int_equal(fixture_update(f, d, "", "you", NULL), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, d, ""), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, g, "alice"), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, c, ""), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_ROOM_UPDATED), 2);
	assert_int_equal(fixture_events(f, REC_EVENT_ROOM_DELETED), 3);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM room"), 0);
}

/* The id of the only room. */
static uint64_t
only_room(struct fixture *f)
{
	return (uint64_t)fixture_query(f, "SELECT max(id) FROM room");
}

static bool
count_room(const struct reader_user_room *u, void *arg)
{
	(void)u;
	++*(unsigned *)arg;
	return true;
}

static bool
count_row(const struct reader_room_row *row, void *arg)
{
	(void)row;
	++*(unsigned *)arg;
	return true;
}

/* As each of the workers' queries sees it. */
static void
assert_hidden(struct fixture *f, const char *token, uint64_t id)
{
	struct reader *r = reader_open(f->dsn.path, 100);
	struct reader_room room;
	struct reader_feed feed;
	unsigned n = 0;

	assert_non_null(r);
	assert_int_equal(reader_room(r, f->tenant, token, &room), 0);
	assert_int_equal(reader_room_by_id(r, id, &room), 0);
	assert_int_equal(reader_feed(r, id, "alice", 5, &feed), 0);
	assert_int_equal(reader_user_rooms(r, f->tenant, "alice", 5, 0, 100,
			     count_room, &n),
	    0);
	assert_int_equal(reader_rooms(r, f->tenant, str("alice"), 0, 0, 100,
			     count_row, &n),
	    0);
	assert_int_equal(reader_rooms(r, f->tenant, str(""), 0, 0, 100,
			     count_row, &n),
	    0);
	assert_int_equal(n, 0);
	reader_close(r);
}

static void
test_deleted_is_gone(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], text[200];
	uint64_t id, ms;

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	id = only_room(f);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "bob", "c1", "one"), OUTCOME_OK);
	ms = f->reply.ms;
	fixture_commit(f);
	fixture_begin(f);
	/* Its head has changed in the same batch. */
	assert_int_equal(fixture_send(f, g, "alice", "", "two"), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, g, "alice"), OUTCOME_OK);
	assert_int_equal(f->reply.room, id);
	for (int i = 0; i < 2; i++) {
		char token[ID_TOKEN_SIZE];

		assert_int_equal(fixture_send(f, g, "bob", "c1", "one"),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_ack(f, g, "bob", 1),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_edit(f, g, "bob", 1, ms, "x"),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_delete(f, g, "", 1, ms),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_add(f, g, "", "carol", MEMBER_PLAIN),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_remove(f, g, "", "bob"),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_update(f, g, "alice", "x", NULL),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_drop(f, g, "alice"),
		    OUTCOME_ROOM_NOT_FOUND);
		assert_int_equal(fixture_trim(f, g, 2), OUTCOME_ROOM_NOT_FOUND);
		/* The memory has room for others. */
		assert_int_equal(fixture_room(f, ROOM_GROUP, "", "", token),
		    OUTCOME_OK);
		assert_int_equal(fixture_drop(f, token, ""), OUTCOME_OK);
		if (i == 0) {
			fixture_commit(f);
			assert_int_equal(fixture_events(f,
					     REC_EVENT_ROOM_DELETED),
			    2);
			snprintf(text, sizeof(text),
			    "{\"type\":\"room.deleted\","
			    "\"room_id\":\"room_%s\"}",
			    g);
			assert_room_event(f, 1, REC_EVENT_ROOM_DELETED, text);
			assert_hidden(f, g, id);
			fixture_reopen(f);
			fixture_begin(f);
		}
	}
	fixture_commit(f);
	assert_hidden(f, g, id);
	sweep(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM room_head"), 0);
}

/* Two users who lose their dm may begin another one at once. */
static void
test_dm_again(void **state)
{
	struct fixture *f = *state;
	char d[ID_TOKEN_SIZE], e[ID_TOKEN_SIZE];

	new_room(f, ROOM_DM, "", "alice,bob", d);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, d, "alice", "c1", "old"), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, d, ""), OUTCOME_OK);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "bob,alice", e),
	    OUTCOME_OK);
	assert_string_not_equal(d, e);
	/* It knows nothing of the old one's messages. */
	assert_int_equal(fixture_send(f, e, "alice", "c1", "new"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
	sweep(f);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message"
			     " WHERE content = 'new'"),
	    1);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "alice,bob", d),
	    OUTCOME_REPEATED);
	assert_string_equal(d, e);
	fixture_commit(f);
}

static void
test_rollback(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], d[ID_TOKEN_SIZE], other[ID_TOKEN_SIZE];

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	new_room(f, ROOM_DM, "", "alice,bob", d);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "x", NULL), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, g, "alice"), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, d, ""), OUTCOME_OK);
	store_rollback(f->store);
	sweep(f);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, g, "bob", "", "here"), OUTCOME_OK);
	assert_int_equal(fixture_update(f, g, "alice", "x", NULL), OUTCOME_OK);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "alice,bob", other),
	    OUTCOME_REPEATED);
	assert_string_equal(other, d);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 4);
}

static void
test_receipts(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];
	uint64_t op, id;

	new_room(f, ROOM_GROUP, "alice", "alice,bob", g);
	id = only_room(f);
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "x", NULL), OUTCOME_OK);
	op = f->op;
	assert_int_equal(fixture_drop(f, g, "alice"), OUTCOME_OK);
	fixture_commit(f);
	fixture_reopen(f);
	f->op = op - 1;
	fixture_begin(f);
	assert_int_equal(fixture_update(f, g, "alice", "x", NULL), OUTCOME_OK);
	assert_int_equal(f->reply.room, id);
	assert_int_equal(fixture_drop(f, g, "alice"), OUTCOME_OK);
	assert_int_equal(f->reply.room, id);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
}

/* Sends n messages in one batch. */
static void
send_many(struct fixture *f, const char *room, const char *user, unsigned n)
{
	char id[32];

	fixture_begin(f);
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "c%u", i);
		assert_int_equal(fixture_send(f, room, user, id, "text"),
		    OUTCOME_OK);
	}
	fixture_commit(f);
}

/* A big room goes in pieces, also over restarts, and takes nothing of its
 * neighbours along. */
static void
test_pieces(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], other[ID_TOKEN_SIZE], users[12000];
	int64_t left, before;
	size_t len = 0;

	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(users + len, sizeof(users) - len,
		    "%su%d", i == 0 ? "" : ",", i);
	new_room(f, ROOM_CHANNEL, "", users, g);
	new_room(f, ROOM_CHANNEL, "", "u1,u2", other);
	send_many(f, g, "u1", 5000);
	send_many(f, other, "u1", 50);
	fixture_begin(f);
	assert_int_equal(fixture_drop(f, g, ""), OUTCOME_OK);
	fixture_commit(f);
	assert_true(store_sweep_pending(f->store));
	before = fixture_query(f, "SELECT count(*) FROM message");
	assert_int_equal(before, 5050);
	for (int i = 0; i < 3; i++) {
		if (i > 0)
			assert_int_equal(store_sweep(f->store), STORE_OK);
		fixture_reopen(f);
		left = fixture_query(f,
		    "SELECT (SELECT count(*) FROM message) +"
		    " (SELECT count(*) FROM member)");
		assert_true(store_sweep_pending(f->store) || left == 52);
		/* Batches go on in between. */
		fixture_begin(f);
		assert_int_equal(fixture_send(f, other, "u2", "", "x"),
		    OUTCOME_OK);
		fixture_commit(f);
	}
	sweep(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 53);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
	assert_int_equal(fixture_query(f, "SELECT last_seq FROM room_head"),
	    53);
	assert_false(store_sweep_pending(f->store));
	assert_int_equal(store_sweep(f->store), STORE_OK);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_update),
		TEST(test_update_that_changes_nothing),
		TEST(test_who_may),
		TEST(test_deleted_is_gone),
		TEST(test_dm_again),
		TEST(test_rollback),
		TEST(test_receipts),
		TEST(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
