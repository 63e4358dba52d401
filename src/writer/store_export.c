/* SPDX-License-Identifier: MIT */
/*
 * Takes one tenant out of a copy of the database into a file of its own.
 * Runs in a command, on files that nobody else uses.
 */
#include <stdio.h>
#include <string.h>

#include "../common/clock.h"
#include "store_int.h"
#include "store_move.h"

/* Messages that wait to be removed stay behind. */
#define IN_ROOM "room IN (SELECT id FROM src.room WHERE tenant = ?1)"
static const struct {
	const char *name;
	const char *where;
} tables[] = {
	{ "tenant", "id = ?1" },
	{ "api_key", "tenant = ?1" },
	{ "room", "tenant = ?1" },
	{ "room_head", IN_ROOM },
	{ "member", IN_ROOM },
	{ "message",
	    IN_ROOM " AND seq >= (SELECT first_seq FROM src.room_head h"
		    " WHERE h.room = x.room)" },
	{ "user", "tenant = ?1" },
	{ "subscription", "tenant = ?1" },
	{ "notification", "tenant = ?1" },
	{ "inbox", "tenant = ?1" },
	{ "inbox_acked",
	    "notification IN"
	    " (SELECT id FROM src.notification WHERE tenant = ?1)" },
	{ "fanout", "tenant = ?1" },
};

static int
failed(sqlite3 *db, const char *what, char *err)
{
	(void)snprintf(err, STORE_MOVE_ERR_SIZE, "%s: %s", what,
	    db != NULL ? sqlite3_errmsg(db) : "no memory");
	return -1;
}

static void
box_read(sqlite3_stmt *st, int i, struct move_box *box)
{
	struct str v = sql_column_str(st, i);

	box->len = v.len <= sizeof(box->p) ? v.len : 0;
	memcpy(box->p, v.p, box->len);
}

static void
box_bind(sqlite3_stmt *st, int i, const struct move_box *box)
{
	if (box->len == 0)
		(void)sqlite3_bind_null(st, i);
	else
		(void)sqlite3_bind_blob(st, i, box->p, (int)box->len,
		    SQLITE_STATIC);
}

int
store_export_look(const char *path, struct store_move *m, char *err)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int rc = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) !=
		SQLITE_OK ||
	    sqlite3_prepare_v2(db,
		"SELECT webhook_secret, CASE jwt_alg WHEN 1 THEN jwt_key END,"
		" name, (SELECT user_version FROM pragma_user_version)"
		" FROM tenant WHERE public_id = ?1 AND deleted_ms IS NULL",
		-1, &st, NULL) != SQLITE_OK) {
		(void)failed(db, "cannot read the copy", err);
		goto out;
	}
	(void)sqlite3_bind_text(st, 1, m->tenant, -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_ROW)
		(void)snprintf(err, STORE_MOVE_ERR_SIZE,
		    "there is no tenant tenant_%s", m->tenant);
	else if (sqlite3_column_int64(st, 3) != store_schema_version())
		(void)snprintf(err, STORE_MOVE_ERR_SIZE,
		    "the server is of another version: use its own chatapi");
	else {
		box_read(st, 0, &m->webhook_secret);
		box_read(st, 1, &m->jwt_secret);
		(void)snprintf(m->name, sizeof(m->name), "%s",
		    (const char *)sqlite3_column_text(st, 2));
		rc = 0;
	}
out:
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return rc;
}

/* Tables first, indexes when the rows are there. */
static int
copy_schema(sqlite3 *db, const char *type, char *err)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_ERROR;

	if (sqlite3_prepare_v2(db,
		"SELECT sql FROM src.sqlite_master WHERE type = ?1"
		" AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE"
		" '\\' ORDER BY rowid",
		-1, &st, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(st, 1, type, -1, SQLITE_STATIC);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW)
			if (sqlite3_exec(db,
				(const char *)sqlite3_column_text(st, 0), NULL,
				NULL, NULL) != SQLITE_OK)
				break;
	}
	(void)sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 :
				   failed(db, "cannot copy the schema", err);
}

