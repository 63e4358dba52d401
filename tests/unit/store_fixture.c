/* SPDX-License-Identifier: MIT */
/* See store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define USERS_MAX 1200

struct str
str(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static void
fixture_open(struct fixture *f)
{
	char err[512];

	f->store = store_open(&f->dsn, err, sizeof(err));
	if (f->store == NULL)
		fail_msg("store_open: %s", err);
}

void
fixture_reopen(struct fixture *f)
{
	store_close(f->store);
	fixture_open(f);
}

struct op_head
fixture_head(struct fixture *f)
{
	buf_clear(&f->rec);
	return (struct op_head){ .op = ++f->op,
		.low = 1,
		.deadline_ms = clock_mono_ms() + 10000,
		.tenant = f->tenant };
}

enum outcome
fixture_apply_as(struct fixture *f, uint64_t incarnation)
{
	struct wire_record op, reply;

	buf_clear(&f->replies);
	assert_true(wire_next((uint8_t *)buf_head(&f->rec), f->rec.len, &op) >
	    0);
	assert_int_equal(store_apply(f->store, incarnation, &op, &f->replies,
			     &f->events),
	    STORE_OK);
	assert_int_equal(wire_next((uint8_t *)buf_head(&f->replies),
			     f->replies.len, &reply),
	    f->replies.len);
	assert_int_equal(rec_reply_get(&reply, &f->reply), 0);
	assert_true(f->reply.text.len < sizeof(f->text));
	memcpy(f->text, f->reply.text.p, f->reply.text.len);
	f->text[f->reply.text.len] = '\0';
	return f->reply.outcome;
}

enum outcome
fixture_apply(struct fixture *f)
{
	return fixture_apply_as(f, 7);
}

void
fixture_begin(struct fixture *f)
{
	buf_clear(&f->events);
	assert_int_equal(store_begin(f->store), STORE_OK);
}

void
fixture_commit(struct fixture *f)
{
	assert_int_equal(store_commit(f->store), STORE_OK);
}

int
fixture_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct rec_op_tenant_create op = { 0 };

	assert_non_null(f);
	assert_true(sodium_init() >= 0);
	log_init("test", -1);
	log_set_level(LOG_LEVEL_ERROR);
	strcpy(f->dir, "store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->dsn.path, sizeof(f->dsn.path), "%s/test.db", f->dir);
	f->dsn.busy_timeout_ms = 1000;
	buf_init(&f->rec, WIRE_RECORD_MAX);
	buf_init(&f->replies, WIRE_RECORD_MAX);
	buf_init(&f->events, 16 * WIRE_RECORD_MAX);
	fixture_open(f);
	op.h = fixture_head(f);
	op.h.tenant = 0;
	op.name = str("Acme");
	assert_int_equal(rec_op_tenant_create_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
	f->tenant = f->reply.room;
	*state = f;
	return 0;
}

static void
remove_all(const char *dir)
{
	struct dirent *e;
	char path[512];
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

int
fixture_down(void **state)
{
	struct fixture *f = *state;
	char staging[sizeof(f->dsn.path) + 16];

	store_close(f->store);
	snprintf(staging, sizeof(staging), "%s%s", f->dsn.path,
	    DSN_STAGING_SUFFIX);
	remove_all(staging);
	remove_all(f->dir);
	assert_int_equal(access(f->dir, F_OK), -1);
	buf_free(&f->rec);
	buf_free(&f->replies);
	buf_free(&f->events);
	free(f);
	return 0;
}

/* Splits "a,b,c". */
static uint32_t
split(const char *users, struct str *list)
{
	uint32_t n = 0;

	while (*users != '\0') {
		size_t len = strcspn(users, ",");

		assert_true(n < USERS_MAX);
		list[n++] = (struct str){ users, len };
		users += len + (users[len] == ',');
	}
	return n;
}

