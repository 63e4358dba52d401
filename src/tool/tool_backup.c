/* SPDX-License-Identifier: MIT */
/*
 * chatapi backup: has the writer copy the database beside itself, or does so
 * in its place when there is no server; then seals the copy, syncs it and
 * moves it to where it is wanted.  A process of its own; whatever ends it,
 * there is no half file at that place.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/secret.h"
#include "../writer/store.h"
#include "tool_int.h"

#define STEP_PAGES 64
#define PAGE_BYTES 4096
/* The writer may have been killed in the middle. */
#define TRIES 3
static const struct timespec look_pause = { 0, 20000000 };

struct copying {
	struct tool *t;
	char *path; /* of the copy beside the database */
	int fd;     /* of it, locked: somebody will finish it */
	struct progress progress;
};

static void
copying_end(struct copying *c)
{
	progress_end(&c->progress);
	if (c->fd != -1)
		(void)close(c->fd);
	c->fd = -1;
}

static void
copying_forget(struct copying *c)
{
	copying_end(c);
	if (c->path != NULL)
		tool_remove_db(c->path);
	free(c->path);
	c->path = NULL;
}

/* Takes the copy with that suffix for its own; -1 with errno. */
static int
copying_take(struct copying *c, const char *suffix)
{
	c->path = tool_db_path(c->t, suffix);
	c->fd = open(c->path, O_RDWR | O_CLOEXEC);
	return c->fd != -1 && flock(c->fd, LOCK_SH | LOCK_NB) == 0 ? 0 : -1;
}

static int
copying_not_taken(const struct copying *c)
{
	(void)tool_error("cannot open the copy %s: %s", c->path,
	    strerror(errno));
	return -1;
}

/* ---- by the server's writer ---- */

static int
look(struct copying *c, const char *name, const char *verb,
    struct rec_reply *reply)
{
	struct rec_op_admin op = { .h = tool_head(c->t) };

	op.a = (struct str){ name, strlen(name) };
	op.b = (struct str){ verb, strlen(verb) };
	(void)rec_op_admin_put(&c->t->op, REC_OP_BACKUP, &op);
	return tool_exchange(c->t, reply);
}

/* What an answer that is no progress means: 0 begin again, -1 over. */
static int
look_refused(const struct rec_reply *r)
{
	if (r->outcome == OUTCOME_UNKNOWN || r->outcome == OUTCOME_NOT_FOUND)
		return 0;
	if (r->outcome == OUTCOME_BUSY)
		(void)tool_error("another backup is under way");
	else if (r->outcome == OUTCOME_STORAGE && r->text.len > 0)
		(void)tool_error("%.*s; nothing was kept", (int)r->text.len,
		    r->text.p);
	else
		(void)tool_error("%s", outcome_info(r->outcome)->message);
	return -1;
}

/* Looks until the copy is complete (1), gone (0) or failed (-1). */
static int
follow(struct copying *c, const char *suffix)
{
	struct rec_reply r;
	uint64_t seen = 0;

	for (;;) {
		if (tool_stopped()) {
			(void)look(c, suffix, "stop", &r);
			(void)tool_error("interrupted; nothing was kept");
			return -1;
		}
		if (look(c, suffix, "", &r) == -1)
			return -1;
		if (r.outcome != OUTCOME_OK)
			return look_refused(&r);
		progress_show(&c->progress, r.seq * PAGE_BYTES,
		    r.room * PAGE_BYTES);
		if (r.ms == 1)
			return 1;
		/* Here, so that the writer's own syncs have not to. */
		if (r.seq > seen && fdatasync(c->fd) == -1) {
			(void)look(c, suffix, "stop", &r);
			(void)tool_error("cannot sync the copy: %s",
			    strerror(errno));
			return -1;
		}
		seen = r.seq;
		(void)nanosleep(&look_pause, NULL);
	}
}

/* Does it name a file where copies are made, and nowhere else? */
static bool
is_suffix(struct str s, size_t size)
{
	size_t dir = strlen(STORE_BACKUP_DIR);

	return s.len > dir && s.len < size &&
	    memcmp(s.p, STORE_BACKUP_DIR, dir) == 0 &&
	    memchr(s.p + dir, '/', s.len - dir) == NULL;
}

