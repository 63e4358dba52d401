/* SPDX-License-Identifier: MIT */
/*
 * chatapi check: do rooms, members and messages fit together?  What is said
 * of a room is of one snapshot; a long history is looked at in several, which
 * is as good: a seq that is there stays, but for retention, and each piece
 * asks anew where the room begins and ends.
 */
#include <sqlite3.h>
#include <stddef.h>

#include "tool_check.h"

/* Messages in one piece. */
#define CHUNK 2000

enum query {
	Q_ROOM,
	Q_HEAD,
	Q_MEMBERS,
	Q_CHUNK,
	Q_HOLE,
	Q_OUTSIDE,
	Q_HEAD_ALONE,
	Q_MESSAGE_ROOM,
	Q_MEMBER_ROOM,
	Q_KNOWN_ROOM,
	Q_COUNT
};

static const char *const text[Q_COUNT] = {
	[Q_ROOM] =
	    "SELECT id, token, tenant, type,"
	    " EXISTS (SELECT 1 FROM tenant t WHERE t.id = r.tenant),"
	    " dm_key IS NOT NULL FROM room r WHERE id > ?1 ORDER BY id LIMIT 1",
	[Q_HEAD] = "SELECT h.first_seq, h.last_seq, h.rev, h.members,"
		   " (SELECT s.below FROM sweep s WHERE s.room = h.room)"
		   " FROM room_head h JOIN room r ON r.id = h.room"
		   " WHERE h.room = ?1",
	[Q_MEMBERS] = "SELECT count(*), ifnull(sum(tenant <> ?2), 0),"
		      " ifnull(sum(last_ack > ?3), 0),"
		      " ifnull(sum(NOT EXISTS (SELECT 1 FROM member i"
		      " INDEXED BY member_user WHERE i.tenant = m.tenant"
		      " AND i.user = m.user AND i.room = m.room)), 0)"
		      " FROM member m WHERE room = ?1",
	[Q_CHUNK] =
	    "SELECT count(*), ifnull(sum(rev > ?4), 0),"
	    " ifnull(sum(content IS NULL AND deleted_ms IS NULL), 0),"
	    " ifnull(sum(client_msg_id IS NOT NULL AND NOT EXISTS"
	    " (SELECT 1 FROM message i INDEXED BY message_client"
	    " WHERE i.room = m.room AND i.sender = m.sender"
	    " AND i.client_msg_id = m.client_msg_id AND i.seq = m.seq)), 0),"
	    " ifnull(sum(rev > 0 AND NOT EXISTS (SELECT 1 FROM message i"
	    " INDEXED BY message_rev WHERE i.room = m.room AND i.rev > 0"
	    " AND i.rev = m.rev AND i.seq = m.seq)), 0)"
	    " FROM message m WHERE room = ?1 AND seq BETWEEN ?2 AND ?3",
	[Q_HOLE] = "SELECT ifnull(min(seq), ?3 + 1) FROM message a"
		   " WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 AND NOT EXISTS"
		   " (SELECT 1 FROM message b WHERE b.room = a.room"
		   " AND b.seq = a.seq + 1)",
	[Q_OUTSIDE] = "SELECT min(seq), max(seq) FROM message WHERE room = ?1",
	[Q_HEAD_ALONE] = "SELECT room FROM room_head h WHERE room > ?1"
			 " AND NOT EXISTS (SELECT 1 FROM room r"
			 " WHERE r.id = h.room) ORDER BY room LIMIT 1",
	[Q_MESSAGE_ROOM] = "SELECT room FROM message WHERE room > ?1"
			   " ORDER BY room LIMIT 1",
	[Q_MEMBER_ROOM] = "SELECT room FROM member WHERE room > ?1"
			  " ORDER BY room LIMIT 1",
	[Q_KNOWN_ROOM] = "SELECT EXISTS (SELECT 1 FROM room WHERE id = ?1) OR"
			 " EXISTS (SELECT 1 FROM sweep WHERE room = ?1"
			 " AND below IS NULL)",
};

struct rooms {
	struct check *c;
	sqlite3_stmt *st[Q_COUNT];
	int64_t all; /* for the progress: the highest id */
};

/* The room that is being looked at. */
struct one {
	int64_t id;
	int64_t tenant;
	char token[32];
	bool dm;
	int64_t first, last, rev, members, below;
	int64_t next; /* seq not yet looked at */
	bool counted; /* its members were */
};

static sqlite3_stmt *
ask(struct rooms *r, enum query q, int64_t a)
{
	sqlite3_stmt *st = r->st[q];

	(void)sqlite3_reset(st);
	(void)sqlite3_bind_int64(st, 1, a);
	return st;
}

/* ---- one room ---- */

