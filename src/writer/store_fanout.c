/* SPDX-License-Identifier: MIT */
/*
 * Bringing notifications to many users, in pieces: each a transaction of its
 * own that also moves the place where the next one goes on.  Runs in the
 * writer between batches; tenants take turns, a tenant's notifications are
 * brought in the order in which they came.
 */
#include "../common/clock.h"
#include "../common/log.h"
#include "../common/utf8.h"
#include "store_int.h"

/* A piece ends after this long; its commit comes on top. */
#define PIECE_NS (2U * 1000 * 1000)
/* Users between two looks at the clock. */
#define CHUNK_USERS 16

/* A list being gone through. */
struct fanout {
	uint64_t tenant;
	uint64_t notification;
	uint64_t room;
	uint8_t kind; /* enum fanout_kind */
	size_t after_len;
	char after[USER_ID_MAX];
	struct buf list; /* FANOUT_USERS: what is left */
};

int
store_fanout_note(struct store *s, uint64_t tenant, uint64_t notification,
    enum fanout_kind kind, uint64_t room, struct str list)
{
	sqlite3_stmt *st = sql_get(s, SQL_FANOUT_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	sql_bind_u64(st, 2, notification);
	(void)sqlite3_bind_int(st, 3, (int)kind);
	if (kind == FANOUT_ROOM)
		sql_bind_u64(st, 4, room);
	else
		(void)sqlite3_bind_null(st, 4);
	if (kind == FANOUT_USERS)
		(void)sqlite3_bind_blob(st, 5, list.p, (int)list.len,
		    SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, 5);
	if (sql_step(s, st) != 0)
		return -1;
	/* FANOUT_ACKED may be there already. */
	if (sqlite3_changes(s->db) > 0)
		s->fanouts_change++;
	return 0;
}

int
store_fanout_start(struct store *s)
{
	int64_t n;

	if (sql_int(s, "SELECT count(*) FROM fanout", &n) == -1)
		return -1;
	s->fanouts = (uint64_t)n;
	if (n > 0)
		log_info("notifications go on", "lists=%lld", (long long)n);
	return 0;
}

uint64_t
store_fanouts(const struct store *s)
{
	return s->fanouts;
}

/* ---- whose turn it is ---- */

static int
fanout_read(sqlite3_stmt *st, struct fanout *f)
{
	struct str after = sql_column_str(st, 5), list = sql_column_str(st, 4);

	f->tenant = (uint64_t)sqlite3_column_int64(st, 0);
	f->notification = (uint64_t)sqlite3_column_int64(st, 1);
	f->kind = (uint8_t)sqlite3_column_int(st, 2);
	f->room = (uint64_t)sqlite3_column_int64(st, 3);
	f->after_len = after.len < USER_ID_MAX ? after.len : USER_ID_MAX;
	memcpy(f->after, after.p, f->after_len);
	return buf_add(&f->list, list.p, list.len);
}

/* The next tenant's first list.  1, 0 there is none, -1. */
static int
fanout_next(struct store *s, struct fanout *f)
{
	sqlite3_stmt *st = sql_get(s, SQL_FANOUT_NEXT);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, s->fanout_tenant);
	if ((rc = sql_step(s, st)) == 0 && s->fanout_tenant != 0) {
		sql_bind_u64(st, 1, 0);
		rc = sql_step(s, st);
	}
	if (rc != 1)
		return rc;
	if (fanout_read(st, f) == -1)
		rc = -1;
	(void)sqlite3_reset(st);
	s->fanout_tenant = f->tenant;
	return rc;
}

/* ---- one piece ---- */

/* Brings it to one user, whose name may be gone at the next step. */
static int
fanout_user(struct store *s, struct fanout *f, struct expansion *x,
    struct str user)
{
	char *name;

	if (user.len > USER_ID_MAX)
		return -1;
	memcpy(f->after, user.p, user.len);
	f->after_len = user.len;
	/* Reserved at once, so that no name moves. */
	if (x->n == 0) {
		buf_clear(&s->names);
		if (buf_reserve(&s->names, EXPANSION_MAX * USER_ID_MAX) == NULL)
			return -1;
	}
	name = buf_head(&s->names) + s->names.len;
	if (buf_add(&s->names, user.p, user.len) == -1)
		return -1;
	return store_inbox_add(s, x, (struct str){ name, user.len });
}

/* The piece has had its time, or its number. */
static bool
piece_over(unsigned seen, uint64_t until)
{
	return seen == EXPANSION_MAX ||
	    (seen % CHUNK_USERS == 0 && clock_mono_ns() >= until);
}

