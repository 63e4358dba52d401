/* SPDX-License-Identifier: MIT */
/*
 * What there is of one person goes, in pieces: his messages become
 * tombstones under a pseudonym, his memberships end.  Runs in the writer
 * between batches; each piece is a transaction that also moves the place
 * where the next one goes on, and announces what it did.
 */
#include <sodium.h>
#include <stdio.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/message.h"
#include "../common/utf8.h"
#include "store_tenant.h"

/* A piece ends after this long; its commit comes on top. */
#define PIECE_NS (2U * 1000 * 1000)
/* Seqs between two looks at the clock. */
#define CHUNK_SEQS 64
#define CHUNK_ROWS 16
#define PSEUDONYM_SIZE 32

struct erasure {
	uint64_t id;
	uint64_t tenant;
	uint64_t room; /* those before it are done */
	uint64_t seq;  /* and its messages up to this one */
	size_t len;
	char user[USER_ID_MAX];
	char pseudonym[PSEUDONYM_SIZE];
	struct erasure_found found;
};

/* One of his messages. */
struct erased {
	uint64_t seq;
	int64_t created_ms;
	bool deleted; /* a tombstone already */
};

static struct str
erasure_user(const struct erasure *e)
{
	return (struct str){ e->user, e->len };
}

static struct str
erasure_pseudonym(const struct erasure *e)
{
	return (struct str){ e->pseudonym, strlen(e->pseudonym) };
}

int
store_erase_start(struct store *s)
{
	int64_t n;

	if (sql_int(s, "SELECT count(*) FROM erasure", &n) == -1)
		return -1;
	s->erasing = n > 0;
	if (s->erasing)
		log_info("erasure goes on", "users=%lld", (long long)n);
	return 0;
}

bool
store_erase_pending(const struct store *s)
{
	return s->erasing;
}

/* ---- operations ---- */

/* The erasure under way of that user.  1 found, 0 not, -1 failed. */
static int
erasure_find(struct store *s, uint64_t tenant, struct str user, uint64_t *room)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASURE_FIND);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	sql_bind_str(st, 2, user);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*room = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 1;
}

static int
erasure_insert(struct store *s, uint64_t tenant, struct str user)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASURE_INSERT);
	char pseudonym[PSEUDONYM_SIZE], hex[17];
	uint8_t random[8];

	if (st == NULL)
		return -1;
	randombytes_buf(random, sizeof(random));
	(void)sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	(void)snprintf(pseudonym, sizeof(pseudonym), "erased-%s", hex);
	sql_bind_u64(st, 1, tenant);
	sql_bind_str(st, 2, user);
	sql_bind_str(st, 3, (struct str){ pseudonym, strlen(pseudonym) });
	return sql_step(s, st) == 0 ? 0 : -1;
}

/* The tenant that the operation names.  1 found, 0 not, -1 failed. */
static int
erasure_tenant(struct store *s, struct str token, uint64_t *tenant)
{
	sqlite3_stmt *st = sql_get(s, SQL_TENANT_BY_PUBLIC_ID);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_str(st, 1, token);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*tenant = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 1;
}

static void
user_hash(uint8_t hash[16], struct str user)
{
	(void)crypto_generichash(hash, 16, (const uint8_t *)user.p, user.len,
	    NULL, 0);
}

/* What was found, if this process saw it come to its end. */
static int
erase_tell_found(struct store *s, struct op_ctx *ctx, uint64_t tenant,
    struct str user)
{
	const struct erased_user *last = &s->erased;
	const struct erasure_found *f = &last->found;
	uint8_t hash[sizeof(last->user)];

	user_hash(hash, user);
	if (last->tenant != tenant ||
	    memcmp(hash, last->user, sizeof(hash)) != 0)
		return 0;
	buf_clear(&s->text);
	(void)buf_addf(&s->text,
	    "{\"messages\":%llu,\"memberships\":%llu,\"others\":%llu}",
	    (unsigned long long)f->messages, (unsigned long long)f->memberships,
	    (unsigned long long)f->others);
	return store_reply_text(s, ctx);
}

