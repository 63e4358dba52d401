/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: what the writer or another worker announced goes to the sockets
 * of this one.  Runs in a worker; encodes each frame once, parses no JSON
 * and reads no database.
 */
#include "fanout.h"

#include <string.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/message.h"
#include "../common/page.h"
#include "../common/records.h"
#include "../common/records_notify.h"
#include "auth.h"
#include "feed.h"
#include "inbox.h"
#include "rooms.h"
#include "typing.h"
#include "users.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_presence.h"

/* client_msg_id may be escaped sixfold. */
#define OWN_MAX (WIRE_RECORD_MAX + 6 * 128 + 32)

/* The frame for the sender's own connections. */
static struct ws_shared *
fanout_own(const struct rec_event_message *m)
{
	struct ws_shared *f;
	struct buf b;

	buf_init(&b, OWN_MAX);
	message_json_own(&b, m->text.p, m->text.len, m->client_msg_id.p,
	    m->client_msg_id.len);
	f = ws_shared_new(WS_TEXT, buf_head(&b), b.len);
	buf_free(&b);
	return f;
}

static int
fanout_message(struct worker *w, const struct wire_record *rec)
{
	struct ws_shared *plain = NULL, *own = NULL;
	struct user *sender = NULL;
	struct rec_event_message m;
	struct feed *f, *next;
	struct room *room;
	uint64_t sent = 0, rev = 0;
	bool behind = false;

	if (rec_event_message_get(rec, &m) == -1)
		return -1;
	room = rooms_find(w->rooms, m.room);
	if (room == NULL || room->tenant != m.tenant)
		return 0;
	if (m.client_msg_id.len > 0)
		sender = users_find(w->users, m.tenant, m.sender.p,
		    m.sender.len);
	for (f = LIST_FIRST(&room->feeds); f != NULL; f = next) {
		struct ws_shared **frame = &plain;

		next = LIST_NEXT(f, in_room);
		if (f->state != FEED_LIVE || m.seq <= f->sent) {
			behind |= f->state == FEED_BEHIND;
			continue;
		}
		if (m.seq != f->sent + 1 || f->conn->out.bytes > WS_OUT_HIGH) {
			feed_fall_behind(f);
			behind = true;
			continue;
		}
		rev = f->rev;
		if (sender != NULL && f->conn->user == sender)
			frame = &own;
		if (*frame == NULL) {
			*frame = frame == &own ?
			    fanout_own(&m) :
			    ws_shared_new(WS_TEXT, m.text.p, m.text.len);
			(*frame)->message = true;
		}
		ws_conn_send_shared(f->conn, *frame);
		f->sent = m.seq;
		sent++;
	}
	/* What the live ones have is as of their rev, which is one. */
	if (behind && plain != NULL)
		feed_keep(room, rev, &m, plain);
	ws_shared_unref(plain);
	ws_shared_unref(own);
	page_add(w->page, w->page_slot, COUNTER_DELIVERIES, sent);
	return 0;
}

/* A message was edited or deleted. */
static int
fanout_change(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_change e;
	struct ws_shared *frame;
	struct feed *f, *next;
	struct room *room;

	if (rec_event_change_get(rec, &e) == -1)
		return -1;
	room = rooms_find(w->rooms, e.room);
	if (room == NULL || room->tenant != e.tenant)
		return 0;
	frame = ws_shared_new(WS_TEXT, e.text.p, e.text.len);
	for (f = LIST_FIRST(&room->feeds); f != NULL; f = next) {
		next = LIST_NEXT(f, in_room);
		if (f->state != FEED_LIVE || e.rev <= f->rev)
			continue;
		if (e.rev != f->rev + 1 || e.seq > f->sent ||
		    f->conn->out.bytes > WS_OUT_HIGH) {
			feed_fall_behind(f);
			continue;
		}
		ws_conn_send_shared(f->conn, frame);
		f->rev = e.rev;
	}
	ws_shared_unref(frame);
	return 0;
}

/* The room itself was updated or deleted. */
static int
fanout_room(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_room e;
	struct ws_shared *frame;
	struct feed *f, *next;
	struct room *room;

	if (rec_event_room_get(rec, &e) == -1)
		return -1;
	room = rooms_find(w->rooms, e.room);
	if (room == NULL || room->tenant != e.tenant)
		return 0;
	frame = ws_shared_new(WS_TEXT, e.text.p, e.text.len);
	/* The last feed takes the room along. */
	for (f = LIST_FIRST(&room->feeds); f != NULL; f = next) {
		next = LIST_NEXT(f, in_room);
		if (rec->type == REC_EVENT_ROOM_DELETED)
			feed_deleted(f, frame);
		else
			feed_updated(f, frame);
	}
	ws_shared_unref(frame);
	return 0;
}

/* Hints may be dropped for whoever is slow, and are not for whoever left
 * the room's feed. */
