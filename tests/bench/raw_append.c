/* SPDX-License-Identifier: MIT */
/*
 * raw-append, the ceiling of ws-send and rest-send: the writer's SQL on the
 * writer's schema in groups of a fixed size, one process, no sockets and no
 * JSON.  Each group is one transaction with synchronous=FULL.
 */
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "stats.h"
#include "window.h"

/* The writer's rules: gently every 4 MiB, firmly above 16 MiB. */
#define CHECKPOINT_PASSIVE (4 << 20)
#define CHECKPOINT_RESTART (16 << 20)
#define CHECKPOINT_PATIENCE_MS 5
/* Of one message in the writer's receipts. */
#define RECEIPT_BYTES 17

enum stmt { BEGIN, COMMIT, MEMBER, INSERT, HEAD, BATCH, BATCH_TRIM, STMTS };
static const char *const sql[STMTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[MEMBER] = "SELECT role, last_ack FROM member"
		   " WHERE room = ?1 AND user = ?2",
	[INSERT] = "INSERT INTO message (room, seq, sender, content, meta,"
		   " created_ms, client_msg_id, hash)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[HEAD] = "UPDATE room_head SET last_seq = ?2, rev = ?3,"
		 " activity = ?4, members = ?5, first_seq = ?6"
		 " WHERE room = ?1",
	[BATCH] = "INSERT INTO batch (n, ms, receipts) VALUES (?1, ?2, ?3)",
	[BATCH_TRIM] = "DELETE FROM batch WHERE n BETWEEN ?1 AND ?2",
};

struct append {
	const struct bench *bench;
	char path[4096];
	sqlite3 *db;
	sqlite3_stmt *st[STMTS];
	char *content;
	uint8_t *receipts;
	uint64_t *seq; /* last of each room */
	bool *touched;
	uint64_t n, activity;
	uint64_t wal, checkpointed; /* bytes now, and at the last try */
	struct window window;
	uint64_t messages, commits, failures;
	struct hist commit;
};

static int
append_exec(struct append *a, const char *text)
{
	char *err = NULL;

	if (sqlite3_exec(a->db, text, NULL, NULL, &err) == SQLITE_OK)
		return 0;
	fprintf(stderr, "%s: %s\n", a->path, err);
	sqlite3_free(err);
	return -1;
}

static int
append_schema(struct append *a)
{
	char *text;
	size_t n;
	FILE *f;
	int rc;

	if ((f = fopen(a->bench->schema, "r")) == NULL) {
		perror(a->bench->schema);
		return -1;
	}
	if ((text = malloc(1 << 20)) == NULL)
		abort();
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	rc = append_exec(a, text);
	free(text);
	return rc;
}

static int
append_wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct append *a = arg;

	(void)db;
	(void)name;
	a->wal = (uint64_t)pages * 4096;
	return SQLITE_OK;
}

/* Rooms 1..n with two members each, u0 and u1. */
static int
append_rooms(struct append *a)
{
	char text[512];

	if (append_exec(a,
		"INSERT INTO tenant (public_id, name, created_ms)"
		" VALUES ('t', 'bench', 0)") == -1)
		return -1;
	for (unsigned i = 1; i <= a->bench->rooms; i++) {
		snprintf(text, sizeof(text),
		    "INSERT INTO room (id, tenant, token, type, created_ms)"
		    " VALUES (%u, 1, 'token%u', 2, 0);"
		    "INSERT INTO room_head VALUES (%u, 0, 1, 0, 0, 2);"
		    "INSERT INTO member VALUES (%u, 'u0', 1, 0, 0, 0),"
		    " (%u, 'u1', 1, 0, 0, 0)",
		    i, i, i, i, i);
		if (append_exec(a, text) == -1)
			return -1;
	}
	return 0;
}

static int
append_open(struct append *a)
{
	snprintf(a->path, sizeof(a->path), "%s/raw-append.db", a->bench->dir);
	unlink(a->path);
	if (sqlite3_open(a->path, &a->db) != SQLITE_OK ||
	    append_exec(a,
		"PRAGMA page_size = 4096;"
		"PRAGMA auto_vacuum = INCREMENTAL;"
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 0;"
		"PRAGMA journal_size_limit = 33554432;"
		"PRAGMA foreign_keys = OFF;"
		"PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -16384") == -1 ||
	    append_exec(a, "BEGIN") == -1 || append_schema(a) == -1 ||
	    append_rooms(a) == -1 || append_exec(a, "COMMIT") == -1 ||
	    append_exec(a, "PRAGMA wal_checkpoint(TRUNCATE)") == -1)
		return -1;
	/* Replaces wal_autocheckpoint's own hook. */
	sqlite3_wal_hook(a->db, append_wal_hook, a);
	for (int i = 0; i < STMTS; i++)
		if (sqlite3_prepare_v3(a->db, sql[i], -1,
			SQLITE_PREPARE_PERSISTENT, &a->st[i],
			NULL) != SQLITE_OK) {
			fprintf(stderr, "%s: %s\n", sql[i],
			    sqlite3_errmsg(a->db));
			return -1;
		}
	return 0;
}

static bool
append_run(struct append *a, enum stmt which, int want)
{
	int rc = sqlite3_step(a->st[which]);

	sqlite3_reset(a->st[which]);
	if (rc == want)
		return true;
	if (a->failures++ < 3)
		fprintf(stderr, "%s: %s\n", sql[which], sqlite3_errmsg(a->db));
	return false;
}

