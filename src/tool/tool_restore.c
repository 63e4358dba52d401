/* SPDX-License-Identifier: MIT */
/*
 * chatapi restore: puts a backup in the place of the database, under the
 * lock, when no server runs.  The file is copied beside it, checked and given
 * an epoch of its own first; only then the two change places.  A mark keeps
 * servers away from what a kill in that moment leaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/identity.h"
#include "../common/mem.h"
#include "../master/lock.h"
#include "../writer/store.h"
#include "tool_int.h"

static const char magic[16] = "SQLite format 3";

struct restore {
	struct tool *t;
	char *db;   /* real names */
	char *copy; /* of the backup, beside it */
	char *mark;
	char *kept; /* where the old one goes */
	bool again; /* one was interrupted before */
	bool moved; /* it has left its place */
};

static char *
with(const char *path, const char *suffix)
{
	size_t size = strlen(path) + strlen(suffix) + 1;
	char *out = mem_alloc(size);

	(void)snprintf(out, size, "%s%s", path, suffix);
	return out;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* ---- the copy ---- */

/* Does it begin as a database does? */
static int
restore_look(const char *file)
{
	char head[sizeof(magic)];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1) {
		(void)tool_error("cannot read %s: %s", file, strerror(errno));
		return -1;
	}
	n = read(fd, head, sizeof(head));
	(void)close(fd);
	if (n == (ssize_t)sizeof(head) &&
	    memcmp(head, magic, sizeof(head)) == 0)
		return 0;
	(void)tool_error("%s is no database", file);
	return -1;
}

/* The log of a database that was not closed is part of it; that of one in
 * use cannot be copied. */
static int
restore_copy_log(struct restore *r, const char *file)
{
	char *log = with(file, "-wal"), *to = with(r->copy, "-wal");
	char *lock = with(file, "-lock"), err[512];
	bool had = is_there(lock);
	int fd = -1, rc = 0;

	if (is_there(log)) {
		fd = lock_take(file, 0, err, sizeof(err));
		if (fd == -1)
			(void)tool_error("%s", err);
		rc = fd == -1 ? -1 :
				tool_copy(r->t, "copying its log", log, to);
	}
	if (fd != -1) {
		(void)close(fd);
		if (!had)
			(void)unlink(lock);
	}
	free(log);
	free(to);
	free(lock);
	return rc;
}

static int
restore_prepare(struct restore *r, const char *file)
{
	char err[STORE_BACKUP_ERR_SIZE];

	tool_remove_db(r->copy);
	if (restore_look(file) == -1 || restore_copy_log(r, file) == -1 ||
	    tool_copy(r->t, "copying", file, r->copy) == -1 ||
	    tool_check_copy(r->t, r->copy, file) == -1)
		return -1;
	if (store_backup_seal(r->copy, err, sizeof(err)) == -1) {
		(void)tool_error("%s", err);
		return -1;
	}
	if (tool_stopped()) {
		(void)tool_error("interrupted; nothing was changed");
		return -1;
	}
	return tool_sync_file(r->copy);
}

/* The new one belongs to whom the old one did, or its directory does. */
static int
restore_owner(const struct restore *r)
{
	struct identity id;
	struct stat st;
	mode_t mode = stat(r->db, &st) == 0 ? st.st_mode & 0777 : 0640;

	identity_self(&id);
	if (id.uid == 0 && identity_owner(&id, r->db) == -1) {
		(void)tool_error("cannot tell whose %s is", r->db);
		return -1;
	}
	return tool_take_over(r->copy, id.uid, id.gid, mode);
}

/* ---- changing places ---- */

static int
restore_mark(const struct restore *r)
{
	int fd = open(r->mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), rc;

	if (fd == -1) {
		(void)tool_error("cannot make %s: %s", r->mark,
		    strerror(errno));
		return -1;
	}
	rc = fsync(fd);
	(void)close(fd);
	return rc == 0 ? tool_sync_dir(r->mark) : -1;
}

