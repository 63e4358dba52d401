/* SPDX-License-Identifier: MIT */
/* The lists of rooms: what each shows of its room's newest message. */
#include "store_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "worker/reader.h"

struct all {
	struct fixture *f;
	struct reader *r;
	char room[ID_TOKEN_SIZE];
	uint64_t id;
};

static int
up(void **state)
{
	struct all *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	fixture_up((void **)&a->f);
	a->r = reader_open(a->f->dsn.path, 1000);
	assert_non_null(a->r);
	fixture_begin(a->f);
	assert_int_equal(fixture_room(a->f, ROOM_GROUP, "alice", "alice,bob",
			     a->room),
	    OUTCOME_OK);
	a->id = a->f->reply.room;
	fixture_commit(a->f);
	*state = a;
	return 0;
}

static int
down(void **state)
{
	struct all *a = *state;

	reader_close(a->r);
	fixture_down((void **)&a->f);
	free(a);
	return 0;
}

/* When the last of them was made. */
static uint64_t
send_three(struct all *a)
{
	static const char *const texts[] = { "text 1", "text 2", "text 3" };

	fixture_begin(a->f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_send(a->f, a->room, "alice", "",
				     texts[i]),
		    OUTCOME_OK);
	fixture_commit(a->f);
	return a->f->reply.ms;
}

struct last {
	unsigned n;
	bool there;
	uint64_t seq, rev;
	bool edited, deleted;
	char content[32];
	uint64_t last_seq, last_ack;
};

static bool
take_last(const struct reader_room_row *row, void *arg)
{
	struct last *l = arg;
	const struct message *m = row->last;

	l->n++;
	l->last_seq = row->room.last_seq;
	l->last_ack = row->last_ack;
	l->there = m != NULL;
	if (m == NULL)
		return true;
	l->seq = m->seq;
	l->rev = m->rev;
	l->edited = m->edited_ms != 0;
	l->deleted = m->deleted_ms != 0;
	assert_true(m->content_len < sizeof(l->content));
	if (m->content_len > 0)
		memcpy(l->content, m->content, m->content_len);
	assert_memory_equal(m->room_token, row->room.token, ID_TOKEN_LEN);
	return true;
}

/* Both lists of rooms: alice's only one, and the tenant's. */
static void
read_last(struct all *a, struct last *l)
{
	struct last all = { 0 };

	memset(l, 0, sizeof(*l));
	assert_int_equal(reader_rooms(a->r, a->f->tenant, str("alice"), 0, 0,
			     10, take_last, l),
	    1);
	assert_int_equal(reader_rooms(a->r, a->f->tenant, str(""), 0, 0, 10,
			     take_last, &all),
	    1);
	assert_int_equal(l->n, 1);
	assert_int_equal(all.n, 1);
	assert_int_equal(all.there, l->there);
	assert_int_equal(all.seq, l->seq);
	assert_int_equal(all.rev, l->rev);
	assert_string_equal(all.content, l->content);
}

/* The newest message of a room is shown as it now stands. */
static void
test_rooms_last(void **state)
{
	struct all *a = *state;
	struct last l;
	uint64_t ms;

	read_last(a, &l);
	assert_false(l.there);
	ms = send_three(a);
	fixture_begin(a->f);
	assert_int_equal(fixture_ack(a->f, a->room, "alice", 2), OUTCOME_OK);
	fixture_commit(a->f);
	read_last(a, &l);
	assert_true(l.there);
	assert_string_equal(l.content, "text 3");
	assert_int_equal(l.last_seq, 3);
	assert_int_equal(l.last_ack, 2);

	fixture_begin(a->f);
	assert_int_equal(fixture_edit(a->f, a->room, "alice", 3, ms, "edited"),
	    OUTCOME_OK);
	fixture_commit(a->f);
	read_last(a, &l);
	assert_string_equal(l.content, "edited");
	assert_int_equal(l.rev, 1);
	assert_true(l.edited);
	assert_false(l.deleted);

	fixture_begin(a->f);
	assert_int_equal(fixture_delete(a->f, a->room, "alice", 3, ms),
	    OUTCOME_OK);
	fixture_commit(a->f);
	read_last(a, &l);
	assert_true(l.there && l.deleted);
	assert_int_equal(l.seq, 3);
	assert_int_equal(l.last_seq, 3);
	assert_string_equal(l.content, "");

	/* Trimmed: gone, before its row goes. */
	fixture_begin(a->f);
	assert_int_equal(fixture_trim(a->f, a->room, 3), OUTCOME_OK);
	fixture_commit(a->f);
	read_last(a, &l);
	assert_true(l.there);
	fixture_begin(a->f);
	assert_int_equal(fixture_trim(a->f, a->room, 4), OUTCOME_OK);
	fixture_commit(a->f);
	assert_int_equal(fixture_query(a->f, "SELECT count(*) FROM message"),
	    3);
	read_last(a, &l);
	assert_false(l.there);
	assert_int_equal(l.last_seq, 3);
}

/* A deleted room is in nobody's list, while its members' rows still are. */
static void
test_rooms_deleted(void **state)
{
	struct all *a = *state;
	struct reader_room room;
	struct last l = { 0 };

	send_three(a);
	fixture_begin(a->f);
	assert_int_equal(fixture_drop(a->f, a->room, "alice"), OUTCOME_OK);
	fixture_commit(a->f);
	assert_int_equal(fixture_query(a->f, "SELECT count(*) FROM member"), 2);
	assert_int_equal(reader_rooms(a->r, a->f->tenant, str("alice"), 0, 0,
			     10, take_last, &l),
	    0);
	assert_int_equal(reader_rooms(a->r, a->f->tenant, str(""), 0, 0, 10,
			     take_last, &l),
	    0);
	assert_int_equal(l.n, 0);
	assert_int_equal(reader_room(a->r, a->f->tenant, a->room, &room), 0);
	assert_int_equal(reader_room_by_id(a->r, a->id, &room), 0);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_rooms_last),
		TEST(test_rooms_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