/* One try: 1 complete, 0 another one may do, -1. */
static int
copy_online(struct copying *c)
{
	char suffix[STORE_BACKUP_SUFFIX_SIZE];
	struct rec_reply r;

	if (look(c, "", "", &r) == -1)
		return -1;
	if (r.outcome != OUTCOME_OK)
		return look_refused(&r);
	if (!is_suffix(r.text, sizeof(suffix))) {
		(void)tool_error("the answer is not understood");
		return -1;
	}
	memcpy(suffix, r.text.p, r.text.len);
	suffix[r.text.len] = '\0';
	if (copying_take(c, suffix) == 0)
		return follow(c, suffix);
	if (errno != ENOENT)
		return copying_not_taken(c);
	/* It has failed already and is gone: the writer knows why. */
	if (look(c, suffix, "", &r) == -1)
		return -1;
	return r.outcome == OUTCOME_OK ? 0 : look_refused(&r);
}

/* ---- in its place ---- */

static int
copy_offline(struct copying *c)
{
	struct store *s = c->t->store;
	char err[STORE_BACKUP_ERR_SIZE];
	uint64_t done, pages;
	int rc;

	if (store_backup_begin(s, err, sizeof(err)) == -1) {
		(void)tool_error("%s", err);
		return -1;
	}
	if (copying_take(c, store_backup_suffix(s)) == -1) {
		(void)copying_not_taken(c);
		(void)store_backup_end(s, false);
		return -1;
	}
	do {
		rc = store_backup_step(s, STEP_PAGES, err, sizeof(err));
		store_backup_progress(s, &done, &pages);
		progress_show(&c->progress, done * PAGE_BYTES,
		    pages * PAGE_BYTES);
	} while (rc == 0 && !tool_stopped());
	if (rc == -1)
		(void)tool_error("%s; nothing was kept", err);
	else if (rc == 0)
		(void)tool_error("interrupted; nothing was kept");
	else if (store_backup_end(s, true) == 0)
		return 1;
	else
		(void)tool_error("the copy could not be closed");
	(void)store_backup_end(s, false);
	return -1;
}

/* ---- the copy is complete ---- */

char *
tool_snapshot(struct tool *t, int *lock)
{
	struct copying c = { .t = t, .fd = -1 };
	char err[STORE_BACKUP_ERR_SIZE];
	int rc = 0;

	if (tool_connect(t) == -1)
		return NULL;
	for (int i = 0; i < TRIES && rc == 0; i++) {
		copying_forget(&c);
		progress_begin(&c.progress, t, "copying", true);
		rc = t->link != NULL ? copy_online(&c) : copy_offline(&c);
	}
	progress_end(&c.progress);
	if (rc == 0)
		(void)tool_error("the writer was restarted again and again");
	if (rc == 1 && store_backup_seal(c.path, err, sizeof(err)) == -1) {
		(void)tool_error("%s", err);
		rc = -1;
	}
	if (rc != 1) {
		copying_forget(&c);
		return NULL;
	}
	/* What follows is of whoever runs the command. */
	tool_disconnect(t);
	*lock = c.fd;
	return c.path;
}

static int
report(struct tool *t, const char *file)
{
	struct secrets *secrets;
	struct json_object *o;
	struct stat st = { 0 };

	(void)stat(file, &st);
	secrets = secret_new(t->config->key_file, t->config->dsn.path);
	if (t->json) {
		o = json_object_new_object();
		(void)json_object_object_add(o, "file",
		    json_object_new_string(file));
		(void)json_object_object_add(o, "bytes",
		    json_object_new_int64(st.st_size));
		(void)json_object_object_add(o, "key_file_not_included",
		    json_object_new_string(secret_path(secrets)));
		tool_print_json(o);
		json_object_put(o);
	} else {
		char size[PROGRESS_NUMBER_SIZE];

		progress_number(size, (uint64_t)st.st_size, true);
		tool_print("backup", file);
		tool_print("size", size);
		tool_print("not in it", secret_path(secrets));
		if ((t->opts & TOOL_QUIET) == 0)
			(void)fprintf(stderr,
			    "The key file of tenants' secrets is in no "
			    "backup: keep a copy of it elsewhere.\n");
	}
	secret_free(secrets);
	return 0;
}

int
tool_backup(struct tool *t, char **args)
{
	bool force = (t->opts & TOOL_FORCE) != 0;
	int lock = -1, rc = -1;
	char *copy;

	if (!tool_may_make(t, args[0]))
		return 1;
	tool_catch_signals();
	if ((copy = tool_snapshot(t, &lock)) == NULL)
		return 1;
	if (tool_sync_file(copy) == 0)
		rc = tool_place(t, copy, args[0], force);
	if (rc == -1)
		tool_remove_db(copy);
	(void)close(lock);
	free(copy);
	return rc == 0 ? report(t, args[0]) : 1;
}
