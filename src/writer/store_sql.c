/* SPDX-License-Identifier: MIT */
/*
 * Every SQL text of the writer's operations, prepared at first use and kept.
 * Runs in the writer (or a tool that took its place).  Decides nothing.
 */
#include "../common/clock.h"
#include "../common/log.h"
#include "store_int.h"
#include "store_tenant.h"

static const char *const sql_text[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_SAVEPOINT] = "SAVEPOINT op",
	[SQL_RELEASE] = "RELEASE op",
	[SQL_ROLLBACK_TO] = "ROLLBACK TO op",
	[SQL_BATCH_ALL] = "SELECT n, ms, receipts FROM batch ORDER BY n",
	[SQL_BATCH_READ] = "SELECT receipts FROM batch WHERE n = ?1",
	[SQL_BATCH_INSERT] =
	    "INSERT INTO batch (n, ms, receipts) VALUES (?1, ?2, ?3)",
	[SQL_BATCH_DELETE] = "DELETE FROM batch WHERE n BETWEEN ?1 AND ?2",
	[SQL_ROOM_BY_TOKEN] =
	    "SELECT r.id, r.tenant, r.type, h.last_seq, h.first_seq, h.rev,"
	    " h.activity, h.members"
	    " FROM room r JOIN room_head h ON h.room = r.id"
	    " WHERE r.token = ?1",
	[SQL_ROOM_BY_DM_KEY] = "SELECT id, token FROM room INDEXED BY room_dm"
			       " WHERE tenant = ?1 AND dm_key = ?2",
	[SQL_ROOM_INSERT] =
	    "INSERT INTO room (tenant, token, type, name, metadata, dm_key,"
	    " created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_ROOM_TEXTS] = "SELECT name, metadata, dm_key, created_ms"
			   " FROM room WHERE id = ?1",
	[SQL_ROOM_UPDATE] = "UPDATE room SET changed_n = ?2,"
			    " name = CASE WHEN ?3 THEN ?4 ELSE name END,"
			    " metadata = CASE WHEN ?5 THEN ?6 ELSE metadata END"
			    " WHERE id = ?1",
	[SQL_ROOM_DELETE] = "DELETE FROM room WHERE id = ?1",
	[SQL_HEAD_INSERT] =
	    "INSERT INTO room_head (room, last_seq, first_seq, rev, activity,"
	    " members) VALUES (?1, 0, 1, 0, ?2, ?3)",
	[SQL_HEAD_UPDATE] =
	    "UPDATE room_head SET last_seq = ?2, rev = ?3, activity = ?4,"
	    " members = ?5, first_seq = ?6 WHERE room = ?1",
	[SQL_HEAD_DELETE] = "DELETE FROM room_head WHERE room = ?1",
	[SQL_MEMBER] = "SELECT role, last_ack FROM member"
		       " WHERE room = ?1 AND user = ?2",
	[SQL_MEMBER_INSERT] =
	    "INSERT OR IGNORE INTO member (room, user, tenant, role,"
	    " joined_ms, last_ack) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_MEMBER_ROLE] =
	    "UPDATE member SET role = ?3 WHERE room = ?1 AND user = ?2",
	[SQL_MEMBER_ACK] =
	    "UPDATE member SET last_ack = ?3 WHERE room = ?1 AND user = ?2",
	[SQL_MEMBER_DELETE] =
	    "DELETE FROM member WHERE room = ?1 AND user = ?2",
	[SQL_MESSAGE] = "SELECT sender, content, created_ms, deleted_ms"
			" FROM message WHERE room = ?1 AND seq = ?2",
	[SQL_MESSAGE_INSERT] =
	    "INSERT INTO message (room, seq, sender, content, meta,"
	    " created_ms, client_msg_id, hash)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_MESSAGE_BY_CLIENT_ID] =
	    "SELECT seq, created_ms, hash"
	    " FROM message INDEXED BY message_client"
	    " WHERE room = ?1 AND sender = ?2 AND client_msg_id = ?3",
	/* The hash stays: it is of the original. */
	[SQL_MESSAGE_EDIT] = "UPDATE message SET rev = ?3, edited_ms = ?4,"
			     " content = ?5 WHERE room = ?1 AND seq = ?2",
	[SQL_MESSAGE_DELETE] =
	    "UPDATE message SET rev = ?3, deleted_ms = ?4,"
	    " content = NULL, meta = NULL WHERE room = ?1 AND seq = ?2",
	[SQL_MESSAGE_REMOVE] =
	    "DELETE FROM message WHERE room = ?1 AND seq = ?2",
	[SQL_SWEEP_NOTE] =
	    "INSERT INTO sweep (room, below) VALUES (?1, ?2)"
	    " ON CONFLICT (room) DO UPDATE SET below = excluded.below",
	[SQL_SWEEP_NEXT] = "SELECT room, below FROM sweep ORDER BY room"
			   " LIMIT 1",
	[SQL_SWEEP_MEMBERS] =
	    "DELETE FROM member WHERE room = ?1 AND user IN"
	    " (SELECT user FROM member WHERE room = ?1 LIMIT ?2)",
	[SQL_SWEEP_MESSAGES] =
	    "DELETE FROM message WHERE room = ?1 AND seq IN"
	    " (SELECT seq FROM message WHERE room = ?1 AND seq < ?3"
	    " ORDER BY seq LIMIT ?2)",
	[SQL_SWEEP_DONE] = "DELETE FROM sweep WHERE room = ?1",
	[SQL_TENANT] = "SELECT disabled, webhook_url IS NOT NULL FROM tenant"
		       " WHERE id = ?1 AND deleted_ms IS NULL",
	[SQL_TENANT_BY_PUBLIC_ID] =
	    "SELECT " STORE_TENANT_COLUMNS
	    " FROM tenant WHERE public_id = ?1 AND deleted_ms IS NULL",
	[SQL_TENANT_INSERT] = "INSERT INTO tenant (public_id, name, created_ms)"
			      " VALUES (?1, ?2, ?3)",
	[SQL_TENANT_LIST] =
	    "SELECT " STORE_TENANT_COLUMNS
	    " FROM tenant WHERE public_id > ?1 AND deleted_ms IS NULL"
	    " ORDER BY public_id LIMIT ?2",
	[SQL_TENANT_SEALED] =
	    "SELECT public_id, webhook_secret, jwt_alg, jwt_key FROM tenant"
	    " WHERE (webhook_secret IS NOT NULL OR jwt_alg = 1)"
	    " AND deleted_ms IS NULL ORDER BY id",
	[SQL_TENANT_ANY_SEALED] =
	    "SELECT 1 FROM tenant"
	    " WHERE webhook_secret IS NOT NULL OR jwt_alg = 1 LIMIT 1",
	[SQL_TENANT_NEXT_OUTDATED] =
	    "SELECT id, public_id, webhook_secret,"
	    " CASE jwt_alg WHEN 1 THEN jwt_key END FROM tenant"
	    " WHERE id > ?1 AND deleted_ms IS NULL"
	    " AND (substr(webhook_secret, 1, 1) = x'01'"
	    " OR jwt_alg = 1 AND substr(jwt_key, 1, 1) = x'01')"
	    " ORDER BY id LIMIT 1",
	[SQL_TENANT_RENEW] =
	    "UPDATE tenant SET webhook_secret = coalesce(?2, webhook_secret),"
	    " jwt_key = coalesce(?3, jwt_key) WHERE id = ?1",
	[SQL_TENANT_SETTINGS] = "SELECT webhook_secret, jwt_key, jwt_n"
				" FROM tenant WHERE id = ?1",
	[SQL_TENANT_UPDATE] =
	    "UPDATE tenant SET name = ?2, disabled = ?3, rate_limit = ?4,"
	    " webhook_url = ?5, webhook_secret = ?6, jwt_alg = ?7,"
	    " jwt_key = ?8, jwt_n = ?9, retention_days = ?10 WHERE id = ?1",
	/* What is secret goes at once. */
	[SQL_TENANT_DELETE] =
	    "UPDATE tenant SET deleted_ms = ?2, webhook_url = NULL,"
	    " webhook_secret = NULL, jwt_alg = 0, jwt_key = NULL, jwt_n = ?3"
	    " WHERE id = ?1",
	[SQL_SWEEP_TENANT_NEXT] =
	    "SELECT id FROM tenant WHERE deleted_ms IS NOT NULL"
	    " ORDER BY id LIMIT 1",
	[SQL_SWEEP_TENANT_ROOM] = "SELECT id FROM room INDEXED BY room_tenant"
				  " WHERE tenant = ?1 ORDER BY id LIMIT 1",
	[SQL_SWEEP_TENANT_KEYS] =
	    "DELETE FROM api_key WHERE id IN"
	    " (SELECT id FROM api_key INDEXED BY api_key_tenant"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_TOKENS] =
	    "DELETE FROM ws_token WHERE hash IN"
	    " (SELECT hash FROM ws_token INDEXED BY ws_token_tenant"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_DONE] = "DELETE FROM tenant WHERE id = ?1",
	[SQL_KEY_INSERT] =
	    "INSERT INTO api_key (public_id, tenant, hash, created_ms)"
	    " VALUES (?1, ?2, ?3, ?4)",
	[SQL_KEY_REVOKE] =
	    "UPDATE api_key SET revoked_ms = ?3"
	    " WHERE public_id = ?1 AND tenant = ?2 AND revoked_ms IS NULL",
	[SQL_KEY_LIST] =
	    "SELECT public_id, created_ms, last_used_ms FROM api_key"
	    " WHERE tenant = ?1 AND revoked_ms IS NULL AND public_id > ?2"
	    " ORDER BY public_id LIMIT ?3",
	[SQL_KEY_USED] = "UPDATE api_key SET last_used_ms = ?3 WHERE id = ?1"
			 " AND tenant = ?2"
			 " AND ifnull(last_used_ms, 0) + 60000 <= ?3",
	/* What is no good: its time is over, its key revoked or changed. */
	[SQL_WS_TOKEN] =
	    "SELECT w.tenant, w.user, w.api_key, w.jwt_n, w.expires_ms,"
	    " w.ends_ms, t.disabled, CASE w.api_key WHEN 0"
	    " THEN w.jwt_n = t.jwt_n ELSE EXISTS (SELECT 1 FROM api_key k"
	    " WHERE k.id = w.api_key AND k.revoked_ms IS NULL) END"
	    " FROM ws_token w JOIN tenant t ON t.id = w.tenant"
	    " AND t.deleted_ms IS NULL WHERE w.hash = ?1",
	[SQL_WS_TOKEN_INSERT] =
	    "INSERT INTO ws_token (hash, tenant, user, api_key, jwt_n,"
	    " expires_ms, ends_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_WS_TOKEN_DELETE] = "DELETE FROM ws_token WHERE hash = ?1",
	[SQL_WS_TOKEN_SWEEP] =
	    "DELETE FROM ws_token WHERE hash IN"
	    " (SELECT hash FROM ws_token INDEXED BY ws_token_expires"
	    " WHERE expires_ms <= ?1 LIMIT ?2)",
	[SQL_USER_INSERT] = "INSERT OR IGNORE INTO user (tenant, user)"
			    " VALUES (?1, ?2)",
	[SQL_SUBSCRIPTION] = "SELECT token, created_ms FROM subscription"
			     " INDEXED BY subscription_user"
			     " WHERE tenant = ?1 AND user = ?2 AND topic = ?3",
	[SQL_SUBSCRIPTION_COUNT] =
	    "SELECT count(*) FROM subscription INDEXED BY subscription_user"
	    " WHERE tenant = ?1 AND user = ?2",
	[SQL_SUBSCRIPTION_INSERT] =
	    "INSERT INTO subscription (token, tenant, user, topic, created_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_SUBSCRIPTION_DELETE] = "DELETE FROM subscription"
				    " WHERE token = ?1 AND tenant = ?2"
				    " AND user = ?3",
	[SQL_NOTIFICATION] = "SELECT token, topic, payload, created_ms"
			     " FROM notification WHERE id = ?1",
	[SQL_NOTIFICATION_BY_TOKEN] = "SELECT id FROM notification"
				      " WHERE token = ?1 AND tenant = ?2",
	[SQL_NOTIFICATION_INSERT] =
	    "INSERT INTO notification (token, tenant, topic, payload,"
	    " created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_NOTIFICATION_SETTLE] =
	    "DELETE FROM notification WHERE id = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM inbox WHERE notification = ?1)"
	    " AND NOT EXISTS (SELECT 1 FROM fanout"
	    " WHERE tenant = ?2 AND notification = ?1)",
	[SQL_INBOX_INSERT] =
	    "INSERT OR IGNORE INTO inbox (tenant, user, notification)"
	    " SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM inbox_acked"
	    " WHERE notification = ?3 AND user = ?2)",
	[SQL_INBOX_DELETE] =
	    "DELETE FROM inbox WHERE notification = ?1 AND user = ?2",
	[SQL_ACKED_INSERT] =
	    "INSERT INTO inbox_acked (notification, user) SELECT ?1, ?2"
	    " WHERE EXISTS (SELECT 1 FROM fanout"
	    " WHERE tenant = ?3 AND notification = ?1)",
	[SQL_ACKED_DELETE] =
	    "DELETE FROM inbox_acked WHERE notification = ?1 AND user IN"
	    " (SELECT user FROM inbox_acked WHERE notification = ?1 LIMIT ?2)",
	[SQL_FANOUT_INSERT] =
	    "INSERT OR IGNORE INTO fanout (tenant, notification, kind, room, list, after)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, '')",
	[SQL_FANOUT_NEXT] = "SELECT tenant, notification, kind, room, list,"
			    " after FROM fanout WHERE tenant > ?1"
			    " ORDER BY tenant, notification, kind LIMIT 1",
	[SQL_FANOUT_MOVE] =
	    "UPDATE fanout SET after = ?4, list = ?5"
	    " WHERE tenant = ?1 AND notification = ?2 AND kind = ?3",
	[SQL_FANOUT_DELETE] =
	    "DELETE FROM fanout"
	    " WHERE tenant = ?1 AND notification = ?2 AND kind = ?3",
	/* Nobody when the room is deleted. */
	[SQL_FANOUT_ROOM] =
	    "SELECT m.user FROM room_head h CROSS JOIN member m"
	    " ON m.room = h.room WHERE h.room = ?1 AND m.user > ?2"
	    " ORDER BY m.user LIMIT ?3",
	[SQL_FANOUT_TOPIC] =
	    "SELECT s.user FROM notification n CROSS JOIN subscription s"
	    " INDEXED BY subscription_topic"
	    " ON s.tenant = n.tenant AND s.topic = n.topic"
	    " WHERE n.id = ?1 AND s.user > ?2 ORDER BY s.user LIMIT ?3",
	[SQL_FANOUT_ALL] = "SELECT user FROM user WHERE tenant = ?1"
			   " AND user > ?2 ORDER BY user LIMIT ?3",
	[SQL_SWEEP_TENANT_INBOX] =
	    "DELETE FROM inbox WHERE id IN"
	    " (SELECT id FROM inbox INDEXED BY inbox_user"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_NOTIFICATIONS] =
	    "DELETE FROM notification WHERE id IN"
	    " (SELECT id FROM notification INDEXED BY notification_tenant"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_SUBSCRIPTIONS] =
	    "DELETE FROM subscription WHERE id IN"
	    " (SELECT id FROM subscription INDEXED BY subscription_user"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_USERS] =
	    "DELETE FROM user WHERE tenant = ?1 AND user IN"
	    " (SELECT user FROM user WHERE tenant = ?1 LIMIT ?2)",
	[SQL_OUTBOX] = "SELECT kind, room, seq, after_user FROM outbox"
		       " WHERE id = ?1 AND tenant = ?2",
	[SQL_OUTBOX_INSERT] =
	    "INSERT INTO outbox (tenant, kind, room, seq, after_user)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_OUTBOX_MOVE] = "UPDATE outbox SET after_user = ?2 WHERE id = ?1",
	[SQL_OUTBOX_DELETE] = "DELETE FROM outbox WHERE id = ?1",
	[SQL_DELIVERY_INSERT] =
	    "INSERT INTO delivery (token, tenant, kind, room, seq, recipient,"
	    " state, decided, attempts, next_ms)"
	    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?8 WHERE CASE ?3"
	    " WHEN 1 THEN EXISTS (SELECT 1 FROM member"
	    " WHERE room = ?4 AND user = ?6)"
	    " ELSE EXISTS (SELECT 1 FROM inbox INDEXED BY inbox_notification"
	    " WHERE notification = ?4 AND user = ?6) END",
	[SQL_DELIVERY_DONE] =
	    "DELETE FROM delivery WHERE id = ?1 AND tenant = ?2"
	    " AND attempts = ?3 AND state = 0",
	[SQL_DELIVERY_FAILED] =
	    "UPDATE delivery SET attempts = attempts + 1, decided = 1,"
	    " next_ms = ?4, last_ms = ?5, error = ?6, state = ?7"
	    " WHERE id = ?1 AND tenant = ?2 AND attempts = ?3 AND state = 0",
	[SQL_DELIVERY_WAIT] =
	    "UPDATE delivery SET next_ms = ?4 WHERE id = ?1 AND tenant = ?2"
	    " AND attempts = ?3 AND state = 0",
	[SQL_DEAD_RETRY] =
	    "UPDATE delivery SET state = 0, decided = 1, attempts = 0,"
	    " next_ms = ?3 WHERE token = ?1 AND tenant = ?2 AND state = 1",
	[SQL_DEAD_DROP] = "DELETE FROM delivery WHERE token = ?1"
			  " AND tenant = ?2 AND state = 1",
	[SQL_DEAD_OF_MESSAGE] =
	    "DELETE FROM delivery INDEXED BY delivery_dead_room"
	    " WHERE room = ?1 AND seq = ?2 AND state = 1 AND kind = 1",
	[SQL_DEAD_OF_NOTIFICATION] =
	    "DELETE FROM delivery INDEXED BY delivery_dead_note"
	    " WHERE room = ?1 AND recipient = ?2 AND state = 1 AND kind = 2",
	[SQL_SWEEP_DEAD] =
	    "DELETE FROM delivery WHERE id IN"
	    " (SELECT id FROM delivery INDEXED BY delivery_dead_room"
	    " WHERE room = ?1 AND seq < ?3 AND state = 1 AND kind = 1"
	    " LIMIT ?2)",
	[SQL_SWEEP_TENANT_OUTBOX] =
	    "DELETE FROM outbox WHERE id IN"
	    " (SELECT id FROM outbox INDEXED BY outbox_tenant"
	    " WHERE tenant = ?1 LIMIT ?2)",
	[SQL_SWEEP_TENANT_DUE] =
	    "DELETE FROM delivery WHERE id IN"
	    " (SELECT id FROM delivery INDEXED BY delivery_due"
	    " WHERE tenant = ?1 AND state = 0 LIMIT ?2)",
	[SQL_SWEEP_TENANT_DEAD] =
	    "DELETE FROM delivery WHERE id IN"
	    " (SELECT id FROM delivery INDEXED BY delivery_dead"
	    " WHERE tenant = ?1 AND state = 1 LIMIT ?2)",
	[SQL_ERASURE_FIND] =
	    "SELECT room FROM erasure WHERE tenant = ?1 AND user = ?2",
	[SQL_ERASURE_INSERT] =
	    "INSERT INTO erasure (tenant, user, pseudonym, room, seq)"
	    " VALUES (?1, ?2, ?3, 0, 0)",
	[SQL_ERASURE_NEXT] =
	    "SELECT id, tenant, user, pseudonym, room, seq, messages,"
	    " memberships, others FROM erasure"
	    " WHERE id > 0 ORDER BY id LIMIT 1",
	[SQL_ERASURE_MOVE] =
	    "UPDATE erasure SET room = ?2, seq = ?3, messages = ?4,"
	    " memberships = ?5, others = ?6 WHERE id = ?1",
	[SQL_ERASURE_DELETE] = "DELETE FROM erasure WHERE id = ?1",
	[SQL_ERASE_ROOM] = "SELECT token, id FROM room INDEXED BY room_tenant"
			   " WHERE tenant = ?1 AND id >= ?2"
			   " ORDER BY id LIMIT 1",
	[SQL_ERASE_FIND] =
	    "SELECT seq, created_ms, deleted_ms FROM message"
	    " WHERE room = ?1 AND seq > ?2 AND seq <= ?3 AND +sender = ?4"
	    " ORDER BY seq",
	[SQL_ERASE_MESSAGE] =
	    "UPDATE message SET sender = ?3, content = NULL, meta = NULL,"
	    " client_msg_id = NULL, hash = NULL,"
	    " rev = CASE WHEN deleted_ms IS NULL THEN ?4 ELSE rev END,"
	    " deleted_ms = ifnull(deleted_ms, ?5)"
	    " WHERE room = ?1 AND seq = ?2",
	[SQL_ERASE_MEMBER] =
	    "UPDATE member SET user = ?3 WHERE room = ?1 AND user = ?2",
	[SQL_ERASE_DM_PEER] =
	    "SELECT user FROM member WHERE room = ?1 AND user <> ?2",
	[SQL_ERASE_DM_KEY] =
	    "UPDATE room SET dm_key = ?2, changed_n = ?3 WHERE id = ?1",
	/* Lists in which his name may be. */
	[SQL_ERASE_FANOUT_LIST] =
	    "SELECT notification, list FROM fanout WHERE tenant = ?1"
	    " AND notification > ?2 AND kind = 1"
	    " AND instr(list, CAST(?3 AS BLOB)) > 0"
	    " ORDER BY notification LIMIT 1",
	/* Where they stand: at the one before him, who was reached, too. */
	[SQL_ERASE_FANOUT_PLACE] =
	    "UPDATE fanout SET after = ifnull(CASE kind"
	    " WHEN 2 THEN (SELECT max(m.user) FROM member m"
	    " WHERE m.room = fanout.room AND m.user < ?2)"
	    " WHEN 3 THEN (SELECT max(s.user) FROM notification n"
	    " CROSS JOIN subscription s INDEXED BY subscription_topic"
	    " ON s.tenant = n.tenant AND s.topic = n.topic"
	    " WHERE n.id = fanout.notification AND s.user < ?2)"
	    " WHEN 4 THEN (SELECT max(u.user) FROM user u"
	    " WHERE u.tenant = ?1 AND u.user < ?2) END, '')"
	    " WHERE tenant = ?1 AND after = ?2",
	[SQL_ERASE_OUTBOX_PLACE] =
	    "UPDATE outbox SET after_user = ifnull((SELECT max(m.user)"
	    " FROM member m WHERE m.room = outbox.room AND m.user < ?2), '')"
	    " WHERE id IN (SELECT id FROM outbox INDEXED BY outbox_tenant"
	    " WHERE tenant = ?1 AND kind = 1 AND after_user = ?2 LIMIT ?3)",
	[SQL_ERASE_TOKENS] =
	    "DELETE FROM ws_token WHERE hash IN"
	    " (SELECT hash FROM ws_token INDEXED BY ws_token_tenant"
	    " WHERE tenant = ?1 AND user = ?2 LIMIT ?3)",
	[SQL_ERASE_SUBSCRIPTIONS] =
	    "DELETE FROM subscription WHERE id IN"
	    " (SELECT id FROM subscription INDEXED BY subscription_user"
	    " WHERE tenant = ?1 AND user = ?2 LIMIT ?3)",
	[SQL_ERASE_DELIVERIES] =
	    "DELETE FROM delivery WHERE id IN"
	    " (SELECT id FROM delivery INDEXED BY delivery_recipient"
	    " WHERE tenant = ?1 AND recipient = ?2 LIMIT ?3)",
	[SQL_ERASE_INBOX] = "DELETE FROM inbox WHERE id IN"
			    " (SELECT id FROM inbox INDEXED BY inbox_user"
			    " WHERE tenant = ?1 AND user = ?2 LIMIT ?3)",
	[SQL_ERASE_ACKED] =
	    "DELETE FROM inbox_acked WHERE user = ?2 AND notification IN"
	    " (SELECT id FROM notification INDEXED BY notification_tenant"
	    " WHERE tenant = ?1)",
	/* Those that only he had still to acknowledge. */
	[SQL_ERASE_NOTIFICATIONS] =
	    "DELETE FROM notification WHERE id IN"
	    " (SELECT n.id FROM notification n INDEXED BY notification_tenant"
	    " WHERE n.tenant = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM inbox i"
	    " WHERE i.notification = n.id)"
	    " AND NOT EXISTS (SELECT 1 FROM fanout f"
	    " WHERE f.tenant = ?1 AND f.notification = n.id) LIMIT ?3)",
	[SQL_ERASE_USER] = "DELETE FROM user WHERE tenant = ?1 AND user = ?2",
};

