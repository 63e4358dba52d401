/* SPDX-License-Identifier: MIT */
/*
 * The courier's read-only connection.  Never writes and never checkpoints,
 * and leaves no transaction open when it goes back to the loop.
 */
#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/mem.h"
#include "view_int.h"

#define BUSY_MS_MAX 500

static const char *const sql[VIEW_SQL_LAST] = {
	[VIEW_TENANT] = "SELECT public_id, disabled, webhook_url, "
			"webhook_secret FROM tenant WHERE id = ?1 "
			"AND deleted_ms IS NULL",
	[VIEW_NEXT_OUTBOX_TENANT] =
	    "SELECT tenant FROM outbox INDEXED BY outbox_tenant "
	    "WHERE tenant > ?1 ORDER BY tenant LIMIT 1",
	[VIEW_NEXT_DUE_TENANT] =
	    "SELECT tenant FROM delivery INDEXED BY delivery_due "
	    "WHERE tenant > ?1 AND state = 0 ORDER BY tenant LIMIT 1",
	[VIEW_NEXT_RETENTION] =
	    "SELECT id, retention_days FROM tenant INDEXED BY tenant_retention "
	    "WHERE id > ?1 AND retention_days IS NOT NULL "
	    "AND deleted_ms IS NULL ORDER BY id LIMIT 1",
	[VIEW_OUTBOX] = "SELECT id, kind, room, seq, after_user FROM outbox "
			"INDEXED BY outbox_tenant "
			"WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT 1",
	/* A clock that was put back must hide nothing: last_ack counts too. */
	[VIEW_MEMBERS] = "SELECT user FROM member WHERE room = ?1 "
			 "AND user > ?2 AND NOT (last_ack >= ?4 "
			 "AND joined_ms > (SELECT created_ms FROM message "
			 "WHERE room = ?1 AND seq = ?4)) "
			 "ORDER BY user LIMIT ?3",
	[VIEW_INBOX] = "SELECT id, user FROM inbox WHERE id > ?2 "
		       "AND id <= ?3 AND +notification = ?1 "
		       "ORDER BY id LIMIT ?4",
	[VIEW_NOTIFICATION] =
	    "SELECT n.token, n.topic, n.payload, n.created_ms "
	    "FROM notification n CROSS JOIN inbox i "
	    "INDEXED BY inbox_notification "
	    "ON i.notification = n.id AND i.user = ?3 "
	    "WHERE n.id = ?2 AND n.tenant = ?1",
	[VIEW_DUE] = "SELECT id, kind, token, room, seq, decided, attempts, "
		     "recipient FROM delivery INDEXED BY delivery_due "
		     "WHERE tenant = ?1 AND state = 0 AND next_ms <= ?2 "
		     "ORDER BY next_ms LIMIT ?3",
	[VIEW_NEXT_DUE] = "SELECT next_ms FROM delivery "
			  "INDEXED BY delivery_due WHERE tenant = ?1 "
			  "AND state = 0 AND next_ms > ?2 "
			  "ORDER BY next_ms LIMIT 1",
	[VIEW_MESSAGE] =
	    "SELECT r.token, r.metadata, m.seq, m.sender, m.content, m.meta, "
	    "m.created_ms, m.rev, m.edited_ms "
	    "FROM room r CROSS JOIN room_head h ON h.room = r.id "
	    "CROSS JOIN message m ON m.room = r.id AND m.seq = ?3 "
	    "CROSS JOIN member p ON p.room = r.id AND p.user = ?4 "
	    "WHERE r.id = ?2 AND r.tenant = ?1 AND h.first_seq <= ?3 "
	    "AND m.deleted_ms IS NULL "
	    "AND NOT (p.last_ack >= ?3 AND p.joined_ms > m.created_ms)",
	[VIEW_SENDER] = "SELECT m.sender "
			"FROM room r CROSS JOIN room_head h ON h.room = r.id "
			"CROSS JOIN message m ON m.room = r.id AND m.seq = ?3 "
			"WHERE r.id = ?2 AND r.tenant = ?1 "
			"AND h.first_seq <= ?3 AND m.deleted_ms IS NULL",
	[VIEW_COUNT_PENDING] =
	    "SELECT count(*) FROM (SELECT 1 FROM delivery "
	    "INDEXED BY delivery_due WHERE state = 0 LIMIT ?1)",
	[VIEW_COUNT_DEAD] = "SELECT count(*) FROM (SELECT 1 FROM delivery "
			    "INDEXED BY delivery_dead WHERE state = 1 "
			    "LIMIT ?1)",
	[VIEW_NEXT_ROOM] =
	    "SELECT r.id, r.token, h.first_seq, h.last_seq "
	    "FROM room r INDEXED BY room_tenant "
	    "CROSS JOIN room_head h ON h.room = r.id "
	    "WHERE r.tenant = ?1 AND r.id > ?2 ORDER BY r.id LIMIT 1",
	[VIEW_CREATED] = "SELECT created_ms FROM message "
			 "WHERE room = ?1 AND seq = ?2",
};

