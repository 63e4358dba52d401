/* SPDX-License-Identifier: MIT */
/*
 * The one read-write connection: opening it, and batches of operations in
 * one transaction each.  Run by the writer (or a tool that took its place
 * under the lock).  What single operations do is in the other store files.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "receipts.h"
#include "store_int.h"

/* Confirmed receipts' rows are deleted once there are this many. */
#define SETTLED_MIN 64
#define TEXT_MAX (4 * 1024 * 1024)
#define NAMES_MAX (1024 * 1024)

static const struct {
	store_op_fn *fn;
	bool of_tenant; /* refused when its tenant is disabled */
	bool savepoint; /* writes in more than one statement */
} store_ops[] = {
#define OP(type) [(type)-REC_OP_SEND]
	OP(REC_OP_SEND) = { store_send, true, false },
	OP(REC_OP_ACK) = { store_ack, true, false },
	OP(REC_OP_ROOM_CREATE) = { store_room_create, true, true },
	OP(REC_OP_MEMBERS_ADD) = { store_members_add, true, true },
	OP(REC_OP_MEMBER_REMOVE) = { store_member_remove, true, false },
	OP(REC_OP_TENANT_CREATE) = { store_tenant_create, false, true },
	OP(REC_OP_TENANT_LIST) = { store_tenant_list, false, false },
	OP(REC_OP_TENANT_SHOW) = { store_tenant_show, false, false },
	OP(REC_OP_KEY_ADD) = { store_key_add, false, false },
	OP(REC_OP_KEY_REVOKE) = { store_key_revoke, false, false },
	OP(REC_OP_KEY_LIST) = { store_key_list, false, false },
	OP(REC_OP_KEY_USED) = { store_key_used, false, false },
	OP(REC_OP_MESSAGE_EDIT) = { store_message_edit, true, false },
	OP(REC_OP_MESSAGE_DELETE) = { store_message_delete, true, false },
	OP(REC_OP_ROOM_UPDATE) = { store_room_update, true, false },
	OP(REC_OP_ROOM_DELETE) = { store_room_delete, true, true },
	OP(REC_OP_ROOM_TRIM) = { store_room_trim, false, false },
	OP(REC_OP_TENANT_UPDATE) = { store_tenant_update, false, false },
	OP(REC_OP_TENANT_DELETE) = { store_tenant_delete, false, false },
	OP(REC_OP_WS_TOKEN_ISSUE) = { store_ws_token_issue, true, false },
	OP(REC_OP_WS_TOKEN_REDEEM) = { store_ws_token_redeem, true, false },
	OP(REC_OP_NOTIFY) = { store_notify, true, true },
	OP(REC_OP_NOTIFICATION_ACK) = { store_notification_ack, true, true },
	OP(REC_OP_SUBSCRIBE) = { store_subscribe, true, true },
	OP(REC_OP_UNSUBSCRIBE) = { store_unsubscribe, true, false },
	OP(REC_OP_USER_SEEN) = { store_user_seen, true, false },
	OP(REC_OP_OUTBOX_STEP) = { store_outbox_step, false, true },
	OP(REC_OP_DELIVERY_RESULT) = { store_delivery_result, false, false },
	OP(REC_OP_WEBHOOK_DROP) = { store_webhook_drop, false, true },
	OP(REC_OP_DEAD_LETTER_RETRY) = { store_dead_letter_retry, true, false },
	OP(REC_OP_DEAD_LETTER_DROP) = { store_dead_letter_drop, true, false },
	OP(REC_OP_USER_ERASE) = { store_user_erase, false, false },
	OP(REC_OP_USER_ERASING) = { store_user_erasing, false, false },
#undef OP
};

/* page_size and auto_vacuum count only before the first table. */
static int
store_pragmas(struct store *s, char *err, size_t errsize)
{
	sqlite3_stmt *st;
	int64_t pages;
	bool wal;

	if (sql_int(s, "PRAGMA page_count", &pages) == -1)
		return -1;
	/* Setting what is set writes all the same, which a full disk makes a
	 * failure. */
	if (pages == 0 &&
	    sql_exec(s,
		"PRAGMA page_size = 4096;"
		"PRAGMA auto_vacuum = INCREMENTAL;") == -1)
		return -1;
	if (sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &st,
		NULL) != SQLITE_OK) {
		s->err = sqlite3_extended_errcode(s->db);
		return -1;
	}
	wal = sqlite3_step(st) == SQLITE_ROW &&
	    sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "wal") ==
		0;
	sqlite3_finalize(st);
	if (!wal) {
		(void)snprintf(err, errsize,
		    "cannot put database %s into "
		    "WAL mode: %s",
		    s->path, sqlite3_errmsg(s->db));
		return -1;
	}
	return sql_exec(s,
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA wal_autocheckpoint = 0;"
	    "PRAGMA journal_size_limit = 33554432;"
	    "PRAGMA foreign_keys = OFF;"
	    "PRAGMA secure_delete = FAST;"
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA locking_mode = NORMAL;"
	    "PRAGMA cache_size = -16384;");
}

