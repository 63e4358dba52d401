/* SPDX-License-Identifier: MIT */
/*
 * Who is told of whom, and when: queues of rooms to read, of connections
 * with lists to go through and of users who changed, worked off in slices of
 * PRESENCE_SLICE_US.  Runs in a worker; reads only.  No connection is told
 * anything but through tell_one(), which is what makes it never twice the
 * same.
 */
#include "ws_presence.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/json_text.h"
#include "../common/mem.h"
#include "../common/records.h"
#include "feed.h"
#include "feeder.h"
#include "ws_presence_int.h"
#include "reader.h"
#include "rooms.h"
#include "users.h"
#include "worker.h"

#define PRESENCE_SLICE_US 2000
/* A user's rooms read in one go. */
#define PEER_PAGE 16
/* Lists read before a connection looks through all its rooms for them. */
#define LIST_READS 16
/* Users looked at for one connection before it is another's turn. */
#define CONN_LOOKS 4096
/* After a failure of the database. */
#define RETRY_MS 1000
#define FRAME_MAX 1024
#define FRAMES_MAX (2 * WS_OUT_HIGH)

static void ws_presence_run(evutil_socket_t fd, short what, void *arg);

struct ws_presence *
ws_presence_new(struct worker *w)
{
	struct ws_presence *p = mem_alloc(sizeof(*p));

	p->w = w;
	p->roster = roster_new();
	TAILQ_INIT(&p->rooms);
	TAILQ_INIT(&p->conns);
	TAILQ_INIT(&p->peers);
	buf_init(&p->frames, FRAMES_MAX);
	buf_init(&p->text, FRAME_MAX);
	ws_presence_later_init(p);
	p->timer = evtimer_new(w->base, ws_presence_run, p);
	if (p->timer == NULL)
		abort();
	return p;
}

void
ws_presence_free(struct ws_presence *p)
{
	if (p == NULL)
		return;
	event_free(p->timer);
	ws_presence_later_free(p);
	roster_free(p->roster);
	buf_free(&p->frames);
	buf_free(&p->text);
	free(p);
}

static bool
ws_presence_busy(const struct ws_presence *p)
{
	return !TAILQ_EMPTY(&p->rooms) || !TAILQ_EMPTY(&p->conns) ||
	    !TAILQ_EMPTY(&p->peers);
}

void
ws_presence_arm(struct ws_presence *p)
{
	struct timeval tv = { 0, 0 };

	if (!ws_presence_busy(p) || evtimer_pending(p->timer, NULL))
		return;
	if (p->failed)
		tv.tv_sec = RETRY_MS / 1000;
	evtimer_add(p->timer, &tv);
}

/* ---- frames ---- */

static void
tell_text(struct buf *b, const struct peer *peer)
{
	buf_adds(b, "{\"type\":\"presence.update\",\"user_id\":");
	json_text_string(b, peer->name, peer->len);
	buf_adds(b,
	    peer->online ? ",\"status\":\"online\"}" :
			   ",\"status\":\"offline\"}");
}

static struct ws_shared *
tell_frame(struct ws_presence *p, const struct peer *peer)
{
	buf_clear(&p->text);
	tell_text(&p->text, peer);
	return ws_shared_new(WS_TEXT, buf_head(&p->text), p->text.len);
}

/* Notes that the connection is being told; false when it knows. */
static bool
tell_one(struct ws_conn *c, struct peer *peer)
{
	if (told_has(&c->told, peer->id) == peer->online)
		return false;
	if (peer->online) {
		told_add(&c->told, peer->id);
		peer->told++;
	} else {
		told_del(&c->told, peer->id);
		peer->told--;
	}
	return true;
}

/* ---- connections ---- */

void
ws_presence_wake(struct ws_conn *c)
{
	struct ws_presence *p = c->w->presence;

	if (c->presenting || !c->peers_due || !ws_conn_hungry(c))
		return;
	c->presenting = true;
	TAILQ_INSERT_TAIL(&p->conns, c, in_presence);
	ws_presence_arm(p);
}

