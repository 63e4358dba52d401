/* SPDX-License-Identifier: MIT */
/* Rooms, members, cursors, tenants and keys at the store. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"

static void
test_dm(void **state)
{
	struct fixture *f = *state;
	char a[ID_TOKEN_SIZE], b[ID_TOKEN_SIZE], c[ID_TOKEN_SIZE];
	uint64_t room;

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "bob,alice", a),
	    OUTCOME_OK);
	room = f->reply.room;
	/* Asked again in the same batch, the other way round. */
	assert_int_equal(fixture_room(f, ROOM_DM, "", "alice,bob", b),
	    OUTCOME_REPEATED);
	assert_string_equal(a, b);
	assert_int_equal(f->reply.room, room);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "a:b,c", b), OUTCOME_OK);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "a,b:c", c), OUTCOME_OK);
	assert_string_not_equal(b, c);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "bob,bob", c),
	    OUTCOME_INVALID);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "bob", c),
	    OUTCOME_INVALID);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_JOINED), 3);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_DM, "", "alice,bob", b),
	    OUTCOME_REPEATED);
	assert_string_equal(a, b);
	/* It has two members for good. */
	assert_int_equal(fixture_add(f, a, "", "carol", MEMBER_UNCHANGED),
	    OUTCOME_DM_FIXED);
	assert_int_equal(fixture_add(f, a, "alice", "carol", MEMBER_UNCHANGED),
	    OUTCOME_DM_FIXED);
	assert_int_equal(fixture_add(f, a, "carol", "carol", MEMBER_UNCHANGED),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_remove(f, a, "alice", "alice"),
	    OUTCOME_DM_FIXED);
	assert_int_equal(fixture_remove(f, a, "", "bob"), OUTCOME_DM_FIXED);
	assert_int_equal(fixture_remove(f, a, "", "carol"),
	    OUTCOME_MEMBER_NOT_FOUND);
	assert_int_equal(fixture_remove(f, a, "carol", "bob"),
	    OUTCOME_NOT_MEMBER);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM member"), 6);
}

static void
test_join_and_leave(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], c[ID_TOKEN_SIZE];
	struct rec_publish p;
	struct rec_event_members e;
	struct str user;
	size_t at = 0;

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "alice", "alice,bob", g),
	    OUTCOME_OK);
	assert_int_equal(fixture_room(f, ROOM_CHANNEL, "alice", "alice", c),
	    OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "alice", "", "1"), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "alice", "", "2"), OUTCOME_OK);
	fixture_commit(f);

	fixture_begin(f);
	assert_int_equal(fixture_add(f, g, "carol", "carol", MEMBER_UNCHANGED),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_add(f, g, "bob", "carol", MEMBER_UNCHANGED),
	    OUTCOME_NOT_ADMIN);
	assert_int_equal(fixture_add(f, c, "carol", "dave", MEMBER_UNCHANGED),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_add(f, c, "carol", "carol", MEMBER_ADMIN),
	    OUTCOME_NOT_ADMIN);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_add(f, c, "carol", "carol", MEMBER_UNCHANGED),
	    OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "alice", "carol,bob,dave",
			     MEMBER_UNCHANGED),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_JOINED), 2);

	/* Only who is new, at the head. */
	fixture_event(f, 1, &p);
	assert_int_equal(p.nkeys, 3);
	assert_int_equal(rec_publish_key(&p, 0),
	    id_user_key(f->tenant, "carol", 5));
	assert_int_equal(rec_event_members_get(&p.inner, &e), 0);
	/* The room hears of it too, while it is small. */
	assert_int_equal(rec_publish_key(&p, 2), id_room_key(e.room));
	assert_int_equal(e.members, 4);
	assert_int_equal(e.head, 2);
	assert_int_equal(e.nusers, 2);
	assert_string_equal(e.token, g);
	assert_true(rec_event_members_next(&e, &at, &user));
	assert_memory_equal(user.p, "carol", 5);
	assert_true(rec_event_members_next(&e, &at, &user));
	assert_memory_equal(user.p, "dave", 4);
	assert_false(rec_event_members_next(&e, &at, &user));
	assert_int_equal(fixture_query(f,
			     "SELECT last_ack FROM member "
			     "WHERE user = 'dave'"),
	    2);
	assert_int_equal(fixture_query(f,
			     "SELECT last_ack FROM member "
			     "WHERE user = 'bob'"),
	    0);

	fixture_begin(f);
	assert_int_equal(fixture_remove(f, g, "bob", "carol"),
	    OUTCOME_NOT_ADMIN);
	assert_int_equal(fixture_remove(f, g, "bob", "bob"), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "bob", "", "x"),
	    OUTCOME_NOT_MEMBER);
	assert_int_equal(fixture_remove(f, g, "alice", "bob"),
	    OUTCOME_MEMBER_NOT_FOUND);
	assert_int_equal(fixture_remove(f, g, "", "dave"), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_LEFT), 2);
	fixture_event(f, 0, &p);
	assert_int_equal(p.nkeys, 2);
	assert_int_equal(rec_publish_key(&p, 0),
	    id_user_key(f->tenant, "bob", 3));
	assert_int_equal(rec_publish_key(&p, 1), id_room_key(e.room));
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM room_head h "
			     "WHERE members != (SELECT count(*) FROM member m "
			     "WHERE m.room = h.room)"),
	    0);
}

