/* SPDX-License-Identifier: MIT */
/*
 * Notifications in the writer: in each inbox once, whatever names the user
 * and wherever the writer was when it died; and gone without a trace.
 */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ids.h"
#include "common/records_notify.h"
#include "writer/migrations.h"
#include "writer/store_int.h"

#define MANY 2500

/* users: "alice,bob" or NULL; room: a token or NULL. */
static enum outcome
notify(struct fixture *f, unsigned targets, const char *users, const char *room)
{
	static struct str list[EVENT_USERS_MAX];
	struct rec_op_notify op = { .h = fixture_head(f) };

	op.targets = (uint8_t)targets;
	op.topic = str("orders");
	op.payload = str("{\"a\":1}");
	op.room = str(room == NULL ? "" : room);
	for (users = users == NULL ? "" : users; *users != '\0';) {
		size_t len = strcspn(users, ",");

		list[op.nusers++] = (struct str){ users, len };
		users += len + (users[len] == ',');
	}
	op.list = list;
	assert_int_equal(rec_op_notify_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static enum outcome
of_user(struct fixture *f, enum record_type type, const char *user,
    const char *subject)
{
	struct rec_op_of_user op = { .h = fixture_head(f) };

	op.user = str(user);
	op.subject = str(subject);
	assert_int_equal(rec_op_of_user_put(&f->rec, type, &op), 0);
	return fixture_apply(f);
}

/* The tenant knows user00000 and so on. */
static void
know(struct fixture *f, unsigned n)
{
	char name[16];

	fixture_begin(f);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "user%05u", i);
		assert_int_equal(of_user(f, REC_OP_USER_SEEN, name, ""),
		    OUTCOME_OK);
	}
	fixture_commit(f);
}

static int64_t
count(struct fixture *f, const char *table)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	return fixture_query(f, sql);
}

/* One piece; how many users it told. */
static uint32_t
piece(struct fixture *f)
{
	struct rec_event_notification e;
	struct rec_publish p;
	uint64_t id, last = 0;
	struct str user;
	uint32_t n = 0;
	size_t at = 0;

	buf_clear(&f->events);
	assert_int_equal(store_fanout(f->store, &f->events), STORE_OK);
	if (fixture_events(f, 0) == 0)
		return 0;
	assert_int_equal(fixture_events(f, 0), 1);
	fixture_event(f, 0, &p);
	assert_int_equal(rec_event_notification_get(&p.inner, &e), 0);
	assert_int_equal(e.tenant, f->tenant);
	assert_int_equal(p.nkeys, e.nusers);
	assert_in_range(e.nusers, 1, EXPANSION_MAX);
	while (rec_event_notification_next(&e, &at, &user, &id)) {
		assert_true(id > last);
		assert_true(rec_publish_key(&p, (uint16_t)n) ==
		    id_user_key(f->tenant, user.p, user.len));
		last = id;
		n++;
	}
	assert_int_equal(n, e.nusers);
	return n;
}

static unsigned
pieces(struct fixture *f)
{
	unsigned n = 0;

	while (store_fanouts(f->store) > 0) {
		n += piece(f);
		assert_true(n < 100000);
	}
	return n;
}

