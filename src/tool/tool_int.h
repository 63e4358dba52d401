/* SPDX-License-Identifier: MIT */
/*
 * What the operator's subcommands share: who carries out their operations,
 * and how results are printed.
 */
#ifndef TOOL_TOOL_INT_H
#define TOOL_TOOL_INT_H

#include <stdbool.h>
#include <sys/types.h>

#include "../common/buf.h"
#include "../common/identity.h"
#include "../common/records_tenant.h"

struct config;
struct json_object;
struct link;
struct secrets;
struct store;

/* Options behind a command; a bit each. */
enum tool_opt {
	TOOL_FORCE = 1,
	TOOL_QUIET = 2,
	TOOL_DISCARD = 4,
	TOOL_FULL = 8,
	TOOL_TENANT = 16,
	TOOL_PASSPHRASE_FILE = 32,
	TOOL_NO_SECRETS = 64,
	TOOL_CREATE = 128
};
#define TOOL_OPTS 8

struct tool {
	struct config *config;
	bool json;                    /* --json */
	unsigned opts;                /* enum tool_opt, or-ed: those given */
	const char *value[TOOL_OPTS]; /* of those that have one; else NULL */
	bool may_create;    /* the command makes the database if need be */
	bool create_option; /* it does with --create */
	struct link *link;  /* to the running server, or … */
	int lock_fd;
	bool became;           /* by root: acts as the database's owner, … */
	struct identity owner; /* … who is that */
	struct store *store;   /* … we are the writer under the lock */
	struct secrets *secrets;
	struct buf op;     /* the operation's record */
	struct buf answer; /* the reply's record */
};

/* A subcommand: its own arguments only, NULL behind the last; returns the
 * exit status. */
typedef int tool_fn(struct tool *t, char **args);
tool_fn tool_tenant_create, tool_tenant_list, tool_tenant_show;
tool_fn tool_tenant_update, tool_tenant_disable, tool_tenant_enable;
tool_fn tool_tenant_delete;
tool_fn tool_key_add, tool_key_list, tool_key_revoke;
tool_fn tool_user_erase;
tool_fn tool_backup, tool_restore, tool_check, tool_export, tool_import;
tool_fn tool_status;

/* ---- tool.c ---- */
/* What such an option was given; NULL without it. */
const char *tool_value(const struct tool *t, enum tool_opt bit);

/* ---- tool_submit.c ---- */
/* A connected command that root runs is root until it steps in again: to read
 * what only root may.  -1 it cannot, and stderr says why. */
void tool_step_out(const struct tool *t);
int tool_step_in(const struct tool *t) __attribute__((warn_unused_result));
/* The head of an operation to put into t->op. */
struct op_head tool_head(struct tool *t);
/*
 * Carries out the operation in t->op: through the running server, or as the
 * writer when there is none.  0 with *reply (borrowed from t->answer) when
 * it was done; -1 when it was not, and stderr says why.
 */
int tool_submit(struct tool *t, struct rec_reply *reply);
/* The same, with any outcome of a reply that came. */
int tool_exchange(struct tool *t, struct rec_reply *reply);
/* Connects to the server, or becomes the writer if there is none: then
 * t->link or t->store is set.  -1: stderr says why. */
int tool_connect(struct tool *t);
/*
 * Takes the lock alone, for what no server may see: t->lock_fd.  `stay`: root
 * acts as the database's owner until tool_disconnect().  1, 0 a server or
 * another command has it, -1 failed and stderr says why.
 */
int tool_lock(struct tool *t, bool stay);
/* Reaches the running server: 1 done, 0 none runs, -1 failed and told. */
int tool_connect_server(struct tool *t);
void tool_disconnect(struct tool *t);

/* ---- tool_progress.c ---- */
/*
 * How far a long command is, on stderr: a line that is rewritten on a
 * terminal, else one every ten seconds, nothing with --quiet.  `bytes`: the
 * numbers are bytes.
 */
