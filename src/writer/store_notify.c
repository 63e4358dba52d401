/* SPDX-License-Identifier: MIT */
/*
 * Taking a notification: it is stored with all that is needed to reach those
 * whom it is for, and answered.  A few users who are named get it in the same
 * transaction, all others in pieces (store_fanout.c).  Runs in the writer.
 */
#include "../common/ids.h"
#include "../common/records_notify.h"
#include "../common/utf8.h"
#include "store_int.h"

/* More users than this are not held up for: 10 us each. */
#define INLINE_USERS 100

/* Reads the users named into s->users; -1 when one is no user id. */
static int
notify_named(struct store *s, const struct rec_op_notify *op)
{
	size_t at = 0;
	uint32_t n = 0;

	while (n < op->nusers && rec_op_notify_next(op, &at, &s->users[n])) {
		if (!utf8_user_id_valid(s->users[n].p, s->users[n].len))
			return -1;
		n++;
	}
	return n == op->nusers ? 0 : -1;
}

static int
notify_insert(struct store *s, const struct rec_op_notify *op,
    const char *token, uint64_t *id)
{
	sqlite3_stmt *st = sql_get(s, SQL_NOTIFICATION_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_str(st, 1, (struct str){ token, ID_TOKEN_LEN });
	sql_bind_u64(st, 2, op->h.tenant);
	sql_bind_str(st, 3, op->topic);
	sql_bind_str(st, 4, op->payload);
	(void)sqlite3_bind_int64(st, 5, s->ms);
	if (sql_step(s, st) != 0)
		return -1;
	*id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return 0;
}

/* The users named, as a list that lasts. */
static int
notify_list(struct store *s, const struct rec_op_notify *op, uint64_t id)
{
	buf_clear(&s->text);
	for (uint32_t i = 0; i < op->nusers; i++)
		wire_put_str(&s->text, s->users[i].p, s->users[i].len);
	return store_fanout_note(s, op->h.tenant, id, FANOUT_USERS, 0,
	    (struct str){ buf_head(&s->text), s->text.len });
}

/* Notes whom it is for; adds the few who get it at once to x. */
static int
notify_targets(struct store *s, const struct rec_op_notify *op,
    const struct room *room, struct expansion *x)
{
	struct str none = { "", 0 };

	if (op->nusers > INLINE_USERS) {
		if (notify_list(s, op, x->notification) == -1)
			return -1;
	} else {
		/* Those who get it move to the front. */
		for (uint32_t i = 0; i < op->nusers; i++)
			if (store_inbox_add(s, x, s->users[i]) == -1)
				return -1;
	}
	if (room != NULL &&
	    store_fanout_note(s, x->tenant, x->notification, FANOUT_ROOM,
		room->id, none) == -1)
		return -1;
	if ((op->targets & NOTIFY_TOPIC) != 0 &&
	    store_fanout_note(s, x->tenant, x->notification, FANOUT_TOPIC, 0,
		none) == -1)
		return -1;
	if ((op->targets & NOTIFY_ALL) != 0 &&
	    store_fanout_note(s, x->tenant, x->notification, FANOUT_ALL, 0,
		none) == -1)
		return -1;
	/* It may be for nobody. */
	return store_notification_settle(s, x->tenant, x->notification);
}

int
store_notify(struct store *s, const struct wire_record *rec, struct op_ctx *ctx)
{
	struct rec_op_notify op;
	struct expansion x = { 0 };
	struct room *room = NULL;
	char token[ID_TOKEN_SIZE];
	int64_t waiting = s->fanouts_change;
	int rc;

	if (rec_op_notify_get(rec, &op) == -1 ||
	    !utf8_user_id_valid(op.topic.p, op.topic.len) ||
	    notify_named(s, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((op.targets & NOTIFY_ROOM) != 0 &&
	    (rc = store_room_get(s, op.h.tenant, op.room, &room)) != 1)
		return rc == 0 ? store_refuse(ctx, OUTCOME_ROOM_NOT_FOUND) : -1;
	id_token_new(token, s->ms);
	x.tenant = op.h.tenant;
	if (notify_insert(s, &op, token, &x.notification) == -1 ||
	    notify_targets(s, &op, room, &x) == -1 ||
	    store_inbox_publish(s, &x, ctx->events) == -1) {
		s->fanouts_change = waiting;
		return -1;
	}
	s->notifications++;
	ctx->changed = true;
	buf_clear(&s->text);
	(void)buf_add(&s->text, token, ID_TOKEN_LEN);
	ctx->reply.ms = (uint64_t)s->ms;
	ctx->reply.text = (struct str){ buf_head(&s->text), s->text.len };
	return 0;
}
