/* SPDX-License-Identifier: MIT */
/* The worker's reads, of what the writer's store wrote. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/key.h"
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

static void
send_many(struct all *a, const char *room, unsigned n)
{
	char text[16];

	fixture_begin(a->f);
	for (unsigned i = 1; i <= n; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		assert_int_equal(fixture_send(a->f, room, "alice",
				     i % 2 != 0 ? "" : text, text),
		    OUTCOME_OK);
	}
	fixture_commit(a->f);
}

/* ---- messages ---- */

struct seen {
	unsigned n;
	unsigned stop_at;
	uint64_t seqs[300];
	char last[32];
	bool client;
};

static bool
see(const struct message *m, void *arg)
{
	struct seen *s = arg;

	assert_true(s->n < 300);
	s->seqs[s->n++] = m->seq;
	assert_int_equal(m->sender_len, 5);
	assert_memory_equal(m->sender, "alice", 5);
	assert_true(m->content_len < sizeof(s->last));
	memcpy(s->last, m->content, m->content_len);
	s->last[m->content_len] = '\0';
	assert_null(m->meta);
	assert_int_equal(m->rev, 0);
	assert_int_equal(m->deleted_ms, 0);
	s->client = m->client_msg_id != NULL;
	return s->n != s->stop_at;
}

static void
assert_range(const struct seen *s, uint64_t first, uint64_t last)
{
	assert_int_equal(s->n, last - first + 1);
	for (unsigned i = 0; i < s->n; i++)
		assert_int_equal(s->seqs[i], first + i);
}

static void
test_messages_after(void **state)
{
	struct all *a = *state;
	struct seen s = { 0 };

	send_many(a, a->room, 120);
	assert_int_equal(reader_messages_after(a->r, a->id, a->room, 0, 50, see,
			     &s),
	    1);
	assert_range(&s, 1, 50);
	assert_string_equal(s.last, "text 50");
	assert_true(s.client);
	memset(&s, 0, sizeof(s));
	assert_int_equal(reader_messages_after(a->r, a->id, a->room, 100, 50,
			     see, &s),
	    1);
	assert_range(&s, 101, 120);
	memset(&s, 0, sizeof(s));
	assert_int_equal(reader_messages_after(a->r, a->id, a->room, 120, 50,
			     see, &s),
	    0);
	assert_int_equal(reader_messages_after(a->r, a->id, a->room, UINT64_MAX,
			     50, see, &s),
	    0);
	s.stop_at = 3;
	assert_int_equal(reader_messages_after(a->r, a->id, a->room, 0, 50, see,
			     &s),
	    1);
	assert_range(&s, 1, 3);
	assert_false(s.client);
}

static void
test_messages_before(void **state)
{
	struct all *a = *state;
	struct seen s = { 0 };

	assert_int_equal(reader_messages_before(a->r, a->id, a->room, 9, 50,
			     see, &s),
	    0);
	send_many(a, a->room, 120);
	assert_int_equal(reader_messages_before(a->r, a->id, a->room, 51, 20,
			     see, &s),
	    1);
	assert_range(&s, 31, 50);
	memset(&s, 0, sizeof(s));
	/* Past the end: the newest page. */
	assert_int_equal(reader_messages_before(a->r, a->id, a->room,
			     UINT64_MAX, 20, see, &s),
	    1);
	assert_range(&s, 101, 120);
	memset(&s, 0, sizeof(s));
	assert_int_equal(reader_messages_before(a->r, a->id, a->room, 6, 20,
			     see, &s),
	    1);
	assert_range(&s, 1, 5);
	memset(&s, 0, sizeof(s));
	assert_int_equal(reader_messages_before(a->r, a->id, a->room, 1, 20,
			     see, &s),
	    0);
	assert_int_equal(reader_messages_before(a->r, a->id, a->room, 0, 20,
			     see, &s),
	    0);
}

