/* SPDX-License-Identifier: MIT */
/*
 * What the operator's subcommands share: who carries out their operations,
 * and how results are printed.
 */
#ifndef TOOL_TOOL_INT_H
#define TOOL_TOOL_INT_H

#include <stdbool.h>

#include "../common/buf.h"
#include "../common/records.h"

struct config;
struct json_object;
struct link;
struct secrets;
struct store;

struct tool {
	struct config *config;
	bool json;         /* --json */
	bool may_create;   /* the command makes the database if need be */
	struct link *link; /* to the running server, or … */
	int lock_fd;
	bool became;         /* by root: acts as the database's owner */
	struct store *store; /* … we are the writer under the lock */
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

/* ---- tool_submit.c ---- */
/* The head of an operation to put into t->op. */
struct op_head tool_head(struct tool *t);
/*
 * Carries out the operation in t->op: through the running server, or as the
 * writer when there is none.  0 with *reply (borrowed from t->answer) when
 * it was done; -1 when it was not, and stderr says why.
 */
int tool_submit(struct tool *t, struct rec_reply *reply);
void tool_disconnect(struct tool *t);

/* ---- tool_tenant.c ---- */
/* Prints a tenant, as JSON with --json. */
void tool_tenant_print(struct tool *t, struct json_object *o);

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