/* Reads the batches that are there: the last number and time, receipts. */
static int
store_load(struct store *s)
{
	sqlite3_stmt *st = sql_get(s, SQL_BATCH_ALL);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = sql_step(s, st)) == 1) {
		uint64_t n = (uint64_t)sqlite3_column_int64(st, 0);

		s->n = n;
		s->ms = sqlite3_column_int64(st, 1);
		if (receipts_load(s->receipts, n, sqlite3_column_blob(st, 2),
			(size_t)sqlite3_column_bytes(st, 2)) == -1)
			log_warn("malformed receipts", "batch=%llu",
			    (unsigned long long)n);
	}
	return rc;
}

struct store *
store_open(const struct dsn *dsn, char *err, size_t errsize)
{
	struct store *s = mem_alloc(sizeof(*s));

	/* Too late once SQLite is in use, and then not needed. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	s->path = mem_strdup(dsn->path);
	s->receipts = receipts_new();
	buf_init(&s->text, TEXT_MAX);
	buf_init(&s->old, WIRE_RECORD_MAX * 16);
	buf_init(&s->names, NAMES_MAX);
	err[0] = '\0';
	if (store_restoring(s)) {
		(void)snprintf(err, errsize,
		    "a restore of database %s was interrupted: run it again",
		    s->path);
		goto fail;
	}
	if (store_disk_create(s) == -1) {
		(void)snprintf(err, errsize, "cannot create database %s: %s",
		    s->path, strerror(errno));
		goto fail;
	}
	if (sqlite3_open_v2(s->path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		store_vfs()) != SQLITE_OK) {
		s->err = sqlite3_extended_errcode(s->db);
		goto fail;
	}
	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_busy_timeout(s->db, (int)dsn->busy_timeout_ms);
	if (store_migrate_look(s, err, errsize) == -1 ||
	    store_pragmas(s, err, errsize) == -1 ||
	    store_migrate(s, err, errsize) == -1 || store_load(s) == -1 ||
	    store_sweep_start(s) == -1 || store_erase_start(s) == -1 ||
	    store_fanout_start(s) == -1 ||
	    store_checkpoint_start(s, err, errsize) == -1)
		goto fail;
	store_backup_clean(s);
	return s;
fail:
	if (err[0] == '\0')
		(void)snprintf(err, errsize, "cannot open database %s: %s",
		    s->path, sqlite3_errstr(s->err));
	if (!store_disk_room(s)) {
		size_t len = strlen(err);

		(void)snprintf(err + len, errsize - len, " (its disk is full)");
	}
	store_close_unused(s);
	return NULL;
}

void
store_close_unused(struct store *s)
{
	s->remove = s->created;
	store_close(s);
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->active)
		store_rollback(s);
	(void)store_backup_end(s, false);
	sql_finalize(s);
	if (s->db != NULL && sqlite3_close(s->db) != SQLITE_OK)
		log_error("database not closed", "text=\"%s\"",
		    sqlite3_errmsg(s->db));
	if (s->remove)
		store_disk_remove(s);
	store_rooms_reset(s);
	store_members_reset(s);
	receipts_free(s->receipts);
	buf_free(&s->text);
	buf_free(&s->old);
	buf_free(&s->names);
	free(s->path);
	free(s);
}

void
store_keep_log(struct store *s)
{
	int on = 1;

	(void)sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
}

/* Memory must not show what the database does not hold. */
static void
store_forget(struct store *s)
{
	store_rooms_reset(s);
	store_members_reset(s);
	store_tenants_reset(s);
	receipts_abort(s->receipts);
	s->active = false;
	s->changed = false;
	s->messages = 0;
	s->notifications = 0;
	s->fanouts_change = 0;
}

void
store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db) && sql_run(s, SQL_ROLLBACK) == -1)
		log_error("rollback failed", "code=%d", s->err);
	store_forget(s);
}

