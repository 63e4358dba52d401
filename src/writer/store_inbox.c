/* SPDX-License-Identifier: MIT */
/*
 * Inboxes: what each user has not acknowledged.  Runs in the writer; whom a
 * notification is for is found out in store_notify.c and store_fanout.c.
 */
#include "../common/notify_text.h"
#include "../common/records_notify.h"
#include "store_int.h"

int
store_inbox_add(struct store *s, struct expansion *x, struct str user)
{
	sqlite3_stmt *st = sql_get(s, SQL_INBOX_INSERT);

	if (st == NULL || x->n >= EXPANSION_MAX)
		return -1;
	sql_bind_u64(st, 1, x->tenant);
	sql_bind_str(st, 2, user);
	sql_bind_u64(st, 3, x->notification);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return 0;
	s->users[x->n] = user;
	s->inbox_ids[x->n] = (uint64_t)sqlite3_last_insert_rowid(s->db);
	x->n++;
	return 0;
}

/* The frame of a notification into s->text.  0, -1 failed. */
static int
inbox_frame(struct store *s, uint64_t notification)
{
	sqlite3_stmt *st = sql_get(s, SQL_NOTIFICATION);
	struct notify_text t;

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, notification);
	if (sql_step(s, st) != 1)
		return -1;
	t.token = sql_column_str(st, 0);
	t.topic = sql_column_str(st, 1);
	t.payload = sql_column_str(st, 2);
	t.created_ms = sqlite3_column_int64(st, 3);
	buf_clear(&s->text);
	notify_text_frame(&s->text, &t);
	(void)sqlite3_reset(st);
	return s->text.failed ? -1 : 0;
}

int
store_inbox_publish(struct store *s, const struct expansion *x,
    struct buf *events)
{
	struct rec_event_notification e = {
		.tenant = x->tenant,
		.nusers = x->n,
		.idlist = s->inbox_ids,
		.list = s->users,
	};
	size_t at;

	if (x->n == 0)
		return 0;
	if (inbox_frame(s, x->notification) == -1)
		return -1;
	e.text = (struct str){ buf_head(&s->text), s->text.len };
	for (uint32_t i = 0; i < x->n; i++)
		s->keys[i] = id_user_key(x->tenant, s->users[i].p,
		    s->users[i].len);
	at = rec_publish_begin(events, s->keys, (uint16_t)x->n);
	(void)rec_event_notification_put(events, &e);
	(void)rec_publish_end(events, at);
	return store_outbox_notification(s, x, events);
}

int
store_notification_settle(struct store *s, uint64_t tenant,
    uint64_t notification)
{
	sqlite3_stmt *st = sql_get(s, SQL_NOTIFICATION_SETTLE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, notification);
	sql_bind_u64(st, 2, tenant);
	return sql_step(s, st) == 0 ? 0 : -1;
}

/* Its internal id.  1 found, 0 not, -1 failed. */
static int
notification_find(struct store *s, const struct rec_op_of_user *op,
    uint64_t *id)
{
	sqlite3_stmt *st = sql_get(s, SQL_NOTIFICATION_BY_TOKEN);
	int rc;

	if (st == NULL)
		return -1;
	sql_bind_str(st, 1, op->subject);
	sql_bind_u64(st, 2, op->h.tenant);
	if ((rc = sql_step(s, st)) != 1)
		return rc;
	*id = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return 1;
}

/*
 * While the notification is still being brought to others, a list further on
 * may name him again: that he has acknowledged it is kept until then.
 */
static int
notification_acked(struct store *s, const struct rec_op_of_user *op,
    uint64_t id)
{
	sqlite3_stmt *st = sql_get(s, SQL_ACKED_INSERT);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, id);
	sql_bind_str(st, 2, op->user);
	sql_bind_u64(st, 3, op->h.tenant);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return 0;
	return store_fanout_note(s, op->h.tenant, id, FANOUT_ACKED, 0,
	    (struct str){ "", 0 });
}

int
store_notification_ack(struct store *s, const struct wire_record *rec,
    struct op_ctx *ctx)
{
	struct rec_op_of_user op;
	int64_t waiting = s->fanouts_change;
	sqlite3_stmt *st;
	uint64_t id = 0;
	int rc;

	if (rec_op_of_user_get(rec, &op) == -1)
		return store_refuse(ctx, OUTCOME_INVALID);
	if ((rc = notification_find(s, &op, &id)) == -1)
		return -1;
	if (rc == 0)
		return store_refuse(ctx, OUTCOME_NOTIFICATION_NOT_FOUND);
	if ((st = sql_get(s, SQL_INBOX_DELETE)) == NULL)
		return -1;
	sql_bind_u64(st, 1, id);
	sql_bind_str(st, 2, op.user);
	if (sql_step(s, st) != 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return store_refuse(ctx, OUTCOME_NOTIFICATION_NOT_FOUND);
	if (notification_acked(s, &op, id) == -1 ||
	    store_dead_of_notification(s, id, op.user) == -1 ||
	    store_notification_settle(s, op.h.tenant, id) == -1) {
		s->fanouts_change = waiting;
		return -1;
	}
	ctx->changed = true;
	return 0;
}
