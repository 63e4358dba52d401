/* SPDX-License-Identifier: MIT */
/*
 * Members: who is in a room, who may add and remove, and how far each has
 * read.  Runs in the writer.  Refusals come in the contract's order: room,
 * membership and role, the member named, the room's state.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "../common/utf8.h"
#include "store_int.h"

/* Cursors and presence are announced in rooms of at most this many. */
#define ROOM_SMALL 100

static struct member_slot *
member_slot(struct store *s, uint64_t room, struct str user)
{
	uint64_t h = room * UINT64_C(0x9e3779b97f4a7c15) ^ user.len;

	if (user.len > sizeof(s->members->user))
		return NULL;
	if (s->members == NULL)
		s->members = mem_alloc(MEMBER_CACHE_SLOTS *
		    sizeof(struct member_slot));
	for (size_t i = 0; i < user.len; i++)
		h = (h ^ (uint8_t)user.p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	return &s->members[h % MEMBER_CACHE_SLOTS];
}

void
store_member_forget(struct store *s, uint64_t room, struct str user)
{
	struct member_slot *slot = member_slot(s, room, user);

	if (slot != NULL)
		slot->room = 0;
}

void
store_members_reset(struct store *s)
{
	free(s->members);
	s->members = NULL;
}

int
store_member_get(struct store *s, uint64_t room, struct str user,
    struct member *m)
{
	sqlite3_stmt *st = sql_get(s, SQL_MEMBER);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, room);
	sql_bind_str(st, 2, user);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	m->role = (uint8_t)sqlite3_column_int(st, 0);
	m->last_ack = (uint64_t)sqlite3_column_int64(st, 1);
	(void)sqlite3_reset(st);
	return 1;
}

int
store_member_is(struct store *s, uint64_t room, struct str user)
{
	struct member_slot *slot = member_slot(s, room, user);
	struct member m;
	int rc;

	if (slot != NULL && slot->room == room && slot->len == user.len &&
	    memcmp(slot->user, user.p, user.len) == 0)
		return 1;
	rc = store_member_get(s, room, user, &m);
	if (rc == 1 && slot != NULL) {
		slot->room = room;
		slot->len = (uint8_t)user.len;
		memcpy(slot->user, user.p, user.len);
	}
	return rc;
}

int
store_member_insert(struct store *s, const struct room *r, struct str user,
    uint8_t role, uint64_t last_ack)
{
	sqlite3_stmt *st = sql_get(s, SQL_MEMBER_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, user);
	sql_bind_u64(st, 3, r->tenant);
	(void)sqlite3_bind_int(st, 4, role);
	(void)sqlite3_bind_int64(st, 5, s->ms);
	sql_bind_u64(st, 6, last_ack);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return 0;
	return store_user_add(s, r->tenant, user) == -1 ? -1 : 1;
}

void
store_member_event(struct store *s, struct op_ctx *ctx, enum record_type type,
    const struct room *r, uint64_t head, uint32_t nusers)
{
	struct rec_event_members e = {
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.head = head,
		.members = r->members,
		.nusers = nusers,
		.list = s->users,
	};
	uint16_t nkeys = 0;
	size_t at;

	if (nusers == 0)
		return;
	memcpy(e.token, r->token, sizeof(e.token));
	for (uint32_t i = 0; i < nusers; i++)
		s->keys[nkeys++] = id_user_key(r->tenant, s->users[i].p,
		    s->users[i].len);
	/* Also when this has made it large: others are to stop. */
	if (r->members - (type == REC_EVENT_JOINED ? nusers : 0) <= ROOM_SMALL)
		s->keys[nkeys++] = id_room_key(r->id);
	at = rec_publish_begin(ctx->events, s->keys, nkeys);
	(void)rec_event_members_put(ctx->events, type, &e);
	(void)rec_publish_end(ctx->events, at);
}

int
store_ack(struct store *s, const struct wire_record *rec, struct op_ctx *ctx)
{
	struct rec_op_ack op;
	struct rec_event_acked e;
	struct member m;
	struct room *r;
	sqlite3_stmt *st;
	uint64_t key;
	size_t at;
	int rc;

	if (rec_op_ack_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = store_member_get(s, r->id, op.user, &m)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_NOT_MEMBER) : -1;
	if (op.seq > r->last_seq)
		op.seq = r->last_seq;
	ctx->reply.room = r->id;
	ctx->reply.seq = m.last_ack;
	if (op.seq <= m.last_ack)
		return 0;
	if ((st = sql_get(s, SQL_MEMBER_ACK)) == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, op.user);
	sql_bind_u64(st, 3, op.seq);
	if (sql_step(s, st) != 0)
		return -1;
	ctx->changed = true;
	ctx->reply.seq = op.seq;
	if (r->members > ROOM_SMALL)
		return 0;
	e = (struct rec_event_acked){
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.seq = op.seq,
		.incarnation = ctx->incarnation,
		.conn = op.conn,
		.user = op.user,
	};
	key = id_room_key(r->id);
	at = rec_publish_begin(ctx->events, &key, 1);
	(void)rec_event_acked_put(ctx->events, &e);
	(void)rec_publish_end(ctx->events, at);
	return 0;
}

