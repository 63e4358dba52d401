/* SPDX-License-Identifier: MIT */
/*
 * What befalls a room after its creation: another name, deletion, and
 * retention that cuts its log.  Runs in the writer.  Rows that nobody can
 * reach any more are left to store_sweep.c.
 */
#include <string.h>

#include "../common/room_text.h"
#include "store_int.h"

/* Whether the actor may change the room, or delete it: OUTCOME_OK or the
 * refusal; -1 failed. */
static int
room_may_change(struct store *s, const struct room *r, struct str actor,
    bool deletes)
{
	struct member m;
	int rc;

	if (actor.len == 0)
		return OUTCOME_OK;
	if ((rc = store_member_get(s, r->id, actor, &m)) != 1)
		return rc == 0 ? OUTCOME_NOT_MEMBER : -1;
	if (r->type == ROOM_DM)
		return deletes ? OUTCOME_DM_BACKEND_ONLY : OUTCOME_OK;
	return m.role == MEMBER_ADMIN ? OUTCOME_OK : OUTCOME_NOT_ADMIN;
}

/* Puts what s->text holds on the bus, for all who are in the room. */
static void
room_publish(struct store *s, struct op_ctx *ctx, enum record_type type,
    const struct room *r)
{
	struct rec_event_room e = {
		.n = s->n + 1,
		.tenant = r->tenant,
		.room = r->id,
		.text = { buf_head(&s->text), s->text.len },
	};
	uint64_t key = id_room_key(r->id);
	size_t at = rec_publish_begin(ctx->events, &key, 1);

	(void)rec_event_room_put(ctx->events, type, &e);
	(void)rec_publish_end(ctx->events, at);
}

/* A column into v, unless the operation sets it: then whether that is
 * something else. */
static bool
room_text_differs(sqlite3_stmt *st, int i, bool set, struct str *v)
{
	struct str old;

	old.p = (const char *)sqlite3_column_text(st, i);
	old.len = (size_t)sqlite3_column_bytes(st, i);
	if (old.p == NULL)
		old = (struct str){ "", 0 };
	if (!set) {
		*v = old;
		return false;
	}
	return !str_same(old, *v);
}

/*
 * Fills in what the operation leaves as it is and makes the room.updated
 * frame in s->text.  1 when something changes, 0 when nothing, -1 failed.
 */
static int
room_update_text(struct store *s, const struct rec_op_room_update *op,
    const struct room *r, struct room_text *t)
{
	sqlite3_stmt *st = sql_get(s, SQL_ROOM_TEXTS);
	bool differs;
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	if ((rc = sql_step(s, st)) != 1) {
		if (rc == 0)
			s->err = SQLITE_ERROR; /* a head without room */
		return -1;
	}
	*t = (struct room_text){ .token = r->token,
		.type = r->type,
		.name = op->name,
		.metadata = op->metadata,
		.last_seq = r->last_seq };
	differs = room_text_differs(st, 0, op->has_name, &t->name);
	if (room_text_differs(st, 1, op->has_metadata, &t->metadata))
		differs = true;
	t->has_name = op->has_name ? op->name.len > 0 :
				     sqlite3_column_type(st, 0) != SQLITE_NULL;
	(void)room_text_differs(st, 2, false, &t->dm_key);
	t->created_ms = sqlite3_column_int64(st, 3);
	buf_clear(&s->text);
	room_text_frame(&s->text, "room.updated", t);
	(void)sqlite3_reset(st);
	return differs ? 1 : 0;
}

int
store_room_update(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_room_update op;
	struct room_text t;
	struct room *r;
	sqlite3_stmt *st;
	int rc;

	if (rec_op_room_update_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = room_may_change(s, r, op.actor, false)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	if ((rc = room_update_text(s, &op, r, &t)) == -1)
		return -1;
	ctx->reply.room = r->id;
	if (rc == 0) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return 0;
	}
	if ((st = sql_get(s, SQL_ROOM_UPDATE)) == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	sql_bind_u64(st, 2, s->n + 1);
	(void)sqlite3_bind_int(st, 3, op.has_name);
	sql_bind_opt(st, 4, op.name);
	(void)sqlite3_bind_int(st, 5, op.has_metadata);
	sql_bind_opt(st, 6, op.metadata);
	if (sql_step(s, st) != 0)
		return -1;
	ctx->changed = true;
	room_publish(s, ctx, REC_EVENT_ROOM_UPDATED, r);
	return 0;
}

static int
room_delete_row(struct store *s, enum store_sql id, const struct room *r)
{
	sqlite3_stmt *st = sql_get(s, id);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, r->id);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_room_delete(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_room_delete op;
	struct room *r;
	int rc;

	if (rec_op_room_delete_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = store_room_get(s, op.h.tenant, op.room, &r)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	if ((rc = room_may_change(s, r, op.actor, true)) != OUTCOME_OK)
		return rc == -1 ? -1 : store_refuse(ctx, (enum outcome)rc);
	if (room_delete_row(s, SQL_ROOM_DELETE, r) == -1 ||
	    room_delete_row(s, SQL_HEAD_DELETE, r) == -1 ||
	    store_sweep_room(s, r->id) == -1)
		return -1;
	r->deleted = true;
	ctx->changed = true;
	ctx->reply.room = r->id;
	buf_clear(&s->text);
	room_text_gone(&s->text, "room.deleted", r->token);
	room_publish(s, ctx, REC_EVENT_ROOM_DELETED, r);
	return 0;
}

int
store_room_trim(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_room_trim op;
	struct room *r;
	int rc;

	if (rec_op_room_trim_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	/* The operator's: he names rooms of all tenants. */
	if ((rc = store_room_find(s, op.room, &r)) != 1 ||
	    (op.h.tenant != 0 && op.h.tenant != r->tenant))
		return rc == -1 ? -1 :
				  store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND);
	/* One of a deleted tenant may be remembered and yet be gone. */
	if ((rc = store_tenant_check(s, r->tenant)) == -1)
		return -1;
	if (rc == OUTCOME_TENANT_NOT_FOUND)
		return store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND);
	if (op.first_seq > r->last_seq + 1)
		op.first_seq = r->last_seq + 1;
	ctx->reply.room = r->id;
	ctx->reply.seq = r->first_seq;
	if (op.first_seq <= r->first_seq) {
		ctx->reply.outcome = OUTCOME_REPEATED;
		return 0;
	}
	if (store_sweep_below(s, r->id, op.first_seq) == -1)
		return -1;
	r->first_seq = op.first_seq;
	store_room_dirty(s, r);
	ctx->changed = true;
	ctx->reply.seq = r->first_seq;
	return 0;
}
