/* SPDX-License-Identifier: MIT */
/*
 * chatapi check, and what restore asks of a backup.  A process of its own
 * that only reads.
 */
#include <sqlite3.h>
#include <string.h>

#include "../writer/store.h"
#include "tool_int.h"

/* Between two looks at the signals: instructions of SQLite's machine. */
#define PROGRESS_OPS 100000

static int
on_progress(void *arg)
{
	(void)arg;
	return tool_stopped();
}

/* One integer; -1 when there is none. */
static int64_t
one_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

/* SQLite's own check; the first fault goes to stderr. */
static int
integrity(sqlite3 *db, const char *name)
{
	sqlite3_stmt *st = NULL;
	const char *text = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st,
		NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(st, 0);
	if (text != NULL && strcmp(text, "ok") == 0)
		rc = 0;
	else if (tool_stopped())
		(void)tool_error("interrupted; nothing was changed");
	else
		(void)tool_error("%s is damaged: %s", name,
		    text != NULL ? text : sqlite3_errmsg(db));
	(void)sqlite3_finalize(st);
	return rc;
}

static int
known(sqlite3 *db, const char *name)
{
	int64_t version = one_int(db, "PRAGMA user_version");

	if (version <= 0 || one_int(db, "SELECT count(*) FROM state") != 1) {
		(void)tool_error("%s is no database of chatapi", name);
		return -1;
	}
	if (version <= (int64_t)store_schema_version())
		return 0;
	(void)tool_error("%s has schema version %lld, this program knows only "
			 "up to %u: use a newer chatapi",
	    name, (long long)version, store_schema_version());
	return -1;
}

int
tool_check_copy(struct tool *t, const char *path, const char *name)
{
	sqlite3 *db = NULL;
	int rc = -1;

	(void)t;
	if (sqlite3_open_v2(path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		(void)tool_error("cannot open %s: %s", path,
		    db != NULL ? sqlite3_errmsg(db) : "no memory");
	else {
		sqlite3_progress_handler(db, PROGRESS_OPS, on_progress, NULL);
		rc = known(db, name) == 0 && integrity(db, name) == 0 ? 0 : -1;
	}
	(void)sqlite3_close(db);
	return rc;
}
