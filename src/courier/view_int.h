/* SPDX-License-Identifier: MIT */
/* What view.c shares with the test of its plans.  No other file includes
 * it. */
#ifndef COURIER_VIEW_INT_H
#define COURIER_VIEW_INT_H

#include <sqlite3.h>

#include "view.h"

enum view_sql {
	VIEW_TENANT,
	VIEW_NEXT_OUTBOX_TENANT,
	VIEW_NEXT_DUE_TENANT,
	VIEW_NEXT_RETENTION,
	VIEW_OUTBOX,
	VIEW_MEMBERS,
	VIEW_INBOX,
	VIEW_DUE,
	VIEW_NEXT_DUE,
	VIEW_MESSAGE,
	VIEW_NOTIFICATION,
	VIEW_SENDER,
	VIEW_COUNT_PENDING,
	VIEW_COUNT_DEAD,
	VIEW_NEXT_ROOM,
	VIEW_CREATED,
	VIEW_SQL_LAST
};

struct view {
	sqlite3 *db;
	sqlite3_stmt *statements[VIEW_SQL_LAST];
	sqlite3_stmt *open; /* its row is still being looked at */
};

/* The statement, prepared at its first use; NULL on failure (logged). */
sqlite3_stmt *view_statement(struct view *v, enum view_sql which);

#endif
