/* SPDX-License-Identifier: MIT */
/*
 * Removal in pieces: rows of deleted tenants and rooms and of trimmed
 * messages, which nobody can reach any more.  Runs in the writer between batches, each piece
 * a short transaction of its own.  Announces nothing and answers nobody.
 */
#include "../common/clock.h"
#include "../common/log.h"
#include "store_int.h"

/* A piece ends after this long; its commit comes on top. */
#define PIECE_NS (2U * 1000 * 1000)
/* Rows between two looks at the clock: they may be of 32 KiB each. */
#define CHUNK_ROWS 16

static int
sweep_note(struct store *s, uint64_t room, const uint64_t *below)
{
	sqlite3_stmt *st = sql_get(s, SQL_SWEEP_NOTE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, room);
	if (below != NULL)
		sql_bind_u64(st, 2, *below);
	else
		(void)sqlite3_bind_null(st, 2);
	if (sql_step(s, st) != 0)
		return -1;
	/* Also when the batch is rolled back: a look will tell. */
	s->sweep = true;
	return 0;
}

int
store_sweep_room(struct store *s, uint64_t room)
{
	return sweep_note(s, room, NULL);
}

int
store_sweep_below(struct store *s, uint64_t room, uint64_t below)
{
	return sweep_note(s, room, &below);
}

int
store_sweep_start(struct store *s)
{
	int64_t rooms, tenants;

	if (sql_int(s, "SELECT count(*) FROM sweep", &rooms) == -1 ||
	    sql_int(s,
		"SELECT count(*) FROM tenant WHERE deleted_ms IS NOT NULL",
		&tenants) == -1)
		return -1;
	if (store_ws_tokens_start(s) == -1)
		return -1;
	s->sweep = rooms > 0 || tenants > 0;
	if (!s->sweep && store_vacuum_look(s) == -1)
		return -1;
	if (s->sweep)
		log_info("removal goes on", "rooms=%lld tenants=%lld",
		    (long long)rooms, (long long)tenants);
	return 0;
}

bool
store_sweep_pending(const struct store *s)
{
	return s->sweep || store_ws_tokens_due(s) || store_vacuum_pending(s);
}

/* One chunk by a statement with room, limit and what `below` says.  How many
 * rows went, -1 failed. */
static int
sweep_chunk(struct store *s, enum store_sql id, uint64_t room, int64_t below)
{
	sqlite3_stmt *st = sql_get(s, id);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, room);
	(void)sqlite3_bind_int(st, 2, CHUNK_ROWS);
	if (id == SQL_SWEEP_MESSAGES || id == SQL_SWEEP_DEAD)
		(void)sqlite3_bind_int64(st, 3, below);
	return sql_step(s, st) == 0 ? sqlite3_changes(s->db) : -1;
}

/* Rows of one kind until none is left (1) or the time is over (0); -1. */
static int
sweep_rows(struct store *s, enum store_sql id, uint64_t room, int64_t below,
    uint64_t until)
{
	int n;

	do {
		if ((n = sweep_chunk(s, id, room, below)) == -1)
			return -1;
		if (n < CHUNK_ROWS)
			return 1;
	} while (clock_mono_ns() < until);
	return 0;
}

/* The first room that has something left.  1, 0 none, -1. */
static int
sweep_next(struct store *s, uint64_t *room, bool *whole, int64_t *below)
{
	sqlite3_stmt *st = sql_get(s, SQL_SWEEP_NEXT);
	int rc;

	if (st == NULL)
		return -1;
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*room = (uint64_t)sqlite3_column_int64(st, 0);
	*whole = sqlite3_column_type(st, 1) == SQLITE_NULL;
	*below = *whole ? INT64_MAX : sqlite3_column_int64(st, 1);
	(void)sqlite3_reset(st);
	return 1;
}

static int
sweep_done(struct store *s, uint64_t room)
{
	sqlite3_stmt *st = sql_get(s, SQL_SWEEP_DONE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, room);
	return sql_step(s, st) == 0 ? 1 : -1;
}

/* ---- tenants ---- */

/* What hangs on a tenant by itself, and not on its rooms. */
static const enum store_sql tenant_rows[] = { SQL_SWEEP_TENANT_KEYS,
	SQL_SWEEP_TENANT_TOKENS, SQL_SWEEP_TENANT_INBOX,
	SQL_SWEEP_TENANT_NOTIFICATIONS, SQL_SWEEP_TENANT_SUBSCRIPTIONS,
	SQL_SWEEP_TENANT_USERS, SQL_SWEEP_TENANT_OUTBOX, SQL_SWEEP_TENANT_DUE,
	SQL_SWEEP_TENANT_DEAD };