static void
append_message(struct append *a, unsigned room, uint64_t ms)
{
	const char *user = a->n % 2 == 0 ? "u0" : "u1";
	sqlite3_stmt *st;
	char id[24];

	if (a->bench->member_check != 0) {
		st = a->st[MEMBER];
		sqlite3_bind_int64(st, 1, room + 1);
		sqlite3_bind_text(st, 2, user, 2, SQLITE_STATIC);
		if (!append_run(a, MEMBER, SQLITE_ROW))
			return;
	}
	st = a->st[INSERT];
	sqlite3_bind_int64(st, 1, room + 1);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)++a->seq[room]);
	sqlite3_bind_text(st, 3, user, 2, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, a->content, (int)a->bench->size,
	    SQLITE_STATIC);
	sqlite3_bind_null(st, 5);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)ms);
	if (a->bench->client_ids != 0) {
		snprintf(id, sizeof(id), "%016llx",
		    (unsigned long long)a->activity);
		sqlite3_bind_text(st, 7, id, 16, SQLITE_TRANSIENT);
		sqlite3_bind_blob(st, 8, a->content, 16, SQLITE_STATIC);
	}
	append_run(a, INSERT, SQLITE_DONE);
	a->touched[room] = true;
	a->activity++;
}

static void
append_heads(struct append *a)
{
	sqlite3_stmt *st = a->st[HEAD];

	for (unsigned i = 0; i < a->bench->rooms; i++) {
		if (!a->touched[i])
			continue;
		a->touched[i] = false;
		sqlite3_bind_int64(st, 1, i + 1);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)a->seq[i]);
		sqlite3_bind_int64(st, 3, 0);
		sqlite3_bind_int64(st, 4, (sqlite3_int64)a->activity);
		sqlite3_bind_int64(st, 5, 2);
		sqlite3_bind_int64(st, 6, 1);
		append_run(a, HEAD, SQLITE_DONE);
	}
}

static void
append_checkpoint(struct append *a)
{
	if (a->wal < a->checkpointed)
		a->checkpointed = 0;
	if (a->wal > CHECKPOINT_RESTART) {
		sqlite3_busy_timeout(a->db, CHECKPOINT_PATIENCE_MS);
		sqlite3_wal_checkpoint_v2(a->db, NULL,
		    SQLITE_CHECKPOINT_RESTART, NULL, NULL);
		a->checkpointed = a->wal;
	} else if (a->wal - a->checkpointed > CHECKPOINT_PASSIVE) {
		sqlite3_wal_checkpoint_v2(a->db, NULL,
		    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		a->checkpointed = a->wal;
	}
}

static void
append_batch(struct append *a)
{
	uint64_t start = stats_now(), ms = start / 1000000;
	unsigned size = a->bench->batch;
	sqlite3_stmt *st;

	a->n++;
	append_run(a, BEGIN, SQLITE_DONE);
	for (unsigned i = 0; i < size; i++)
		append_message(a,
		    (unsigned)((a->n * size + i) % a->bench->rooms), ms);
	append_heads(a);
	st = a->st[BATCH_TRIM];
	/* Confirmed by the answer to the answer: two commits later. */
	sqlite3_bind_int64(st, 1, (sqlite3_int64)a->n - 2);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)a->n - 2);
	append_run(a, BATCH_TRIM, SQLITE_DONE);
	st = a->st[BATCH];
	sqlite3_bind_int64(st, 1, (sqlite3_int64)a->n);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)ms);
	sqlite3_bind_blob(st, 3, a->receipts, (int)size * RECEIPT_BYTES,
	    SQLITE_STATIC);
	append_run(a, BATCH, SQLITE_DONE);
	append_run(a, COMMIT, SQLITE_DONE);
	if (a->window.state == WINDOW_OPEN) {
		a->messages += size;
		a->commits++;
		hist_add(&a->commit, stats_now() - start);
	}
	append_checkpoint(a);
}

static void
append_result(struct append *a)
{
	result_begin("raw-append");
	result_num("batch", a->bench->batch);
	result_num("rooms", a->bench->rooms);
	result_num("size", a->bench->size);
	result_num("syscall_us", stats_syscall_us());
	result_num("messages", (double)a->messages);
	result_num("messages_per_s",
	    (double)a->messages / window_seconds(&a->window));
	result_num("commits_per_s",
	    (double)a->commits / window_seconds(&a->window));
	result_hist("batch", &a->commit);
	window_result(&a->window, "message", a->messages);
	result_num("errors", (double)a->failures);
	result_end();
}

int
mode_raw_append(const struct bench *b)
{
	static struct append a;
	char path[4110];
	int rc = 1;

	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	a.bench = b;
	a.content = malloc(b->size + 16);
	a.receipts = malloc((size_t)b->batch * RECEIPT_BYTES);
	a.seq = calloc(b->rooms, sizeof(*a.seq));
	a.touched = calloc(b->rooms, sizeof(*a.touched));
	if (!a.content || !a.receipts || !a.seq || !a.touched)
		abort();
	memset(a.content, 'x', b->size + 16);
	memset(a.receipts, 0x5a, (size_t)b->batch * RECEIPT_BYTES);
	if (append_open(&a) == 0) {
		window_begin(&a.window, b);
		while (window_tick(&a.window, stats_now()) != WINDOW_DONE &&
		    a.failures < 100)
			append_batch(&a);
		window_close(&a.window);
		append_result(&a);
		rc = a.failures > 0;
	}
	for (int i = 0; i < STMTS; i++)
		sqlite3_finalize(a.st[i]);
	sqlite3_close(a.db);
	unlink(a.path);
	snprintf(path, sizeof(path), "%s-wal", a.path);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", a.path);
	unlink(path);
	free(a.content);
	free(a.receipts);
	free(a.seq);
	free(a.touched);
	return rc;
}
