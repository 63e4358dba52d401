/* SPDX-License-Identifier: MIT */
/*
 * The worker's read-only connection: opening, snapshots, tenants and keys.
 * Never writes and never checkpoints.
 */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/mem.h"
#include "reader_int.h"

/* A reader is kept waiting only by a writer that recovers the log. */
#define BUSY_MS_MAX 500
#define CACHE_KIB 2048
#define TEXT_MAX ((size_t)64 * 1024)

#define TENANT_COLUMNS \
	"id, public_id, name, created_ms, disabled, rate_limit, " \
	"webhook_url, jwt_alg, jwt_key, retention_days FROM tenant "
#define ROOM_COLUMNS \
	"r.id, r.tenant, r.token, r.type, r.name, r.metadata, r.dm_key, " \
	"r.created_ms, h.last_seq, h.first_seq, h.rev, h.activity, " \
	"h.members "
#define ROOM_FROM "FROM room r JOIN room_head h ON h.room = r.id "
/* A room's newest message; none when retention has trimmed it. */
#define LAST_COLUMNS \
	"g.seq, g.sender, g.content, g.meta, g.created_ms, " \
	"g.client_msg_id, g.rev, g.edited_ms, g.deleted_ms, "
#define LAST_JOIN \
	"LEFT JOIN message g ON g.room = h.room AND g.seq = h.last_seq " \
	"AND h.last_seq >= h.first_seq "

