/* SPDX-License-Identifier: MIT */
/*
 * What the store's files share behind store.h: the connection, its prepared
 * statements and what is kept in memory of rooms and tenants.  Only files
 * named store*.c, migrate.c and checkpoint.c include it; nothing outside
 * them sees an SQLite type.
 */
#ifndef WRITER_STORE_INT_H
#define WRITER_STORE_INT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/ids.h"
#include "../common/records_tenant.h"
#include "store.h"

/* Their text is in store_sql.c. */
enum store_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_SAVEPOINT,
	SQL_RELEASE,
	SQL_ROLLBACK_TO,
	SQL_BATCH_ALL,
	SQL_BATCH_READ,
	SQL_BATCH_INSERT,
	SQL_BATCH_DELETE,
	SQL_ROOM_BY_TOKEN,
	SQL_ROOM_BY_DM_KEY,
	SQL_ROOM_INSERT,
	SQL_ROOM_TEXTS,
	SQL_ROOM_UPDATE,
	SQL_ROOM_DELETE,
	SQL_HEAD_INSERT,
	SQL_HEAD_UPDATE,
	SQL_HEAD_DELETE,
	SQL_MEMBER,
	SQL_MEMBER_INSERT,
	SQL_MEMBER_ROLE,
	SQL_MEMBER_ACK,
	SQL_MEMBER_DELETE,
	SQL_MESSAGE,
	SQL_MESSAGE_INSERT,
	SQL_MESSAGE_BY_CLIENT_ID,
	SQL_MESSAGE_EDIT,
	SQL_MESSAGE_DELETE,
	SQL_MESSAGE_REMOVE,
	SQL_SWEEP_NOTE,
	SQL_SWEEP_NEXT,
	SQL_SWEEP_MEMBERS,
	SQL_SWEEP_MESSAGES,
	SQL_SWEEP_DONE,
	SQL_TENANT,
	SQL_TENANT_BY_PUBLIC_ID,
	SQL_TENANT_INSERT,
	SQL_TENANT_LIST,
	SQL_TENANT_SEALED,
	SQL_TENANT_ANY_SEALED,
	SQL_TENANT_NEXT_OUTDATED,
	SQL_TENANT_RENEW,
	SQL_TENANT_SETTINGS,
	SQL_TENANT_UPDATE,
	SQL_TENANT_DELETE,
	SQL_SWEEP_TENANT_NEXT,
	SQL_SWEEP_TENANT_ROOM,
	SQL_SWEEP_TENANT_KEYS,
	SQL_SWEEP_TENANT_TOKENS,
	SQL_SWEEP_TENANT_DONE,
	SQL_KEY_INSERT,
	SQL_KEY_REVOKE,
	SQL_KEY_LIST,
	SQL_KEY_USED,
	SQL_WS_TOKEN,
	SQL_WS_TOKEN_INSERT,
	SQL_WS_TOKEN_DELETE,
	SQL_WS_TOKEN_SWEEP,
	SQL_USER_INSERT,
	SQL_SUBSCRIPTION,
	SQL_SUBSCRIPTION_COUNT,
	SQL_SUBSCRIPTION_INSERT,
	SQL_SUBSCRIPTION_DELETE,
	SQL_NOTIFICATION,
	SQL_NOTIFICATION_BY_TOKEN,
	SQL_NOTIFICATION_INSERT,
	SQL_NOTIFICATION_SETTLE,
	SQL_INBOX_INSERT,
	SQL_INBOX_DELETE,
	SQL_ACKED_INSERT,
	SQL_ACKED_DELETE,
	SQL_FANOUT_INSERT,
	SQL_FANOUT_NEXT,
	SQL_FANOUT_MOVE,
	SQL_FANOUT_DELETE,
	SQL_FANOUT_ROOM,
	SQL_FANOUT_TOPIC,
	SQL_FANOUT_ALL,
	SQL_SWEEP_TENANT_INBOX,
	SQL_SWEEP_TENANT_NOTIFICATIONS,
	SQL_SWEEP_TENANT_SUBSCRIPTIONS,
	SQL_SWEEP_TENANT_USERS,
	SQL_OUTBOX,
	SQL_OUTBOX_INSERT,
	SQL_OUTBOX_MOVE,
	SQL_OUTBOX_DELETE,
	SQL_DELIVERY_INSERT,
	SQL_DELIVERY_DONE,
	SQL_DELIVERY_FAILED,
	SQL_DELIVERY_WAIT,
	SQL_DEAD_RETRY,
	SQL_DEAD_DROP,
	SQL_DEAD_OF_MESSAGE,
	SQL_DEAD_OF_NOTIFICATION,
	SQL_SWEEP_DEAD,
	SQL_SWEEP_TENANT_OUTBOX,
	SQL_SWEEP_TENANT_DUE,
	SQL_SWEEP_TENANT_DEAD,
	SQL_ERASURE_FIND,
	SQL_ERASURE_INSERT,
	SQL_ERASURE_NEXT,
	SQL_ERASURE_MOVE,
	SQL_ERASURE_DELETE,
	SQL_ERASE_ROOM,
	SQL_ERASE_FIND,
	SQL_ERASE_MESSAGE,
	SQL_ERASE_MEMBER,
	SQL_ERASE_DM_PEER,
	SQL_ERASE_DM_KEY,
	SQL_ERASE_FANOUT_LIST,
	SQL_ERASE_FANOUT_PLACE,
	SQL_ERASE_OUTBOX_PLACE,
	SQL_ERASE_TOKENS,
	SQL_ERASE_SUBSCRIPTIONS,
	SQL_ERASE_DELIVERIES,
	SQL_ERASE_INBOX,
	SQL_ERASE_ACKED,
	SQL_ERASE_NOTIFICATIONS,
	SQL_ERASE_USER,
	SQL_COUNT
};

