/* SPDX-License-Identifier: MIT */
/* The writer's side of webhooks: when a row is written, what the courier's
 * operations do, and that none does it twice. */
#include "store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "common/records_courier.h"
#include "common/records_notify.h"

static char room[ID_TOKEN_SIZE];

static int
up(void **state)
{
	struct fixture *f;

	if (fixture_up(state) == -1)
		return -1;
	f = *state;
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "ann", "ann,bob,carol",
			     room),
	    OUTCOME_OK);
	fixture_commit(f);
	return 0;
}

/* By another connection, while no store is open. */
static void
change(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	store_close(f->store);
	assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	f->store = NULL;
	fixture_reopen(f);
}

/* As a PATCH would, without a key file. */
static void
set_url(struct fixture *f, const char *url)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "UPDATE tenant SET webhook_url = %s", url);
	change(f, sql);
}

static enum outcome
step(struct fixture *f, uint64_t outbox, const char *after, const char *next)
{
	static const uint32_t waits[2] = { 0, 5000 };
	struct str users[2] = { str("bob"), str("carol") };
	struct rec_op_outbox_step op = { .h = fixture_head(f),
		.outbox = outbox,
		.after = str(after),
		.next = str(next),
		.nusers = 2,
		.list = users,
		.wait_ms = waits };

	buf_clear(&f->rec);
	assert_int_equal(rec_op_outbox_step_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static enum outcome
result(struct fixture *f, uint64_t id, uint32_t attempts,
    enum delivery_result what)
{
	struct rec_op_delivery_result op = { .h = fixture_head(f),
		.delivery = id,
		.attempts = attempts,
		.result = (uint8_t)what,
		.next_ms = 1000,
		.tried_ms = 900,
		.error = str(what == DELIVERY_DONE ? "" : "HTTP status 500") };

	buf_clear(&f->rec);
	assert_int_equal(rec_op_delivery_result_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static void
test_only_with_an_url(void **state)
{
	struct fixture *f = *state;
	char channel[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_send(f, room, "ann", "", "x"), OUTCOME_OK);
	assert_int_equal(fixture_events(f, REC_EVENT_WEBHOOK), 0);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM outbox"), 0);
	set_url(f, "'http://example.org/'");
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_CHANNEL, "ann", "ann,bob",
			     channel),
	    OUTCOME_OK);
	assert_int_equal(fixture_send(f, channel, "ann", "", "x"), OUTCOME_OK);
	assert_int_equal(fixture_events(f, REC_EVENT_WEBHOOK), 0);
	assert_int_equal(fixture_send(f, room, "ann", "1", "x"), OUTCOME_OK);
	/* A repeat is no message. */
	assert_int_equal(fixture_send(f, room, "ann", "1", "x"),
	    OUTCOME_REPEATED);
	assert_int_equal(fixture_send(f, room, "ann", "", "y"), OUTCOME_OK);
	/* The courier is told once a batch. */
	assert_int_equal(fixture_events(f, REC_EVENT_WEBHOOK), 1);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM outbox"), 2);
	assert_int_equal(fixture_query(f, "SELECT max(seq) FROM outbox"), 3);
}

static void
test_step(void **state)
{
	struct fixture *f = *state;

	set_url(f, "'http://example.org/'");
	fixture_begin(f);
	assert_int_equal(fixture_send(f, room, "ann", "", "x"), OUTCOME_OK);
	assert_int_equal(step(f, 1, "", "carol"), OUTCOME_OK);
	/* From where it does not stand any more. */
	assert_int_equal(step(f, 1, "", ""), OUTCOME_REPEATED);
	assert_int_equal(step(f, 2, "", ""), OUTCOME_REPEATED);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM delivery"), 2);
	assert_int_equal(fixture_query(f,
			     "SELECT next_ms FROM delivery WHERE decided = 0") -
		fixture_query(f,
		    "SELECT next_ms FROM delivery WHERE decided = 1"),
	    5000);
	fixture_begin(f);
	assert_int_equal(step(f, 1, "carol", ""), OUTCOME_OK);
	assert_int_equal(step(f, 1, "carol", ""), OUTCOME_REPEATED);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM outbox"), 0);
	assert_int_equal(fixture_query(f,
			     "SELECT count(DISTINCT token) FROM delivery"),
	    4);
}

static enum outcome
dead(struct fixture *f, enum record_type type, const char *token)
{
	struct rec_op_dead_letter op = { .h = fixture_head(f),
		.id = str(token) };

	buf_clear(&f->rec);
	assert_int_equal(rec_op_dead_letter_put(&f->rec, type, &op), 0);
	return fixture_apply(f);
}

static void
test_results_and_dead_letters(void **state)
{
	struct fixture *f = *state;
	char token[ID_TOKEN_SIZE];
	sqlite3 *db;
	sqlite3_stmt *st;

	set_url(f, "'http://example.org/'");
	fixture_begin(f);
	assert_int_equal(fixture_send(f, room, "ann", "", "x"), OUTCOME_OK);
	assert_int_equal(step(f, 1, "", ""), OUTCOME_OK);
	assert_int_equal(result(f, 1, 0, DELIVERY_FAILED), OUTCOME_OK);
	/* The same again is of another time. */
	assert_int_equal(result(f, 1, 0, DELIVERY_FAILED), OUTCOME_REPEATED);
	assert_int_equal(result(f, 1, 1, DELIVERY_DEAD), OUTCOME_OK);
	assert_int_equal(result(f, 1, 2, DELIVERY_DONE), OUTCOME_REPEATED);
	assert_int_equal(result(f, 2, 0, DELIVERY_WAIT), OUTCOME_OK);
	assert_int_equal(result(f, 2, 0, DELIVERY_DONE), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM delivery"), 1);
	assert_int_equal(fixture_query(f,
			     "SELECT attempts FROM delivery WHERE state = 1"),
	    2);
	assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT token FROM delivery",
			     -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	strcpy(token, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	fixture_begin(f);
	assert_int_equal(dead(f, REC_OP_DEAD_LETTER_RETRY, token), OUTCOME_OK);
	assert_int_equal(fixture_events(f, REC_EVENT_WEBHOOK), 1);
	assert_int_equal(dead(f, REC_OP_DEAD_LETTER_RETRY, token),
	    OUTCOME_DEAD_LETTER_NOT_FOUND);
	assert_int_equal(dead(f, REC_OP_DEAD_LETTER_DROP, token),
	    OUTCOME_DEAD_LETTER_NOT_FOUND);
	assert_int_equal(result(f, 1, 0, DELIVERY_DEAD), OUTCOME_OK);
	assert_int_equal(dead(f, REC_OP_DEAD_LETTER_DROP, token), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM delivery"), 0);
}

static enum outcome
drop(struct fixture *f)
{
	struct rec_op_webhook_drop op = { .h = fixture_head(f) };

	buf_clear(&f->rec);
	assert_int_equal(rec_op_webhook_drop_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static void
test_drop(void **state)
{
	struct fixture *f = *state;

	set_url(f, "'http://example.org/'");
	fixture_begin(f);
	for (int i = 0; i < 300; i++)
		assert_int_equal(fixture_send(f, room, "ann", "", "x"),
		    OUTCOME_OK);
	assert_int_equal(step(f, 1, "", ""), OUTCOME_OK);
	/* Not while there is an url. */
	assert_int_equal(drop(f), OUTCOME_REPEATED);
	fixture_commit(f);
	set_url(f, "NULL");
	fixture_begin(f);
	assert_int_equal(drop(f), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 250 + 2);
	assert_int_equal(drop(f), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 49);
	assert_int_equal(drop(f), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 0);
	fixture_commit(f);
}

/* What failed and left the batch has told nobody, neither users nor the
 * courier. */
static void
test_failed_tells_nothing(void **state)
{
	struct fixture *f = *state;
	struct str list[1] = { str("bob") };
	struct rec_op_notify op = { .targets = NOTIFY_USERS,
		.topic = str("news"),
		.payload = str("1"),
		.room = str(""),
		.nusers = 1,
		.list = list };

	set_url(f, "'http://example.org/'");
	change(f,
	    "CREATE TRIGGER no BEFORE INSERT ON outbox WHEN NEW.kind = 2"
	    " BEGIN SELECT RAISE(ABORT, 'no'); END");
	fixture_begin(f);
	op.h = fixture_head(f);
	buf_clear(&f->rec);
	assert_int_equal(rec_op_notify_put(&f->rec, &op), 0);
	assert_int_equal(fixture_apply(f), OUTCOME_INTERNAL);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_send(f, room, "ann", "", "x"), OUTCOME_OK);
	assert_int_equal(fixture_events(f, REC_EVENT_NOTIFICATION), 0);
	assert_int_equal(fixture_events(f, REC_EVENT_WEBHOOK), 1);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM notification"),
	    0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox"), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM outbox"), 1);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_only_with_an_url),
		TEST(test_step),
		TEST(test_results_and_dead_letters),
		TEST(test_drop),
		TEST(test_failed_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