static void
view_log(struct view *v, const char *what)
{
	log_error(what, "err=%d text=\"%s\"", sqlite3_extended_errcode(v->db),
	    sqlite3_errmsg(v->db));
}

struct view *
view_open(const char *path, uint32_t busy_timeout_ms)
{
	struct view *v = mem_alloc(sizeof(*v));

	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_open_v2(path, &v->db,
		SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(v->db,
		busy_timeout_ms < BUSY_MS_MAX ? (int)busy_timeout_ms :
						BUSY_MS_MAX) != SQLITE_OK ||
	    sqlite3_exec(v->db, "PRAGMA query_only = 1", NULL, NULL, NULL) !=
		SQLITE_OK) {
		if (v->db != NULL)
			view_log(v, "cannot open the database");
		view_close(v);
		return NULL;
	}
	(void)sqlite3_db_config(v->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(v->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_wal_autocheckpoint(v->db, 0);
	return v;
}

void
view_close(struct view *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < VIEW_SQL_LAST; i++)
		(void)sqlite3_finalize(v->statements[i]);
	(void)sqlite3_close(v->db);
	free(v);
}

sqlite3_stmt *
view_statement(struct view *v, enum view_sql which)
{
	sqlite3_stmt **s = &v->statements[which];

	if (*s == NULL &&
	    sqlite3_prepare_v3(v->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
		s, NULL) != SQLITE_OK) {
		view_log(v, "cannot prepare a query");
		*s = NULL;
	}
	return *s;
}

static int
view_step(struct view *v, sqlite3_stmt *s)
{
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		view_log(v, "query failed");
		return -1;
	}
}

static int
view_done(sqlite3_stmt *s, int rc)
{
	(void)sqlite3_reset(s);
	return rc;
}

/* The statement with up to three numbers bound; its only row, if any.  When
 * it is 1 view_done() ends it. */
static int
view_row(struct view *v, enum view_sql which, const uint64_t *args,
    unsigned nargs, sqlite3_stmt **out)
{
	sqlite3_stmt *s = view_statement(v, which);
	int rc;

	if ((*out = s) == NULL)
		return -1;
	for (unsigned i = 0; i < nargs; i++)
		(void)sqlite3_bind_int64(s, (int)i + 1, (sqlite3_int64)args[i]);
	rc = view_step(v, s);
	return rc == 1 ? 1 : view_done(s, rc);
}

#define ROW(v, which, out, ...) \
	view_row((v), (which), (const uint64_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t), \
	    (out))

static uint64_t
column_u64(sqlite3_stmt *s, int i)
{
	return (uint64_t)sqlite3_column_int64(s, i);
}

static struct str
column_str(sqlite3_stmt *s, int i)
{
	const char *p = sqlite3_column_blob(s, i);

	return (struct str){ p != NULL ? p : "",
		(size_t)sqlite3_column_bytes(s, i) };
}

/* Copies a column, cut to the room there is; NUL-terminated. */
static size_t
column_copy(sqlite3_stmt *s, int i, char *out, size_t size)
{
	struct str v = column_str(s, i);

	if (v.len >= size)
		v.len = size - 1;
	memcpy(out, v.p, v.len);
	out[v.len] = '\0';
	return v.len;
}

/* ---- tenants ---- */

int
view_tenant(struct view *v, uint64_t id, struct view_tenant *t)
{
	sqlite3_stmt *s;
	struct str sealed;
	int rc;

	if ((rc = ROW(v, VIEW_TENANT, &s, id)) != 1)
		return rc;
	(void)column_copy(s, 0, t->token, sizeof(t->token));
	t->disabled = sqlite3_column_int(s, 1) != 0;
	(void)column_copy(s, 2, t->url, sizeof(t->url));
	sealed = column_str(s, 3);
	t->sealed_len = sealed.len < sizeof(t->sealed) ? sealed.len :
							 sizeof(t->sealed);
	memcpy(t->sealed, sealed.p, t->sealed_len);
	return view_done(s, 1);
}