static void
sql_failed(struct store *s)
{
	uint64_t now = clock_mono_ms();

	s->err = sqlite3_extended_errcode(s->db);
	/* A full disk fails every batch: one line a second is enough. */
	if ((s->err & 0xff) == SQLITE_CONSTRAINT ||
	    (s->logged_ms != 0 && now < s->logged_ms + 1000))
		return;
	s->logged_ms = now;
	log_error("database failed", "code=%d text=\"%s\"", s->err,
	    sqlite3_errmsg(s->db));
}

sqlite3_stmt *
sql_get(struct store *s, enum store_sql id)
{
	if (s->stmt[id] == NULL &&
	    sqlite3_prepare_v3(s->db, sql_text[id], -1,
		SQLITE_PREPARE_PERSISTENT, &s->stmt[id], NULL) != SQLITE_OK)
		sql_failed(s);
	return s->stmt[id];
}

int
sql_step(struct store *s, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		sql_failed(s);
	(void)sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
sql_run(struct store *s, enum store_sql id)
{
	sqlite3_stmt *st = sql_get(s, id);

	return st == NULL || sql_step(s, st) != 0 ? -1 : 0;
}

int
sql_exec(struct store *s, const char *text)
{
	if (sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	sql_failed(s);
	return -1;
}

int
sql_int(struct store *s, const char *text, int64_t *out)
{
	sqlite3_stmt *st;
	int result = -1;

	if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK) {
		sql_failed(s);
		return -1;
	}
	if (sqlite3_step(st) == SQLITE_ROW) {
		*out = sqlite3_column_int64(st, 0);
		result = 0;
	} else
		sql_failed(s);
	sqlite3_finalize(st);
	return result;
}

void
sql_bind_str(sqlite3_stmt *st, int i, struct str v)
{
	(void)sqlite3_bind_text(st, i, v.len > 0 ? v.p : "", (int)v.len,
	    SQLITE_STATIC);
}

void
sql_bind_opt(sqlite3_stmt *st, int i, struct str v)
{
	if (v.len == 0)
		(void)sqlite3_bind_null(st, i);
	else
		sql_bind_str(st, i, v);
}

void
sql_bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
	(void)sqlite3_bind_int64(st, i, (sqlite3_int64)v);
}

struct str
sql_column_str(sqlite3_stmt *st, int i)
{
	const char *p = sqlite3_column_blob(st, i);

	return (struct str){ p != NULL ? p : "",
		(size_t)sqlite3_column_bytes(st, i) };
}

void
sql_column_token(sqlite3_stmt *st, int i, char out[ID_TOKEN_SIZE])
{
	struct str t = sql_column_str(st, i);

	if (t.len > ID_TOKEN_LEN)
		t.len = ID_TOKEN_LEN;
	memcpy(out, t.p, t.len);
	out[t.len] = '\0';
}

void
sql_finalize(struct store *s)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
}
