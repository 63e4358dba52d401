/* SPDX-License-Identifier: MIT */
/*
 * What reader.c, reader_rooms.c and reader_messages.c share behind reader.h:
 * the connection and its prepared statements.  No other file includes it.
 */
#ifndef WORKER_READER_INT_H
#define WORKER_READER_INT_H

#include <sqlite3.h>

#include "../common/buf.h"
#include "reader.h"

enum reader_sql {
	READER_BEGIN,
	READER_COMMIT,
	READER_BATCH,
	READER_EPOCH,
	READER_KEY,
	READER_KEY_ALIVE,
	READER_JWT,
	READER_JWT_N,
	READER_WS_TOKEN,
	READER_TENANT,
	READER_TENANTS,
	READER_TENANT_BY_TOKEN,
	READER_KEYS,
	READER_ROOM,
	READER_ROOM_BY_ID,
	READER_ROOM_CHANGED,
	READER_MEMBER,
	READER_MEMBERS,
	READER_USER_ROOMS,
	READER_PEER_ROOMS,
	READER_FEED,
	READER_ROOMS_OF_USER,
	READER_ROOMS_MOVED,
	READER_ROOMS_OF_TENANT,
	READER_CHANNELS,
	READER_MESSAGES,
	READER_MESSAGE_LAST,
	READER_MESSAGE,
	READER_CHANGES,
	READER_USER_KNOWN,
	READER_INBOX_HEAD,
	READER_INBOX,
	READER_SUBSCRIPTIONS,
	READER_DEAD_LETTERS,
	READER_SQL_LAST
};

struct reader {
	sqlite3 *db;
	sqlite3_stmt *statements[READER_SQL_LAST];
	struct buf text; /* strings of the last room handed out */
};

/* The statement, prepared at its first use; NULL on failure (logged). */
sqlite3_stmt *reader_statement(struct reader *r, enum reader_sql which);
/* SQLITE_ROW 1, SQLITE_DONE 0, else -1 (logged). */
int reader_step(struct reader *r, sqlite3_stmt *s);
/* Ends the use of a statement; hands `result` through. */
int reader_reset(sqlite3_stmt *s, int result);
void reader_bind_text(sqlite3_stmt *s, int i, const char *p, size_t len);
/* Borrowed until the next step. */
struct str reader_column(sqlite3_stmt *s, int i);
/* A token column into its array; an overlong one is cut. */
void reader_column_token(sqlite3_stmt *s, int i, char out[ID_TOKEN_SIZE]);

/* The columns that READER_MESSAGE_COLUMNS names, from column 0 on. */
#define READER_MESSAGE_COLUMNS \
	"seq, sender, content, meta, created_ms, client_msg_id, rev, " \
	"edited_ms, deleted_ms"
void reader_message_row(sqlite3_stmt *s, const char *token, struct message *m);

#endif