/* Users out of the database.  1 the list has ended, 0, -1. */
static int
fanout_query(struct store *s, struct fanout *f, struct expansion *x,
    uint64_t until)
{
	static const enum store_sql which[] = {
		[FANOUT_ROOM] = SQL_FANOUT_ROOM,
		[FANOUT_TOPIC] = SQL_FANOUT_TOPIC,
		[FANOUT_ALL] = SQL_FANOUT_ALL,
	};
	char after[USER_ID_MAX];
	size_t len = f->after_len;
	sqlite3_stmt *st;
	unsigned seen = 0;
	int rc;

	if (f->kind < FANOUT_ROOM || f->kind > FANOUT_ALL ||
	    (st = sql_get(s, which[f->kind])) == NULL)
		return -1;
	memcpy(after, f->after, len);
	sql_bind_u64(st, 1,
	    f->kind == FANOUT_ROOM      ? f->room :
		f->kind == FANOUT_TOPIC ? f->notification :
					  f->tenant);
	sql_bind_str(st, 2, (struct str){ after, len });
	(void)sqlite3_bind_int(st, 3, EXPANSION_MAX);
	while ((rc = sql_step(s, st)) == 1) {
		seen++;
		if (fanout_user(s, f, x, sql_column_str(st, 0)) == -1)
			rc = -1;
		if (rc == -1 || piece_over(seen, until))
			break;
	}
	(void)sqlite3_reset(st);
	return rc == 0 ? 1 : rc == 1 ? 0 : -1;
}

/* Users out of the list that came with the notification. */
static int
fanout_list(struct store *s, struct fanout *f, struct expansion *x,
    uint64_t until)
{
	struct wire_reader rd = { .p = (const uint8_t *)buf_head(&f->list),
		.end = (const uint8_t *)buf_head(&f->list) + f->list.len };
	unsigned seen = 0;

	while (rd.p < rd.end) {
		struct str user;

		user.p = wire_get_str(&rd, &user.len);
		seen++;
		if (rd.bad || fanout_user(s, f, x, user) == -1)
			return -1;
		if (piece_over(seen, until))
			break;
	}
	buf_drain(&f->list, f->list.len - (size_t)(rd.end - rd.p));
	return f->list.len == 0 ? 1 : 0;
}

/* Forgets who acknowledged while others were still to be reached.  1 there is
 * nobody left, 0, -1. */
static int
fanout_acked(struct store *s, const struct fanout *f, uint64_t until)
{
	sqlite3_stmt *st = sql_get(s, SQL_ACKED_DELETE);

	if (st == NULL)
		return -1;
	do {
		sql_bind_u64(st, 1, f->notification);
		(void)sqlite3_bind_int(st, 2, CHUNK_USERS);
		if (sql_step(s, st) != 0)
			return -1;
		if (sqlite3_changes(s->db) < CHUNK_USERS)
			return 1;
	} while (clock_mono_ns() < until);
	return 0;
}

static int
fanout_move(struct store *s, const struct fanout *f)
{
	sqlite3_stmt *st = sql_get(s, SQL_FANOUT_MOVE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, f->tenant);
	sql_bind_u64(st, 2, f->notification);
	(void)sqlite3_bind_int(st, 3, f->kind);
	sql_bind_str(st, 4, (struct str){ f->after, f->after_len });
	if (f->kind == FANOUT_USERS)
		(void)sqlite3_bind_blob(st, 5, buf_head(&f->list),
		    (int)f->list.len, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, 5);
	return sql_step(s, st) == 0 ? 0 : -1;
}

static int
fanout_end(struct store *s, const struct fanout *f)
{
	sqlite3_stmt *st = sql_get(s, SQL_FANOUT_DELETE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, f->tenant);
	sql_bind_u64(st, 2, f->notification);
	(void)sqlite3_bind_int(st, 3, f->kind);
	if (sql_step(s, st) != 0)
		return -1;
	s->fanouts_change--;
	return store_notification_settle(s, f->tenant, f->notification);
}

static int
fanout_piece(struct store *s, struct fanout *f, struct buf *events)
{
	uint64_t until = clock_mono_ns() + PIECE_NS;
	struct expansion x = { .tenant = f->tenant,
		.notification = f->notification };
	int rc = store_tenant_check(s, f->tenant);

	if (rc == -1)
		return -1;
	if (f->kind == FANOUT_ACKED)
		rc = fanout_acked(s, f, until);
	else if (rc == OUTCOME_TENANT_NOT_FOUND)
		/* Deleted meanwhile: its rows go, no new ones come. */
		return fanout_end(s, f);
	else
		rc = f->kind == FANOUT_USERS ? fanout_list(s, f, &x, until) :
					       fanout_query(s, f, &x, until);
	if (rc == -1 || (rc == 1 ? fanout_end(s, f) : fanout_move(s, f)) == -1)
		return -1;
	return store_inbox_publish(s, &x, events);
}

enum store_result
store_fanout(struct store *s, struct buf *events)
{
	struct fanout f = { 0 };
	enum store_result result;
	int rc;

	if (s->fanouts == 0)
		return STORE_OK;
	if ((result = store_begin(s)) != STORE_OK)
		return result;
	buf_init(&f.list, s->names.max);
	if ((rc = fanout_next(s, &f)) == 1)
		rc = fanout_piece(s, &f, events);
	else if (rc == 0)
		/* Nothing is there after all. */
		s->fanouts_change = -(int64_t)s->fanouts;
	buf_free(&f.list);
	if (rc == -1) {
		store_rollback(s);
		return STORE_REFUSED;
	}
	s->changed = true;
	return store_commit(s);
}