/* Begins it, or says how far it is. */
static int
erase_op(struct store *s, const struct wire_record *rec, struct op_ctx *ctx,
    bool begins)
{
	struct rec_op_admin op;
	uint64_t tenant = 0, room = 0;
	int64_t rooms;
	int rc;

	if (rec_op_admin_get(rec, &op) == -1 ||
	    !utf8_user_id_valid(op.b.p, op.b.len))
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = erasure_tenant(s, op.a, &tenant)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_TENANT_NOT_FOUND) :
				 -1;
	if ((rc = erasure_find(s, tenant, op.b, &room)) == -1 ||
	    sql_int(s, "SELECT ifnull(max(id), 0) FROM room", &rooms) == -1)
		return -1;
	ctx->reply.room = (uint64_t)rooms;
	ctx->reply.seq = room;
	ctx->reply.ms = rc == 0 && !begins;
	if (rc == 0 && !begins)
		return erase_tell_found(s, ctx, tenant, op.b);
	if (rc == 1)
		return 0;
	if (erasure_insert(s, tenant, op.b) == -1)
		return -1;
	/* Also when the batch is rolled back: a look will tell. */
	s->erasing = true;
	ctx->changed = true;
	return 0;
}

int
store_user_erase(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	return erase_op(s, rec, ctx, true);
}

int
store_user_erasing(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	return erase_op(s, rec, ctx, false);
}

/* ---- messages ---- */

static void
erase_tell(struct store *s, struct buf *events, struct room *r,
    const struct erased *m)
{
	struct message text = {
		.room_token = r->token,
		.seq = m->seq,
		.rev = r->rev,
		.created_ms = m->created_ms,
		.deleted_ms = s->ms,
		.sender = "",
		.content = "",
	};
	struct rec_event_change e = {
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.seq = m->seq,
		.rev = r->rev,
	};
	uint64_t key = id_room_key(r->id);
	size_t at;

	buf_clear(&s->text);
	message_json(&s->text, &text, MESSAGE_CHANGE);
	e.text = (struct str){ buf_head(&s->text), s->text.len };
	at = rec_publish_begin(events, &key, 1);
	(void)rec_event_change_put(events, &e);
	(void)rec_publish_end(events, at);
}

/* Nothing of it stays but that it was there. */
static int
erase_message(struct store *s, struct erasure *e, struct room *r,
    const struct erased *m, struct buf *events)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASE_MESSAGE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, m->seq);
	sql_bind_str(st, 3, erasure_pseudonym(e));
	sql_bind_u64(st, 4, r->rev + 1);
	(void)sqlite3_bind_int64(st, 5, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	if (m->deleted)
		return 0;
	e->found.messages++;
	if (store_dead_of_message(s, r->id, m->seq) == -1)
		return -1;
	r->rev++;
	store_room_dirty(s, r);
	erase_tell(s, events, r, m);
	return 0;
}

/* The next seqs of the room.  0, -1. */
static int
erase_chunk(struct store *s, struct erasure *e, struct room *r,
    struct buf *events)
{
	struct erased found[CHUNK_SEQS];
	sqlite3_stmt *st = sql_get(s, SQL_ERASE_FIND);
	unsigned n = 0;
	int rc;

	if (st == NULL)
		return -1;
	if (e->seq + 1 < r->first_seq)
		e->seq = r->first_seq - 1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, e->seq);
	sql_bind_u64(st, 3, e->seq + CHUNK_SEQS);
	sql_bind_str(st, 4, erasure_user(e));
	while ((rc = sql_step(s, st)) == 1 && n < CHUNK_SEQS) {
		found[n].seq = (uint64_t)sqlite3_column_int64(st, 0);
		found[n].created_ms = sqlite3_column_int64(st, 1);
		found[n++].deleted = sqlite3_column_type(st, 2) != SQLITE_NULL;
	}
	(void)sqlite3_reset(st);
	if (rc == -1)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (erase_message(s, e, r, &found[i], events) == -1)
			return -1;
	e->seq += CHUNK_SEQS;
	return 0;
}

/* ---- membership ---- */

