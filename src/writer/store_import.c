/* SPDX-License-Identifier: MIT */
/*
 * Brings an exported tenant into the database, in one transaction.  Runs in
 * a command that has become the writer.  Internal ids move up behind those
 * that are there; all that clients know stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "store_int.h"
#include "store_move.h"

#define SQL_MAX 4096

/* Tables in the order in which they are filled; those with an id of their own
 * have a place in the offsets. */
enum offset {
	OFF_NONE,
	OFF_ROOM,
	OFF_KEY,
	OFF_SUBSCRIPTION,
	OFF_NOTIFICATION,
	OFF_INBOX,
	OFF_COUNT
};
static const struct {
	const char *name;
	enum offset id;
} tables[] = {
	{ "api_key", OFF_KEY },
	{ "room", OFF_ROOM },
	{ "room_head", OFF_NONE },
	{ "member", OFF_NONE },
	{ "user", OFF_NONE },
	{ "subscription", OFF_SUBSCRIPTION },
	{ "notification", OFF_NOTIFICATION },
	{ "inbox", OFF_INBOX },
	{ "inbox_acked", OFF_NONE },
	{ "fanout", OFF_NONE },
	{ "message", OFF_NONE },
};
#define NTABLES (sizeof(tables) / sizeof(tables[0]))

struct import {
	struct store *s;
	struct store_move *m;
	char *err;
	int64_t tenant;
	int64_t off[OFF_COUNT];
};

static int
failed(struct import *im, const char *what)
{
	(void)snprintf(im->err, STORE_MOVE_ERR_SIZE, "%s: %s", what,
	    sqlite3_errmsg(im->s->db));
	return -1;
}

static int
run(struct import *im, const char *sql)
{
	return sqlite3_exec(im->s->db, sql, NULL, NULL, NULL) == SQLITE_OK ?
	    0 :
	    failed(im, "cannot import");
}

static int
one(struct import *im, const char *sql, int64_t *out)
{
	return sql_int(im->s, sql, out) == 0 ? 0 : failed(im, "cannot import");
}

/* ---- what the file says ---- */

static void
look_row(sqlite3_stmt *st, struct store_move *m)
{
	struct str salt = sql_column_str(st, 2);

	sql_column_token(st, 1, m->tenant);
	if (salt.len == sizeof(m->salt))
		memcpy(m->salt, salt.p, sizeof(m->salt));
	m->ops = (uint64_t)sqlite3_column_int64(st, 3);
	m->mem = (uint64_t)sqlite3_column_int64(st, 4);
	for (int i = 0; i < 2; i++) {
		struct str v = sql_column_str(st, 5 + i);
		struct move_box *box = i == 0 ? &m->webhook_secret :
						&m->jwt_secret;

		box->len = v.len <= sizeof(box->p) ? v.len : 0;
		memcpy(box->p, v.p, box->len);
	}
	(void)snprintf(m->name, sizeof(m->name), "%s",
	    (const char *)sqlite3_column_text(st, 7));
}

int
store_import_look(const char *path, struct store_move *m, char *err)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int rc = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) !=
		SQLITE_OK ||
	    sqlite3_prepare_v2(db,
		"SELECT version, tenant, salt, ops, mem, webhook_secret,"
		" jwt_secret, ifnull((SELECT name FROM tenant t"
		" WHERE t.public_id = e.tenant), ''),"
		" (SELECT count(*) FROM tenant),"
		" (SELECT application_id FROM pragma_application_id),"
		" (SELECT user_version FROM pragma_user_version)"
		" FROM export e",
		-1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW ||
	    sqlite3_column_int64(st, 9) != STORE_EXPORT_ID ||
	    sqlite3_column_int64(st, 8) != 1)
		(void)snprintf(err, STORE_MOVE_ERR_SIZE,
		    "%s is no export of a tenant", path);
	else if (sqlite3_column_int64(st, 0) != STORE_EXPORT_VERSION ||
	    sqlite3_column_int64(st, 10) != store_schema_version())
		(void)snprintf(err, STORE_MOVE_ERR_SIZE,
		    "%s was made by another version of chatapi (schema %lld, "
		    "this one's is %u): bring both servers to one version",
		    path, (long long)sqlite3_column_int64(st, 10),
		    store_schema_version());
	else {
		look_row(st, m);
		rc = id_token_valid(m->tenant, strlen(m->tenant)) ? 0 : -1;
		if (rc == -1)
			(void)snprintf(err, STORE_MOVE_ERR_SIZE,
			    "%s is damaged", path);
	}
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return rc;
}

/* ---- what is there already ---- */