/* A room as the current batch sees it. */
struct room {
	struct room *next; /* hash chain */
	struct room *dirty_next;
	uint64_t id;
	uint64_t tenant;
	uint64_t last_seq;
	uint64_t first_seq;
	uint64_t rev;
	uint64_t activity;
	uint32_t members;
	uint8_t type; /* enum room_type */
	bool dirty;   /* its room_head is written at the commit */
	bool deleted; /* not to be found any more */
	char token[ID_TOKEN_SIZE];
};

struct rooms_cache {
	struct room **slots; /* power of two; NULL while empty */
	size_t size;
	size_t count;
	struct room *dirty;
};

/* Positive answers only: these users are members of these rooms. */
#define MEMBER_CACHE_SLOTS 8192
struct member_slot {
	uint64_t room; /* 0 = empty */
	uint8_t len;
	char user[119]; /* longer ids are not cached */
};

struct tenant_entry {
	uint64_t id; /* 0 = empty */
	bool disabled;
	bool webhook; /* it has an url */
};
#define TENANT_CACHE_SLOTS 1024

/* Of the WAL: a page with its header, and the file's own. */
#define WAL_FRAME_SIZE (4096 + 24)
#define WAL_HEAD_SIZE 32

struct receipts;
struct store_backup;

/* What there was of a user who was erased. */
struct erasure_found {
	uint64_t messages;
	uint64_t memberships;
	uint64_t others; /* rows */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[SQL_COUNT];
	char *path;
	unsigned schema;    /* that it was opened with */
	uint64_t logged_ms; /* when a failure was last logged */
	int err;            /* extended code of the last failure */
	uint64_t n;         /* last committed batch */
	int64_t ms;         /* never goes back, also over restarts */
	uint64_t mono_ms;   /* when the batch began */
	unsigned index;     /* messages in this batch */
	unsigned messages;  /* messages in the last committed one */
	bool active;        /* between store_begin and its end */
	bool changed;       /* the batch has something to commit */
	bool created;       /* the file is one that this open made */
	bool remove;        /* closing it removes it */
	int checkpoint_err; /* of the last checkpoint that failed */
	bool erasing;       /* somebody may be */
	/* The last erasure that came to its end. */
	struct erased_user {
		uint64_t tenant;
		uint8_t user[16]; /* hash */
		struct erasure_found found;
	} erased;
	bool vacuum;       /* pages are to be given back */
	bool sweep;        /* there may be something to remove */
	int64_t tokens_ms; /* Unix: look for expired tokens then; 0 = none */
	unsigned notifications; /* in the last committed batch */
	uint64_t fanouts;       /* committed: lists not yet gone through */
	int64_t fanouts_change; /* by the batch under way */
	uint64_t fanout_tenant; /* whose turn was last */
	uint64_t webhook_told;  /* tenant of the batch's last such event */
	/* Borrowed; without it nothing can be sealed. */
	struct secrets *secrets;
	struct rooms_cache rooms;
	struct member_slot *members; /* MEMBER_CACHE_SLOTS */
	struct tenant_entry tenants[TENANT_CACHE_SLOTS];
	struct receipts *receipts;
	struct buf text; /* JSON under construction */
	struct buf old;  /* a receipts blob being searched */
	uint64_t old_n;  /* of which batch; 0 = none */