static int
one_members(struct rooms *r, struct one *o)
{
	sqlite3_stmt *st = ask(r, Q_MEMBERS, o->id);
	int64_t n;
	int rc;

	o->counted = true;
	(void)sqlite3_bind_int64(st, 2, o->tenant);
	(void)sqlite3_bind_int64(st, 3, o->last);
	if ((rc = check_step(r->c, st)) == -2) {
		check_note(r->c,
		    "room_%s: its members, too many while the "
		    "server runs",
		    o->token);
		return 0;
	}
	if (rc != 1)
		return -1;
	n = sqlite3_column_int64(st, 0);
	r->c->members += (uint64_t)n;
	if (n != o->members)
		check_fault(r->c, "room_%s: has %lld members, not %lld",
		    o->token, (long long)n, (long long)o->members);
	if (o->dm && n != 2)
		check_fault(r->c, "room_%s: a dm with %lld members", o->token,
		    (long long)n);
	if (sqlite3_column_int64(st, 1) > 0)
		check_fault(r->c, "room_%s: members of another tenant",
		    o->token);
	if (sqlite3_column_int64(st, 2) > 0)
		check_fault(r->c, "room_%s: acknowledged past its end",
		    o->token);
	if (sqlite3_column_int64(st, 3) > 0)
		check_fault(r->c, "room_%s: members missing in member_user",
		    o->token);
	(void)sqlite3_reset(st);
	return 0;
}

/* The first seq of [from, to] that is not there. */
static int
one_hole(struct rooms *r, struct one *o, int64_t from, int64_t to)
{
	sqlite3_stmt *st = ask(r, Q_HOLE, o->id);
	int64_t before = to;
	int rc;

	/* From the one before: it may be the first that is missing. */
	(void)sqlite3_bind_int64(st, 2, from > o->first ? from - 1 : from);
	(void)sqlite3_bind_int64(st, 3, to);
	if ((rc = check_step(r->c, st)) == 1)
		before = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	if (rc == -1)
		return -1;
	/* Nothing behind the hole, or it begins the room. */
	check_fault(r->c, "room_%s: messages missing, from seq %lld", o->token,
	    (long long)(before < to ? before + 1 : from));
	return 0;
}

static int
one_chunk(struct rooms *r, struct one *o, int64_t from, int64_t to)
{
	sqlite3_stmt *st = ask(r, Q_CHUNK, o->id);
	static const char *const faults[] = { "a rev above the room's",
		"a message without content", "missing in message_client",
		"missing in message_rev" };
	int64_t n;
	int rc;

	(void)sqlite3_bind_int64(st, 2, from);
	(void)sqlite3_bind_int64(st, 3, to);
	(void)sqlite3_bind_int64(st, 4, o->rev);
	if ((rc = check_step(r->c, st)) == -2) {
		check_note(r->c, "room_%s: seqs %lld to %lld, too slow",
		    o->token, (long long)from, (long long)to);
		return 0;
	}
	if (rc != 1)
		return -1;
	n = sqlite3_column_int64(st, 0);
	for (int i = 0; i < 4; i++)
		if (sqlite3_column_int64(st, i + 1) > 0)
			check_fault(r->c, "room_%s: %s, seqs %lld to %lld",
			    o->token, faults[i], (long long)from,
			    (long long)to);
	(void)sqlite3_reset(st);
	r->c->messages += (uint64_t)n;
	return n == to - from + 1 ? 0 : one_hole(r, o, from, to);
}

/* What lies before its beginning must wait to be removed; nothing lies behind
 * its end. */
static int
one_outside(struct rooms *r, struct one *o)
{
	sqlite3_stmt *st = ask(r, Q_OUTSIDE, o->id);
	int rc = check_step(r->c, st);

	if (rc != 1)
		return rc == -2 ? 0 : -1;
	if (sqlite3_column_type(st, 0) != SQLITE_NULL &&
	    sqlite3_column_int64(st, 0) < o->first && o->below < o->first)
		check_fault(r->c, "room_%s: messages before its first seq",
		    o->token);
	if (sqlite3_column_type(st, 1) != SQLITE_NULL &&
	    sqlite3_column_int64(st, 1) > o->last)
		check_fault(r->c, "room_%s: messages after its last seq",
		    o->token);
	(void)sqlite3_reset(st);
	return 0;
}

/* One piece: 1 there is more of this room, 0 none, -1. */
static int
one_piece(struct rooms *r, struct one *o)
{
	sqlite3_stmt *st = ask(r, Q_HEAD, o->id);
	int64_t to;
	int rc;

	if ((rc = check_step(r->c, st)) != 1) {
		/* It may have been deleted since. */
		if (rc == 0 && !r->c->live)
			check_fault(r->c, "room_%s: has no head", o->token);
		return rc == -1 ? -1 : 0;
	}
	o->first = sqlite3_column_int64(st, 0);
	o->last = sqlite3_column_int64(st, 1);
	o->rev = sqlite3_column_int64(st, 2);
	o->members = sqlite3_column_int64(st, 3);
	o->below = sqlite3_column_int64(st, 4);
	(void)sqlite3_reset(st);
	if (!o->counted && one_members(r, o) == -1)
		return -1;
	if (o->next < o->first)
		o->next = o->first;
	to = o->next + CHUNK - 1 < o->last ? o->next + CHUNK - 1 : o->last;
	if (to >= o->next && one_chunk(r, o, o->next, to) == -1)
		return -1;
	o->next = to + 1;
	if (to < o->last)
		return 1;
	return one_outside(r, o);
}

