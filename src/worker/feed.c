/* SPDX-License-Identifier: MIT */
/*
 * Feeding connections from the log: lists of rooms, pages of messages, and
 * the moment at which a feed goes live.  Runs in a worker, in slices of
 * FEEDER_SLICE_US so that live traffic is not held up; reads only.
 */
#include "feed.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "feeder.h"
#include "reader.h"
#include "worker.h"
#include "ws_conn.h"

#define FEEDER_SLICE_US 2000
/* Rooms of a list and messages of a room read in one transaction. */
#define FEED_LIST_PAGE 256
#define FEED_PAGE 64

TAILQ_HEAD(conn_queue, ws_conn);

struct feeder {
	struct worker *w;
	struct conn_queue queue; /* who is due, in turns */
	struct event *timer;     /* zero timeout: once per turn of the loop */
	struct buf text;         /* a frame under construction */
};

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
	return fr;
}

void
feeder_free(struct feeder *fr)
{
	if (fr == NULL)
		return;
	event_free(fr->timer);
	buf_free(&fr->text);
	free(fr);
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
	return c->relist || !TAILQ_EMPTY(&c->behind);
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

void
feed_set_state(struct feed *f, enum feed_state state)
{
	struct ws_conn *c = f->conn;

	if (f->state == state)
		return;
	if (f->state == FEED_BEHIND)
		TAILQ_REMOVE(&c->behind, f, in_conn);
	else
		TAILQ_REMOVE(&c->feeds, f, in_conn);
	f->state = (uint8_t)state;
	if (state == FEED_BEHIND) {
		TAILQ_INSERT_TAIL(&c->behind, f, in_conn);
		feed_wake(c);
	} else {
		TAILQ_INSERT_TAIL(&c->feeds, f, in_conn);
	}
}

struct feed *
feed_new(struct ws_conn *c, uint64_t id, const char *token, uint64_t start)
{
	struct feed *f = mem_alloc(sizeof(*f));

	f->room = rooms_get(c->w->rooms, c->user->tenant, id, token);
	f->conn = c;
	f->sent = start;
	f->seen = true;
	f->state = FEED_WAITING;
	LIST_INSERT_HEAD(&f->room->feeds, f, in_room);
	TAILQ_INSERT_TAIL(&c->feeds, f, in_conn);
	if (f->room->confirmed)
		feed_set_state(f, FEED_BEHIND);
	return f;
}

static void
feed_free(struct feed *f)
{
	struct ws_conn *c = f->conn;
	struct room *room = f->room;

	if (f->syncing)
		c->sync_left--;
	if (f->state == FEED_BEHIND)
		TAILQ_REMOVE(&c->behind, f, in_conn);
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
	if (f->state == FEED_LIVE)
		feed_set_state(f, FEED_BEHIND);
}

/* Looks through the room's feeds and the connection's side by side, and is
 * done when the shorter of the two ends: either may be very long. */
static struct feed *
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

	if (c->state != WS_OPEN)
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
	while ((f = TAILQ_FIRST(&c->behind)) != NULL)
		feed_free(f);
	while ((f = TAILQ_FIRST(&c->feeds)) != NULL)
		feed_free(f);
}

/* Progress was made: says so to whoever waits for it. */
static void
feed_progress(struct feed *f)
{
	struct ws_conn *c = f->conn;

	if (f->syncing && (f->state == FEED_LIVE || f->sent >= f->target)) {
		f->syncing = false;
		c->sync_left--;
	}
	feed_subscribes_answer(f);
	feed_sync_complete(c);
}

/* ---- the list of rooms ---- */

struct list_page {
	struct ws_conn *c;
	unsigned rows;
	uint64_t joined[FEED_LIST_PAGE]; /* told after the snapshot */
	uint64_t joined_ack[FEED_LIST_PAGE];
	char token[FEED_LIST_PAGE][ID_TOKEN_SIZE];
	unsigned njoined;
};

/* sync.complete waits until the feed has been sent up to target. */
static void
feed_list_sync(struct feed *f, uint64_t target)
{
	f->target = target;
	f->syncing = true;
	f->conn->sync_left++;
}

static bool
feed_list_row(const struct reader_user_room *row, void *arg)
{
	struct list_page *p = arg;
	struct ws_conn *c = p->c;
	struct feed *f = feed_by_id(c, row->room);

	p->rows++;
	c->list_after = row->room;
	if (f == NULL && c->listed) {
		p->joined[p->njoined] = row->room;
		p->joined_ack[p->njoined] = row->last_ack;
		memcpy(p->token[p->njoined], row->token, ID_TOKEN_SIZE);
		p->njoined++;
		return true;
	}
	if (f == NULL) {
		f = feed_new(c, row->room, row->token, row->last_ack);
		feed_list_sync(f, row->last_seq);
	} else if (!c->listed && !f->syncing && f->sent < row->last_seq &&
	    (f->state == FEED_WAITING || f->state == FEED_BEHIND)) {
		/* A frame of the client was quicker than the list. */
		feed_list_sync(f, row->last_seq);
	}
	f->seen = true;
	/* A page found him no member, but he is one again, and the events
	 * that would have said both were lost. */
	if (f->state == FEED_WAITING && f->room->confirmed)
		feed_set_state(f, FEED_BEHIND);
	if (f->state == FEED_BEHIND && f->sent == row->last_seq) {
		f->rev = row->rev;
		feed_set_state(f, FEED_LIVE);
		feed_progress(f);
	}
	return true;
}

static void
feed_list_begin(struct ws_conn *c, uint64_t n)
{
	struct feed *f;

	c->list_n = n;
	TAILQ_FOREACH(f, &c->feeds, in_conn)
		f->seen = false;
	TAILQ_FOREACH(f, &c->behind, in_conn)
		f->seen = false;
}