	uint64_t index_regions; /* of the wal-index that surely are there */
	bool index_full;        /* there was no room for another */

	struct store_backup *backup; /* under way; or NULL */

	struct str users[EVENT_USERS_MAX];
	uint64_t keys[EVENT_USERS_MAX + 1];
	uint64_t inbox_ids[EVENT_USERS_MAX];
	struct buf names; /* of users that are read one by one */
	/* checkpoint.c */
	uint64_t wal_frames; /* as of the last commit */
	uint64_t wal_tried;  /* frames at the last checkpoint */
	uint64_t restart_ms; /* when RESTART was last tried */
	uint64_t checkpoints;
};

/* One operation while it is applied. */
struct op_ctx {
	struct op_head head;
	uint64_t incarnation;
	struct rec_reply reply; /* op filled in; outcome OK, all else 0 */
	struct buf *events;
	bool changed; /* it wrote something: needs a receipt */
};

/*
 * Applies one operation.  0 with ctx->reply filled in, also when it was
 * refused; -1 when the database failed (s->err).  Publishes only after its
 * last statement went through.
 */
typedef int store_op_fn(struct store *s, const struct wire_record *op,
    struct op_ctx *ctx);
store_op_fn store_send, store_ack, store_message_edit, store_message_delete,
    store_room_create, store_room_update, store_room_delete, store_room_trim,
    store_members_add, store_member_remove, store_tenant_create,
    store_tenant_list, store_tenant_show, store_key_add, store_key_revoke,
    store_key_list, store_key_used, store_tenant_update, store_tenant_delete,
    store_ws_token_issue, store_ws_token_redeem, store_notify,
    store_notification_ack, store_subscribe, store_unsubscribe, store_user_seen,
    store_outbox_step, store_delivery_result, store_webhook_drop,
    store_dead_letter_retry, store_dead_letter_drop;

/* Sets the outcome of a refusal; returns 0 for the caller to return. */
int store_refuse(struct op_ctx *ctx, enum outcome o);
/* A COMMIT failed with this code: true when nothing of it is on disk, false
 * when nobody can say. */
bool store_commit_refused(int err);

