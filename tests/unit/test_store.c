/* SPDX-License-Identifier: MIT */
/* What the store promises about messages, batches and restarts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "store_fixture.h"

static void
one_room(struct fixture *f, char token[ID_TOKEN_SIZE])
{
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "alice", "alice,bob",
			     token),
	    OUTCOME_OK);
	fixture_commit(f);
}

static void
test_seqs_are_dense(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], b[ID_TOKEN_SIZE];
	uint64_t seq_a = 0, seq_b = 0;

	one_room(f, a);
	one_room(f, b);
	for (int batch = 0; batch < 5; batch++) {
		fixture_begin(f);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(fixture_send(f, a, "alice", "",
					     "hello"),
			    OUTCOME_OK);
			assert_int_equal(f->reply.seq, ++seq_a);
			assert_int_equal(fixture_send(f, a, "mallory", "",
					     "hello"),
			    OUTCOME_NOT_MEMBER);
			if (i % 3 == 0)
				continue;
			assert_int_equal(fixture_send(f, b, "bob", "", "x"),
			    OUTCOME_OK);
			assert_int_equal(f->reply.seq, ++seq_b);
		}
		fixture_commit(f);
		if (batch == 2)
			fixture_reopen(f);
	}
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM message m "
			     "JOIN room_head h ON h.room = m.room "
			     "WHERE seq BETWEEN 1 AND last_seq"),
	    seq_a + seq_b);
	assert_int_equal(fixture_query(f,
			     "SELECT sum(last_seq) "
			     "FROM room_head"),
	    seq_a + seq_b);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) = "
			     "count(DISTINCT activity) FROM room_head"),
	    1);
}

static void
test_message_event(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	struct rec_publish p;
	struct rec_event_message e;

	one_room(f, a);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "bob", "c-1", "hi \"you\""),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 1);
	fixture_event(f, 0, &p);
	assert_int_equal(p.nkeys, 1);
	assert_int_equal(rec_publish_key(&p, 0), id_room_key(f->reply.room));
	assert_int_equal(rec_event_message_get(&p.inner, &e), 0);
	assert_int_equal(e.n, store_batch(f->store));
	assert_int_equal(e.seq, 1);
	assert_int_equal(e.room, f->reply.room);
	assert_memory_equal(e.client_msg_id.p, "c-1", 3);
	assert_non_null(memmem(e.text.p, e.text.len, "hi \\\"you\\\"", 10));
	assert_non_null(memmem(e.text.p, e.text.len, a, ID_TOKEN_LEN));
	assert_null(memmem(e.text.p, e.text.len, "c-1", 3));
}

static void
test_client_msg_id(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	uint64_t ms;

	one_room(f, a);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "1", "one"), OUTCOME_OK);
	ms = f->reply.ms;
	/* In the same batch already. */
	assert_int_equal(fixture_send(f, a, "alice", "1", "one"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(f->reply.ms, ms);
	assert_int_equal(fixture_send(f, a, "alice", "1", "other"),
	    OUTCOME_CLIENT_MSG_CONFLICT);
	/* Of another sender it is another message. */
	assert_int_equal(fixture_send(f, a, "bob", "1", "one"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_MESSAGE), 2);

	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "1", "one"),
	    OUTCOME_REPEATED);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(f->reply.ms, ms);
	assert_int_equal(fixture_send(f, a, "alice", "2", "one"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 3);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 3);
}

