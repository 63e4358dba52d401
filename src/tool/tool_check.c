/* SPDX-License-Identifier: MIT */
/*
 * chatapi check, and what restore asks of a backup.  A process of its own
 * that only reads; while a server runs, in pieces so short that they hold up
 * no checkpoint.
 */
#include "tool_check.h"

#include <errno.h>
#include <json-c/json.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/mem.h"
#include "../writer/store.h"
#include "../writer/store_move.h"

/* Between two looks at the clock: instructions of SQLite's machine. */
#define PROGRESS_OPS 2000
/* A server asks for 250 at most. */
#define PIECE_MS_MAX 200
#define FAULTS_SHOWN 1000
#define BUSY_MS 500

/* ---- the connection ---- */

static int
on_progress(void *arg)
{
	struct check *c = arg;

	return tool_stopped() ||
	    (c->live && c->piece_ms != 0 &&
		clock_mono_ms() > c->piece_ms + PIECE_MS_MAX);
}

/* A file that nobody writes needs no -shm beside it. */
static int
check_open(struct check *c, const char *path)
{
	size_t size = strlen(path) * 3 + 64;
	char *uri = mem_alloc(size), *log = mem_alloc(size), *to = uri;
	bool still;
	int rc;

	(void)snprintf(log, size, "%s-wal", path);
	still = !c->live && access(log, F_OK) == -1;
	to += sprintf(to, "file:");
	for (const char *p = path; *p != '\0'; p++)
		to += sprintf(to, strchr("%?#", *p) != NULL ? "%%%02X" : "%c",
		    (unsigned char)*p);
	(void)sprintf(to, "?%s", still ? "immutable=1" : "mode=ro");
	rc = sqlite3_open_v2(uri, &c->db,
	    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	free(uri);
	free(log);
	if (rc != SQLITE_OK) {
		(void)tool_error("cannot open %s: %s", path,
		    c->db != NULL ? sqlite3_errmsg(c->db) : "no memory");
		return -1;
	}
	(void)sqlite3_busy_timeout(c->db, BUSY_MS);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_progress_handler(c->db, PROGRESS_OPS, on_progress, c);
	return 0;
}

sqlite3_stmt *
check_prepare(struct check *c, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) == SQLITE_OK)
		return st;
	(void)tool_error("cannot read the database: %s", sqlite3_errmsg(c->db));
	c->failed = true;
	return NULL;
}

int
check_step(struct check *c, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_INTERRUPT && !tool_stopped()) {
		(void)sqlite3_reset(st);
		return -2;
	}
	if (rc != SQLITE_DONE) {
		if (!tool_stopped())
			check_fault(c, "cannot be read: %s",
			    sqlite3_errmsg(c->db));
		c->failed = true;
	}
	(void)sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
check_begin(struct check *c)
{
	c->piece_ms = clock_mono_ms();
	if (sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	(void)tool_error("cannot read the database: %s", sqlite3_errmsg(c->db));
	c->failed = true;
	return -1;
}

void
check_end(struct check *c)
{
	uint64_t ms = clock_mono_ms() - c->piece_ms;

	(void)sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
	if (!sqlite3_get_autocommit(c->db))
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	if (ms > c->longest_ms)
		c->longest_ms = ms;
	c->piece_ms = 0;
}

/* ---- what is found ---- */

static void
check_say(struct check *c, struct json_object *list, const char *kind,
    const char *fmt, va_list ap)
{
	char line[600];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	progress_end(&c->progress);
	if (c->t->json || c->keep)
		(void)json_object_array_add(list, json_object_new_string(line));
	else
		tool_print(kind, line);
}

void
check_fault(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->faults++ >= FAULTS_SHOWN)
		return;
	va_start(ap, fmt);
	check_say(c, c->list, "fault", fmt, ap);
	va_end(ap);
}

void
check_note(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	check_say(c, c->notes, "not checked", fmt, ap);
	va_end(ap);
}

/* ---- the whole file ---- */

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

static int
known(sqlite3 *db, const char *name, bool exactly)
{
	bool export = one_int(db, "PRAGMA application_id") == STORE_EXPORT_ID;
	int64_t version = one_int(db, "PRAGMA user_version");

	if (version == -1) {
		(void)tool_error("%s cannot be read: %s", name,
		    sqlite3_errmsg(db));
		return -1;
	}
	if (version == 0 || one_int(db, "SELECT count(*) FROM state") != 1) {
		(void)tool_error("%s is no database of chatapi", name);
		return -1;
	}
	if (export && !exactly) {
		(void)tool_error("%s is an export of a tenant: bring it into "
				 "a database by `chatapi import'",
		    name);
		return -1;
	}
	if (version > (int64_t)store_schema_version()) {
		(void)tool_error("%s has schema version %lld, this program "
				 "knows only up to %u: use a newer chatapi",
		    name, (long long)version, store_schema_version());
		return -1;
	}
	if (!exactly || version == (int64_t)store_schema_version())
		return 0;
	(void)tool_error("%s has schema version %lld, this program's is %u: "
			 "use the chatapi that it was made by, or start this "
			 "one on it once",
	    name, (long long)version, store_schema_version());
	return -1;
}

/* SQLite's own look at every page and index. */
static int
integrity(struct check *c)
{
	sqlite3_stmt *st = check_prepare(c, "PRAGMA integrity_check");
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = check_step(c, st)) == 1) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		if (text == NULL || strcmp(text, "ok") != 0)
			check_fault(c, "file: %s", text != NULL ? text : "?");
	}
	(void)sqlite3_finalize(st);
	return rc == 0 ? 0 : -1;
}

