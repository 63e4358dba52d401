/* SPDX-License-Identifier: MIT */
/*
 * chatapi check: what waits for somebody or something.  Subscriptions,
 * notifications and inboxes, lists being gone through, the outbox,
 * deliveries, and what is to be removed.  Each piece is one statement, so
 * one snapshot.  What only waits for its turn is no fault: a row may outlive
 * its room or notification until the writer or the courier comes to it, but
 * not be of one that never was.
 */
#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>

#include "../common/utf8.h"
#include "../common/wire.h"
#include "tool_check.h"

/* Rows in one piece. */
#define CHUNK 1000
/* A try is put off for a day at most; the clock may have been wrong. */
#define LATE_MS "172800000"
#define FAULTS_MAX 7
#define SQL_SIZE 4096

/* Of the row x: is there, is in no list, has never been. */
#define THERE(table, id) \
	"EXISTS (SELECT 1 FROM " table " e WHERE e.id = x." id ")"
#define NEVER(table, id) \
	"(NOT " THERE(table, \
	    id) " AND x." id " NOT BETWEEN 1 AND" \
		" ifnull((SELECT seq FROM sqlite_sequence WHERE name = '" table \
		"'), 0))"
#define OTHER(table, id) \
	"EXISTS (SELECT 1 FROM " table " e WHERE e.id = x." id \
	" AND e.tenant <> x.tenant)"
#define NO_USER(name) "length(CAST(x." name " AS BLOB)) NOT BETWEEN 1 AND 128"
#define BEYOND \
	"(x.seq < 1 OR EXISTS (SELECT 1 FROM room_head h" \
	" WHERE h.room = x.room AND h.last_seq < x.seq))"

/* What a row x of a table must not be. */
static const struct waiting {
	const char *table;
	struct {
		const char *when;
		const char *says;
	} faults[FAULTS_MAX];
} waiting[] = {
	{ "subscription",
	    {
		{ "NOT " THERE("tenant", "tenant"), "of no tenant" },
		{ "NOT EXISTS (SELECT 1 FROM user u"
		  " WHERE u.tenant = x.tenant AND u.user = x.user)",
		    "of a user whom the tenant does not know" },
	    } },
	/* Removal and erasure take first what names it. */
	{ "notification",
	    {
		{ "NOT " THERE("tenant", "tenant"), "of no tenant" },
		{ "NOT EXISTS (SELECT 1 FROM inbox i"
		  " WHERE i.notification = x.id)"
		  " AND NOT EXISTS (SELECT 1 FROM fanout f"
		  " WHERE f.tenant = x.tenant AND f.notification = x.id)"
		  " AND EXISTS (SELECT 1 FROM tenant t"
		  " WHERE t.id = x.tenant AND t.deleted_ms IS NULL)"
		  " AND NOT EXISTS (SELECT 1 FROM erasure r"
		  " WHERE r.tenant = x.tenant)",
		    "for nobody any more, and still there" },
	    } },
	{ "inbox",
	    {
		{ "NOT " THERE("tenant", "tenant"), "of no tenant" },
		{ "NOT " THERE("notification", "notification"),
		    "of no notification" },
		{ OTHER("notification", "notification"),
		    "of another tenant's notification" },
		{ NO_USER("user"), "of no user" },
	    } },
	{ "outbox",
	    {
		{ "NOT " THERE("tenant", "tenant"), "of no tenant" },
		{ "x.kind NOT IN (1, 2)", "of no known kind" },
		{ "x.kind = 1 AND (" NEVER("room", "room") " OR " OTHER("room",
		      "room") " OR " BEYOND ")",
		    "of a message that there never was" },
		{ "x.kind = 2 AND (" NEVER("notification",
		      "room") " OR " OTHER("notification", "room") ")",
		    "of a notification that there never was" },
		{ "x.kind = 2 AND CAST(x.after_user AS INTEGER)"
		  " NOT BETWEEN 0 AND x.seq - 1",
		    "past its end" },
	    } },
	{ "delivery",
	    {
		{ "NOT " THERE("tenant", "tenant"), "of no tenant" },
		{ "x.kind NOT IN (1, 2) OR x.state NOT IN (0, 1)"
		  " OR x.decided NOT IN (0, 1)",
		    "of no known kind or state" },
		{ "x.kind = 1 AND (" NEVER("room", "room") " OR " OTHER("room",
		      "room") " OR " BEYOND ")",
		    "of a message that there never was" },
		{ "x.kind = 2 AND (" NEVER("notification",
		      "room") " OR " OTHER("notification", "room") ")",
		    "of a notification that there never was" },
		{ NO_USER("recipient"), "to no user" },
		{ "x.attempts < 0 OR (x.state = 1 AND x.attempts = 0)"
		  " OR (x.decided = 0 AND (x.attempts > 0 OR x.state = 1))"
		  " OR (x.attempts > 0 AND x.last_ms IS NULL)",
		    "with tries that cannot be" },
		{ "x.state = 0 AND x.next_ms >"
		  " (SELECT max(ms) FROM batch) + " LATE_MS,
		    "stuck: not due for days" },
	    } },
	{ "erasure",
	    {
		{ NEVER("tenant", "tenant"), "of no tenant" },
		{ NO_USER("user") " OR x.pseudonym NOT LIKE 'erased-%'",
		    "of no user" },
	    } },
};