void
ws_presence_owe(struct feed *f)
{
	f->peers = false;
	f->conn->peers_due = true;
	ws_presence_wake(f->conn);
}

void
ws_presence_feed(struct feed *f)
{
	ws_presence_owe(f);
}

static bool
conn_next_due(const struct feed *f)
{
	return !f->peers && f->room->presence.state != PRESENCE_UNREAD;
}

bool
ws_presence_synced(const struct ws_conn *c)
{
	const struct feed *f;

	TAILQ_FOREACH(f, &c->feeds, in_conn)
		if (!f->peers)
			return false;
	TAILQ_FOREACH(f, &c->behind, in_conn)
		if (!f->peers)
			return false;
	return true;
}

void
ws_presence_disconnect(struct ws_conn *c)
{
	struct ws_presence *p = c->w->presence;

	if (c->presenting)
		TAILQ_REMOVE(&p->conns, c, in_presence);
	c->presenting = c->peers_due = false;
	ws_presence_later_drop(p, c);
	for (uint32_t i = 0; i < c->told.size; i++) {
		struct peer *peer;

		if (c->told.slot[i] == 0)
			continue;
		peer = roster_peer(p->roster, c->told.slot[i]);
		peer->told--;
		roster_release(p->roster, peer);
	}
	told_free(&c->told);
}

static void
conn_send_frames(struct ws_presence *p, struct ws_conn *c)
{
	struct ws_shared *f;

	if (p->frames.len == 0)
		return;
	/* Many small frames as one piece: they go the same way. */
	f = ws_shared_raw(buf_head(&p->frames), p->frames.len);
	ws_conn_send_shared(c, f);
	ws_shared_unref(f);
	buf_clear(&p->frames);
}

static void
conn_add_frame(struct ws_presence *p, const struct peer *peer)
{
	uint8_t header[WS_HEADER_MAX];

	buf_clear(&p->text);
	tell_text(&p->text, peer);
	(void)buf_add(&p->frames, header,
	    ws_frame_header(header, WS_TEXT, p->text.len));
	(void)buf_add(&p->frames, buf_head(&p->text), p->text.len);
}

/* Goes through the list of one room; false when the connection has enough
 * for now. */
static bool
conn_list(struct ws_presence *p, struct ws_conn *c, const struct room *room,
    const struct peer *own)
{
	const struct room_presence *l = &room->presence;

	for (uint16_t i = 0; i < l->count; i++) {
		struct peer *peer = roster_peer(p->roster, l->ids[i]);

		if (peer == own)
			continue;
		if (c->out.bytes + p->frames.len > WS_OUT_HIGH)
			return false;
		if (tell_one(c, peer))
			conn_add_frame(p, peer);
	}
	return true;
}

/* Lists that are due; false when not all could be gone through. */
static bool
conn_lists(struct ws_presence *p, struct ws_conn *c, struct feed_queue *q,
    unsigned *looks)
{
	struct str name = { c->user->name, c->user->len };
	struct peer *own = roster_find(p->roster, c->user->tenant, name);
	struct feed *f;

	TAILQ_FOREACH(f, q, in_conn) {
		if (!conn_next_due(f))
			continue;
		if (*looks >= CONN_LOOKS || !conn_list(p, c, f->room, own))
			return false;
		*looks += f->room->presence.count;
		f->peers = true;
	}
	return true;
}

static void
ws_presence_conn_step(struct ws_presence *p)
{
	struct ws_conn *c = TAILQ_FIRST(&p->conns);
	unsigned looks = 0;

	TAILQ_REMOVE(&p->conns, c, in_presence);
	c->presenting = false;
	/* Lists not read yet make it due again when they are. */
	c->peers_due = !conn_lists(p, c, &c->feeds, &looks) ||
	    !conn_lists(p, c, &c->behind, &looks);
	conn_send_frames(p, c);
	if (c->peers_due)
		ws_presence_wake(c);
	else
		feed_sync_complete(c);
}

/* ---- users who changed ---- */