struct progress {
	const char *label;
	bool bytes;
	bool tty;
	bool quiet;
	bool shown;        /* the line is there */
	uint64_t began_ms; /* monotonic */
	uint64_t last_ms;
};
void progress_begin(struct progress *p, const struct tool *t, const char *label,
    bool bytes);
void progress_show(struct progress *p, uint64_t done, uint64_t all);
/* The line itself, ms after the beginning; pure. */
void progress_line(char *out, size_t size, const struct progress *p,
    uint64_t done, uint64_t all, uint64_t ms);
/* "1.5 MiB", or a plain number; pure. */
#define PROGRESS_NUMBER_SIZE 32
void progress_number(char out[PROGRESS_NUMBER_SIZE], uint64_t n, bool bytes);
/* Takes the line away. */
void progress_end(struct progress *p);
/* From here on SIGINT, SIGTERM and SIGHUP only make tool_stopped() true. */
void tool_catch_signals(void);
bool tool_stopped(void);

/* ---- tool_file.c ---- */
/* The database's real name with a suffix, new; without a suffix itself. */
char *tool_db_path(const struct tool *t, const char *suffix);
/* Syncs the file, -1 with a line on stderr. */
int tool_sync_file(const char *path);
/* The same of the directory that it is in. */
int tool_sync_dir(const char *path);
/* True (and a line on stderr) when path is the database, its key file or
 * another file of theirs. */
bool tool_is_ours(const struct tool *t, const char *path);
/* Whether a file of that name may be made, or replaced as --force says; if not
 * stderr says why. */
bool tool_may_make(const struct tool *t, const char *path)
    __attribute__((warn_unused_result));
/*
 * Copies `from` to the new file `to` (mode 0600), synced; -1 with a line on
 * stderr, and `to` is gone then.
 */
int tool_copy(struct tool *t, const char *label, const char *from,
    const char *to);
/*
 * Moves a synced file to `to`, over another one only if `force`; onto another
 * file system by a copy beside `to`.  -1 with a line on stderr.
 */
int tool_place(struct tool *t, const char *from, const char *to, bool force);
/* Gives a file an owner and a mode; -1 with a line on stderr. */
int tool_take_over(const char *path, uid_t uid, gid_t gid, mode_t mode);
/* Removes a database file, SQLite's files beside it. */
void tool_remove_db(const char *path);

/* ---- tool_tenant.c ---- */
/* Prints a tenant, as JSON with --json. */
void tool_tenant_print(struct tool *t, struct json_object *o);

/* ---- tool_backup.c ---- */
/*
 * A sealed copy of the database as it is now, beside it, by the server's
 * writer or in its place.  Its name, new, and the descriptor that keeps it
 * from being taken for a stale one; NULL, and stderr says why.
 */
char *tool_snapshot(struct tool *t, int *lock);

/* ---- tool_check.c ---- */
/* Is this copy, in nobody's use, a sound database of a schema that we know?
 * `name` is what it is called on stderr.  0, -1. */
int tool_check_copy(struct tool *t, const char *path, const char *name);

/* Is this export of a tenant sound?  0, -1 and its faults on stderr. */
int tool_check_export(struct tool *t, const char *path);

/* ---- tool_print.c ---- */
/* One line on stderr; returns 1, the exit status. */
int tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The reply's JSON object, new; NULL when it is none (stderr says so). */
struct json_object *tool_parse(const struct rec_reply *reply);
/* A member as text for people, "-" when absent or null; borrowed. */
const char *tool_member(struct json_object *o, const char *name);
/* "name  value"; control characters of the value become '?'. */
void tool_print(const char *name, const char *value);
/* One row of columns of these widths; the last one is as wide as it is. */
void tool_print_row(const char *const *values, const int *widths, int n);
/* The object as one line of JSON. */
void tool_print_json(struct json_object *o);
/*
 * Reads a list page by page (operation `type` on `a`, cursor in `a` or `b`
 * as cursor_in_b says) into one new array; NULL on failure, told on stderr.
 */
struct json_object *tool_list(struct tool *t, enum record_type type,
    const char *a, bool cursor_in_b, const char *member);

#endif
