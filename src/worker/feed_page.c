/* SPDX-License-Identifier: MIT */
/*
 * One page of a room for one connection: the changes of what it has been
 * sent, then the next messages, until both stand at the head of a snapshot
 * and the feed is live.  Runs in a worker, inside a read transaction.
 */
#include "../common/log.h"
#include "../common/page.h"
#include "feeder.h"
#include "frame_cache.h"
#include "reader.h"
#include "worker.h"
#include "ws_conn.h"

/* Messages or changes of a room at a time. */
#define FEED_PAGE 64

struct page_read {
	struct feeder *fr;
	struct feed *f;
	unsigned rows;
	bool full; /* the connection has enough for now */
};

/* Others in the room will come by here, unless it is alone. */
static bool
page_worth_keeping(const struct feed *f)
{
	return LIST_FIRST(&f->room->feeds) != f ||
	    LIST_NEXT(f, in_room) != NULL;
}

static bool
page_is_own(const struct ws_conn *c, struct str sender)
{
	return sender.len > 0 && sender.len == c->user->len &&
	    memcmp(sender.p, c->user->name, sender.len) == 0;
}

static void
page_send(struct feed *f, const struct cached_frame *cached, const char *text,
    size_t len)
{
	struct ws_conn *c = f->conn;

	if (page_is_own(c, cached->sender))
		feed_tell_own(c, text, len, cached->client_msg_id);
	else
		ws_conn_send_shared(c, cached->frame);
	f->sent++;
}

/* Sends what is still at hand as it was encoded for somebody else. */
static void
page_cached(struct page_read *p, uint64_t head)
{
	struct feed *f = p->f;
	struct ws_conn *c = f->conn;
	const struct cached_frame *cached;
	size_t header, len;

	while (f->sent < head && p->rows < FEED_PAGE &&
	    c->out.bytes < WS_OUT_HIGH) {
		cached = frame_cache_get(p->fr->cache, f->room->id, f->sent + 1,
		    f->rev);
		if (cached == NULL)
			return;
		header = ws_frame_header_len(cached->frame->data);
		len = cached->frame->len - header;
		page_send(f, cached, (const char *)cached->frame->data + header,
		    len);
		p->rows++;
	}
}

static bool
page_message(const struct message *m, void *arg)
{
	struct page_read *p = arg;
	struct feed *f = p->f;
	struct ws_conn *c = f->conn;
	struct buf *text = &p->fr->text;
	struct cached_frame cached = { 0 };

	/* The log is dense above first_seq; anything else is corruption,
	 * and a gap must not be passed off as a sequence. */
	if (m->seq != f->sent + 1) {
		log_error("hole in the log", "room=%llu seq=%llu after=%llu",
		    (unsigned long long)f->room->id, (unsigned long long)m->seq,
		    (unsigned long long)f->sent);
		return false;
	}
	buf_clear(text);
	message_json(text, m, MESSAGE_FRAME);
	cached.frame = ws_shared_new(WS_TEXT, buf_head(text), text->len);
	cached.frame->message = true;
	if (m->client_msg_id != NULL) {
		cached.sender = (struct str){ m->sender, m->sender_len };
		cached.client_msg_id = (struct str){ m->client_msg_id,
			m->client_msg_id_len };
	}
	if (page_worth_keeping(f))
		frame_cache_put(p->fr->cache, f->room->id, m->seq, f->rev,
		    &cached);
	page_send(f, &cached, buf_head(text), text->len);
	ws_shared_unref(cached.frame);
	p->rows++;
	return c->out.bytes < WS_OUT_HIGH;
}