static int
copy_table(sqlite3 *db, size_t i, int64_t tenant, char *err)
{
	sqlite3_stmt *st = NULL;
	char sql[400];
	int rc;

	/* What this schema has not. */
	if (sqlite3_table_column_metadata(db, "src", tables[i].name, NULL, NULL,
		NULL, NULL, NULL, NULL) != SQLITE_OK)
		return 0;
	(void)snprintf(sql, sizeof(sql),
	    "INSERT INTO main.%s SELECT x.* FROM src.%s x WHERE %s",
	    tables[i].name, tables[i].name, tables[i].where);
	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, tenant);
		rc = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : failed(db, "cannot copy the rows", err);
}

/* One integer; -1 when there is none. */
static int64_t
one_int(sqlite3 *db, const char *sql, const char *arg)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			n = sqlite3_column_int64(st, 0);
	}
	(void)sqlite3_finalize(st);
	return n;
}

/* The row that makes it an export, and what its tenant is without secrets. */
static int
export_row(sqlite3 *db, const struct store_move *m, char *err)
{
	static const char *const sql =
	    "INSERT INTO export (version, tenant, created_ms, salt, ops, mem,"
	    " webhook_secret, jwt_secret) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	    " ?8)";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int(st, 1, STORE_EXPORT_VERSION);
		(void)sqlite3_bind_text(st, 2, m->tenant, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 3, clock_unix_ms());
		(void)sqlite3_bind_blob(st, 4, m->salt, sizeof(m->salt),
		    SQLITE_STATIC);
		sql_bind_u64(st, 5, m->ops);
		sql_bind_u64(st, 6, m->mem);
		box_bind(st, 7, &m->webhook_secret);
		box_bind(st, 8, &m->jwt_secret);
		rc = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		rc = sqlite3_exec(db,
		    m->webhook_secret.len > 0 ?
			"UPDATE tenant SET webhook_secret = NULL" :
			"UPDATE tenant SET webhook_secret = NULL,"
			" webhook_url = NULL",
		    NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
		    m->jwt_secret.len > 0 ?
			"UPDATE tenant SET jwt_key = NULL WHERE jwt_alg = 1" :
			"UPDATE tenant SET jwt_key = NULL, jwt_alg = 0"
			" WHERE jwt_alg = 1",
		    NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : failed(db, "cannot write the export", err);
}

static int
export_all(sqlite3 *db, struct store_move *m, char *err)
{
	int64_t tenant = one_int(db,
	    "SELECT id FROM src.tenant WHERE public_id = ?1", m->tenant);
	char sql[300];

	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %u; BEGIN;"
	    "CREATE TABLE export (version, tenant, created_ms, salt, ops, mem,"
	    " webhook_secret, jwt_secret)",
	    STORE_EXPORT_ID, store_schema_version());
	if (tenant == -1 ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(db, "cannot write the export", err);
	if (copy_schema(db, "table", err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (m->progress != NULL &&
		    m->progress(m->arg, i, sizeof(tables) / sizeof(tables[0])))
			return failed(db, "interrupted", err);
		if (copy_table(db, i, tenant, err) == -1)
			return -1;
	}
	if (copy_schema(db, "index", err) == -1 || export_row(db, m, err) == -1)
		return -1;
	if (sqlite3_exec(db,
		"INSERT INTO state (id, epoch) VALUES (1, ''); COMMIT", NULL,
		NULL, NULL) != SQLITE_OK)
		return failed(db, "cannot write the export", err);
	m->rooms = (uint64_t)one_int(db, "SELECT count(*) FROM main.room", "");
	m->messages = (uint64_t)one_int(db, "SELECT count(*) FROM main.message",
	    "");
	return 0;
}

int
store_export(const char *from, const char *to, struct store_move *m, char *err)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int rc = -1;

	if (sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE, NULL) !=
		SQLITE_OK ||
	    sqlite3_exec(db,
		"PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;"
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF",
		NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "ATTACH ?1 AS src", -1, &st, NULL) !=
		SQLITE_OK) {
		(void)failed(db, "cannot write the export", err);
		goto out;
	}
	(void)sqlite3_bind_text(st, 1, from, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_DONE)
		rc = export_all(db, m, err);
	else
		(void)failed(db, "cannot read the copy", err);
out:
	(void)sqlite3_finalize(st);
	if (sqlite3_close(db) != SQLITE_OK && rc == 0)
		rc = failed(db, "cannot close the export", err);
	return rc;
}