static void
test_roles(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "alice", "alice,bob", g),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f,
			     "SELECT role FROM member "
			     "WHERE user = 'alice'"),
	    MEMBER_ADMIN);
	fixture_begin(f);
	assert_int_equal(fixture_add(f, g, "alice", "bob", MEMBER_ADMIN),
	    OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "bob", "alice", MEMBER_UNCHANGED),
	    OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT sum(role) FROM member"), 2);
	fixture_begin(f);
	assert_int_equal(fixture_add(f, g, "bob", "alice", MEMBER_PLAIN),
	    OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "alice", "carol", MEMBER_UNCHANGED),
	    OUTCOME_NOT_ADMIN);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(fixture_query(f,
			     "SELECT role FROM member "
			     "WHERE user = 'bob'"),
	    MEMBER_ADMIN);
}

static void
test_ack(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];
	struct rec_publish p;
	struct rec_event_acked e;

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "alice,bob", g),
	    OUTCOME_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fixture_send(f, g, "alice", "", "x"),
		    OUTCOME_OK);
	fixture_commit(f);
	fixture_begin(f);
	assert_int_equal(fixture_ack(f, g, "bob", 3), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 3);
	assert_int_equal(fixture_ack(f, g, "bob", 2), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 3);
	assert_int_equal(fixture_events(f, REC_EVENT_ACKED), 1);
	assert_int_equal(fixture_ack(f, g, "bob", 1000), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 5);
	assert_int_equal(fixture_ack(f, g, "carol", 1), OUTCOME_NOT_MEMBER);
	fixture_commit(f);
	assert_int_equal(fixture_events(f, REC_EVENT_ACKED), 2);
	fixture_event(f, 1, &p);
	assert_int_equal(rec_publish_key(&p, 0),
	    id_room_key(f->reply.room + 1));
	assert_int_equal(rec_event_acked_get(&p.inner, &e), 0);
	assert_int_equal(e.seq, 5);
	assert_int_equal(e.incarnation, 7);
	assert_int_equal(e.conn, 5);
	assert_memory_equal(e.user.p, "bob", 3);
	assert_int_equal(fixture_query(f,
			     "SELECT last_ack FROM member "
			     "WHERE user = 'bob'"),
	    5);
	assert_int_equal(fixture_query(f,
			     "SELECT last_ack FROM member "
			     "WHERE user = 'alice'"),
	    0);
}

static void
test_large_room(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], users[12000] = "";
	struct rec_publish p;
	struct rec_event_members e;
	size_t len = 0;

	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(users + len, "%suser-%d",
		    i > 0 ? "," : "", i);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_CHANNEL, "user-5", users, g),
	    OUTCOME_OK);
	fixture_event(f, 0, &p);
	/* Each user's, and the room's, which had been small. */
	assert_int_equal(p.nkeys, 1001);
	assert_int_equal(rec_event_members_get(&p.inner, &e), 0);
	assert_int_equal(e.nusers, 1000);
	assert_int_equal(fixture_send(f, g, "user-5", "", "x"), OUTCOME_OK);
	assert_int_equal(fixture_ack(f, g, "user-6", 1), OUTCOME_OK);
	/* Too many to be told about each other's cursors. */
	assert_int_equal(fixture_events(f, REC_EVENT_ACKED), 0);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT members FROM room_head"),
	    1000);
}

/* Who hears of a change of members: those named, and the room's others while
 * it is small, up to the change that makes it large. */
static void
test_room_becomes_large(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], users[2000] = "";
	struct rec_event_members e;
	struct rec_publish p;
	size_t len = 0;

	for (int i = 0; i < 99; i++)
		len += (size_t)sprintf(users + len, "%suser-%d",
		    i > 0 ? "," : "", i);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "user-5", users, g),
	    OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "", "a", MEMBER_PLAIN), OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "", "b,c", MEMBER_PLAIN),
	    OUTCOME_OK);
	assert_int_equal(fixture_add(f, g, "", "d", MEMBER_PLAIN), OUTCOME_OK);
	assert_int_equal(fixture_remove(f, g, "", "a"), OUTCOME_OK);
	assert_int_equal(fixture_remove(f, g, "", "b"), OUTCOME_OK);
	assert_int_equal(fixture_remove(f, g, "", "c"), OUTCOME_OK);
	for (unsigned i = 1; i <= 6; i++) {
		static const unsigned members[] = { 100, 102, 103, 102, 101,
			100 };
		static const uint16_t keys[] = { 2, 3, 1, 1, 1, 2 };

		fixture_event(f, i, &p);
		assert_int_equal(rec_event_members_get(&p.inner, &e), 0);
		assert_int_equal(e.members, members[i - 1]);
		assert_int_equal(p.nkeys, keys[i - 1]);
		if (keys[i - 1] > 1)
			assert_true(rec_publish_key(&p, p.nkeys - 1) ==
			    id_room_key(e.room));
	}
	fixture_commit(f);
}

