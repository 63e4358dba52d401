/* SPDX-License-Identifier: MIT */
/*
 * The feeds of connections: their states, whose turn it is to be fed from
 * the log, and what events do to them.  Runs in a worker, in slices of
 * FEEDER_SLICE_US so that live traffic is not held up; reads only.
 */
#include "feed.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "feeder.h"
#include "frame_cache.h"
#include "inbox.h"
#include "reader.h"
#include "resume.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_presence.h"

#define FEEDER_SLICE_US 2000
/* Pages of one connection before it is another's turn. */
#define FEEDER_PAGES 32

static void feeder_run(evutil_socket_t fd, short what, void *arg);

struct feeder *
feeder_new(struct worker *w)
{
	struct feeder *fr = mem_alloc(sizeof(*fr));

	fr->w = w;
	TAILQ_INIT(&fr->queue);
	buf_init(&fr->text, FEEDER_TEXT_MAX);
	fr->timer = evtimer_new(w->base, feeder_run, fr);
	if (fr->timer == NULL)
		abort();
	fr->cache = frame_cache_new();
	return fr;
}

void
feeder_free(struct feeder *fr)
{
	if (fr == NULL)
		return;
	event_free(fr->timer);
	buf_free(&fr->text);
	frame_cache_free(fr->cache);
	free(fr);
}

void
feeder_tick(struct feeder *fr)
{
	frame_cache_tick(fr->cache);
	page_set(fr->w->page, fr->w->page_slot, GAUGE_FRAME_CACHE_BYTES,
	    frame_cache_bytes(fr->cache));
}

void
feeder_rest(struct feeder *fr)
{
	frame_cache_clear(fr->cache);
	page_set(fr->w->page, fr->w->page_slot, GAUGE_FRAME_CACHE_BYTES, 0);
}

void
feed_keep(struct room *room, uint64_t rev, const struct rec_event_message *m,
    struct ws_shared *frame)
{
	struct feed *f = LIST_FIRST(&room->feeds);
	struct cached_frame c = { .frame = frame };

	if (f == NULL)
		return;
	if (m->client_msg_id.len > 0) {
		c.sender = m->sender;
		c.client_msg_id = m->client_msg_id;
	}
	frame_cache_put(f->conn->w->feeder->cache, room->id, m->seq, rev, &c);
}

static void
feeder_arm(struct feeder *fr)
{
	struct timeval now = { 0, 0 };

	if (!TAILQ_EMPTY(&fr->queue) && !evtimer_pending(fr->timer, NULL))
		evtimer_add(fr->timer, &now);
}

static bool
feed_due(const struct ws_conn *c)
{
	return c->relist || !TAILQ_EMPTY(&c->behind) || inbox_due(c);
}

void
feed_wake(struct ws_conn *c)
{
	struct feeder *fr = c->w->feeder;

	if (c->feeding || !feed_due(c) || !ws_conn_hungry(c))
		return;
	c->feeding = true;
	TAILQ_INSERT_TAIL(&fr->queue, c, in_feeder);
	feeder_arm(fr);
}

static void
feed_count(const struct ws_conn *c, enum page_counter what, bool up)
{
	page_add(c->w->page, c->w->page_slot, what, up ? 1 : UINT64_MAX);
}

static void
feed_enter_behind(struct feed *f)
{
	struct ws_conn *c = f->conn;

	feed_count(c, GAUGE_FEEDS_BEHIND, true);
	if (TAILQ_EMPTY(&c->behind))
		feed_count(c, GAUGE_CONNECTIONS_BEHIND, true);
	TAILQ_INSERT_TAIL(&c->behind, f, in_conn);
}

static void
feed_leave_behind(struct feed *f)
{
	struct ws_conn *c = f->conn;

	TAILQ_REMOVE(&c->behind, f, in_conn);
	feed_count(c, GAUGE_FEEDS_BEHIND, false);
	if (TAILQ_EMPTY(&c->behind))
		feed_count(c, GAUGE_CONNECTIONS_BEHIND, false);
}

void
feed_set_state(struct feed *f, enum feed_state state)
{
	struct ws_conn *c = f->conn;

	if (f->state == state)
		return;
	if (f->state == FEED_BEHIND)
		feed_leave_behind(f);
	else
		TAILQ_REMOVE(&c->feeds, f, in_conn);
	f->state = (uint8_t)state;
	if (state == FEED_BEHIND) {
		feed_enter_behind(f);
		feed_wake(c);
	} else {
		TAILQ_INSERT_TAIL(&c->feeds, f, in_conn);
	}
}

