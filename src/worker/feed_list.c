/* SPDX-License-Identifier: MIT */
/*
 * Reading a user's list of rooms: at connect, to find where each feed
 * starts, and again after events were lost, to find what has changed.  Runs
 * in a worker; reads only.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "feeder.h"
#include "reader.h"
#include "resume.h"
#include "worker.h"
#include "ws_conn.h"

/* Rooms read in one transaction. */
#define FEED_LIST_PAGE 256

/* A room to be told of once the snapshot has ended. */
struct list_news {
	uint64_t room;
	uint64_t last_ack;
	bool joined; /* else updated */
};

struct list_page {
	struct ws_conn *c;
	uint64_t n; /* batch that its transaction shows */
	unsigned rows;
	unsigned nnews;
	struct list_news news[FEED_LIST_PAGE];
};

void
feed_list_sync(struct feed *f, uint64_t seq, uint64_t rev)
{
	f->target = seq;
	f->target_rev = rev;
	f->syncing = true;
	f->conn->sync_left++;
}

/* A room of the first list: from the device's cursor, or from last_ack and
 * without changes made before. */
static struct feed *
feed_list_start(struct list_page *p, const struct reader_user_room *row)
{
	struct ws_conn *c = p->c;
	const struct resume_cursor *at = resume_find(c, row->token);
	uint64_t seq = row->last_ack, rev = row->rev;
	struct feed *f;

	if (at != NULL) {
		seq = at->seq < row->last_seq ? at->seq : row->last_seq;
		if (at->has_rev && at->rev < rev)
			rev = at->rev;
	}
	f = feed_new(c, row->room, row->token, seq, rev, p->n);
	feed_list_sync(f, row->last_seq, row->rev);
	return f;
}

static void
feed_list_news(struct list_page *p, const struct reader_user_room *row,
    bool joined)
{
	struct list_news *news = &p->news[p->nnews++];

	news->room = row->room;
	news->last_ack = row->last_ack;
	news->joined = joined;
}

static bool
feed_list_row(const struct reader_user_room *row, void *arg)
{
	struct list_page *p = arg;
	struct ws_conn *c = p->c;
	struct feed *f = feed_by_id(c, row->room);

	p->rows++;
	c->list_after = row->room;
	if (c->listed && (f == NULL || row->changed_n > c->list_last))
		feed_list_news(p, row, f == NULL);
	if (f == NULL && c->listed)
		return true;
	if (f == NULL) {
		f = feed_list_start(p, row);
	} else if (!c->listed && !f->syncing && f->sent < row->last_seq &&
	    (f->state == FEED_WAITING || f->state == FEED_BEHIND)) {
		/* A frame of the client was quicker than the list. */
		feed_list_sync(f, row->last_seq, row->rev);
	}
	f->seen = true;
	/* He is being told what this list shows. */
	if (c->listed)
		f->n = p->n;
	/* A page found him no member, but he is one again, and the events
	 * that would have said both were lost. */
	if (f->state == FEED_WAITING && f->room->confirmed)
		feed_set_state(f, FEED_BEHIND);
	if (f->state == FEED_BEHIND && f->sent == row->last_seq &&
	    f->rev == row->rev) {
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

/* A room that is in the list no more. */
static void
feed_list_gone(struct feed *f)
{
	struct ws_conn *c = f->conn;
	struct reader_room room;

	if (reader_room_by_id(c->w->reader, f->room->id, &room) == 0)
		feed_deleted(f, NULL);
	else
		feed_left(c, f->room->id, UINT64_MAX);
}

static void
feed_list_end(struct ws_conn *c)
{
	struct feed_queue *q[] = { &c->feeds, &c->behind };

	c->relist = false;
	c->listed = true;
	c->list_last = c->list_n;
	for (int i = 0; i < 2; i++) {
		struct feed *f, *next;

		for (f = TAILQ_FIRST(q[i]); f != NULL; f = next) {
			next = TAILQ_NEXT(f, in_conn);
			if (!f->seen)
				feed_list_gone(f);
		}
	}
	resume_listed(c);
	feed_sync_complete(c);
}

/* Tells what a page has found; false when the connection is too slow for
 * all of it: then the list goes on from there when it has drained. */
static bool
feed_list_tell(struct ws_conn *c, const struct list_page *p)
{
	for (unsigned i = 0; i < p->nnews; i++) {
		const struct list_news *news = &p->news[i];
		struct reader_room room;

		if (c->out.bytes > WS_OUT_HIGH) {
			c->list_after = news->room - 1;
			return false;
		}
		if (news->joined)
			feed_joined(c, news->room, news->last_ack, p->n);
		else if (reader_room_by_id(c->w->reader, news->room, &room) ==
		    1)
			feed_tell_room(c, "room.updated", &room);
		if (c->state != WS_OPEN)
			return false;
	}
	return true;
}

int
feed_list_page(struct ws_conn *c)
{
	struct reader *r = c->w->reader;
	struct list_page *p;
	uint64_t n;
	int rc;

	if (reader_begin(r, &n) == -1)
		return -1;
	p = mem_alloc(sizeof(*p));
	p->c = c;
	p->n = n;
	if (c->list_after == 0)
		feed_list_begin(c, n);
	rc = reader_user_rooms(r, c->user->tenant, c->user->name, c->user->len,
	    c->list_after, FEED_LIST_PAGE, feed_list_row, p);
	reader_end(r);
	if (rc != -1 && feed_list_tell(c, p) && p->rows < FEED_LIST_PAGE)
		feed_list_end(c);
	free(p);
	return rc == -1 ? -1 : 0;
}