static void
test_message(void **state)
{
	struct all *a = *state;
	struct seen s = { 0 };

	send_many(a, a->room, 3);
	assert_int_equal(reader_message(a->r, a->id, a->room, 2, see, &s), 1);
	assert_string_equal(s.last, "text 2");
	assert_int_equal(reader_message(a->r, a->id, a->room, 4, see, &s), 0);
	assert_int_equal(reader_message(a->r, a->id + 1, a->room, 2, see, &s),
	    0);
	assert_int_equal(s.n, 1);
}

/* ---- rooms and members ---- */

static void
test_room(void **state)
{
	struct all *a = *state;
	struct reader_room room;
	struct reader_member m;

	send_many(a, a->room, 4);
	assert_int_equal(reader_room(a->r, a->f->tenant, a->room, &room), 1);
	assert_int_equal(room.id, a->id);
	assert_string_equal(room.token, a->room);
	assert_int_equal(room.type, ROOM_GROUP);
	assert_int_equal(room.last_seq, 4);
	assert_int_equal(room.first_seq, 1);
	assert_int_equal(room.members, 2);
	assert_int_equal(room.dm_key.len, 0);
	/* Another tenant's room is none. */
	assert_int_equal(reader_room(a->r, a->f->tenant + 1, a->room, &room),
	    0);
	assert_int_equal(reader_room(a->r, a->f->tenant,
			     "0000000000000000000000", &room),
	    0);
	assert_int_equal(reader_room_by_id(a->r, a->id, &room), 1);
	assert_string_equal(room.token, a->room);
	assert_int_equal(reader_room_by_id(a->r, a->id + 1, &room), 0);

	assert_int_equal(reader_member(a->r, a->id, "alice", 5, &m), 1);
	assert_int_equal(m.role, MEMBER_ADMIN);
	assert_int_equal(reader_member(a->r, a->id, "bob", 3, &m), 1);
	assert_int_equal(m.role, MEMBER_PLAIN);
	assert_int_equal(reader_member(a->r, a->id, "bo", 2, &m), 0);
	assert_int_equal(reader_member(a->r, a->id, "bobb", 4, &m), 0);
}

struct names {
	unsigned n, stop_at;
	char text[128];
};

static bool
name(const struct reader_member_row *m, void *arg)
{
	struct names *l = arg;

	strncat(l->text, m->user.p, m->user.len);
	strcat(l->text, " ");
	return ++l->n != l->stop_at;
}

static void
test_members(void **state)
{
	struct all *a = *state;
	struct names l = { 0 };

	fixture_begin(a->f);
	assert_int_equal(fixture_add(a->f, a->room, "", "dora,carl",
			     MEMBER_UNCHANGED),
	    OUTCOME_OK);
	fixture_commit(a->f);
	assert_int_equal(reader_members(a->r, a->id, str(""), 10, name, &l), 1);
	assert_string_equal(l.text, "alice bob carl dora ");
	memset(&l, 0, sizeof(l));
	assert_int_equal(reader_members(a->r, a->id, str("bob"), 1, name, &l),
	    1);
	assert_string_equal(l.text, "carl ");
	memset(&l, 0, sizeof(l));
	assert_int_equal(reader_members(a->r, a->id, str("dora"), 10, name, &l),
	    0);
}

struct rooms {
	unsigned n, stop_at;
	uint64_t ids[8];
	uint64_t last_seq[8];
	uint64_t activity;
};

static bool
take_room(const struct reader_room_row *row, void *arg)
{
	struct rooms *l = arg;

	assert_true(l->n < 8);
	assert_true((row->last != NULL) == (row->room.last_seq > 0));
	if (row->last != NULL)
		assert_int_equal(row->last->seq, row->room.last_seq);
	l->ids[l->n] = row->room.id;
	l->last_seq[l->n] = row->room.last_seq;
	l->activity = row->room.activity;
	return ++l->n != l->stop_at;
}