int
tool_check_copy(struct tool *t, const char *path, const char *name)
{
	struct check c = { .t = t, .keep = true };
	int rc = -1;

	/* With its log, if it has one. */
	if (sqlite3_open_v2(path, &c.db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		(void)tool_error("cannot open %s: %s", path,
		    c.db != NULL ? sqlite3_errmsg(c.db) : "no memory");
	else {
		sqlite3_progress_handler(c.db, PROGRESS_OPS, on_progress, &c);
		c.list = json_object_new_array();
		progress_begin(&c.progress, t, "checking", true);
		rc = known(c.db, name, false) == 0 && integrity(&c) == 0 &&
			c.faults == 0 ?
		    0 :
		    -1;
		if (tool_stopped())
			(void)tool_error("interrupted; nothing was changed");
		else if (c.faults > 0)
			(void)tool_error("%s is damaged: %s; nothing was "
					 "changed",
			    name,
			    json_object_get_string(
				json_object_array_get_idx(c.list, 0)));
		json_object_put(c.list);
	}
	(void)sqlite3_close(c.db);
	return rc;
}

int
tool_check_export(struct tool *t, const char *path)
{
	struct check c = { .t = t };
	int rc = -1;

	c.list = json_object_new_array();
	c.notes = json_object_new_array();
	c.keep = true;
	progress_begin(&c.progress, t, "checking", false);
	if (check_open(&c, path) == 0 && known(c.db, path, true) == 0 &&
	    integrity(&c) == 0 && check_rooms(&c) == 0 && c.faults == 0 &&
	    !c.failed)
		rc = 0;
	progress_end(&c.progress);
	(void)sqlite3_close(c.db);
	if (tool_stopped())
		(void)tool_error("interrupted; nothing was imported");
	else if (c.faults > 0)
		(void)tool_error("%s is damaged: %s; nothing was imported",
		    path,
		    json_object_get_string(json_object_array_get_idx(c.list,
			0)));
	json_object_put(c.list);
	json_object_put(c.notes);
	return rc;
}

/* ---- the command ---- */

static void
report(struct check *c, const char *name)
{
	struct json_object *o = json_object_new_object();
	char text[160];

	if (c->t->json) {
		(void)json_object_object_add(o, "database",
		    json_object_new_string(name));
		(void)json_object_object_add(o, "sound",
		    json_object_new_boolean(c->faults == 0 && !c->failed));
		(void)json_object_object_add(o, "rooms",
		    json_object_new_int64((int64_t)c->rooms));
		(void)json_object_object_add(o, "members",
		    json_object_new_int64((int64_t)c->members));
		(void)json_object_object_add(o, "messages",
		    json_object_new_int64((int64_t)c->messages));
		(void)json_object_object_add(o, "waiting",
		    json_object_new_int64((int64_t)c->waiting));
		(void)json_object_object_add(o, "longest_read_ms",
		    json_object_new_int64((int64_t)c->longest_ms));
		(void)json_object_object_add(o, "faults",
		    json_object_get(c->list));
		(void)json_object_object_add(o, "not_checked",
		    json_object_get(c->notes));
		tool_print_json(o);
	} else {
		(void)snprintf(text, sizeof(text),
		    "%llu rooms, %llu members, %llu messages, %llu waiting",
		    (unsigned long long)c->rooms,
		    (unsigned long long)c->members,
		    (unsigned long long)c->messages,
		    (unsigned long long)c->waiting);
		tool_print("checked", text);
		(void)snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)c->faults);
		tool_print("faults", text);
	}
	json_object_put(o);
}

static int
check_run(struct check *c, const char *path, const char *name)
{
	int rc = -1;

	c->list = json_object_new_array();
	c->notes = json_object_new_array();
	progress_begin(&c->progress, c->t, "checking", false);
	if (check_open(c, path) == -1 || known(c->db, name, true) == -1)
		goto out;
	if (c->live)
		check_note(c,
		    "the file itself, page by page: with --full a copy "
		    "of it is");
	else if (integrity(c) == -1 && tool_stopped())
		goto out;
	rc = check_rooms(c) == -1 ? -1 : check_waiting(c);
	progress_end(&c->progress);
	if (!tool_stopped())
		report(c, name);
out:
	if (tool_stopped())
		(void)tool_error("interrupted");
	(void)sqlite3_close(c->db);
	json_object_put(c->list);
	json_object_put(c->notes);
	return rc == 0 && c->faults == 0 && !c->failed ? 0 : 1;
}

/* A copy of the database in use, checked as a file that nobody writes. */
static int
check_snapshot(struct check *c, const char *name)
{
	int lock = -1, status;
	char *path = tool_snapshot(c->t, &lock);

	if (path == NULL)
		return 1;
	status = check_run(c, path, name);
	tool_remove_db(path);
	(void)close(lock);
	free(path);
	return status;
}

int
tool_check(struct tool *t, char **args)
{
	struct check c = { .t = t };
	const char *db = t->config->dsn.path;
	int rc;

	tool_catch_signals();
	if (args[0] != NULL && args[1] != NULL)
		return tool_error("check takes one file"), 2;
	if (args[0] != NULL)
		return check_run(&c, args[0], args[0]);
	if (access(db, F_OK) == -1)
		return tool_error("there is no database %s", db);
	if ((rc = tool_lock(t, true)) == -1)
		return 1;
	if (rc == 1)
		return check_run(&c, db, db);
	if ((t->opts & TOOL_FULL) != 0)
		return check_snapshot(&c, db);
	c.live = true;
	return check_run(&c, db, db);
}
