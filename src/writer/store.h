/* SPDX-License-Identifier: MIT */
/*
 * All writes to the database.  Run by the writer process, or by an
 * operator's command that has become the writer under the lock.  No SQLite
 * type shows here: another engine can stand behind this header.
 *
 * Use: store_open, then per batch store_begin, store_apply for each
 * operation, store_commit; then the replies may be sent and the events
 * published, in this order.
 */
#ifndef WRITER_STORE_H
#define WRITER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/dsn.h"
#include "../common/records.h"

struct buf;
struct store;

/*
 * Opens or creates the file, syncs what a crash left, runs migrations.  NULL
 * with a sentence in err; a newer schema than the binary knows is refused.
 */
struct store *store_open(const struct dsn *dsn, char *err, size_t errsize);
/* Checkpoints and closes. */
void store_close(struct store *s);
/* The same, and a file that its open has made goes again. */
void store_close_unused(struct store *s);
/*
 * From now on closing leaves the log (empty) and its index where they are:
 * who may not remove files need not, and who opens files by rules for these
 * very files finds them again.
 */
void store_keep_log(struct store *s);
/*
 * What tenants' secrets are sealed with: borrowed; without it none can be set.
 * The check logs whose secrets cannot be opened (a database without its key
 * file) and returns how many tenants these are, -1 when it failed.  The last
 * one makes the key file where nothing is sealed yet, for who cannot later,
 * and seals anew what an earlier version sealed; it logs why it could not.
 */
struct secrets;
void store_secrets(struct store *s, struct secrets *secrets);
int store_secrets_check(struct store *s);
void store_secrets_prepare(struct store *s);
/* Newest schema version this binary knows. */
unsigned store_schema_version(void);

/* What happened to a whole batch. */
enum store_result {
	STORE_OK,
	STORE_REFUSED, /* rolled back, database sound: answer 503 to all */
	STORE_FATAL    /* outcome unknown: the process must exit */
};

enum store_result store_begin(struct store *s)
    __attribute__((warn_unused_result));
/*
 * Runs one operation record of the worker with that incarnation inside the
 * batch: adds its REPLY record to `replies` and its PUBLISH records, if any,
 * to `events` (finished, but to be sent only after the commit).  A repeat of
 * an operation with a receipt only gets its old reply.  A logical refusal is
 * a reply like any other.  STORE_REFUSED: the transaction is gone, every
 * operation of the batch must be refused.
 */
enum store_result store_apply(struct store *s, uint64_t incarnation,
    const struct wire_record *op, struct buf *replies, struct buf *events)
    __attribute__((warn_unused_result));
/*
 * Outside a batch, after STORE_REFUSED: adds the old reply when that
 * operation was done by an earlier batch, so that nobody is told otherwise.
 * 1 added, 0 it was not done, -1 nobody can say now.
 */
int store_repeat(struct store *s, uint64_t incarnation,
    const struct wire_record *op, struct buf *replies);
/* Writes the receipts' row, commits, syncs. */
enum store_result store_commit(struct store *s)
    __attribute__((warn_unused_result));
void store_rollback(struct store *s);
/* Number of the last committed batch. */
uint64_t store_batch(const struct store *s);
/* Messages stored by it. */
unsigned store_batch_messages(const struct store *s);
unsigned store_batch_notifications(const struct store *s);

/* The worker has seen the replies to all operations below `low`; its
 * receipts may go (with the next commit).  low UINT64_MAX: it is dead. */
void store_confirm(struct store *s, uint64_t incarnation, uint64_t low);
/* Workers that have not shown up since the start are dead. */
void store_forget_absent(struct store *s);

/* Between batches: checkpoints by the rules of doc/architecture.md. */
void store_maintain(struct store *s);
/*
 * Between batches: removes some of what is deleted, for about 2 ms and a
 * commit.  STORE_REFUSED: try again later.
 */
enum store_result store_sweep(struct store *s)
    __attribute__((warn_unused_result));
/* There may be something to remove. */
bool store_sweep_pending(const struct store *s);
/*
 * Between batches: brings notifications to some more of those whom they are
 * for, for about 2 ms and a commit, and adds PUBLISH records to `events`, to
 * be sent after STORE_OK.  STORE_REFUSED: try again later.
 */
enum store_result store_fanout(struct store *s, struct buf *events)
    __attribute__((warn_unused_result));
/* How many lists of users have still to be gone through. */
uint64_t store_fanouts(const struct store *s);
/* Bytes in the WAL. */
uint64_t store_wal_bytes(const struct store *s);
/* Checkpoints run so far. */
uint64_t store_checkpoints(const struct store *s);

/* ---- store_erase.c ---- */
/* Between batches: one piece of erasing a user, announced in `events`. */
enum store_result store_erase(struct store *s, struct buf *events)
    __attribute__((warn_unused_result));
/* Somebody is being erased. */
bool store_erase_pending(const struct store *s);

/* ---- store_backup.c ---- */
/*
 * One copy of the whole database at a time, in a directory beside it that is
 * there for nothing else; its file's name is the database's and a suffix, and
 * its owner is whoever holds a flock on it.  0, or -1 with a sentence in err
 * (STORE_BACKUP_ERR_SIZE).
 */
#define STORE_BACKUP_DIR DSN_STAGING_SUFFIX "/"
#define STORE_BACKUP_SUFFIX_SIZE 32
#define STORE_BACKUP_ERR_SIZE 4400
int store_backup_begin(struct store *s, char *err, size_t errsize);
/* So many pages more, outside a batch.  1 it is complete, 0 there is more,
 * -1 it failed (err). */
int store_backup_step(struct store *s, unsigned pages, char *err,
    size_t errsize);
bool store_backup_active(const struct store *s);
/* The next three: while one is active. */
bool store_backup_owned(const struct store *s);
const char *store_backup_suffix(const struct store *s);
void store_backup_progress(const struct store *s, uint64_t *done,
    uint64_t *pages);
/* Ends the one under way, if any, and closes its file, which stays only if
 * `keep`.  -1: it could not be closed properly, and is gone. */
int store_backup_end(struct store *s, bool keep);
/* Makes the directory, for who cannot when a copy is wanted. */
void store_backup_prepare(const struct store *s);
/* At the start: removes copies that nobody will finish. */
void store_backup_clean(const struct store *s);
/*
 * Makes of a complete copy, in nobody's use, a database of its own: another
 * epoch, no receipts, no tokens, all in one file.  0, or -1 with a sentence
 * in err.  Does not sync.
 */
int store_backup_seal(const char *path, char *err, size_t errsize);

/* A file of the database's name and this is there while a restore puts another
 * in its place: then it is not opened. */
#define STORE_RESTORING_SUFFIX "-restoring"

/* A write probe for /health after a refusal: an empty batch. */
enum store_result store_probe(struct store *s)
    __attribute__((warn_unused_result));

#endif