/* Reads the users to add into s->users; -1 when one is no user id. */
static int
members_named(struct store *s, const struct rec_op_members_add *op)
{
	size_t at = 0;
	uint32_t n = 0;

	if (op->nusers == 0 || op->nusers > EVENT_USERS_MAX)
		return -1;
	while (n < op->nusers &&
	    rec_op_members_add_next(op, &at, &s->users[n])) {
		if (!utf8_user_id_valid(s->users[n].p, s->users[n].len))
			return -1;
		n++;
	}
	return n == op->nusers ? 0 : -1;
}

/* Whether the actor may add these: OUTCOME_OK or the refusal; -1 failed. */
static int
members_may_add(struct store *s, const struct room *r,
    const struct rec_op_members_add *op)
{
	struct member actor;
	bool joins;
	int rc;

	if (op->actor.len == 0)
		return r->type == ROOM_DM ? OUTCOME_DM_FIXED : OUTCOME_OK;
	if ((rc = store_member_get(s, r->id, op->actor, &actor)) == -1)
		return -1;
	if (r->type == ROOM_DM)
		return rc == 0 ? OUTCOME_NOT_MEMBER : OUTCOME_DM_FIXED;
	if (rc == 1 && actor.role == MEMBER_ADMIN)
		return OUTCOME_OK;
	joins = r->type == ROOM_CHANNEL && op->nusers == 1 &&
	    str_same(s->users[0], op->actor);
	if (joins && op->role != MEMBER_ADMIN)
		return OUTCOME_OK;
	return rc == 1 || joins ? OUTCOME_NOT_ADMIN : OUTCOME_NOT_MEMBER;
}

/* An existing member: sets the role if one was given.  1 when it changed,
 * 0, or -1. */
static int
member_set_role(struct store *s, const struct room *r, struct str user,
    uint8_t role)
{
	struct member m;
	sqlite3_stmt *st;
	int rc;

	if (role == MEMBER_UNCHANGED)
		return 0;
	if ((rc = store_member_get(s, r->id, user, &m)) != 1)
		return rc;
	if (m.role == role)
		return 0;
	if ((st = sql_get(s, SQL_MEMBER_ROLE)) == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, user);
	(void)sqlite3_bind_int(st, 3, role);
	return sql_step(s, st) == 0 ? 1 : -1;
}

int
store_members_add(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_members_add op;
	struct room *r;
	uint32_t joined = 0;
	int rc;

	if (rec_op_members_add_get(rec, &op) == -1 ||
	    op.role > MEMBER_UNCHANGED || members_named(s, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = members_may_add(s, r, &op)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	for (uint32_t i = 0; i < op.nusers; i++) {
		rc = store_member_insert(s, r, s->users[i],
		    op.role == MEMBER_ADMIN ? MEMBER_ADMIN : MEMBER_PLAIN,
		    r->last_seq);
		if (rc == 1) {
			/* Those who are new move to the front: the event
			 * names only them. */
			s->users[joined++] = s->users[i];
		} else if (rc == 0) {
			rc = member_set_role(s, r, s->users[i], op.role);
			if (rc == 1)
				ctx->changed = true;
		}
		if (rc == -1)
			return -1;
	}
	ctx->reply.room = r->id;
	if (joined == 0)
		return 0;
	ctx->changed = true;
	r->members += joined;
	store_room_dirty(s, r);
	store_member_event(s, ctx, REC_EVENT_JOINED, r, r->last_seq, joined);
	return 0;
}

/* Whether the actor may remove him: OUTCOME_OK or the refusal; -1 failed. */
static int
member_may_remove(struct store *s, const struct room *r,
    const struct rec_op_member_remove *op)
{
	struct member m;
	int rc;

	if (op->actor.len > 0) {
		if ((rc = store_member_get(s, r->id, op->actor, &m)) != 1)
			return rc == 0 ? OUTCOME_NOT_MEMBER : -1;
		if (r->type != ROOM_DM && m.role != MEMBER_ADMIN &&
		    !str_same(op->actor, op->user))
			return OUTCOME_NOT_ADMIN;
	}
	if ((rc = store_member_get(s, r->id, op->user, &m)) != 1)
		return rc == 0 ? OUTCOME_MEMBER_NOT_FOUND : -1;
	return r->type == ROOM_DM ? OUTCOME_DM_FIXED : OUTCOME_OK;
}

int
store_member_remove(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_member_remove op;
	struct room *r;
	sqlite3_stmt *st;
	int rc;

	if (rec_op_member_remove_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = member_may_remove(s, r, &op)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	if ((st = sql_get(s, SQL_MEMBER_DELETE)) == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_str(st, 2, op.user);
	if (sql_step(s, st) != 0)
		return -1;
	store_member_forget(s, r->id, op.user);
	ctx->changed = true;
	ctx->reply.room = r->id;
	if (r->members > 0)
		r->members--;
	store_room_dirty(s, r);
	s->users[0] = op.user;
	store_member_event(s, ctx, REC_EVENT_LEFT, r, r->last_seq, 1);
	return 0;
}