/* -1 when the database failed, or what should be there is not. */
static int
page_messages(struct page_read *p, uint64_t head)
{
	struct feed *f = p->f;
	struct ws_conn *c = f->conn;
	uint64_t before = f->sent;
	int rc = 0;

	page_cached(p, head);
	if (f->sent < head && p->rows < FEED_PAGE && c->out.bytes < WS_OUT_HIGH)
		rc = reader_messages_after(c->w->reader, f->room->id,
		    f->room->token, f->sent, FEED_PAGE - p->rows, page_message,
		    p);
	page_add(c->w->page, c->w->page_slot, COUNTER_DELIVERIES,
	    f->sent - before);
	/* It would be asked for for ever. */
	if (f->sent == before && f->sent < head && c->out.bytes < WS_OUT_HIGH)
		return -1;
	return rc == -1 ? -1 : 0;
}

static bool
page_change(const struct message *m, void *arg)
{
	struct page_read *p = arg;
	struct feed *f = p->f;

	p->rows++;
	/* What has not been sent yet comes as it now stands. */
	if (m->seq <= f->sent)
		feed_tell_change(f->conn, m, &p->fr->text);
	f->rev = m->rev;
	p->full = f->conn->out.bytes >= WS_OUT_HIGH;
	return !p->full;
}

/* The changes above the feed's rev, in their order. */
static int
page_changes(struct page_read *p, const struct reader_feed *pos)
{
	struct feed *f = p->f;
	int rc;

	p->rows = 0;
	rc = reader_changes(f->conn->w->reader, f->room->id, f->room->token,
	    f->rev, pos->first, FEED_PAGE, page_change, p);
	if (rc == -1)
		return -1;
	/* A message that changed twice is there once. */
	if (!p->full && p->rows < FEED_PAGE)
		f->rev = pos->rev;
	p->rows = 0;
	return 0;
}

/* Brings the position into what the room still has. */
static void
page_clamp(struct feed *f, const struct reader_feed *pos)
{
	if (f->sent > pos->head)
		f->sent = pos->head;
	if (f->rev > pos->rev)
		f->rev = pos->rev;
	if (f->sent + 1 < pos->first) {
		feed_tell_gap(f->conn, f, pos->first - 1);
		f->sent = pos->first - 1;
	}
	feed_subscribes_target(f, pos->head, pos->rev);
}

/* The room may have been renamed after it was read for this connection and
 * before the hub knew that someone here wants to hear of it. */
static int
page_unheard(struct feeder *fr, struct feed *f)
{
	struct reader *r = fr->w->reader;
	struct reader_room room;
	uint64_t changed;
	int rc;

	rc = reader_room_changed(r, f->room->id, &changed);
	if (rc == 1 && changed > f->n &&
	    (rc = reader_room_by_id(r, f->room->id, &room)) == 1)
		feed_tell_room(f->conn, "room.updated", &room);
	f->unheard = false;
	return rc == -1 ? -1 : 0;
}

int
feed_page(struct feeder *fr, struct feed *f)
{
	struct ws_conn *c = f->conn;
	struct page_read p = { .fr = fr, .f = f };
	struct reader_feed pos;
	int rc;

	rc = reader_feed(c->w->reader, f->room->id, c->user->name, c->user->len,
	    &pos);
	if (rc == -1)
		return -1;
	if (rc == 0) {
		feed_deleted(f, NULL);
		return 0;
	}
	if (!pos.member) {
		/* The event that says so is on its way; nothing is to be
		 * sent until then. */
		feed_set_state(f, FEED_WAITING);
		return 0;
	}
	if (f->unheard && page_unheard(fr, f) == -1)
		return -1;
	f->n = fr->n;
	page_clamp(f, &pos);
	/* Changes first: what a page then shows is as of this rev. */
	if (f->rev < pos.rev)
		rc = page_changes(&p, &pos);
	if (rc != -1 && f->rev == pos.rev && f->sent < pos.head)
		rc = page_messages(&p, pos.head);
	if (rc == -1)
		return -1;
	/* In turns with the connection's other rooms. */
	TAILQ_REMOVE(&c->behind, f, in_conn);
	TAILQ_INSERT_TAIL(&c->behind, f, in_conn);
	if (f->sent == pos.head && f->rev == pos.rev)
		feed_set_state(f, FEED_LIVE);
	feed_progress(f);
	return 0;
}