static const struct {
	const char *sql;
	const char *says;
} clashes[] = {
	{ "SELECT count(*) FROM main.tenant JOIN imp.tenant i"
	  " USING (public_id)",
	    "this tenant is here already (or still being removed)" },
	{ "SELECT count(*) FROM imp.room JOIN main.room r USING (token)",
	    "rooms of this tenant are here already" },
	{ "SELECT count(*) FROM imp.api_key JOIN main.api_key k"
	  " USING (public_id)",
	    "keys of this tenant are here already" },
	{ "SELECT count(*) FROM imp.api_key JOIN main.api_key k USING (hash)",
	    "keys of this tenant are here already" },
};

static int
import_clash(struct import *im)
{
	int64_t n;

	for (size_t i = 0; i < sizeof(clashes) / sizeof(clashes[0]); i++) {
		if (one(im, clashes[i].sql, &n) == -1)
			return -1;
		if (n > 0) {
			(void)snprintf(im->err, STORE_MOVE_ERR_SIZE, "%s",
			    clashes[i].says);
			return -1;
		}
	}
	return 0;
}

/* ---- rows ---- */

static int
import_offsets(struct import *im)
{
	char sql[160];

	for (size_t i = 0; i < NTABLES; i++) {
		if (tables[i].id == OFF_NONE)
			continue;
		(void)snprintf(sql, sizeof(sql),
		    "SELECT ifnull((SELECT seq FROM main.sqlite_sequence"
		    " WHERE name = '%s'), 0)",
		    tables[i].name);
		if (one(im, sql, &im->off[tables[i].id]) == -1)
			return -1;
	}
	return 0;
}

/* The expression that a column is filled with. */
static void
column(const struct import *im, size_t table, const char *name, char *out,
    size_t size)
{
	enum offset off = OFF_NONE;

	if (strcmp(name, "tenant") == 0) {
		(void)snprintf(out, size, "%lld", (long long)im->tenant);
		return;
	}
	/* Of batches of the other server. */
	if (strcmp(name, "changed_n") == 0) {
		(void)snprintf(out, size, "0");
		return;
	}
	if (strcmp(name, "id") == 0)
		off = tables[table].id;
	else if (strcmp(name, "room") == 0)
		off = OFF_ROOM;
	else if (strcmp(name, "notification") == 0)
		off = OFF_NOTIFICATION;
	if (off == OFF_NONE)
		(void)snprintf(out, size, "\"%s\"", name);
	else
		(void)snprintf(out, size, "\"%s\" + %lld", name,
		    (long long)im->off[off]);
}

/* "INSERT INTO main.t (…) SELECT … FROM imp.t": of the columns that there
 * are. */
static int
import_sql(struct import *im, size_t table, char *sql)
{
	char names[SQL_MAX / 2] = "", from[SQL_MAX / 2] = "", expr[200];
	sqlite3_stmt *st = NULL;
	size_t a = 0, b = 0;
	int rc = SQLITE_ERROR;

	if (sqlite3_prepare_v2(im->s->db,
		"SELECT name FROM pragma_table_info(?1, 'main')", -1, &st,
		NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(st, 1, tables[table].name, -1,
		    SQLITE_STATIC);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
			const char *name = (const char *)sqlite3_column_text(st,
			    0);

			if (name == NULL || strlen(name) > 64 ||
			    a > sizeof(names) - 80 || b > sizeof(from) - 240)
				break;
			column(im, table, name, expr, sizeof(expr));
			a += (size_t)snprintf(names + a, sizeof(names) - a,
			    "%s\"%s\"", a > 0 ? ", " : "", name);
			b += (size_t)snprintf(from + b, sizeof(from) - b,
			    "%s%s", b > 0 ? ", " : "", expr);
		}
	}
	(void)sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return failed(im, "cannot import");
	/* A table that this schema has not. */
	if (a == 0)
		return 1;
	(void)snprintf(sql, SQL_MAX,
	    "INSERT INTO main.%s (%s) SELECT %s FROM imp.%s",
	    tables[table].name, names, from, tables[table].name);
	return 0;
}