/* A statement that names something by its id.  1 with the first column of
 * its row, 0 no row, -1. */
static int
sweep_first(struct store *s, enum store_sql which, const uint64_t *id,
    uint64_t *out)
{
	sqlite3_stmt *st = sql_get(s, which);
	int rc;

	if (st == NULL)
		return -1;
	if (id != NULL)
		sql_bind_u64(st, 1, *id);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*out = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 1;
}

static int
sweep_id(struct store *s, enum store_sql which, uint64_t id)
{
	sqlite3_stmt *st = sql_get(s, which);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, id);
	return sql_step(s, st) == 0 ? 0 : -1;
}

/*
 * The next step of a deleted tenant, when no room waits: one room becomes
 * such a one, then its other rows go, then its own.  1 there may be more, 0
 * none is left, -1.
 */
static int
sweep_tenant(struct store *s, uint64_t until)
{
	uint64_t tenant, room;
	int rc;

	if ((rc = sweep_first(s, SQL_SWEEP_TENANT_NEXT, NULL, &tenant)) != 1)
		return rc;
	if ((rc = sweep_first(s, SQL_SWEEP_TENANT_ROOM, &tenant, &room)) == 1)
		return sweep_id(s, SQL_ROOM_DELETE, room) == -1 ||
			sweep_id(s, SQL_HEAD_DELETE, room) == -1 ||
			store_sweep_room(s, room) == -1 ?
		    -1 :
		    1;
	if (rc == -1)
		return -1;
	for (size_t i = 0; i < sizeof(tenant_rows) / sizeof(tenant_rows[0]);
	     i++)
		if ((rc = sweep_rows(s, tenant_rows[i], tenant, 0, until)) != 1)
			return rc == -1 ? -1 : 1;
	if (sweep_id(s, SQL_SWEEP_TENANT_DONE, tenant) == -1)
		return -1;
	log_info("tenant removed", "id=%llu", (unsigned long long)tenant);
	return 1;
}

/* Works through rooms and tenants until the time is over (1: there may be
 * more) or none is left (0); -1. */
static int
sweep_piece(struct store *s)
{
	uint64_t until = clock_mono_ns() + PIECE_NS, room = 0;
	int64_t below = 0;
	bool whole = false;
	int rc;

	if (store_ws_tokens_due(s) && store_ws_tokens_sweep(s, until) == -1)
		return -1;
	do {
		if ((rc = sweep_next(s, &room, &whole, &below)) == 0) {
			if ((rc = sweep_tenant(s, until)) != 1)
				return rc;
			continue;
		}
		if (rc == -1)
			return -1;
		rc = 1;
		if (whole)
			rc = sweep_rows(s, SQL_SWEEP_MEMBERS, room, 0, until);
		if (rc == 1)
			rc = sweep_rows(s, SQL_SWEEP_MESSAGES, room, below,
			    until);
		if (rc == 1)
			rc = sweep_rows(s, SQL_SWEEP_DEAD, room, below, until);
		if (rc == 1)
			rc = sweep_done(s, room);
	} while (rc == 1 && clock_mono_ns() < until);
	return rc == -1 ? -1 : 1;
}

/* One piece of what is most pressing: 1 there may be more of it, 0, -1. */
static int
sweep_or_vacuum(struct store *s, bool sweep)
{
	return sweep ? sweep_piece(s) : store_vacuum_piece(s);
}

enum store_result
store_sweep(struct store *s)
{
	bool sweep = s->sweep || store_ws_tokens_due(s);
	int64_t tokens_ms = s->tokens_ms;
	int more;

	if (!store_sweep_pending(s))
		return STORE_OK;
	s->err = SQLITE_OK;
	/* What is removed may be his who is being erased. */
	store_overwrite(s, s->erasing);
	if (sql_run(s, SQL_BEGIN) == -1)
		goto refused;
	if ((more = sweep_or_vacuum(s, sweep)) == -1)
		goto refused;
	if (sql_run(s, SQL_COMMIT) == -1) {
		if (!store_commit_refused(s->err))
			return STORE_FATAL;
		goto refused;
	}
	if (!sweep)
		s->vacuum = more == 1;
	else if (!(s->sweep = more == 1))
		(void)store_vacuum_look(s);
	return STORE_OK;
refused:
	/* What is in memory is of committed batches, and stays right. */
	s->tokens_ms = tokens_ms;
	if (!sqlite3_get_autocommit(s->db) && sql_run(s, SQL_ROLLBACK) == -1)
		log_error("rollback failed", "code=%d", s->err);
	return STORE_REFUSED;
}