enum store_result
store_begin(struct store *s)
{
	int64_t now = clock_unix_ms();

	store_rooms_trim(s);
	s->err = SQLITE_OK;
	s->index = 0;
	s->messages = 0;
	s->notifications = 0;
	s->fanouts_change = 0;
	s->changed = false;
	s->webhook_told = 0;
	s->mono_ms = clock_mono_ms();
	if (now > s->ms)
		s->ms = now;
	if (store_index_room(s) == -1 || sql_run(s, SQL_BEGIN) == -1) {
		store_rollback(s);
		return STORE_REFUSED;
	}
	s->active = true;
	return STORE_OK;
}

int
store_refuse(struct op_ctx *ctx, enum outcome o)
{
	ctx->reply = (struct rec_reply){ .op = ctx->head.op,
		.outcome = (uint8_t)o };
	return 0;
}

/* The blob of a committed batch, kept in s->old.  0, or -1. */
static int
store_read_receipts(struct store *s, uint64_t n)
{
	sqlite3_stmt *st = sql_get(s, SQL_BATCH_READ);
	int rc;

	if (st == NULL)
		return -1;
	if (s->old_n == n)
		return 0;
	s->old_n = 0;
	buf_clear(&s->old);
	sql_bind_u64(st, 1, n);
	if ((rc = sql_step(s, st)) == -1)
		return -1;
	if (rc == 1) {
		if (sqlite3_column_bytes(st, 0) > 0)
			(void)buf_add(&s->old, sqlite3_column_blob(st, 0),
			    (size_t)sqlite3_column_bytes(st, 0));
		(void)sqlite3_reset(st);
	}
	s->old_n = n;
	return 0;
}

/* 1 when the operation is done already (the reply is its old one), 0, -1. */
static int
store_receipt(struct store *s, struct op_ctx *ctx)
{
	uint64_t inc = ctx->incarnation, op = ctx->head.op, n = 0;
	struct rec_reply old;
	const void *blob;
	size_t len;

	if (inc == 0 || !receipts_maybe(s->receipts, inc, op))
		return 0;
	blob = receipts_blob(s->receipts, &len);
	if (receipts_search(blob, len, inc, op, &old)) {
		ctx->reply = old;
		return 1;
	}
	while ((n = receipts_row(s->receipts, inc, op, n)) != 0) {
		if (store_read_receipts(s, n) == -1)
			return -1;
		if (s->old.len > 0 &&
		    receipts_search(buf_head(&s->old), s->old.len, inc, op,
			&old)) {
			ctx->reply = old;
			return 1;
		}
	}
	return 0;
}

/* Runs the operation's own function, inside a savepoint if it needs one. */
static int
store_run(struct store *s, const struct wire_record *op, struct op_ctx *ctx)
{
	unsigned i = (unsigned)op->type - REC_OP_SEND;
	int rc, err;

	if (store_ops[i].of_tenant &&
	    (rc = store_tenant_check(s, ctx->head.tenant)) != OUTCOME_OK) {
		/* It was deleted a moment ago: its keys are no keys. */
		if (rc == OUTCOME_TENANT_NOT_FOUND)
			rc = OUTCOME_UNAUTHORIZED;
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	}
	if (!store_ops[i].savepoint)
		return store_ops[i].fn(s, op, ctx);
	if (sql_run(s, SQL_SAVEPOINT) == -1)
		return -1;
	rc = store_ops[i].fn(s, op, ctx);
	err = s->err;
	if (sqlite3_get_autocommit(s->db))
		return -1;
	if (rc == -1 && sql_run(s, SQL_ROLLBACK_TO) == -1)
		return -1;
	if (sql_run(s, SQL_RELEASE) == -1)
		return -1;
	s->err = err;
	return rc;
}

/* After a failed statement: does the whole batch go? */
static bool
store_broken(const struct store *s)
{
	if (sqlite3_get_autocommit(s->db))
		return true;
	switch (s->err & 0xff) {
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
		return false;
	default:
		return true;
	}
}

static enum store_result
store_reply(struct store *s, struct op_ctx *ctx, struct buf *replies)
{
	if (ctx->changed) {
		s->changed = true;
		if (ctx->incarnation != 0)
			receipts_add(s->receipts, ctx->incarnation,
			    &ctx->reply);
	}
	(void)rec_reply_put(replies, &ctx->reply);
	return STORE_OK;
}

enum store_result
store_apply(struct store *s, uint64_t incarnation, const struct wire_record *op,
    struct buf *replies, struct buf *events)
{
	struct op_ctx ctx = { .incarnation = incarnation, .events = events };
	unsigned i = (unsigned)op->type - REC_OP_SEND;
	size_t told = events->len;
	int rc;