static void
test_rollback_forgets(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], lost[ID_TOKEN_SIZE];

	one_room(f, a);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "k", "one"), OUTCOME_OK);
	fixture_commit(f);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "", "two"), OUTCOME_OK);
	assert_int_equal(fixture_send(f, a, "alice", "", "three"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 3);
	assert_int_equal(fixture_add(f, a, "", "carol", MEMBER_UNCHANGED),
	    OUTCOME_OK);
	assert_int_equal(fixture_send(f, a, "carol", "", "me too"), OUTCOME_OK);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "x,y", lost), OUTCOME_OK);
	store_rollback(f->store);

	fixture_begin(f);
	assert_int_equal(fixture_send(f, lost, "x", "", "hi"),
	    OUTCOME_ROOM_NOT_FOUND);
	assert_int_equal(fixture_send(f, a, "carol", "", "me too"),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_send(f, a, "bob", "", "second"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT members FROM room_head"), 2);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 2);
}

/* A file size limit makes the disk full for real. */
static void
test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, tight;
	char a[ID_TOKEN_SIZE], *big = malloc(16001);
	enum store_result result = STORE_OK;
	struct stat st;
	char wal[sizeof(f->dsn.path) + 8];

	memset(big, 'x', 16000);
	big[16000] = '\0';
	one_room(f, a);
	snprintf(wal, sizeof(wal), "%s-wal", f->dsn.path);
	assert_int_equal(stat(wal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)st.st_size + 100;

	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "k", big), OUTCOME_OK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(fixture_send(f, a, "alice", "", big),
		    OUTCOME_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	result = store_commit(f->store);
	assert_int_equal(result, STORE_REFUSED);
	assert_int_equal(store_probe(f->store), STORE_REFUSED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(store_probe(f->store), STORE_OK);

	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "alice", "k", "small"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
	free(big);
}

static void
test_late(void **state)
{
	struct fixture *f = *state;
	struct rec_op_send op = { 0 };
	char a[ID_TOKEN_SIZE];

	one_room(f, a);
	op.h = fixture_head(f);
	op.h.deadline_ms = clock_mono_ms() - 1;
	op.room = str(a);
	op.sender = str("alice");
	op.content = str("too late");
	op.client_msg_id = op.meta = str("");
	assert_int_equal(rec_op_send_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_LATE);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 0);
}

static void
test_receipts(void **state)
{
	struct fixture *f = *state;
	struct op_head h;
	struct rec_op_send op = { 0 };
	char a[ID_TOKEN_SIZE];
	uint64_t batch;

	one_room(f, a);
	op.h = h = fixture_head(f);
	op.room = str(a);
	op.sender = str("alice");
	op.content = str("once");
	op.client_msg_id = op.meta = str("");
	assert_int_equal(rec_op_send_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	/* Handed over twice in one batch, then to this and the next writer:
	 * also long after its deadline. */
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	fixture_commit(f);
	for (int i = 0; i < 3; i++) {
		buf_clear(&f->rec);
		op.h.deadline_ms = 1;
		assert_int_equal(rec_op_send_put(&f->rec, &op), 0);
		fixture_begin(f);
		assert_int_equal(fixture_apply(f), OUTCOME_OK);
		assert_int_equal(f->reply.op, h.op);
		assert_int_equal(f->reply.seq, 1);
		assert_true(f->reply.ms > 0);
		fixture_commit(f);
		assert_int_equal(fixture_events(f, 0), 0);
		fixture_reopen(f);
	}
	/* The same number of another worker is another operation. */
	buf_clear(&f->rec);
	op.h = h;
	assert_int_equal(rec_op_send_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply_as(f, 8), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 2);
	fixture_commit(f);
	batch = store_batch(f->store);
	assert_int_equal(fixture_query(f, "SELECT max(n) FROM batch"), batch);
}

static void
send_many(struct fixture *f, const char *room, int n)
{
	for (int i = 0; i < n; i++) {
		fixture_begin(f);
		assert_int_equal(fixture_send(f, room, "bob", "", "x"),
		    OUTCOME_OK);
		fixture_commit(f);
	}
}

static void
test_receipts_go(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	uint64_t n;

	one_room(f, a);
	send_many(f, a, 200);
	assert_true(fixture_query(f, "SELECT count(*) FROM batch") >= 200);
	store_confirm(f->store, 7, f->op - 9);
	send_many(f, a, 1);
	/* Ten unconfirmed, and this one. */
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM batch"), 11);
	store_confirm(f->store, 7, UINT64_MAX);
	send_many(f, a, 100);
	assert_true(fixture_query(f, "SELECT count(*) FROM batch") > 0);

	/* A worker that never comes back after a restart is dead. */
	fixture_reopen(f);
	n = store_batch(f->store);
	store_confirm(f->store, 99, 0);
	store_forget_absent(f->store);
	f->op = 0;
	send_many(f, a, 1);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM batch"), 1);
	assert_int_equal(store_batch(f->store), n + 1);
	fixture_reopen(f);
	assert_int_equal(store_batch(f->store), n + 1);
}

static void
test_refusals_need_no_commit(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	uint64_t n;

	one_room(f, a);
	n = store_batch(f->store);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "carol", "", "x"),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_ack(f, a, "bob", 0), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(store_batch(f->store), n);
}

static void
test_time_never_goes_back(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE];
	int64_t future = clock_unix_ms() + 3600 * 1000;
	char sql[128];

	one_room(f, a);
	snprintf(sql, sizeof(sql),
	    "UPDATE batch SET ms = %lld "
	    "RETURNING ms",
	    (long long)future);
	assert_int_equal(fixture_query(f, sql), future);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a, "bob", "", "x"), OUTCOME_OK);
	assert_true((int64_t)f->reply.ms >= future);
	fixture_commit(f);
}

static void
test_garbage(void **state)
{
	struct fixture *f = *state;
	struct wire_record op = { .type = REC_OP_SEND };
	uint8_t bytes[64] = { 0 };
	char a[ID_TOKEN_SIZE];

	one_room(f, a);
	fixture_begin(f);
	for (int type = 0; type < 256; type++) {
		struct wire_record reply;
		struct rec_reply r;
		size_t at;

		buf_clear(&f->replies);
		buf_clear(&f->rec);
		at = wire_begin(&f->rec, (uint8_t)type);
		wire_put_bytes(&f->rec, bytes, sizeof(bytes));
		assert_int_equal(wire_end(&f->rec, at), 0);
		assert_true(wire_next((uint8_t *)buf_head(&f->rec), f->rec.len,
				&op) > 0);
		assert_int_equal(store_apply(f->store, 7, &op, &f->replies,
				     &f->events),
		    STORE_OK);
		assert_true(wire_next((uint8_t *)buf_head(&f->replies),
				f->replies.len, &reply) > 0);
		assert_int_equal(rec_reply_get(&reply, &r), 0);
		assert_int_not_equal(r.outcome, OUTCOME_OK);
	}
	assert_int_equal(fixture_send(f, a, "bob", "", "x"), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM message"), 1);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_seqs_are_dense),
		TEST(test_message_event),
		TEST(test_client_msg_id),
		TEST(test_rollback_forgets),
		TEST(test_full_disk),
		TEST(test_late),
		TEST(test_receipts),
		TEST(test_receipts_go),
		TEST(test_refusals_need_no_commit),
		TEST(test_time_never_goes_back),
		TEST(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