/* The dm's key with the pseudonym in his place. */
static int
erase_dm_key(struct store *s, const struct erasure *e, const struct room *r)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASE_DM_PEER);
	struct str pseudonym = erasure_pseudonym(e), peer;
	char key[ID_DM_KEY_SIZE];
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, pseudonym);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	peer = sql_column_str(st, 0);
	if (peer.len <= USER_ID_MAX)
		id_dm_key(key, pseudonym.p, pseudonym.len, peer.p, peer.len);
	rc = peer.len <= USER_ID_MAX ? 0 : -1;
	(void)sqlite3_reset(st);
	if (rc == -1 || (st = sql_get(s, SQL_ERASE_DM_KEY)) == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, (struct str){ key, strlen(key) });
	sql_bind_u64(st, 3, s->n + 1);
	return sql_step(s, st) == 0 ? 0 : -1;
}

/* Ends it; in a dm, which has two members for good, the pseudonym takes his
 * place. */
static int
erase_member(struct store *s, struct erasure *e, struct room *r,
    struct buf *events)
{
	struct op_ctx ctx = { .events = events };
	bool dm = r->type == ROOM_DM;
	struct member m;
	sqlite3_stmt *st;
	int rc = store_member_get(s, r->id, erasure_user(e), &m);

	if (rc != 1)
		return rc;
	if ((st = sql_get(s, dm ? SQL_ERASE_MEMBER : SQL_MEMBER_DELETE)) ==
	    NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, erasure_user(e));
	if (dm)
		sql_bind_str(st, 3, erasure_pseudonym(e));
	if (sql_step(s, st) != 0)
		return -1;
	store_member_forget(s, r->id, erasure_user(e));
	e->found.memberships++;
	if (r->members > 0)
		r->members--;
	store_room_dirty(s, r);
	s->users[0] = erasure_user(e);
	store_member_event(s, &ctx, REC_EVENT_LEFT, r, r->last_seq, 1);
	if (!dm)
		return 0;
	r->members++;
	s->users[0] = erasure_pseudonym(e);
	store_member_event(s, &ctx, REC_EVENT_JOINED, r, r->last_seq, 1);
	return erase_dm_key(s, e, r);
}

/* ---- the rest of him ---- */

/* 1 all of that kind is gone, 0 there is more, -1. */
static int
erase_rows(struct store *s, struct erasure *e, enum store_sql which,
    uint64_t until)
{
	sqlite3_stmt *st = sql_get(s, which);

	if (st == NULL)
		return -1;
	do {
		sql_bind_u64(st, 1, e->tenant);
		sql_bind_str(st, 2, erasure_user(e));
		(void)sqlite3_bind_int(st, 3, CHUNK_ROWS);
		if (sql_step(s, st) != 0)
			return -1;
		e->found.others += (uint64_t)sqlite3_changes(s->db);
		if (sqlite3_changes(s->db) < CHUNK_ROWS)
			return 1;
	} while (clock_mono_ns() < until);
	return 0;
}

static int
erase_done(struct store *s, const struct erasure *e)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASURE_DELETE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, e->id);
	if (sql_step(s, st) != 0)
		return -1;
	s->erased.found = e->found;
	s->erased.tenant = e->tenant;
	user_hash(s->erased.user, erasure_user(e));
	log_info("user erased",
	    "tenant=%llu pseudonym=%s messages=%llu memberships=%llu "
	    "others=%llu",
	    (unsigned long long)e->tenant, e->pseudonym,
	    (unsigned long long)e->found.messages,
	    (unsigned long long)e->found.memberships,
	    (unsigned long long)e->found.others);
	return 0;
}

static int
erase_rest(struct store *s, struct erasure *e, uint64_t until)
{
	static const enum store_sql which[] = { SQL_ERASE_TOKENS,
		SQL_ERASE_SUBSCRIPTIONS, SQL_ERASE_FANOUT_PLACE,
		SQL_ERASE_OUTBOX_PLACE, SQL_ERASE_DELIVERIES, SQL_ERASE_INBOX,
		SQL_ERASE_ACKED, SQL_ERASE_NOTIFICATIONS, SQL_ERASE_USER };
	int rc = store_fanout_erase(s, e->tenant, erasure_user(e), until);

	if (rc != 1)
		return rc;
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		if ((rc = erase_rows(s, e, which[i], until)) != 1)
			return rc;
	return erase_done(s, e);
}

/* ---- one piece ---- */