/* Three rooms of alice, made a, b, c; then messages in a and b. */
static void
test_rooms_by_activity(void **state)
{
	struct all *a = *state;
	struct rooms l = { 0 };
	char b[ID_TOKEN_SIZE], c[ID_TOKEN_SIZE];
	uint64_t b_id, c_id;

	fixture_begin(a->f);
	fixture_room(a->f, ROOM_GROUP, "alice", "alice", b);
	b_id = a->f->reply.room;
	fixture_room(a->f, ROOM_GROUP, "alice", "alice,eve", c);
	c_id = a->f->reply.room;
	fixture_commit(a->f);
	send_many(a, b, 2);
	send_many(a, a->room, 1);
	assert_int_equal(reader_rooms(a->r, a->f->tenant, str("alice"), 0, 0,
			     10, take_room, &l),
	    1);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.ids[0], a->id);
	assert_int_equal(l.ids[1], b_id);
	assert_int_equal(l.last_seq[1], 2);
	assert_int_equal(l.ids[2], c_id);
	/* A page that begins where another ended. */
	memset(&l, 0, sizeof(l));
	l.stop_at = 1;
	reader_rooms(a->r, a->f->tenant, str("alice"), 0, 0, 10, take_room, &l);
	l.stop_at = 0;
	reader_rooms(a->r, a->f->tenant, str("alice"), l.activity, l.ids[0], 10,
	    take_room, &l);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.ids[1], b_id);
	assert_int_equal(l.ids[2], c_id);
	/* Others see theirs alone; another tenant none. */
	memset(&l, 0, sizeof(l));
	reader_rooms(a->r, a->f->tenant, str("eve"), 0, 0, 10, take_room, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.ids[0], c_id);
	assert_int_equal(reader_rooms(a->r, a->f->tenant + 1, str("alice"), 0,
			     0, 10, take_room, &l),
	    0);
	/* The backend: all, newest first. */
	memset(&l, 0, sizeof(l));
	reader_rooms(a->r, a->f->tenant, str(""), 0, 0, 10, take_room, &l);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.ids[0], c_id);
	assert_int_equal(l.ids[2], a->id);
	memset(&l, 0, sizeof(l));
	reader_rooms(a->r, a->f->tenant, str(""), 1, b_id, 10, take_room, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.ids[0], a->id);
}

static bool
count_rooms(const struct reader_user_room *u, void *arg)
{
	struct rooms *l = arg;

	l->ids[l->n] = u->room;
	l->last_seq[l->n] = u->last_seq;
	return ++l->n != l->stop_at;
}

static void
test_user_rooms(void **state)
{
	struct all *a = *state;
	struct rooms l = { 0 };
	char b[ID_TOKEN_SIZE];

	fixture_begin(a->f);
	fixture_room(a->f, ROOM_GROUP, "alice", "alice", b);
	fixture_commit(a->f);
	send_many(a, b, 2);
	reader_user_rooms(a->r, a->f->tenant, "alice", 5, 0, 10, count_rooms,
	    &l);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.ids[0], a->id);
	assert_int_equal(l.last_seq[1], 2);
	memset(&l, 0, sizeof(l));
	reader_user_rooms(a->r, a->f->tenant, "alice", 5, a->id, 10,
	    count_rooms, &l);
	assert_int_equal(l.n, 1);
}

/* ---- tenants and keys ---- */

static bool
take_tenant(const struct tenant_text *t, void *arg)
{
	struct names *l = arg;

	assert_int_equal(strlen(t->token), ID_TOKEN_LEN);
	strncat(l->text, t->name.p, t->name.len);
	strcat(l->text, " ");
	return ++l->n != l->stop_at;
}