static inline bool
str_same(struct str a, struct str b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* ---- store_sql.c ---- */
/* The prepared statement; NULL when it cannot be made (s->err). */
sqlite3_stmt *sql_get(struct store *s, enum store_sql id);
/* 1 a row (reset it when done with it), 0 done and reset, -1 failed and
 * reset (s->err, logged unless it is a constraint). */
int sql_step(struct store *s, sqlite3_stmt *st);
/* A statement without parameters or rows. */
int sql_run(struct store *s, enum store_sql id);
/* Text of start-up and maintenance; -1 with s->err. */
int sql_exec(struct store *s, const char *text);
/* One integer from a PRAGMA or SELECT; -1 with s->err. */
int sql_int(struct store *s, const char *text, int64_t *out);
void sql_bind_str(sqlite3_stmt *st, int i, struct str v);
/* NULL for an empty one. */
void sql_bind_opt(sqlite3_stmt *st, int i, struct str v);
void sql_bind_u64(sqlite3_stmt *st, int i, uint64_t v);
/* A text or blob; good until the next step; empty for NULL. */
struct str sql_column_str(sqlite3_stmt *st, int i);
/* An overlong one is cut. */
void sql_column_token(sqlite3_stmt *st, int i, char out[ID_TOKEN_SIZE]);
void sql_finalize(struct store *s);

/* ---- store_room.c ---- */
/*
 * The room with that token, of that tenant.  1 found, 0 not, -1 failed.
 * Valid until the batch ends.
 */
int store_room_get(struct store *s, uint64_t tenant, struct str token,
    struct room **out);
/* The same of any tenant. */
int store_room_find(struct store *s, struct str token, struct room **out);
/* Its head is to be written at the commit. */
void store_room_dirty(struct store *s, struct room *r);
/* Writes the heads of all rooms that changed. */
int store_rooms_flush(struct store *s);
/* Forgets everything: a batch was rolled back, or there is too much. */
void store_rooms_reset(struct store *s);
/* Between batches: keeps the memory bounded. */
void store_rooms_trim(struct store *s);

/* ---- store_member.c ---- */
struct member {
	uint8_t role;
	uint64_t last_ack;
};
/* 1 a member, 0 not, -1 failed. */
int store_member_get(struct store *s, uint64_t room, struct str user,
    struct member *m);
/* The same without details, from memory where possible. */
int store_member_is(struct store *s, uint64_t room, struct str user);
/* 1 inserted, 0 was there already, -1 failed. */
int store_member_insert(struct store *s, const struct room *r, struct str user,
    uint8_t role, uint64_t last_ack);
/* He was removed; a batch was rolled back. */
void store_member_forget(struct store *s, uint64_t room, struct str user);
void store_members_reset(struct store *s);
/* Publishes JOINED or LEFT for the first nusers of s->users. */
void store_member_event(struct store *s, struct op_ctx *ctx,
    enum record_type type, const struct room *r, uint64_t head,
    uint32_t nusers);

/* ---- store_tenant.c ---- */
/* OUTCOME_OK, TENANT_NOT_FOUND or TENANT_DISABLED; -1 failed. */
int store_tenant_check(struct store *s, uint64_t tenant);
/* 1 when it has a webhook_url, 0, -1 failed. */
int store_tenant_webhook(struct store *s, uint64_t tenant);
void store_tenants_reset(struct store *s);

/* ---- store_sweep.c ---- */
/* To be removed in pieces: all of a room that is deleted; the messages below
 * a seq.  0, -1 failed. */
int store_sweep_room(struct store *s, uint64_t room);
int store_sweep_below(struct store *s, uint64_t room, uint64_t below);
/* At the start: is something left?  -1 failed. */
int store_sweep_start(struct store *s);

/* ---- store_erase.c ---- */
/* At the start: is somebody being erased?  -1 failed. */
int store_erase_start(struct store *s);
store_op_fn store_user_erase, store_user_erasing;
/*
 * What is deleted in ordinary work is overwritten where that costs nothing;
 * while somebody is erased, his pages are, too.  Outside a transaction.
 */
void store_overwrite(struct store *s, bool pages);

/* ---- store_fanout_erase.c ---- */
/* Takes him out of the lists that are being gone through, until then at most
 * (monotonic ns).  1 he is in none, 0 there may be more, -1 failed. */
int store_fanout_erase(struct store *s, uint64_t tenant, struct str user,
    uint64_t until);

/* ---- store_vacuum.c ---- */
/* Outside a transaction: begins to give pages back if there are many.  -1. */
int store_vacuum_look(struct store *s);
bool store_vacuum_pending(const struct store *s);
/* In a transaction, for about 2 ms: 1 there are more, 0, -1. */
int store_vacuum_piece(struct store *s);

/* ---- store_ws_token.c ---- */
/* At the start, and when a sweep failed: are there any?  -1 failed. */
int store_ws_tokens_start(struct store *s);
/* It is time to look for expired ones. */
bool store_ws_tokens_due(const struct store *s);
/* Removes some, until then (clock_mono_ns()).  0, -1 failed. */
int store_ws_tokens_sweep(struct store *s, uint64_t until);

/* ---- store_subscription.c ---- */
/* The tenant knows him from now on.  0, -1 failed. */
int store_user_add(struct store *s, uint64_t tenant, struct str user);

/* ---- store_inbox.c ---- */
/* Users who get a notification in one transaction: the first n of s->users,
 * with their inbox ids, rising, in s->inbox_ids. */
#define EXPANSION_MAX 1000
struct expansion {
	uint64_t tenant;
	uint64_t notification;
	uint32_t n;
};
/*
 * Puts it into one more inbox, if it is not there already; at most
 * EXPANSION_MAX times.  The name must last until the expansion's end.  0, -1
 * failed.
 */
int store_inbox_add(struct store *s, struct expansion *x, struct str user);
/* Before the commit: publishes what was added.  0, -1 failed. */
int store_inbox_publish(struct store *s, const struct expansion *x,
    struct buf *events);
/* Removes a notification that nobody has or will have any more. */
int store_notification_settle(struct store *s, uint64_t tenant,
    uint64_t notification);

/* ---- store_fanout.c ---- */
/* Whom a list names; more kinds than one of a notification are gone through
 * one after another. */
enum fanout_kind {
	FANOUT_USERS = 1,
	FANOUT_ROOM,
	FANOUT_TOPIC,
	FANOUT_ALL,
	FANOUT_ACKED /* the last: who acknowledged meanwhile is forgotten */
};
/* To be gone through in pieces after this batch; room for FANOUT_ROOM, list
 * (u32 length and bytes of each) for FANOUT_USERS.  0, -1 failed. */
int store_fanout_note(struct store *s, uint64_t tenant, uint64_t notification,
    enum fanout_kind kind, uint64_t room, struct str list);
/* At the start: are there any?  -1 failed. */
int store_fanout_start(struct store *s);
/* ---- store_webhook.c ---- */
/* The newest message of the room goes to the outbox, if its tenant wants it.
 * 0, -1 failed: then the whole batch is. */
int store_outbox_message(struct store *s, struct op_ctx *ctx,
    const struct room *r) __attribute__((warn_unused_result));
/* The same for those who have just been given a notification. */
struct expansion;
int store_outbox_notification(struct store *s, const struct expansion *x,
    struct buf *events) __attribute__((warn_unused_result));
/* He has acknowledged it: its dead letter for him goes.  0, -1 failed. */
int store_dead_of_notification(struct store *s, uint64_t notification,
    struct str user) __attribute__((warn_unused_result));
/* The courier shall look: there is something to do for the tenant. */
void store_webhook_event(struct store *s, struct buf *events, uint64_t tenant);
/* The message is deleted: so are its dead letters.  0, -1 as above. */
int store_dead_of_message(struct store *s, uint64_t room, uint64_t seq)
    __attribute__((warn_unused_result));

/* ---- store_vfs.c ---- */
/* The name of the VFS to open the database with; NULL = SQLite's own. */
const char *store_vfs(void);

/* ---- migrate.c ---- */
/* Is it a database that this program knows?  0; or -1 with a sentence in err,
 * and then not a byte of it is changed, also not by closing it.  Before
 * anything that writes. */
int store_migrate_look(struct store *s, char *err, size_t errsize);
/* To the newest schema, a transaction for each step.  0, or -1 with a
 * sentence in err. */
int store_migrate(struct store *s, char *err, size_t errsize);

/* ---- checkpoint.c ---- */
/* Empties the log, so that what it still showed is gone; -1 when that could
 * not be done now. */
int store_checkpoint_truncate(struct store *s);
/* Syncs what recovery found, before anybody may see it. */
int store_checkpoint_start(struct store *s, char *err, size_t errsize);
/* What can be done about the WAL's length while writes are refused. */
void store_checkpoint_probe(struct store *s);

/* ---- store_disk.c ---- */
/* Makes the file if it is not there and notes that in `created`. */
int store_disk_create(struct store *s);
/* Removes the database's files; it is closed. */
void store_disk_remove(const struct store *s);
/* Is there room on its disk? */
bool store_disk_room(const struct store *s);
/* Bytes that are free on its disk; a very high number when that cannot be
 * told. */
uint64_t store_disk_free(const struct store *s);
/* Brings the first frames of the WAL to the disk, also what an earlier sync
 * failed to.  -1 with errno. */
int store_disk_sync_wal(const struct store *s, uint64_t frames);

/* ---- store_backup.c ---- */
/* A restore has begun to change it and was not finished. */
bool store_restoring(const struct store *s);

/* ---- store_index.c ---- */
/*
 * The wal-index grows at the end of a commit, when its frames are synced
 * already and can be neither kept nor taken back.  So it grows here, before
 * a batch, early enough for any usual one; -1 with s->err.
 */
int store_index_room(struct store *s);
/* Frames in the WAL; a very high number when that cannot be told. */
uint64_t store_index_frames(struct store *s);
/* The next checkpoint begins at the start of the WAL. */
void store_index_backfill_again(struct store *s);

#endif