/* One of the old one's files under its new name, and still under its own. */
static int
keep_file(struct restore *r, const char *end)
{
	char *from = with(r->db, end), *to = with(r->kept, end);
	int rc = link(from, to);

	if (rc == -1 && (errno == EPERM || errno == EOPNOTSUPP)) {
		rc = rename(from, to);
		r->moved = r->moved || rc == 0;
	}
	if (rc == -1 && errno == ENOENT)
		rc = 0;
	if (rc == -1)
		(void)tool_error("cannot keep %s: %s", from, strerror(errno));
	free(from);
	free(to);
	return rc;
}

/* Nothing has happened to the old one: it has two names at most. */
static void
keep_undo(const struct restore *r)
{
	static const char *const ends[] = { "-wal", "" };

	if (r->moved || r->again)
		return;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *name = with(r->kept, ends[i]);

		(void)unlink(name);
		free(name);
	}
	if (tool_sync_dir(r->db) == 0 && unlink(r->mark) == 0)
		(void)tool_sync_dir(r->db);
}

static int
restore_swap(struct restore *r)
{
	static const char *const logs[] = { "-wal", "-shm", "-journal" };

	r->again = is_there(r->mark);
	if (restore_mark(r) == -1)
		return -1;
	if (r->kept != NULL &&
	    (keep_file(r, "-wal") == -1 || keep_file(r, "") == -1 ||
		tool_sync_dir(r->db) == -1)) {
		keep_undo(r);
		return -1;
	}
	/* Or the new one would be taken for one with this log. */
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		char *log = with(r->db, logs[i]);

		(void)unlink(log);
		free(log);
	}
	if (tool_sync_dir(r->db) == -1)
		return -1;
	if (rename(r->copy, r->db) == -1) {
		(void)tool_error("cannot make %s: %s", r->db, strerror(errno));
		return -1;
	}
	if (tool_sync_dir(r->db) == -1 || unlink(r->mark) == -1)
		return -1;
	return tool_sync_dir(r->db);
}

static void
restore_report(const struct restore *r, const char *file)
{
	struct json_object *o;

	if (!r->t->json) {
		tool_print("restored", file);
		tool_print("database", r->db);
		if (r->kept != NULL)
			tool_print("the old one", r->kept);
		return;
	}
	o = json_object_new_object();
	(void)json_object_object_add(o, "restored",
	    json_object_new_string(file));
	(void)json_object_object_add(o, "database",
	    json_object_new_string(r->db));
	(void)json_object_object_add(o, "kept",
	    r->kept != NULL ? json_object_new_string(r->kept) : NULL);
	tool_print_json(o);
	json_object_put(o);
}

/* "<db>.before-restore-20261127T235901Z", a name that is free. */
static char *
kept_name(const char *db)
{
	time_t now = time(NULL);
	char *name, *wal;
	bool taken;

	do {
		char when[64];
		struct tm tm;

		(void)gmtime_r(&now, &tm);
		(void)strftime(when, sizeof(when),
		    ".before-restore-%Y%m%dT%H%M%SZ", &tm);
		name = with(db, when);
		wal = with(name, "-wal");
		taken = is_there(name) || is_there(wal);
		free(wal);
		if (taken)
			free(name);
		now++;
	} while (taken);
	return name;
}

int
tool_restore(struct tool *t, char **args)
{
	struct restore r = { .t = t };
	int status = 1, rc;

	if (tool_is_ours(t, args[0]) || (rc = tool_lock(t, false)) == -1)
		return 1;
	if (rc == 0)
		return tool_error("database %s is in use: stop the server "
				  "first, or wait for the other command",
		    t->config->dsn.path);
	tool_catch_signals();
	r.db = tool_db_path(t, "");
	r.copy = with(r.db, "-restore");
	r.mark = with(r.db, STORE_RESTORING_SUFFIX);
	if ((t->opts & TOOL_DISCARD) == 0 && is_there(r.db))
		r.kept = kept_name(r.db);
	if (restore_prepare(&r, args[0]) == 0 && restore_owner(&r) == 0 &&
	    restore_swap(&r) == 0) {
		restore_report(&r, args[0]);
		status = 0;
	}
	tool_remove_db(r.copy);
	free(r.db);
	free(r.copy);
	free(r.mark);
	free(r.kept);
	return status;
}