static void
test_keys(void **state)
{
	struct all *a = *state;
	struct rec_op_tenant_create op = { 0 };
	struct reader_tenant t;
	struct names l = { 0 };
	uint64_t key, last = 0, first;

	memset(op.key_hash, 7, sizeof(op.key_hash));
	op.h = fixture_head(a->f);
	op.h.tenant = 0;
	op.name = str("Second");
	assert_int_equal(rec_op_tenant_create_put(&a->f->rec, &op), 0);
	fixture_begin(a->f);
	assert_int_equal(fixture_apply(a->f), OUTCOME_OK);
	fixture_commit(a->f);
	assert_int_equal(reader_key(a->r, op.key_hash, &key, &t), 1);
	assert_int_equal(t.id, a->f->reply.room);
	assert_string_equal(t.public_id, a->f->text);
	assert_false(t.disabled);
	assert_false(t.has_rate_limit);
	assert_int_equal(reader_key_alive(a->r, key), 1);
	assert_int_equal(reader_key_alive(a->r, key + 1), 0);
	assert_int_equal(reader_tenant(a->r, t.id, &t), 1);
	assert_int_equal(reader_tenant(a->r, t.id + 1, &t), 0);
	op.key_hash[31] ^= 1;
	assert_int_equal(reader_key(a->r, op.key_hash, &key, &t), 0);

	assert_int_equal(reader_tenants(a->r, 0, 10, take_tenant, &l, &last),
	    1);
	assert_string_equal(l.text, "Acme Second ");
	assert_int_equal(last, t.id);
	/* `last` is the last one wanted, not the last one seen. */
	memset(&l, 0, sizeof(l));
	l.stop_at = 2;
	first = a->f->tenant;
	assert_int_equal(reader_tenants(a->r, 0, 10, take_tenant, &l, &last),
	    1);
	assert_int_equal(last, first);
	memset(&l, 0, sizeof(l));
	reader_tenants(a->r, last, 10, take_tenant, &l, &last);
	assert_string_equal(l.text, "Second ");
}

/* ---- snapshots ---- */

static void
test_snapshot(void **state)
{
	struct all *a = *state;
	struct reader_room room;
	struct seen s = { 0 };
	uint64_t n, later;

	send_many(a, a->room, 1);
	assert_int_equal(reader_begin(a->r, &n), 0);
	assert_int_equal(n, store_batch(a->f->store));
	send_many(a, a->room, 2);
	/* What was committed since does not show. */
	assert_int_equal(reader_room(a->r, a->f->tenant, a->room, &room), 1);
	assert_int_equal(room.last_seq, 1);
	reader_messages_after(a->r, a->id, a->room, 0, 50, see, &s);
	assert_range(&s, 1, 1);
	reader_end(a->r);
	assert_int_equal(reader_room(a->r, a->f->tenant, a->room, &room), 1);
	assert_int_equal(room.last_seq, 3);
	assert_int_equal(reader_begin(a->r, &later), 0);
	assert_int_equal(later, n + 1);
	reader_end(a->r);
}

static void
test_epoch(void **state)
{
	struct all *a = *state;
	char epoch[33] = "";

	assert_int_equal(reader_epoch(a->r, epoch), 1);
	assert_int_equal(strlen(epoch), 32);
}

/* A reader holds nothing between calls: the log can be reset. */
static void
test_holds_nothing(void **state)
{
	struct all *a = *state;
	struct reader_room room;
	struct seen s = { .stop_at = 1 };

	send_many(a, a->room, 100);
	reader_messages_after(a->r, a->id, a->room, 0, 50, see, &s);
	assert_int_equal(reader_room(a->r, a->f->tenant, a->room, &room), 1);
	assert_int_equal(fixture_query(a->f, "PRAGMA wal_checkpoint(TRUNCATE)"),
	    0);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_messages_after),
		TEST(test_messages_before),
		TEST(test_message),
		TEST(test_room),
		TEST(test_members),
		TEST(test_rooms_by_activity),
		TEST(test_user_rooms),
		TEST(test_keys),
		TEST(test_snapshot),
		TEST(test_epoch),
		TEST(test_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