/* Each row names something by its only column; the second says if it is as
 * it should. */
static const struct {
	const char *sql; /* the next one after ?1 */
	const char *fault;
} named[] = {
	{ "SELECT x.tenant, " THERE("tenant",
	      "tenant") " FROM user x"
			" WHERE x.tenant > ?1 ORDER BY x.tenant LIMIT 1",
	    "users of no tenant (number %lld)" },
	/* By the notification's tenant first: that is an index. */
	{ "SELECT x.notification, CASE WHEN EXISTS (SELECT 1"
	  " FROM notification n JOIN fanout f ON f.tenant = n.tenant"
	  " AND f.notification = n.id WHERE n.id = x.notification"
	  " AND f.kind = 5) THEN 1 ELSE EXISTS (SELECT 1 FROM fanout f"
	  " WHERE f.notification = x.notification AND f.kind = 5) END"
	  " FROM inbox_acked x WHERE x.notification > ?1"
	  " ORDER BY x.notification LIMIT 1",
	    "acknowledgements that nobody will forget, of notification"
	    " number %lld" },
	/* What a room still has must not go. */
	{ "SELECT x.room, NOT EXISTS (SELECT 1 FROM room_head h"
	  " WHERE h.room = x.room AND (x.below IS NULL"
	  " OR x.below > h.first_seq)) FROM sweep x"
	  " WHERE x.room > ?1 ORDER BY x.room LIMIT 1",
	    "room number %lld is there and yet to be removed" },
};