static void
test_named(void **state)
{
	struct fixture *f = *state;
	struct rec_event_notification e;
	char token[ID_TOKEN_SIZE], want[128];
	struct rec_publish p;
	uint64_t id;
	struct str user;
	size_t at = 0;

	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_USERS, "bob,alice,bob", NULL),
	    OUTCOME_OK);
	strcpy(token, f->text);
	assert_true(id_token_valid(token, strlen(token)));
	assert_int_equal(f->reply.ms, f->store->ms);
	fixture_commit(f);
	assert_int_equal(store_batch_notifications(f->store), 1);
	assert_int_equal(store_fanouts(f->store), 0);
	assert_int_equal(fixture_events(f, REC_EVENT_NOTIFICATION), 1);
	fixture_event(f, 0, &p);
	assert_int_equal(rec_event_notification_get(&p.inner, &e), 0);
	snprintf(want, sizeof(want),
	    "{\"type\":\"notification\",\"notification_id\":\"ntf_%s\","
	    "\"topic\":\"orders\",\"payload\":{\"a\":1},\"created_at\":",
	    token);
	assert_true(e.text.len > strlen(want));
	assert_memory_equal(e.text.p, want, strlen(want));
	assert_int_equal(e.nusers, 2);
	assert_true(rec_event_notification_next(&e, &at, &user, &id));
	assert_true(str_same(user, str("bob")) && id == 1);
	assert_true(rec_event_notification_next(&e, &at, &user, &id));
	assert_true(str_same(user, str("alice")));
	assert_int_equal(count(f, "inbox"), 2);
	/* Naming makes nobody known. */
	assert_int_equal(count(f, "user"), 0);

	fixture_begin(f);
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "carol", token),
	    OUTCOME_NOTIFICATION_NOT_FOUND);
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "bob", token),
	    OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "bob", token),
	    OUTCOME_NOTIFICATION_NOT_FOUND);
	f->tenant++;
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "alice", token),
	    OUTCOME_UNAUTHORIZED);
	f->tenant--;
	fixture_commit(f);
	assert_int_equal(count(f, "notification"), 1);
	fixture_begin(f);
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "alice", token),
	    OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_NOTIFICATION_ACK, "alice", token),
	    OUTCOME_NOTIFICATION_NOT_FOUND);
	fixture_commit(f);
	assert_int_equal(count(f, "inbox"), 0);
	assert_int_equal(count(f, "notification"), 0);
	/* Ids do not come back, or a cursor would stand above them. */
	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_USERS, "bob", NULL), OUTCOME_OK);
	fixture_commit(f);
	assert_true(fixture_query(f, "SELECT max(id) FROM inbox") > 2);
}

/* Died between any two pieces, and once with a piece not committed. */
static void
test_everybody(void **state)
{
	struct fixture *f = *state;
	unsigned told = 0, n = 0;

	know(f, MANY);
	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	assert_int_equal(fixture_events(f, 0), 0);
	fixture_commit(f);
	assert_int_equal(store_fanouts(f->store), 1);
	while (store_fanouts(f->store) > 0) {
		told += piece(f);
		assert_int_equal(count(f, "inbox"), told);
		fixture_reopen(f);
		assert_true(n++ < MANY);
	}
	assert_true(n >= 3);
	assert_int_equal(told, MANY);
	assert_int_equal(fixture_query(f,
			     "SELECT count(DISTINCT user) FROM inbox"),
	    MANY);
	assert_int_equal(count(f, "fanout"), 0);
	assert_int_equal(piece(f), 0);
}