static const char *const sql[READER_SQL_LAST] = {
	[READER_BEGIN] = "BEGIN",
	[READER_COMMIT] = "COMMIT",
	[READER_BATCH] = "SELECT max(n) FROM batch",
	[READER_EPOCH] = "SELECT epoch FROM state WHERE id = 1",
	[READER_KEY] = "SELECT k.id, t.id, t.public_id, t.disabled, "
		       "t.rate_limit FROM api_key k "
		       "JOIN tenant t ON t.id = k.tenant "
		       "WHERE k.hash = ?1 AND k.revoked_ms IS NULL "
		       "AND t.deleted_ms IS NULL",
	[READER_KEY_ALIVE] = "SELECT 1 FROM api_key "
			     "WHERE id = ?1 AND revoked_ms IS NULL",
	[READER_JWT] = "SELECT id, disabled, rate_limit, jwt_alg, jwt_key, "
		       "jwt_n FROM tenant WHERE public_id = ?1 "
		       "AND deleted_ms IS NULL",
	[READER_JWT_N] = "SELECT jwt_n FROM tenant WHERE id = ?1 "
			 "AND deleted_ms IS NULL",
	[READER_WS_TOKEN] = "SELECT tenant FROM ws_token WHERE hash = ?1",
	[READER_TENANT] = "SELECT id, public_id, disabled, rate_limit "
			  "FROM tenant WHERE id = ?1 "
			  "AND deleted_ms IS NULL",
	[READER_TENANTS] = "SELECT " TENANT_COLUMNS
			   "WHERE id > ?1 AND deleted_ms IS NULL "
			   "ORDER BY id LIMIT ?2",
	[READER_TENANT_BY_TOKEN] = "SELECT " TENANT_COLUMNS
				   "WHERE public_id = ?1 "
				   "AND deleted_ms IS NULL",
	[READER_KEYS] = "SELECT id, public_id, created_ms, last_used_ms "
			"FROM api_key INDEXED BY api_key_tenant "
			"WHERE tenant = ?1 AND id > ?2 "
			"AND revoked_ms IS NULL ORDER BY id LIMIT ?3",
	[READER_ROOM] = "SELECT " ROOM_COLUMNS ROOM_FROM "WHERE r.token = ?1",
	[READER_ROOM_BY_ID] = "SELECT " ROOM_COLUMNS ROOM_FROM
			      "WHERE r.id = ?1",
	[READER_ROOM_CHANGED] = "SELECT changed_n FROM room WHERE id = ?1",
	[READER_MEMBER] = "SELECT role, joined_ms, last_ack FROM member "
			  "WHERE room = ?1 AND user = ?2",
	[READER_MEMBERS] = "SELECT user, role, joined_ms FROM member "
			   "WHERE room = ?1 AND user > ?2 "
			   "ORDER BY user LIMIT ?3",
	[READER_USER_ROOMS] =
	    "SELECT m.room, r.token, r.type, m.last_ack, h.last_seq, "
	    "h.first_seq, h.rev, h.members, r.changed_n "
	    "FROM member m JOIN room_head h ON h.room = m.room "
	    "JOIN room r ON r.id = m.room "
	    "WHERE m.tenant = ?1 AND m.user = ?2 AND m.room > ?3 "
	    "ORDER BY m.room LIMIT ?4",
	[READER_PEER_ROOMS] =
	    "SELECT m.room, h.members "
	    "FROM member m JOIN room_head h ON h.room = m.room "
	    "WHERE m.tenant = ?1 AND m.user = ?2 AND m.room > ?3 "
	    "ORDER BY m.room LIMIT ?4",
	[READER_FEED] =
	    "SELECT h.last_seq, h.first_seq, h.rev, h.members, m.last_ack "
	    "FROM room_head h LEFT JOIN member m "
	    "ON m.room = h.room AND m.user = ?2 WHERE h.room = ?1",
	/* `top` is sorted on narrow rows; only the page's are read whole. */
	[READER_ROOMS_OF_USER] =
	    "SELECT " LAST_COLUMNS ROOM_COLUMNS ", m.last_ack FROM ("
	    "SELECT i.room AS room, a.activity AS activity "
	    "FROM member i INDEXED BY member_user "
	    "CROSS JOIN room_head a ON a.room = i.room "
	    "WHERE i.tenant = ?1 AND i.user = ?2 "
	    "AND (a.activity, a.room) < (?3, ?4) "
	    "ORDER BY a.activity DESC, a.room DESC LIMIT ?5) top "
	    "CROSS JOIN room_head h ON h.room = top.room "
	    "CROSS JOIN room r ON r.id = top.room "
	    "CROSS JOIN member m ON m.room = top.room AND m.user = ?2 " LAST_JOIN
	    "ORDER BY top.activity DESC, top.room DESC",
	[READER_ROOMS_MOVED] =
	    "SELECT " LAST_COLUMNS ROOM_COLUMNS ", m.last_ack FROM ("
	    "SELECT i.room AS room, a.activity AS activity "
	    "FROM member i INDEXED BY member_user "
	    "CROSS JOIN room_head a ON a.room = i.room "
	    "WHERE i.tenant = ?1 AND i.user = ?2 "
	    "AND (a.activity, a.room) > (?3, ?4) "
	    "ORDER BY a.activity, a.room LIMIT ?5) top "
	    "CROSS JOIN room_head h ON h.room = top.room "
	    "CROSS JOIN room r ON r.id = top.room "
	    "CROSS JOIN member m ON m.room = top.room AND m.user = ?2 " LAST_JOIN
	    "ORDER BY top.activity, top.room",
	[READER_ROOMS_OF_TENANT] =
	    "SELECT " LAST_COLUMNS ROOM_COLUMNS ", 0 "
	    "FROM room r INDEXED BY room_tenant "
	    "CROSS JOIN room_head h ON h.room = r.id " LAST_JOIN
	    "WHERE r.tenant = ?1 AND r.id < ?2 "
	    "ORDER BY r.id DESC LIMIT ?3",
	[READER_CHANNELS] = "SELECT " ROOM_COLUMNS
			    "FROM room r INDEXED BY room_channel "
			    "CROSS JOIN room_head h ON h.room = r.id "
			    "WHERE r.tenant = ?1 AND r.type = 3 AND r.id < ?2 "
			    "ORDER BY r.id DESC LIMIT ?3",
	[READER_MESSAGES] = "SELECT " READER_MESSAGE_COLUMNS " FROM message "
			    "WHERE room = ?1 AND seq > ?2 AND seq < ?3 "
			    "ORDER BY seq LIMIT ?4",
	[READER_MESSAGE_LAST] = "SELECT max(seq) FROM message "
				"WHERE room = ?1 AND seq < ?2",
	[READER_MESSAGE] = "SELECT " READER_MESSAGE_COLUMNS " FROM message "
			   "WHERE room = ?1 AND seq = ?2",
	[READER_CHANGES] = "SELECT " READER_MESSAGE_COLUMNS " FROM message "
			   "INDEXED BY message_rev "
			   "WHERE room = ?1 AND rev > ?2 AND rev > 0 "
			   "AND seq >= ?3 ORDER BY rev LIMIT ?4",
	[READER_USER_KNOWN] = "SELECT 1 FROM user "
			      "WHERE tenant = ?1 AND user = ?2",
	[READER_INBOX_HEAD] =
	    "SELECT seq FROM sqlite_sequence WHERE name = 'inbox'",
	[READER_INBOX] =
	    "SELECT i.id, n.token, n.topic, n.payload, n.created_ms "
	    "FROM inbox i INDEXED BY inbox_user "
	    "CROSS JOIN notification n ON n.id = i.notification "
	    "WHERE i.tenant = ?1 AND i.user = ?2 AND i.id > ?3 "
	    "ORDER BY i.id LIMIT ?4",
	[READER_SUBSCRIPTIONS] =
	    "SELECT token, topic, created_ms "
	    "FROM subscription INDEXED BY subscription_user "
	    "WHERE tenant = ?1 AND user = ?2 AND topic > ?3 "
	    "ORDER BY topic LIMIT ?4",
	/* Not those of rooms and messages that are gone and only wait to be
	 * swept. */
	[READER_DEAD_LETTERS] =
	    "SELECT d.id, d.token, d.attempts, d.last_ms, d.error, "
	    "d.recipient, r.token, d.seq, m.created_ms, n.token "
	    "FROM delivery d INDEXED BY delivery_dead "
	    "LEFT JOIN room r ON d.kind = 1 AND r.id = d.room "
	    "LEFT JOIN room_head h ON h.room = r.id "
	    "LEFT JOIN message m ON m.room = r.id AND m.seq = d.seq "
	    "AND d.seq >= h.first_seq "
	    "LEFT JOIN notification n ON d.kind = 2 AND n.id = d.room "
	    "WHERE d.tenant = ?1 AND d.state = 1 AND d.id > ?2 "
	    "AND (m.seq IS NOT NULL OR n.id IS NOT NULL) "
	    "ORDER BY d.id LIMIT ?3",
};