static int64_t
highest(struct check *c, const char *table)
{
	sqlite3_stmt *st = check_prepare(c,
	    "SELECT seq FROM sqlite_sequence WHERE name = ?1");
	int64_t n = 0;

	if (st == NULL)
		return 0;
	(void)sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	if (check_step(c, st) == 1)
		n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

/* Of the next rows: the last id, how many, how many have each fault. */
static sqlite3_stmt *
waiting_prepare(struct check *c, const struct waiting *w)
{
	char sql[SQL_SIZE];
	size_t n = (size_t)snprintf(sql, sizeof(sql),
	    "SELECT max(id), count(*)");

	for (int i = 0; i < FAULTS_MAX && w->faults[i].says != NULL; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n,
		    ", ifnull(sum(%s), 0)", w->faults[i].when);
	(void)snprintf(sql + n, sizeof(sql) - n,
	    " FROM (SELECT * FROM %s WHERE id > ?1 ORDER BY id LIMIT %d) x",
	    w->table, CHUNK);
	return check_prepare(c, sql);
}

/* One piece.  1 there may be more, 0, -1. */
static int
waiting_piece(struct check *c, const struct waiting *w, sqlite3_stmt *st,
    int64_t *id, uint64_t *rows)
{
	int64_t last;
	int rc;

	(void)sqlite3_reset(st);
	(void)sqlite3_bind_int64(st, 1, *id);
	if ((rc = check_step(c, st)) == -2) {
		check_note(c, "%s: from number %lld on, too slow", w->table,
		    (long long)*id + 1);
		return 0;
	}
	if (rc != 1)
		return -1;
	last = sqlite3_column_int64(st, 0);
	rc = sqlite3_column_type(st, 0) != SQLITE_NULL;
	*rows += (uint64_t)sqlite3_column_int64(st, 1);
	for (int i = 0; i < FAULTS_MAX && w->faults[i].says != NULL; i++) {
		int64_t n = sqlite3_column_int64(st, i + 2);

		if (n > 0)
			check_fault(c, "%s: %s: %lld, numbers %lld to %lld",
			    w->table, w->faults[i].says, (long long)n,
			    (long long)*id + 1, (long long)last);
	}
	(void)sqlite3_reset(st);
	*id = last;
	return rc;
}

static int
waiting_table(struct check *c, const struct waiting *w, uint64_t *rows)
{
	sqlite3_stmt *st = waiting_prepare(c, w);
	int64_t all = highest(c, w->table), id = 0;
	int rc = -1;

	progress_begin(&c->progress, c->t, w->table, false);
	*rows = 0;
	while (st != NULL && check_begin(c) == 0) {
		rc = waiting_piece(c, w, st, &id, rows);
		check_end(c);
		if (rc != 1)
			break;
		progress_show(&c->progress, (uint64_t)id, (uint64_t)all);
		rc = -1;
		if (tool_stopped())
			break;
	}
	progress_end(&c->progress);
	(void)sqlite3_finalize(st);
	return rc;
}

/* A piece for each. */
static int
named_all(struct check *c, const char *sql, const char *fault)
{
	sqlite3_stmt *st = check_prepare(c, sql);
	char text[160];
	int64_t id = 0;
	int rc = st != NULL ? 1 : -1;

	while (rc == 1 && !tool_stopped()) {
		if (check_begin(c) == -1) {
			rc = -1;
			break;
		}
		(void)sqlite3_bind_int64(st, 1, id);
		if ((rc = check_step(c, st)) == 1) {
			id = sqlite3_column_int64(st, 0);
			(void)sqlite3_snprintf(sizeof(text), text, fault, id);
			if (sqlite3_column_int(st, 1) == 0)
				check_fault(c, "%s", text);
			(void)sqlite3_reset(st);
		} else if (rc == -2)
			check_note(c, "what %lld is of, too slow",
			    (long long)id + 1);
		check_end(c);
	}
	(void)sqlite3_finalize(st);
	return rc == -1 || tool_stopped() ? -1 : 0;
}

/* ---- lists being gone through ---- */

/* u32 length and bytes of each; one that is not so stops all of its
 * tenant's notifications. */
static bool
list_sound(const void *p, size_t len)
{
	struct wire_reader rd = { .p = p, .end = (const uint8_t *)p + len };

	while (rd.p < rd.end) {
		size_t n;
		const char *user = wire_get_str(&rd, &n);

		if (rd.bad || !utf8_user_id_valid(user, n))
			return false;
	}
	return true;
}

static void
fanout_row(struct check *c, sqlite3_stmt *st)
{
	long long number = sqlite3_column_int64(st, 0);
	int kind = sqlite3_column_int(st, 1);

	if (kind < 1 || kind > 5 ||
	    (kind == 2 && sqlite3_column_type(st, 2) == SQLITE_NULL))
		check_fault(c,
		    "fanout of notification number %lld: of no "
		    "known kind",
		    number);
	if (kind == 1 &&
	    !list_sound(sqlite3_column_blob(st, 3),
		(size_t)sqlite3_column_bytes(st, 3)))
		check_fault(c,
		    "fanout of notification number %lld: stuck, its "
		    "list cannot be read",
		    number);
	if (sqlite3_column_int(st, 4) != 0)
		check_fault(c, "fanout of no notification (number %lld)",
		    number);
}

/* All in one piece: they are few, or go at once. */
static int
fanouts(struct check *c)
{
	sqlite3_stmt *st = check_prepare(c,
	    "SELECT x.notification, x.kind, x.room, x.list,"
	    " (EXISTS (SELECT 1 FROM tenant t WHERE t.id = x.tenant"
	    " AND t.deleted_ms IS NULL) AND NOT EXISTS (SELECT 1"
	    " FROM notification n WHERE n.id = x.notification"
	    " AND n.tenant = x.tenant)) OR " NEVER("tenant",
		"tenant") " FROM fanout x");
	int rc = -1;

	if (st != NULL && check_begin(c) == 0) {
		while ((rc = check_step(c, st)) == 1)
			fanout_row(c, st);
		if (rc == -2)
			check_note(c, "fanout: its last rows, too many");
		check_end(c);
	}
	(void)sqlite3_finalize(st);
	return rc == -1 ? -1 : 0;
}

int
check_waiting(struct check *c)
{
	uint64_t rows;

	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
		if (waiting_table(c, &waiting[i], &rows) == -1)
			return -1;
		c->waiting += rows;
	}
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (named_all(c, named[i].sql, named[i].fault) == -1)
			return -1;
	return fanouts(c);
}