static void
peer_queue(struct ws_presence *p, struct peer *peer)
{
	/* Only what he is now counts, for all his rooms. */
	peer->after = 0;
	if (peer->queued)
		return;
	peer->queued = true;
	TAILQ_INSERT_TAIL(&p->peers, peer, in_queue);
	ws_presence_arm(p);
}

void
ws_presence_change(struct ws_presence *p, const struct rec_presence *r)
{
	struct peer *peer;

	if (r->online)
		peer = roster_get(p->roster, r->tenant, r->user);
	else
		peer = roster_find(p->roster, r->tenant, r->user);
	if (peer == NULL || peer->online == r->online)
		return;
	peer->online = r->online;
	peer_queue(p, peer);
}

static void
peer_reset(struct peer *peer, void *arg)
{
	if (!peer->online)
		return;
	peer->online = false;
	peer_queue(arg, peer);
}

void
ws_presence_reset(struct ws_presence *p)
{
	roster_each(p->roster, peer_reset, p);
}

struct peer_page {
	struct ws_presence *p;
	struct peer *peer;
	const struct user *user; /* his connections here, or NULL */
	struct ws_shared *frame;
	unsigned rows;
};

static bool
peer_room(uint64_t id, uint32_t members, void *arg)
{
	struct peer_page *pg = arg;
	struct peer *peer = pg->peer;
	struct room *room = rooms_find(pg->p->w->rooms, id);
	struct feed *f;

	pg->rows++;
	peer->after = id;
	if (room == NULL || !ws_presence_list_size(pg->p, room, members))
		return true;
	if (peer->online || peer->told > 0)
		ws_presence_list_add(pg->p, room, peer);
	LIST_FOREACH(f, &room->feeds, in_room) {
		struct ws_conn *c = f->conn;

		if (c->user == pg->user || c->state != WS_OPEN)
			continue;
		/* It is told of what he then is when it has drained. */
		if (c->out.bytes > WS_OUT_HIGH) {
			ws_presence_owe(f);
			continue;
		}
		if (!tell_one(c, peer))
			continue;
		if (pg->frame == NULL)
			pg->frame = tell_frame(pg->p, peer);
		ws_presence_later(pg->p, c, pg->frame);
	}
	return true;
}

/* One page of the rooms of who changed first. */
static void
ws_presence_peer_step(struct ws_presence *p)
{
	struct peer *peer = TAILQ_FIRST(&p->peers);
	struct peer_page pg = { .p = p, .peer = peer };
	int rc = 0;

	/* Nobody to be told, or nobody who thinks otherwise. */
	if (rooms_count(p->w->rooms) > 0 && (peer->online || peer->told > 0)) {
		pg.user = users_find(p->w->users, peer->tenant, peer->name,
		    peer->len);
		rc = reader_peer_rooms(p->w->reader, peer->tenant, peer->name,
		    peer->len, peer->after, PEER_PAGE, peer_room, &pg);
		ws_shared_unref(pg.frame);
	}
	if (rc == -1) {
		p->failed = true;
		return;
	}
	TAILQ_REMOVE(&p->peers, peer, in_queue);
	if (pg.rows == PEER_PAGE) {
		TAILQ_INSERT_TAIL(&p->peers, peer, in_queue);
		return;
	}
	peer->queued = false;
	roster_release(p->roster, peer);
}

/* ---- turns ---- */

static void
ws_presence_run(evutil_socket_t fd, short what, void *arg)
{
	struct ws_presence *p = arg;
	uint64_t end = clock_mono_ns() + PRESENCE_SLICE_US * UINT64_C(1000);

	(void)fd;
	(void)what;
	p->failed = false;
	do {
		for (int i = 0;
		     i < LIST_READS && !TAILQ_EMPTY(&p->rooms) && !p->failed;
		     i++)
			ws_presence_list_read(p);
		if (!TAILQ_EMPTY(&p->conns))
			ws_presence_conn_step(p);
		if (!TAILQ_EMPTY(&p->peers))
			ws_presence_peer_step(p);
	} while (ws_presence_busy(p) && !p->failed && clock_mono_ns() < end);
	ws_presence_arm(p);
}