/* The tenant's next room.  1, 0 there is none, -1. */
static int
erase_room(struct store *s, struct erasure *e, struct room **r)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASE_ROOM);
	char token[ID_TOKEN_SIZE];
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, e->tenant);
	sql_bind_u64(st, 2, e->room);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	sql_column_token(st, 0, token);
	/* The one that was under way may have been deleted. */
	if ((uint64_t)sqlite3_column_int64(st, 1) != e->room)
		e->seq = 0;
	e->room = (uint64_t)sqlite3_column_int64(st, 1);
	(void)sqlite3_reset(st);
	rc = store_room_find(s, (struct str){ token, strlen(token) }, r);
	/* It has a head, or the row would not be there. */
	return rc == 1 ? 1 : -1;
}

static int
erase_move(struct store *s, const struct erasure *e)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASURE_MOVE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, e->id);
	sql_bind_u64(st, 2, e->room);
	sql_bind_u64(st, 3, e->seq);
	sql_bind_u64(st, 4, e->found.messages);
	sql_bind_u64(st, 5, e->found.memberships);
	sql_bind_u64(st, 6, e->found.others);
	return sql_step(s, st) == 0 ? 0 : -1;
}

static int
erase_piece(struct store *s, struct erasure *e, struct buf *events)
{
	uint64_t until = clock_mono_ns() + PIECE_NS;
	struct room *r;
	int rc;

	do {
		if ((rc = erase_room(s, e, &r)) == 0)
			return erase_rest(s, e, until) == -1 ? -1 :
							       erase_move(s, e);
		if (rc == -1)
			return -1;
		if (e->seq >= r->last_seq) {
			if (erase_member(s, e, r, events) == -1)
				return -1;
			e->room = r->id + 1;
			e->seq = 0;
		} else if (erase_chunk(s, e, r, events) == -1)
			return -1;
	} while (clock_mono_ns() < until);
	return erase_move(s, e);
}

/* The first erasure.  1, 0 there is none, -1. */
static int
erase_next(struct store *s, struct erasure *e)
{
	sqlite3_stmt *st = sql_get(s, SQL_ERASURE_NEXT);
	struct str user, pseudonym;
	int rc;

	if (st == NULL)
		return -1;
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	e->id = (uint64_t)sqlite3_column_int64(st, 0);
	e->tenant = (uint64_t)sqlite3_column_int64(st, 1);
	user = sql_column_str(st, 2);
	pseudonym = sql_column_str(st, 3);
	e->room = (uint64_t)sqlite3_column_int64(st, 4);
	e->seq = (uint64_t)sqlite3_column_int64(st, 5);
	e->found.messages = (uint64_t)sqlite3_column_int64(st, 6);
	e->found.memberships = (uint64_t)sqlite3_column_int64(st, 7);
	e->found.others = (uint64_t)sqlite3_column_int64(st, 8);
	e->len = user.len <= USER_ID_MAX ? user.len : USER_ID_MAX;
	memcpy(e->user, user.p, e->len);
	(void)snprintf(e->pseudonym, sizeof(e->pseudonym), "%.*s",
	    (int)pseudonym.len, pseudonym.p);
	(void)sqlite3_reset(st);
	return 1;
}

void
store_overwrite(struct store *s, bool pages)
{
	(void)sql_exec(s,
	    pages ? "PRAGMA secure_delete = ON" :
		    "PRAGMA secure_delete = FAST");
}

/* Nobody is left.  What the log still shows of them goes, too: at once, or
 * when the readers let it. */
static enum store_result
erase_end(struct store *s)
{
	store_rollback(s);
	if (store_checkpoint_truncate(s) == -1)
		return STORE_REFUSED;
	s->erasing = false;
	return STORE_OK;
}

enum store_result
store_erase(struct store *s, struct buf *events)
{
	struct erasure e = { 0 };
	enum store_result result;
	int rc;

	if (!s->erasing)
		return STORE_OK;
	/* What is erased is to be gone from its pages, too. */
	store_overwrite(s, true);
	if ((result = store_begin(s)) == STORE_OK) {
		if ((rc = erase_next(s, &e)) == 1)
			rc = erase_piece(s, &e, events);
		else if (rc == 0) {
			result = erase_end(s);
			goto out;
		}
		if (rc == -1) {
			store_rollback(s);
			result = STORE_REFUSED;
		} else {
			s->changed = true;
			result = store_commit(s);
		}
	}
out:
	store_overwrite(s, false);
	return result;
}