static void
feed_list_end(struct ws_conn *c)
{
	struct feed_queue *q[] = { &c->feeds, &c->behind };

	c->relist = false;
	c->listed = true;
	for (int i = 0; i < 2; i++) {
		struct feed *f, *next;

		for (f = TAILQ_FIRST(q[i]); f != NULL; f = next) {
			next = TAILQ_NEXT(f, in_conn);
			if (!f->seen)
				feed_left(c, f->room->id);
		}
	}
	feed_sync_complete(c);
}

/* Reads one page of the user's rooms; -1 when the database failed. */
static int
feed_list_page(struct ws_conn *c)
{
	struct reader *r = c->w->reader;
	struct list_page *p;
	bool more;
	uint64_t n;
	int rc;

	if (reader_begin(r, &n) == -1)
		return -1;
	p = mem_alloc(sizeof(*p));
	p->c = c;
	if (c->list_after == 0)
		feed_list_begin(c, n);
	rc = reader_user_rooms(r, c->user->tenant, c->user->name, c->user->len,
	    c->list_after, FEED_LIST_PAGE, feed_list_row, p);
	reader_end(r);
	more = p->rows == FEED_LIST_PAGE;
	for (unsigned i = 0; i < p->njoined && rc != -1; i++) {
		if (c->out.bytes > WS_OUT_HIGH) {
			/* The list goes on from here when it has drained. */
			c->list_after = p->joined[i] - 1;
			more = true;
			break;
		}
		feed_joined(c, p->joined[i], p->token[i], p->joined_ack[i]);
	}
	if (rc != -1 && !more)
		feed_list_end(c);
	free(p);
	return rc == -1 ? -1 : 0;
}

void
feed_joined(struct ws_conn *c, uint64_t room, const char *token, uint64_t start)
{
	struct feed *f;

	if (c->state != WS_OPEN || feed_by_id(c, room) != NULL)
		return;
	/* Too slow to be told now: its list is read again when it drains. */
	if (c->out.bytes > WS_OUT_HIGH) {
		feed_lost(c);
		return;
	}
	if (!feed_tell_joined(c, room))
		return;
	f = feed_new(c, room, token, start);
	feed_progress(f);
}

void
feed_left(struct ws_conn *c, uint64_t room)
{
	struct feed *f = feed_by_id(c, room);

	if (c->state != WS_OPEN || f == NULL)
		return;
	feed_tell_left(c, f->room->token);
	feed_subscribes_refuse(f);
	feed_free(f);
	feed_sync_complete(c);
}

/* ---- pages of messages ---- */

struct message_page {
	struct feed *f;
	struct buf *text;
};

static bool
feed_message_row(const struct message *m, void *arg)
{
	struct message_page *p = arg;
	struct feed *f = p->f;
	struct ws_conn *c = f->conn;

	/* The log is dense above first_seq; anything else is corruption,
	 * and a gap must not be passed off as a sequence. */
	if (m->seq != f->sent + 1) {
		log_error("hole in the log", "room=%llu seq=%llu after=%llu",
		    (unsigned long long)f->room->id, (unsigned long long)m->seq,
		    (unsigned long long)f->sent);
		return false;
	}
	feed_tell_message(c, m, p->text);
	f->sent = m->seq;
	return c->out.bytes < WS_OUT_HIGH;
}

/* Reads the next page of one room; -1 when the database failed. */
static int
feed_page(struct feed *f, struct buf *text)
{
	struct ws_conn *c = f->conn;
	struct reader *r = c->w->reader;
	struct message_page p = { f, text };
	struct reader_feed pos;
	uint64_t n, before;
	int rc;

	if (reader_begin(r, &n) == -1)
		return -1;
	rc = reader_feed(r, f->room->id, c->user->name, c->user->len, &pos);
	if (rc == -1 || rc == 0 || !pos.member) {
		/* Not a member any more: the event that says so is on its
		 * way, nothing is to be sent until then. */
		reader_end(r);
		if (rc != -1)
			feed_set_state(f, FEED_WAITING);
		return rc == -1 ? -1 : 0;
	}
	if (f->sent > pos.head)
		f->sent = pos.head;
	if (f->sent + 1 < pos.first) {
		feed_tell_gap(c, f, pos.first - 1);
		f->sent = pos.first - 1;
	}
	feed_subscribes_target(f, pos.head);
	before = f->sent;
	if (f->sent < pos.head)
		rc = reader_messages_after(r, f->room->id, f->room->token,
		    f->sent, FEED_PAGE, feed_message_row, &p);
	reader_end(r);
	/* A page that should have brought something and did not would be
	 * asked for for ever. */
	if (rc == -1 || (before < pos.head && f->sent == before))
		return -1;
	page_add(c->w->page, c->w->page_slot, COUNTER_DELIVERIES,
	    f->sent - before);
	f->rev = pos.rev;
	/* In turns with the connection's other rooms. */
	TAILQ_REMOVE(&c->behind, f, in_conn);
	TAILQ_INSERT_TAIL(&c->behind, f, in_conn);
	if (f->sent == pos.head)
		feed_set_state(f, FEED_LIVE);
	feed_progress(f);
	return 0;
}

/* One page for the connection whose turn it is. */
static void
feeder_step(struct feeder *fr, struct ws_conn *c)
{
	struct feed *f = TAILQ_FIRST(&c->behind);
	int rc = 0;

	if (c->relist)
		rc = feed_list_page(c);
	else if (f != NULL)
		rc = feed_page(f, &fr->text);
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
		feeder_step(fr, c);
		feed_wake(c);
		if (clock_mono_ns() >= end)
			break;
	}
	feeder_arm(fr);
}