enum outcome
fixture_send(struct fixture *f, const char *room, const char *user,
    const char *client_id, const char *content)
{
	struct rec_op_send op = { .h = fixture_head(f) };

	op.room = str(room);
	op.sender = str(user);
	op.client_msg_id = str(client_id);
	op.content = str(content);
	op.meta = str("");
	key_content_hash(op.hash, content, strlen(content), NULL, 0);
	assert_int_equal(rec_op_send_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_ack(struct fixture *f, const char *room, const char *user, uint64_t seq)
{
	struct rec_op_ack op = { .h = fixture_head(f) };

	op.conn = 5;
	op.seq = seq;
	op.room = str(room);
	op.user = str(user);
	assert_int_equal(rec_op_ack_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_room(struct fixture *f, enum room_type type, const char *creator,
    const char *users, char token[ID_TOKEN_SIZE])
{
	static struct str list[USERS_MAX];
	struct rec_op_room_create op = { .h = fixture_head(f) };
	enum outcome o;

	op.type = (uint8_t)type;
	op.creator = str(creator);
	op.name = str("");
	op.metadata = str("");
	op.nusers = split(users, list);
	op.list = list;
	assert_int_equal(rec_op_room_create_put(&f->rec, &op), 0);
	o = fixture_apply(f);
	if (o == OUTCOME_OK || o == OUTCOME_REPEATED) {
		assert_int_equal(f->reply.text.len, ID_TOKEN_LEN);
		memcpy(token, f->text, ID_TOKEN_SIZE);
	}
	return o;
}

enum outcome
fixture_add(struct fixture *f, const char *room, const char *actor,
    const char *users, enum member_role role)
{
	static struct str list[USERS_MAX];
	struct rec_op_members_add op = { .h = fixture_head(f) };

	op.role = (uint8_t)role;
	op.room = str(room);
	op.actor = str(actor);
	op.nusers = split(users, list);
	op.list = list;
	assert_int_equal(rec_op_members_add_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_remove(struct fixture *f, const char *room, const char *actor,
    const char *user)
{
	struct rec_op_member_remove op = { .h = fixture_head(f) };

	op.room = str(room);
	op.actor = str(actor);
	op.user = str(user);
	assert_int_equal(rec_op_member_remove_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static enum outcome
fixture_change(struct fixture *f, enum record_type type, const char *room,
    const char *user, uint64_t seq, uint64_t ms, const char *content)
{
	struct rec_op_change op = { .h = fixture_head(f) };

	op.seq = seq;
	op.created_ms = ms;
	op.room = str(room);
	op.actor = str(user);
	op.content = str(content);
	assert_int_equal(rec_op_change_put(&f->rec, type, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_edit(struct fixture *f, const char *room, const char *user,
    uint64_t seq, uint64_t ms, const char *content)
{
	return fixture_change(f, REC_OP_MESSAGE_EDIT, room, user, seq, ms,
	    content);
}

enum outcome
fixture_delete(struct fixture *f, const char *room, const char *user,
    uint64_t seq, uint64_t ms)
{
	return fixture_change(f, REC_OP_MESSAGE_DELETE, room, user, seq, ms,
	    "");
}

enum outcome
fixture_update(struct fixture *f, const char *room, const char *user,
    const char *name, const char *metadata)
{
	struct rec_op_room_update op = { .h = fixture_head(f) };

	op.has_name = name != NULL;
	op.has_metadata = metadata != NULL;
	op.room = str(room);
	op.actor = str(user);
	op.name = str(name == NULL ? "" : name);
	op.metadata = str(metadata == NULL ? "" : metadata);
	assert_int_equal(rec_op_room_update_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_drop(struct fixture *f, const char *room, const char *user)
{
	struct rec_op_room_delete op = { .h = fixture_head(f) };

	op.room = str(room);
	op.actor = str(user);
	assert_int_equal(rec_op_room_delete_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

enum outcome
fixture_trim(struct fixture *f, const char *room, uint64_t first)
{
	struct rec_op_room_trim op = { .h = fixture_head(f) };

	op.h.tenant = 0;
	op.first_seq = first;
	op.room = str(room);
	assert_int_equal(rec_op_room_trim_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

int64_t
fixture_query(struct fixture *f, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	int64_t v;

	assert_int_equal(sqlite3_open_v2(f->dsn.path, &db,
			     SQLITE_OPEN_READWRITE, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static bool
next_event(struct fixture *f, size_t *at, struct rec_publish *p)
{
	struct wire_record rec;
	long n;

	if (*at >= f->events.len)
		return false;
	n = wire_next((uint8_t *)buf_head(&f->events) + *at,
	    f->events.len - *at, &rec);
	assert_true(n > 0);
	*at += (size_t)n;
	assert_int_equal(rec.type, REC_PUBLISH);
	assert_int_equal(rec_publish_get(&rec, p), 0);
	return true;
}

unsigned
fixture_events(struct fixture *f, enum record_type type)
{
	struct rec_publish p;
	unsigned n = 0;
	size_t at = 0;

	while (next_event(f, &at, &p))
		n += type == 0 || p.inner.type == type;
	return n;
}

void
fixture_event(struct fixture *f, unsigned n, struct rec_publish *p)
{
	size_t at = 0;

	for (unsigned i = 0; i <= n; i++)
		assert_true(next_event(f, &at, p));
}