static enum outcome
admin(struct fixture *f, enum record_type type, const char *a, const char *b,
    int hash)
{
	struct rec_op_admin op = { .h = fixture_head(f) };

	op.h.tenant = 0;
	op.a = str(a);
	op.b = str(b);
	memset(op.key_hash, hash, sizeof(op.key_hash));
	assert_int_equal(rec_op_admin_put(&f->rec, type, &op), 0);
	return fixture_apply(f);
}

static void
test_tenants_and_keys(void **state)
{
	struct fixture *f = *state;
	char id[64], key[64], g[ID_TOKEN_SIZE];
	struct rec_publish p;
	struct rec_event_tenant e;

	fixture_begin(f);
	assert_int_equal(admin(f, REC_OP_TENANT_LIST, "", "", 0), OUTCOME_OK);
	assert_int_equal(sscanf(f->text,
			     "{\"tenants\":[{\"tenant_id\":"
			     "\"%63[a-z0-9_]\"",
			     id),
	    1);
	assert_non_null(strstr(f->text, "\"name\":\"Acme\""));
	assert_non_null(strstr(f->text, "\"next_cursor\":null"));
	assert_int_equal(admin(f, REC_OP_TENANT_LIST, id, "", 0), OUTCOME_OK);
	assert_string_equal(f->text, "{\"tenants\":[],\"next_cursor\":null}");
	assert_int_equal(admin(f, REC_OP_TENANT_SHOW, id, "", 0), OUTCOME_OK);
	assert_non_null(strstr(f->text, id));
	assert_int_equal(admin(f, REC_OP_TENANT_SHOW, "tenant_x", "", 0),
	    OUTCOME_TENANT_NOT_FOUND);

	assert_int_equal(admin(f, REC_OP_KEY_ADD, id, "", 1), OUTCOME_OK);
	assert_int_equal(sscanf(f->text, "{\"key_id\":\"%63[a-z0-9_]\"", key),
	    1);
	assert_int_equal(fixture_events(f, REC_EVENT_TENANT), 1);
	fixture_event(f, 0, &p);
	assert_int_equal(p.nkeys, 0);
	assert_int_equal(rec_event_tenant_get(&p.inner, &e), 0);
	assert_int_equal(e.tenant, f->tenant);
	assert_int_equal(admin(f, REC_OP_KEY_LIST, id, "", 0), OUTCOME_OK);
	assert_non_null(strstr(f->text, key));
	assert_int_equal(admin(f, REC_OP_KEY_REVOKE, id, key, 0), OUTCOME_OK);
	assert_int_equal(admin(f, REC_OP_KEY_REVOKE, id, key, 0),
	    OUTCOME_KEY_NOT_FOUND);
	assert_int_equal(admin(f, REC_OP_KEY_LIST, id, "", 0), OUTCOME_OK);
	assert_null(strstr(f->text, key));
	/* A hash that is there already fails alone, not the batch. */
	assert_int_equal(admin(f, REC_OP_KEY_ADD, id, "", 1), OUTCOME_INTERNAL);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM api_key"), 2);

	assert_int_equal(fixture_query(f,
			     "UPDATE tenant SET disabled = 1 "
			     "RETURNING disabled"),
	    1);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a", g),
	    OUTCOME_TENANT_DISABLED);
	f->tenant = 4711;
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a", g),
	    OUTCOME_UNAUTHORIZED);
	fixture_commit(f);
}

static void
test_foreign_room(void **state)
{
	struct fixture *f = *state;
	struct rec_op_tenant_create op = { 0 };
	uint64_t first = f->tenant;
	char g[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_CHANNEL, "", "alice", g),
	    OUTCOME_OK);
	op.h = fixture_head(f);
	op.name = str("Other");
	memset(op.key_hash, 9, sizeof(op.key_hash));
	assert_int_equal(rec_op_tenant_create_put(&f->rec, &op), 0);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	f->tenant = f->reply.room;
	assert_int_not_equal(f->tenant, first);
	assert_int_equal(fixture_send(f, g, "alice", "", "x"),
	    OUTCOME_ROOM_NOT_FOUND);
	assert_int_equal(fixture_add(f, g, "", "mallory", MEMBER_UNCHANGED),
	    OUTCOME_ROOM_NOT_FOUND);
	f->tenant = first;
	assert_int_equal(fixture_send(f, g, "alice", "", "x"), OUTCOME_OK);
	fixture_commit(f);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_dm),
		TEST(test_join_and_leave),
		TEST(test_roles),
		TEST(test_ack),
		TEST(test_large_room),
		TEST(test_room_becomes_large),
		TEST(test_tenants_and_keys),
		TEST(test_foreign_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