int
view_next_tenant(struct view *v, uint64_t after, uint64_t *id)
{
	static const enum view_sql which[] = { VIEW_NEXT_OUTBOX_TENANT,
		VIEW_NEXT_DUE_TENANT };
	sqlite3_stmt *s;
	int rc;

	*id = 0;
	for (int i = 0; i < 2; i++) {
		if ((rc = ROW(v, which[i], &s, after)) == -1)
			return -1;
		if (rc == 1) {
			uint64_t found = column_u64(s, 0);

			if (*id == 0 || found < *id)
				*id = found;
			(void)view_done(s, 1);
		}
	}
	return *id != 0;
}

int
view_next_retention(struct view *v, uint64_t after, uint64_t *id,
    uint32_t *days)
{
	sqlite3_stmt *s;
	int rc;

	if ((rc = ROW(v, VIEW_NEXT_RETENTION, &s, after)) != 1)
		return rc;
	*id = column_u64(s, 0);
	*days = (uint32_t)column_u64(s, 1);
	return view_done(s, 1);
}

/* ---- the outbox ---- */

int
view_outbox(struct view *v, uint64_t tenant, uint64_t last,
    struct view_outbox *row)
{
	sqlite3_stmt *s;
	int rc;

	if ((rc = ROW(v, VIEW_OUTBOX, &s, tenant, last)) != 1)
		return rc;
	row->id = column_u64(s, 0);
	row->kind = sqlite3_column_int(s, 1);
	row->room = column_u64(s, 2);
	row->seq = column_u64(s, 3);
	row->after_len = column_copy(s, 4, row->after, sizeof(row->after));
	return view_done(s, 1);
}

int
view_members(struct view *v, uint64_t room, uint64_t seq, struct str after,
    unsigned limit, view_user_fn *fn, void *arg)
{
	sqlite3_stmt *s = view_statement(v, VIEW_MEMBERS);
	int rc;

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_int64(s, 1, (sqlite3_int64)room);
	(void)sqlite3_bind_text(s, 2, after.p, (int)after.len, SQLITE_STATIC);
	(void)sqlite3_bind_int(s, 3, (int)limit);
	(void)sqlite3_bind_int64(s, 4, (sqlite3_int64)seq);
	while ((rc = view_step(v, s)) == 1)
		if (!fn(column_str(s, 0), arg))
			break;
	return view_done(s, rc == -1 ? -1 : 1);
}

int
view_inbox(struct view *v, uint64_t notification, uint64_t after, uint64_t last,
    unsigned limit, view_inbox_fn *fn, void *arg)
{
	sqlite3_stmt *s;
	int rc;

	rc = ROW(v, VIEW_INBOX, &s, notification, after, last, limit);
	if (rc != 1)
		return rc;
	while (fn(column_u64(s, 0), column_str(s, 1), arg) &&
	    (rc = view_step(v, s)) == 1)
		;
	return view_done(s, rc == -1 ? -1 : 1);
}

/* ---- deliveries ---- */

int
view_due(struct view *v, uint64_t tenant, int64_t until_ms, unsigned limit,
    view_delivery_fn *fn, void *arg)
{
	struct view_delivery d;
	sqlite3_stmt *s;
	int rc;

	rc = ROW(v, VIEW_DUE, &s, tenant, (uint64_t)until_ms, limit);
	if (rc != 1)
		return rc;
	do {
		d.id = column_u64(s, 0);
		d.kind = sqlite3_column_int(s, 1);
		(void)column_copy(s, 2, d.token, sizeof(d.token));
		d.room = column_u64(s, 3);
		d.seq = column_u64(s, 4);
		d.decided = sqlite3_column_int(s, 5) != 0;
		d.attempts = (uint32_t)column_u64(s, 6);
		d.recipient_len = column_copy(s, 7, d.recipient,
		    sizeof(d.recipient));
	} while (fn(&d, arg) && (rc = view_step(v, s)) == 1);
	return view_done(s, rc == -1 ? -1 : 1);
}