	if (op->type < REC_OP_SEND ||
	    i >= sizeof(store_ops) / sizeof(store_ops[0]) ||
	    store_ops[i].fn == NULL || rec_op_head_get(op, &ctx.head) == -1) {
		(void)store_refuse(&ctx, OUTCOME_INTERNAL);
		return store_reply(s, &ctx, replies);
	}
	ctx.reply.op = ctx.head.op;
	if ((rc = store_receipt(s, &ctx)) == -1)
		goto broken;
	if (rc == 1)
		return store_reply(s, &ctx, replies);
	if (ctx.head.deadline_ms < s->mono_ms) {
		(void)store_refuse(&ctx, OUTCOME_LATE);
		return store_reply(s, &ctx, replies);
	}
	if (store_run(s, op, &ctx) == -1) {
		if (store_broken(s))
			goto broken;
		log_error("operation failed", "type=%u code=%d", op->type,
		    s->err);
		ctx.changed = false;
		/* What it had to tell did not happen. */
		events->len = told;
		s->webhook_told = 0;
		(void)store_refuse(&ctx, OUTCOME_INTERNAL);
	}
	return store_reply(s, &ctx, replies);
broken:
	store_rollback(s);
	return STORE_REFUSED;
}

int
store_repeat(struct store *s, uint64_t incarnation,
    const struct wire_record *op, struct buf *replies)
{
	struct op_ctx ctx = { .incarnation = incarnation };
	int rc;

	if (rec_op_head_get(op, &ctx.head) == -1)
		return 0;
	rc = store_receipt(s, &ctx);
	if (rc == 1)
		(void)rec_reply_put(replies, &ctx.reply);
	return rc;
}

/* Everything that goes into the transaction at its end. */
static int
store_finish(struct store *s, bool *deleted)
{
	sqlite3_stmt *st;
	const void *blob;
	uint64_t first, last;
	size_t len, at = 0;

	if (store_rooms_flush(s) == -1 ||
	    (st = sql_get(s, SQL_BATCH_INSERT)) == NULL)
		return -1;
	blob = receipts_blob(s->receipts, &len);
	sql_bind_u64(st, 1, s->n + 1);
	(void)sqlite3_bind_int64(st, 2, s->ms);
	(void)sqlite3_bind_blob(st, 3, blob, (int)len, SQLITE_STATIC);
	if (sql_step(s, st) != 0)
		return -1;
	*deleted = receipts_settled(s->receipts) >= SETTLED_MIN;
	if (!*deleted)
		return 0;
	if ((st = sql_get(s, SQL_BATCH_DELETE)) == NULL)
		return -1;
	while (receipts_run(s->receipts, &at, &first, &last)) {
		sql_bind_u64(st, 1, first);
		sql_bind_u64(st, 2, last);
		if (sql_step(s, st) != 0)
			return -1;
	}
	return 0;
}

/* These codes come from before the sync. */
bool
store_commit_refused(int err)
{
	return err == SQLITE_IOERR_WRITE || (err & 0xff) == SQLITE_FULL ||
	    (err & 0xff) == SQLITE_READONLY || (err & 0xff) == SQLITE_BUSY;
}

enum store_result
store_commit(struct store *s)
{
	bool deleted = false;

	if (!s->changed) {
		/* Only refusals and reads: nothing to sync. */
		if (sql_run(s, SQL_COMMIT) == -1)
			goto refused;
		s->active = false;
		return STORE_OK;
	}
	if (store_finish(s, &deleted) == -1)
		goto refused;
	if (sql_run(s, SQL_COMMIT) == -1) {
		if (!store_commit_refused(s->err))
			return STORE_FATAL;
		goto refused;
	}
	s->n++;
	s->active = false;
	s->fanouts += (uint64_t)s->fanouts_change;
	s->fanouts_change = 0;
	if (deleted)
		receipts_deleted(s->receipts);
	receipts_committed(s->receipts, s->n);
	return STORE_OK;
refused:
	store_rollback(s);
	return STORE_REFUSED;
}

enum store_result
store_probe(struct store *s)
{
	enum store_result result;

	/* So that the WAL may begin again at its start. */
	store_checkpoint_probe(s);
	if (!store_disk_room(s))
		return STORE_REFUSED;
	if ((result = store_begin(s)) != STORE_OK)
		return result;
	s->changed = true;
	return store_commit(s);
}

uint64_t
store_batch(const struct store *s)
{
	return s->n;
}

unsigned
store_batch_messages(const struct store *s)
{
	return s->messages;
}

unsigned
store_batch_notifications(const struct store *s)
{
	return s->notifications;
}

void
store_confirm(struct store *s, uint64_t incarnation, uint64_t low)
{
	receipts_confirm(s->receipts, incarnation, low);
}

void
store_forget_absent(struct store *s)
{
	receipts_forget_absent(s->receipts);
}