static void
reader_log(struct reader *r, const char *what)
{
	log_error(what, "err=%d text=\"%s\"", sqlite3_extended_errcode(r->db),
	    sqlite3_errmsg(r->db));
}

sqlite3_stmt *
reader_statement(struct reader *r, enum reader_sql which)
{
	sqlite3_stmt **s = &r->statements[which];

	if (*s == NULL &&
	    sqlite3_prepare_v3(r->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
		s, NULL) != SQLITE_OK) {
		reader_log(r, "cannot prepare a query");
		*s = NULL;
	}
	return *s;
}

int
reader_step(struct reader *r, sqlite3_stmt *s)
{
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		reader_log(r, "query failed");
		return -1;
	}
}

int
reader_reset(sqlite3_stmt *s, int result)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return result;
}

void
reader_bind_text(sqlite3_stmt *s, int i, const char *p, size_t len)
{
	sqlite3_bind_text(s, i, len > 0 ? p : "", (int)len, SQLITE_STATIC);
}

struct str
reader_column(sqlite3_stmt *s, int i)
{
	struct str out;

	out.p = (const char *)sqlite3_column_text(s, i);
	out.len = (size_t)sqlite3_column_bytes(s, i);
	if (out.p == NULL)
		out = (struct str){ "", 0 };
	return out;
}

void
reader_column_token(sqlite3_stmt *s, int i, char out[ID_TOKEN_SIZE])
{
	struct str t = reader_column(s, i);

	if (t.len > ID_TOKEN_LEN)
		t.len = ID_TOKEN_LEN;
	memcpy(out, t.p, t.len);
	out[t.len] = '\0';
}