/* The messages, room by room. */
static int
import_messages(struct import *im, char *sql)
{
	sqlite3_stmt *rooms = NULL, *st = NULL;
	uint64_t done = 0;
	int rc = -1;

	(void)strcat(sql, " WHERE room = ?1 ORDER BY seq");
	if (sqlite3_prepare_v2(im->s->db, "SELECT id FROM imp.room ORDER BY id",
		-1, &rooms, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(im->s->db, sql, -1, &st, NULL) != SQLITE_OK)
		goto out;
	while ((rc = sqlite3_step(rooms)) == SQLITE_ROW) {
		if (im->m->progress != NULL &&
		    im->m->progress(im->m->arg, done++, im->m->rooms))
			break;
		(void)sqlite3_bind_int64(st, 1, sqlite3_column_int64(rooms, 0));
		if (sqlite3_step(st) != SQLITE_DONE)
			break;
		(void)sqlite3_reset(st);
	}
out:
	if (rc != SQLITE_DONE)
		(void)failed(im, "cannot import the messages");
	(void)sqlite3_finalize(rooms);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* The tenant's own row comes first: the others bear its number. */
static int
import_tenant(struct import *im)
{
	static const char *const sql =
	    "INSERT INTO main.tenant (public_id, name, created_ms, disabled,"
	    " rate_limit, webhook_url, webhook_secret, jwt_alg, jwt_key,"
	    " jwt_n, retention_days) SELECT public_id, name, created_ms,"
	    " disabled, rate_limit, CASE WHEN ?1 IS NULL THEN NULL"
	    " ELSE webhook_url END, ?1, CASE WHEN jwt_alg = 1 AND ?2 IS NULL"
	    " THEN 0 ELSE jwt_alg END, CASE jwt_alg WHEN 1 THEN ?2"
	    " ELSE jwt_key END, ?3, retention_days FROM imp.tenant";
	sqlite3_stmt *st = NULL;
	struct move_box *boxes[] = { &im->m->webhook_secret,
		&im->m->jwt_secret };
	int rc = sqlite3_prepare_v2(im->s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		for (int i = 0; i < 2; i++)
			if (boxes[i]->len > 0)
				(void)sqlite3_bind_blob(st, i + 1, boxes[i]->p,
				    (int)boxes[i]->len, SQLITE_STATIC);
		sql_bind_u64(st, 3, im->s->n + 1);
		rc = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return failed(im, "cannot import the tenant");
	im->tenant = sqlite3_last_insert_rowid(im->s->db);
	return 0;
}

static int
import_rows(struct import *im)
{
	char *sql = mem_alloc(SQL_MAX + 64);
	int rc = import_clash(im);

	if (rc == 0 && (rc = import_tenant(im)) == 0)
		rc = import_offsets(im);
	for (size_t i = 0; i < NTABLES && rc == 0; i++) {
		if ((rc = import_sql(im, i, sql)) == 1)
			rc = 0;
		else if (rc == 0)
			rc = strcmp(tables[i].name, "message") == 0 ?
			    import_messages(im, sql) :
			    run(im, sql);
	}
	free(sql);
	return rc;
}

/* Rooms keep their order, and those that move later come before them: so
 * batches go on from where the other server's stood, if that is further. */
static int
import_begin(struct import *im)
{
	int64_t activity, rooms, messages;

	if (one(im, "SELECT ifnull(max(activity), 0) FROM imp.room_head",
		&activity) == -1 ||
	    one(im, "SELECT count(*) FROM imp.room", &rooms) == -1 ||
	    one(im, "SELECT count(*) FROM imp.message", &messages) == -1)
		return -1;
	im->m->rooms = (uint64_t)rooms;
	im->m->messages = (uint64_t)messages;
	if (activity < 0 || activity > INT64_MAX / 2048) {
		(void)snprintf(im->err, STORE_MOVE_ERR_SIZE,
		    "the export is damaged");
		return -1;
	}
	if ((uint64_t)activity / 1024 > im->s->n)
		im->s->n = (uint64_t)activity / 1024;
	if (store_begin(im->s) == STORE_OK)
		return 0;
	return failed(im, "the database cannot be written");
}

int
store_import_open(struct store *s, const char *path, char *err)
{
	sqlite3_stmt *st = NULL;
	int rc = -1;

	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (sqlite3_prepare_v2(s->db, "ATTACH ?1 AS imp", -1, &st, NULL) ==
	    SQLITE_OK) {
		(void)sqlite3_bind_text(st, 1, path, -1, SQLITE_STATIC);
		rc = sqlite3_step(st) == SQLITE_DONE ? 0 : -1;
	}
	if (rc == -1)
		(void)snprintf(err, STORE_MOVE_ERR_SIZE,
		    "cannot open the export: %s", sqlite3_errmsg(s->db));
	(void)sqlite3_finalize(st);
	return rc;
}

int
store_import(struct store *s, struct store_move *m, char *err)
{
	struct import im = { .s = s, .m = m, .err = err };
	uint64_t n = s->n;
	int rc = import_begin(&im);

	if (rc == 0 && (rc = import_rows(&im)) == -1) {
		store_rollback(s);
	} else if (rc == 0) {
		s->changed = true;
		if (store_commit(s) != STORE_OK)
			rc = failed(&im, "the database cannot be written");
	}
	if (rc == -1)
		s->n = n;
	(void)sqlite3_exec(s->db, "DETACH imp", NULL, NULL, NULL);
	return rc;
}