/* The next room: 1 it was looked at, 0 there is none, -1. */
static int
next_room(struct rooms *r, int64_t *id)
{
	sqlite3_stmt *st = ask(r, Q_ROOM, *id);
	struct one o = { 0 };
	int rc;

	if (check_begin(r->c) == -1)
		return -1;
	if ((rc = check_step(r->c, st)) != 1) {
		check_end(r->c);
		return rc < 0 ? -1 : 0;
	}
	*id = o.id = sqlite3_column_int64(st, 0);
	(void)sqlite3_snprintf(sizeof(o.token), o.token, "%s",
	    (const char *)sqlite3_column_text(st, 1));
	o.tenant = sqlite3_column_int64(st, 2);
	o.dm = sqlite3_column_int(st, 3) == ROOM_DM;
	if (sqlite3_column_int(st, 4) == 0)
		check_fault(r->c, "room_%s: of no tenant", o.token);
	if ((sqlite3_column_int(st, 5) == 1) != o.dm)
		check_fault(r->c, "room_%s: its dm_key does not fit its type",
		    o.token);
	(void)sqlite3_reset(st);
	r->c->rooms++;
	while ((rc = one_piece(r, &o)) == 1) {
		check_end(r->c);
		progress_show(&r->c->progress, (uint64_t)*id, (uint64_t)r->all);
		if (tool_stopped() || check_begin(r->c) == -1)
			return -1;
	}
	check_end(r->c);
	return rc == -1 ? -1 : 1;
}

/* ---- what belongs to no room ---- */

/* One piece per room that the statement names.  0, -1. */
static int
without_room(struct rooms *r, enum query q, const char *what)
{
	int64_t id = 0;
	int rc;

	do {
		sqlite3_stmt *st = ask(r, q, id), *is;

		if (check_begin(r->c) == -1)
			return -1;
		if ((rc = check_step(r->c, st)) == 1) {
			id = sqlite3_column_int64(st, 0);
			is = ask(r, Q_KNOWN_ROOM, id);
			rc = check_step(r->c, is);
			if (rc == 1 && sqlite3_column_int(is, 0) == 0)
				check_fault(r->c, "%s of no room (number %lld)",
				    what, (long long)id);
			(void)sqlite3_reset(is);
		}
		(void)sqlite3_reset(st);
		check_end(r->c);
	} while (rc == 1 && !tool_stopped());
	return rc < 0 || tool_stopped() ? -1 : 0;
}

/* Small tables, each in one piece. */
static const struct {
	const char *what;
	const char *sql;
} orphans[] = {
	{ "API keys",
	    "SELECT count(*) FROM api_key k WHERE NOT EXISTS"
	    " (SELECT 1 FROM tenant t WHERE t.id = k.tenant)" },
	{ "ws tokens",
	    "SELECT count(*) FROM ws_token w WHERE NOT EXISTS"
	    " (SELECT 1 FROM tenant t WHERE t.id = w.tenant)" },
};

static int
without_tenant(struct check *c)
{
	for (size_t i = 0; i < sizeof(orphans) / sizeof(orphans[0]); i++) {
		sqlite3_stmt *st = check_prepare(c, orphans[i].sql);
		int rc;

		if (st == NULL || check_begin(c) == -1) {
			(void)sqlite3_finalize(st);
			return -1;
		}
		if ((rc = check_step(c, st)) == 1 &&
		    sqlite3_column_int64(st, 0) > 0)
			check_fault(c, "%s of no tenant: %lld", orphans[i].what,
			    (long long)sqlite3_column_int64(st, 0));
		if (rc == -2)
			check_note(c, "%s of no tenant, too many",
			    orphans[i].what);
		(void)sqlite3_finalize(st);
		check_end(c);
		if (rc == -1)
			return -1;
	}
	return 0;
}

int
check_rooms(struct check *c)
{
	struct rooms r = { .c = c };
	sqlite3_stmt *st = check_prepare(c,
	    "SELECT ifnull(max(id), 0)"
	    " FROM room");
	int64_t id = 0;
	int rc = -1;

	if (st != NULL && check_step(c, st) == 1)
		r.all = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	for (int i = 0; i < Q_COUNT; i++)
		if ((r.st[i] = check_prepare(c, text[i])) == NULL)
			goto out;
	while ((rc = next_room(&r, &id)) == 1 && !tool_stopped())
		progress_show(&c->progress, (uint64_t)id, (uint64_t)r.all);
	if (rc != 0 || tool_stopped() ||
	    without_room(&r, Q_HEAD_ALONE, "a head") == -1 ||
	    without_room(&r, Q_MESSAGE_ROOM, "messages") == -1 ||
	    without_room(&r, Q_MEMBER_ROOM, "members") == -1)
		rc = -1;
	else
		rc = without_tenant(c);
out:
	for (int i = 0; i < Q_COUNT; i++)
		(void)sqlite3_finalize(r.st[i]);
	return rc;
}