/* A user whom several targets name has it once. */
static void
test_overlap(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE], *names = calloc(1, 20000), name[16];
	unsigned both = NOTIFY_USERS | NOTIFY_ROOM | NOTIFY_TOPIC;

	assert_non_null(names);
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a,b,c", g),
	    OUTCOME_OK);
	for (const char *u = "bcde"; *u != '\0'; u++) {
		char user[2] = { *u, '\0' };

		assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, user, "orders"),
		    OUTCOME_OK);
		assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, user, "other"),
		    OUTCOME_OK);
	}
	assert_int_equal(notify(f, both, "a,e,x", g), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(count(f, "inbox"), 3);
	assert_int_equal(store_fanouts(f->store), 2);
	assert_int_equal(pieces(f), 3);
	assert_int_equal(count(f, "inbox"), 6);
	/* The same by a list too long for the operation itself. */
	strcpy(names, "a,e");
	for (int i = 0; i < 998; i++) {
		snprintf(name, sizeof(name), ",n%d", i);
		strcat(names, name);
	}
	fixture_begin(f);
	assert_int_equal(notify(f, both, names, g), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(store_fanouts(f->store), 3);
	assert_int_equal(pieces(f), 1000 + 3);
	assert_int_equal(fixture_query(f,
			     "SELECT count(DISTINCT user) FROM inbox"
			     " WHERE notification = 2"),
	    1003);
	free(names);
}

/* Operations that failed with their batch leave nothing to go through. */
static void
test_rolled_back(void **state)
{
	struct fixture *f = *state;

	know(f, 10);
	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	store_rollback(f->store);
	assert_int_equal(store_fanouts(f->store), 0);
	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(store_fanouts(f->store), 1);
	assert_int_equal(pieces(f), 10);
}

/* The worker asks the next writer again. */
static void
test_repeated(void **state)
{
	struct fixture *f = *state;
	char token[ID_TOKEN_SIZE];

	know(f, 10);
	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	strcpy(token, f->text);
	fixture_commit(f);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_string_equal(f->text, token);
	fixture_commit(f);
	assert_int_equal(pieces(f), 10);
	assert_int_equal(count(f, "notification"), 1);
}

static void
test_nobody(void **state)
{
	struct fixture *f = *state;

	fixture_begin(f);
	assert_int_equal(notify(f, NOTIFY_USERS, NULL, NULL), OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_TOPIC, NULL, NULL), OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	fixture_commit(f);
	assert_int_equal(count(f, "notification"), 2);
	assert_int_equal(pieces(f), 0);
	assert_int_equal(count(f, "notification"), 0);
}

static void
test_room_goes(void **state)
{
	struct fixture *f = *state;
	char g[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a,b,c", g),
	    OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_ROOM, NULL, g), OUTCOME_OK);
	assert_int_equal(fixture_drop(f, g, ""), OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_ROOM, NULL, g),
	    OUTCOME_ROOM_NOT_FOUND);
	fixture_commit(f);
	/* Its members' rows are still there. */
	assert_int_equal(count(f, "member"), 3);
	assert_int_equal(pieces(f), 0);
	assert_int_equal(count(f, "notification"), 0);
	assert_int_equal(count(f, "inbox"), 0);
}

/* Another tenant's long list does not hold a short one up. */
static void
test_turns(void **state)
{
	struct fixture *f = *state;
	uint64_t first = f->tenant;
	struct rec_op_tenant_create op = { .h = fixture_head(f) };
	int64_t had;

	know(f, MANY);
	op.h = fixture_head(f);
	op.h.tenant = 0;
	op.name = str("Other");
	memset(op.key_hash, 9, sizeof(op.key_hash));
	assert_int_equal(rec_op_tenant_create_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
	f->tenant = f->reply.room;
	know(f, 5);
	f->tenant = first;
	fixture_begin(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	f->tenant = first + 1;
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	fixture_commit(f);
	f->tenant = first;
	had = piece(f);
	f->tenant = first + 1;
	assert_int_equal(piece(f), 5);
	f->tenant = first;
	assert_int_equal(had + pieces(f), 3 * MANY);
	/* In the order of the notifications. */
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM inbox a JOIN inbox b"
			     " ON b.tenant = a.tenant AND b.user = a.user"
			     " AND b.id > a.id"
			     " AND b.notification < a.notification"),
	    0);
}

static void
test_tenant_goes(void **state)
{
	struct fixture *f = *state;
	static const char *const tables[] = { "user", "subscription",
		"notification", "inbox", "inbox_acked", "fanout", "tenant" };
	struct rec_op_admin op = { .h = fixture_head(f) };
	char id[ID_PUBLIC_SIZE];
	int n = 0;

	know(f, MANY);
	fixture_begin(f);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "a", "orders"),
	    OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	assert_int_equal(notify(f, NOTIFY_ALL, NULL, NULL), OUTCOME_OK);
	fixture_commit(f);
	assert_true(piece(f) > 0);
	assert_int_equal(store_fanouts(f->store), 2);
	fixture_begin(f);
	op.h = fixture_head(f);
	op.h.tenant = 0;
	assert_int_equal(rec_op_admin_put(&f->rec, REC_OP_TENANT_LIST, &op), 0);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	memcpy(id, strstr(f->text, ":\"tenant_") + 2, 7 + ID_TOKEN_LEN);
	id[7 + ID_TOKEN_LEN] = '\0';
	op.h = fixture_head(f);
	op.h.tenant = 0;
	op.a = str(id);
	assert_int_equal(rec_op_admin_put(&f->rec, REC_OP_TENANT_DELETE, &op),
	    0);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
	/* Removal and what was under way, in turns. */
	while (store_sweep_pending(f->store) || store_fanouts(f->store) > 0) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_int_equal(piece(f), 0);
		assert_true(++n < 10000);
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		assert_int_equal(count(f, tables[i]), 0);
}