int
view_next_due(struct view *v, uint64_t tenant, int64_t after_ms,
    int64_t *due_ms)
{
	sqlite3_stmt *s;
	int rc;

	rc = ROW(v, VIEW_NEXT_DUE, &s, tenant, (uint64_t)after_ms);
	if (rc != 1)
		return rc;
	*due_ms = sqlite3_column_int64(s, 0);
	return view_done(s, 1);
}

/* The statement stays on its row, so that the strings stay, until
 * view_release(). */
int
view_message(struct view *v, uint64_t tenant, uint64_t room, uint64_t seq,
    struct str recipient, struct view_message *m)
{
	sqlite3_stmt *s = view_statement(v, VIEW_MESSAGE);
	struct str sender, content, meta;
	int rc;

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_text(s, 4, recipient.p, (int)recipient.len,
	    SQLITE_STATIC);
	if ((rc = ROW(v, VIEW_MESSAGE, &s, tenant, room, seq)) != 1)
		return rc;
	v->open = s;
	(void)column_copy(s, 0, m->room_token, sizeof(m->room_token));
	m->metadata = column_str(s, 1);
	sender = column_str(s, 3);
	content = column_str(s, 4);
	meta = column_str(s, 5);
	m->message = (struct message){ .room_token = m->room_token,
		.seq = seq,
		.created_ms = sqlite3_column_int64(s, 6),
		.rev = column_u64(s, 7),
		.edited_ms = sqlite3_column_int64(s, 8),
		.sender = sender.p,
		.sender_len = sender.len,
		.content = content.p,
		.content_len = content.len,
		.meta = meta.len > 0 ? meta.p : NULL,
		.meta_len = meta.len };
	return 1;
}

int
view_notification(struct view *v, uint64_t tenant, uint64_t notification,
    struct str recipient, struct notify_text *t)
{
	sqlite3_stmt *s = view_statement(v, VIEW_NOTIFICATION);
	int rc;

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	(void)sqlite3_bind_int64(s, 2, (sqlite3_int64)notification);
	(void)sqlite3_bind_text(s, 3, recipient.p, (int)recipient.len,
	    SQLITE_STATIC);
	if ((rc = view_step(v, s)) != 1)
		return view_done(s, rc);
	v->open = s;
	t->token = column_str(s, 0);
	t->topic = column_str(s, 1);
	t->payload = column_str(s, 2);
	t->created_ms = sqlite3_column_int64(s, 3);
	return 1;
}

void
view_release(struct view *v)
{
	if (v->open != NULL)
		(void)sqlite3_reset(v->open);
	v->open = NULL;
}

int
view_sender(struct view *v, uint64_t tenant, uint64_t room, uint64_t seq,
    char sender[VIEW_USER_SIZE], size_t *len)
{
	sqlite3_stmt *s;
	int rc;

	if ((rc = ROW(v, VIEW_SENDER, &s, tenant, room, seq)) != 1)
		return rc;
	*len = column_copy(s, 0, sender, VIEW_USER_SIZE);
	return view_done(s, 1);
}

int
view_counts(struct view *v, uint64_t *pending, uint64_t *dead)
{
	sqlite3_stmt *s;

	if (ROW(v, VIEW_COUNT_PENDING, &s, VIEW_COUNT_MAX) != 1)
		return -1;
	*pending = column_u64(s, 0);
	(void)view_done(s, 1);
	if (ROW(v, VIEW_COUNT_DEAD, &s, VIEW_COUNT_MAX) != 1)
		return -1;
	*dead = column_u64(s, 0);
	return view_done(s, 1);
}

/* ---- retention ---- */

int
view_next_room(struct view *v, uint64_t tenant, uint64_t after,
    struct view_room *room)
{
	sqlite3_stmt *s;
	int rc;

	if ((rc = ROW(v, VIEW_NEXT_ROOM, &s, tenant, after)) != 1)
		return rc;
	room->id = column_u64(s, 0);
	(void)column_copy(s, 1, room->token, sizeof(room->token));
	room->first_seq = column_u64(s, 2);
	room->last_seq = column_u64(s, 3);
	return view_done(s, 1);
}

int
view_created(struct view *v, uint64_t room, uint64_t seq, int64_t *ms)
{
	sqlite3_stmt *s;
	int rc;

	if ((rc = ROW(v, VIEW_CREATED, &s, room, seq)) != 1)
		return rc;
	*ms = sqlite3_column_int64(s, 0);
	return view_done(s, 1);
}