struct feed *
feed_new(struct ws_conn *c, uint64_t id, const char *token, uint64_t seq,
    uint64_t rev, uint64_t n)
{
	struct feed *f = mem_alloc(sizeof(*f));

	f->room = rooms_get(c->w->rooms, c->user->tenant, id, token);
	f->conn = c;
	f->sent = seq;
	f->rev = rev;
	f->n = n;
	f->unheard = !f->room->confirmed;
	f->seen = true;
	f->state = FEED_WAITING;
	LIST_INSERT_HEAD(&f->room->feeds, f, in_room);
	TAILQ_INSERT_TAIL(&c->feeds, f, in_conn);
	if (f->room->confirmed)
		feed_set_state(f, FEED_BEHIND);
	ws_presence_feed(f);
	return f;
}

struct feed *
feed_new_member(struct ws_conn *c, const struct reader_room *room,
    uint64_t last_ack, uint64_t n)
{
	const struct resume_cursor *at = resume_find(c, room->token);

	/* The news of it will find the feed and say nothing. */
	if (c->listed)
		feed_tell_room(c, "room.joined", room);
	if (at == NULL)
		return feed_new(c, room->id, room->token, last_ack, room->rev,
		    n);
	return feed_new(c, room->id, room->token, at->seq,
	    at->has_rev ? at->rev : room->rev, n);
}

void
feed_free(struct feed *f)
{
	struct ws_conn *c = f->conn;
	struct room *room = f->room;

	if (f->syncing)
		c->sync_left--;
	if (f->state == FEED_BEHIND)
		feed_leave_behind(f);
	else
		TAILQ_REMOVE(&c->feeds, f, in_conn);
	LIST_REMOVE(f, in_room);
	feed_subscribes_drop(f);
	free(f);
	rooms_release(c->w->rooms, room);
}

void
feed_room_confirmed(struct feed *f)
{
	if (f->state == FEED_WAITING)
		feed_set_state(f, FEED_BEHIND);
}

void
feed_fall_behind(struct feed *f)
{
	if (f->state != FEED_LIVE)
		return;
	feed_count(f->conn, COUNTER_FELL_BEHIND, true);
	feed_set_state(f, FEED_BEHIND);
}

/* Looks through the room's feeds and the connection's side by side, and is
 * done when the shorter of the two ends: either may be very long. */
struct feed *
feed_by_id(struct ws_conn *c, uint64_t id)
{
	struct room *room = rooms_find(c->w->rooms, id);
	struct feed *there, *mine, *behind;

	if (room == NULL)
		return NULL;
	there = LIST_FIRST(&room->feeds);
	mine = TAILQ_FIRST(&c->feeds);
	behind = TAILQ_FIRST(&c->behind);
	for (; there != NULL; there = LIST_NEXT(there, in_room)) {
		if (there->conn == c)
			return there;
		if (mine == NULL) {
			mine = behind;
			behind = NULL;
		}
		if (mine == NULL || mine->room == room)
			return mine;
		mine = TAILQ_NEXT(mine, in_conn);
	}
	return NULL;
}

struct feed *
feed_find(struct ws_conn *c, const char *token)
{
	struct feed_queue *q[] = { &c->feeds, &c->behind };
	struct feed *f;

	for (int i = 0; i < 2; i++) {
		TAILQ_FOREACH(f, q[i], in_conn) {
			if (memcmp(f->room->token, token, ID_TOKEN_LEN) == 0)
				return f;
		}
	}
	return NULL;
}

void
feed_connect(struct ws_conn *c)
{
	c->relist = true;
	c->list_after = 0;
	feed_wake(c);
}

void
feed_lost(struct ws_conn *c)
{
	struct feed *f, *next;

	/* Its first list, which will show all, has not begun. */
	if (c->state != WS_OPEN || (!c->listed && !c->relist))
		return;
	for (f = TAILQ_FIRST(&c->feeds); f != NULL; f = next) {
		next = TAILQ_NEXT(f, in_conn);
		feed_fall_behind(f);
	}
	feed_connect(c);
}

void
feed_disconnect(struct ws_conn *c)
{
	struct feed *f;

	if (c->feeding)
		TAILQ_REMOVE(&c->w->feeder->queue, c, in_feeder);
	c->feeding = false;
	c->relist = false;
	inbox_disconnect(c);
	while ((f = TAILQ_FIRST(&c->behind)) != NULL)
		feed_free(f);
	while ((f = TAILQ_FIRST(&c->feeds)) != NULL)
		feed_free(f);
	ws_presence_disconnect(c);
}