static bool
fanout_wants_hint(const struct feed *f)
{
	return f->state != FEED_PAUSED && f->conn->out.bytes <= WS_OUT_HIGH;
}

static int
fanout_acked(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_acked a;
	struct ws_shared *frame;
	struct room *room;
	struct feed *f;
	struct buf b;

	if (rec_event_acked_get(rec, &a) == -1)
		return -1;
	room = rooms_find(w->rooms, a.room);
	if (room == NULL || room->tenant != a.tenant)
		return 0;
	buf_init(&b, 2048);
	buf_addf(&b,
	    "{\"type\":\"ack.received\",\"room_id\":\"room_%s\","
	    "\"seq\":%llu,\"user_id\":",
	    room->token, (unsigned long long)a.seq);
	json_text_string(&b, a.user.p, a.user.len);
	buf_adds(&b, "}");
	frame = ws_shared_new(WS_TEXT, buf_head(&b), b.len);
	buf_free(&b);
	LIST_FOREACH(f, &room->feeds, in_room) {
		if (a.incarnation == w->incarnation && a.conn == f->conn->id)
			continue;
		if (fanout_wants_hint(f))
			ws_conn_send_shared(f->conn, frame);
	}
	ws_shared_unref(frame);
	return 0;
}

void
fanout_typing(struct worker *w, const struct rec_event_typing *t)
{
	struct room *room = rooms_find(w->rooms, t->room);
	struct ws_shared *frame;
	struct user *typist;
	struct feed *f;
	struct buf b;

	if (room == NULL || room->tenant != t->tenant)
		return;
	typist = users_find(w->users, t->tenant, t->user.p, t->user.len);
	buf_init(&b, 2048);
	buf_addf(&b,
	    "{\"type\":\"typing\",\"room_id\":\"room_%s\","
	    "\"user_id\":",
	    room->token);
	json_text_string(&b, t->user.p, t->user.len);
	buf_addf(&b, ",\"action\":\"%s\"}", t->start ? "start" : "stop");
	frame = ws_shared_new(WS_TEXT, buf_head(&b), b.len);
	buf_free(&b);
	LIST_FOREACH(f, &room->feeds, in_room) {
		if (f->conn->user != typist && fanout_wants_hint(f))
			ws_conn_send_shared(f->conn, frame);
	}
	ws_shared_unref(frame);
}

/* JOINED or LEFT, for each connection of each user named who is here. */
static int
fanout_members(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_members e;
	struct str name;
	size_t at = 0;

	if (rec_event_members_get(rec, &e) == -1)
		return -1;
	while (rec_event_members_next(&e, &at, &name)) {
		struct user *user;
		struct ws_conn *c;

		user = users_find(w->users, e.tenant, name.p, name.len);
		if (user == NULL)
			continue;
		LIST_FOREACH(c, &user->conns, in_user) {
			/* Its list of rooms shows this already, or will. */
			if (c->state != WS_OPEN || e.n <= c->list_n ||
			    (c->relist ? c->list_after == 0 : !c->listed))
				continue;
			if (rec->type == REC_EVENT_JOINED)
				/* He may be gone in the same batch. */
				feed_joined(c, e.room, e.head, e.n - 1);
			else
				feed_left(c, e.room, e.n);
		}
	}
	ws_presence_members(w->presence, &e, rec->type == REC_EVENT_JOINED);
	return 0;
}

static int
fanout_tenant(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_tenant e;

	if (rec_event_tenant_get(rec, &e) == -1)
		return -1;
	auth_forget(w->auth, e.tenant);
	ws_list_recheck(w->ws, e.tenant);
	return 0;
}

static int
fanout_notification(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_notification e;

	if (rec_event_notification_get(rec, &e) == -1)
		return -1;
	inbox_event(w, &e);
	return 0;
}

int
fanout_event(struct worker *w, const struct wire_record *rec)
{
	struct rec_event_typing typing;

	switch (rec->type) {
	case REC_EVENT_MESSAGE:
		return fanout_message(w, rec);
	case REC_EVENT_CHANGED:
		return fanout_change(w, rec);
	case REC_EVENT_ROOM_UPDATED:
	case REC_EVENT_ROOM_DELETED:
		return fanout_room(w, rec);
	case REC_EVENT_JOINED:
	case REC_EVENT_LEFT:
		return fanout_members(w, rec);
	case REC_EVENT_ACKED:
		return fanout_acked(w, rec);
	case REC_EVENT_TYPING:
		if (rec_event_typing_get(rec, &typing) == -1)
			return -1;
		typing_event(w->typing, &typing);
		return 0;
	case REC_EVENT_TENANT:
		return fanout_tenant(w, rec);
	case REC_EVENT_NOTIFICATION:
		return fanout_notification(w, rec);
	default:
		return -1;
	}
}