static void
test_subscriptions(void **state)
{
	struct fixture *f = *state;
	char token[ID_TOKEN_SIZE], topic[16];

	fixture_begin(f);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "a"), OUTCOME_OK);
	strcpy(token, f->text);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "a"),
	    OUTCOME_REPEATED);
	assert_string_equal(f->text, token);
	for (int i = 1; i < 100; i++) {
		snprintf(topic, sizeof(topic), "t%d", i);
		assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", topic),
		    OUTCOME_OK);
	}
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "more"),
	    OUTCOME_SUBSCRIPTIONS_FULL);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "t99"),
	    OUTCOME_REPEATED);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "bob", "more"),
	    OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_UNSUBSCRIBE, "bob", token),
	    OUTCOME_SUBSCRIPTION_NOT_FOUND);
	assert_int_equal(of_user(f, REC_OP_UNSUBSCRIBE, "ann", token),
	    OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_UNSUBSCRIBE, "ann", token),
	    OUTCOME_SUBSCRIPTION_NOT_FOUND);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "more"),
	    OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_SUBSCRIBE, "ann", "a\nb"),
	    OUTCOME_INVALID);
	assert_int_equal(of_user(f, REC_OP_USER_SEEN, "ann", ""),
	    OUTCOME_REPEATED);
	assert_int_equal(of_user(f, REC_OP_USER_SEEN, "cid", ""), OUTCOME_OK);
	assert_int_equal(of_user(f, REC_OP_USER_SEEN, "\x01", ""),
	    OUTCOME_INVALID);
	fixture_commit(f);
	assert_int_equal(count(f, "user"), 3);
	assert_int_equal(count(f, "subscription"), 101);
}

/* The writer trusts no worker with whom it is for. */
static void
test_bad_values(void **state)
{
	struct fixture *f = *state;
	const char *token = "0123456789abcdefghjkmn";

	fixture_begin(f);
	assert_int_equal(notify(f, 0, NULL, NULL), OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_ALL | NOTIFY_USERS, NULL, NULL),
	    OUTCOME_INVALID);
	assert_int_equal(notify(f, 16, NULL, NULL), OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_ROOM, NULL, NULL), OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_ROOM, NULL, "nonsense"),
	    OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_TOPIC, NULL, token), OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_TOPIC, "a", NULL), OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_USERS, "a,\xff", NULL),
	    OUTCOME_INVALID);
	assert_int_equal(notify(f, NOTIFY_ROOM, NULL, token),
	    OUTCOME_ROOM_NOT_FOUND);
	fixture_commit(f);
	assert_int_equal(count(f, "notification"), 0);
}

/* Members of before are known. */
static void
test_migration(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	store_close(f->store);
	assert_int_equal(unlink(f->dsn.path), 0);
	assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(sqlite3_exec(db, migrations[i].sql, NULL, NULL,
				     NULL),
		    SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "PRAGMA user_version = 4;"
			     "INSERT INTO state VALUES (1, 'x');"
			     "INSERT INTO member VALUES (1, 'a', 1, 0, 0, 0),"
			     " (2, 'a', 1, 0, 0, 0), (1, 'b', 1, 0, 0, 0),"
			     " (3, 'a', 2, 0, 0, 0)",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	f->store = store_open(&f->dsn, f->text, sizeof(f->text));
	assert_non_null(f->store);
	assert_int_equal(count(f, "user"), 3);
	assert_int_equal(fixture_query(f,
			     "SELECT group_concat(tenant || user, ' ') ="
			     " '1a 1b 2a' FROM user"),
	    1);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_named),
		TEST(test_everybody),
		TEST(test_overlap),
		TEST(test_rolled_back),
		TEST(test_repeated),
		TEST(test_nobody),
		TEST(test_room_goes),
		TEST(test_turns),
		TEST(test_tenant_goes),
		TEST(test_subscriptions),
		TEST(test_bad_values),
		TEST(test_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