void
feed_progress(struct feed *f)
{
	struct ws_conn *c = f->conn;

	if (f->syncing &&
	    (f->state == FEED_LIVE ||
		(f->sent >= f->target && f->rev >= f->target_rev))) {
		f->syncing = false;
		c->sync_left--;
	}
	feed_subscribes_answer(f);
	feed_sync_complete(c);
}

void
feed_joined(struct ws_conn *c, uint64_t id, uint64_t start, uint64_t n)
{
	struct reader_room room;
	struct feed *f;

	if (c->state != WS_OPEN || feed_by_id(c, id) != NULL)
		return;
	/* Too slow to be told now: its list is read again when it drains. */
	if (c->out.bytes > WS_OUT_HIGH) {
		feed_lost(c);
		return;
	}
	switch (reader_room_by_id(c->w->reader, id, &room)) {
	case 1:
		break;
	case 0:
		return;
	default:
		ws_conn_close(c, WS_CLOSE_INTERNAL, "the log is unreadable");
		return;
	}
	feed_tell_room(c, "room.joined", &room);
	f = feed_new(c, id, room.token, start, room.rev, n);
	feed_progress(f);
}

void
feed_left(struct ws_conn *c, uint64_t room, uint64_t n)
{
	struct feed *f = feed_by_id(c, room);

	/* A page that was read since found him a member: he is one again,
	 * and has been sent what came after his return. */
	if (c->state != WS_OPEN || f == NULL || n <= f->n)
		return;
	feed_tell_left(c, f->room->token);
	feed_subscribes_refuse(f, OUTCOME_NOT_MEMBER);
	feed_free(f);
	feed_sync_complete(c);
}

void
feed_deleted(struct feed *f, struct ws_shared *frame)
{
	struct ws_conn *c = f->conn;

	if (c->state != WS_OPEN)
		return;
	if (frame != NULL)
		ws_conn_send_shared(c, frame);
	else
		feed_tell_deleted(c, f->room->token);
	feed_subscribes_refuse(f, OUTCOME_ROOM_NOT_FOUND);
	feed_free(f);
	feed_sync_complete(c);
}

void
feed_updated(struct feed *f, struct ws_shared *frame)
{
	struct ws_conn *c = f->conn;

	/* Too slow to be told now: its list is read again when it drains,
	 * and shows which rooms have changed since the one before. */
	if (c->out.bytes > WS_OUT_HIGH)
		feed_lost(c);
	else
		ws_conn_send_shared(c, frame);
}

/* ---- whose turn it is ---- */

/* Pages for one connection in one transaction. */
static int
feeder_pages(struct feeder *fr, struct ws_conn *c, uint64_t end)
{
	struct reader *r = c->w->reader;
	struct feed *f;
	int rc = 0;

	if (TAILQ_EMPTY(&c->behind))
		return 0;
	if (reader_begin(r, &fr->n) == -1)
		return -1;
	for (int i = 0; i < FEEDER_PAGES && rc == 0; i++) {
		f = TAILQ_FIRST(&c->behind);
		if (f == NULL || !ws_conn_hungry(c))
			break;
		rc = feed_page(fr, f);
		if (clock_mono_ns() >= end)
			break;
	}
	reader_end(r);
	return rc;
}

static void
feeder_step(struct feeder *fr, struct ws_conn *c, uint64_t end)
{
	bool rooms = c->relist || !TAILQ_EMPTY(&c->behind);
	int rc = 0;

	if (rooms)
		rc = c->relist ? feed_list_page(c) : feeder_pages(fr, c, end);
	/* In turns with the rooms, but behind the first sync of them. */
	if (rc == 0 && inbox_due(c) && (c->synced || !rooms) &&
	    ws_conn_hungry(c))
		rc = inbox_page(c);
	if (rc == -1)
		/* The client comes back to wherever it stood. */
		ws_conn_close(c, WS_CLOSE_INTERNAL, "the log is unreadable");
}

static void
feeder_run(evutil_socket_t fd, short what, void *arg)
{
	struct feeder *fr = arg;
	uint64_t end = clock_mono_ns() + FEEDER_SLICE_US * UINT64_C(1000);
	struct ws_conn *c;

	(void)fd;
	(void)what;
	while ((c = TAILQ_FIRST(&fr->queue)) != NULL) {
		TAILQ_REMOVE(&fr->queue, c, in_feeder);
		c->feeding = false;
		feeder_step(fr, c, end);
		feed_wake(c);
		if (clock_mono_ns() >= end)
			break;
	}
	feeder_arm(fr);
}