struct reader *
reader_open(const char *path, uint32_t busy_timeout_ms)
{
	struct reader *r = mem_alloc(sizeof(*r));
	char pragma[64];

	buf_init(&r->text, TEXT_MAX);
	/* One thread: no mutexes, no accounting.  Too late in a process that
	 * has opened a database before, and then harmless. */
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size = -%d", CACHE_KIB);
	if (sqlite3_open_v2(path, &r->db,
		SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(r->db,
		busy_timeout_ms < BUSY_MS_MAX ? (int)busy_timeout_ms :
						BUSY_MS_MAX) != SQLITE_OK ||
	    sqlite3_exec(r->db, "PRAGMA query_only = 1", NULL, NULL, NULL) !=
		SQLITE_OK ||
	    sqlite3_exec(r->db, pragma, NULL, NULL, NULL) != SQLITE_OK ||
	    /* A page's sort is small: no file for it. */
	    sqlite3_exec(r->db, "PRAGMA temp_store = 2", NULL, NULL, NULL) !=
		SQLITE_OK) {
		if (r->db != NULL)
			reader_log(r, "cannot open the database");
		reader_close(r);
		return NULL;
	}
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_wal_autocheckpoint(r->db, 0);
	return r;
}

void
reader_close(struct reader *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < READER_SQL_LAST; i++)
		sqlite3_finalize(r->statements[i]);
	sqlite3_close(r->db);
	buf_free(&r->text);
	free(r);
}

/* Runs a statement without rows. */
static int
reader_run(struct reader *r, enum reader_sql which)
{
	sqlite3_stmt *s = reader_statement(r, which);

	return s == NULL ? -1 : reader_reset(s, reader_step(r, s));
}

int
reader_begin(struct reader *r, uint64_t *n)
{
	sqlite3_stmt *s = reader_statement(r, READER_BATCH);

	*n = 0;
	if (s == NULL || reader_run(r, READER_BEGIN) != 0)
		return -1;
	/* The snapshot begins with the first read, not with BEGIN. */
	if (reader_step(r, s) == 1) {
		*n = (uint64_t)sqlite3_column_int64(s, 0);
		return reader_reset(s, 0);
	}
	reader_reset(s, -1);
	reader_end(r);
	return -1;
}

void
reader_end(struct reader *r)
{
	/* Without it the snapshot would stay and hold up checkpoints. */
	if (reader_run(r, READER_COMMIT) != 0 && !sqlite3_get_autocommit(r->db))
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
}

int
reader_epoch(struct reader *r, char out[33])
{
	sqlite3_stmt *s = reader_statement(r, READER_EPOCH);
	int rc;

	if (s == NULL)
		return -1;
	rc = reader_step(r, s);
	if (rc == 1) {
		struct str epoch = reader_column(s, 0);
		size_t len = epoch.len < 32 ? epoch.len : 32;

		memcpy(out, epoch.p, len);
		out[len] = '\0';
	}
	return reader_reset(s, rc);
}

/* Columns id, public_id, disabled, rate_limit from `at` on. */
static void
tenant_row(sqlite3_stmt *s, int at, struct reader_tenant *t)
{
	int64_t rate = sqlite3_column_int64(s, at + 3);

	t->id = (uint64_t)sqlite3_column_int64(s, at);
	reader_column_token(s, at + 1, t->public_id);
	t->disabled = sqlite3_column_int(s, at + 2) != 0;
	t->has_rate_limit = sqlite3_column_type(s, at + 3) != SQLITE_NULL;
	t->rate_limit = (uint32_t)rate;
}

int
reader_key(struct reader *r, const uint8_t hash[KEY_HASH_SIZE],
    uint64_t *key_id, struct reader_tenant *t)
{
	sqlite3_stmt *s = reader_statement(r, READER_KEY);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_blob(s, 1, hash, KEY_HASH_SIZE, SQLITE_STATIC);
	rc = reader_step(r, s);
	if (rc == 1) {
		*key_id = (uint64_t)sqlite3_column_int64(s, 0);
		tenant_row(s, 1, t);
	}
	return reader_reset(s, rc);
}

int
reader_key_alive(struct reader *r, uint64_t key_id)
{
	sqlite3_stmt *s = reader_statement(r, READER_KEY_ALIVE);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)key_id);
	return reader_reset(s, reader_step(r, s));
}

int
reader_tenant(struct reader *r, uint64_t id, struct reader_tenant *t)
{
	sqlite3_stmt *s = reader_statement(r, READER_TENANT);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	rc = reader_step(r, s);
	if (rc == 1)
		tenant_row(s, 0, t);
	return reader_reset(s, rc);
}
