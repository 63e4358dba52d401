/* SPDX-License-Identifier: MIT */
/*
 * Notifications on their way to connections: pages out of the database for
 * who is behind, events for who is live.  Runs in a worker; only reads, but
 * for telling the writer of users whom their tenant has not known.
 */
#include "inbox.h"

#include "../common/notify_text.h"
#include "../common/page.h"
#include "../common/records_notify.h"
#include "../common/submit.h"
#include "feed.h"
#include "feeder.h"
#include "reader_notify.h"
#include "users.h"
#include "worker.h"
#include "ws_conn.h"

/* Notifications at a time: they may be of 16 KiB. */
#define INBOX_PAGE 32

/* The next connection asks again. */
static void
inbox_seen(const struct rec_reply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

/* Nobody waits for it. */
static void
inbox_introduce(struct ws_conn *c)
{
	struct submit *s = c->w->submit;
	struct rec_op_of_user op = { .user = { c->user->name, c->user->len },
		.subject = { "", 0 } };
	struct buf *b = submit_begin(s, &op.h, c->user->tenant);

	(void)rec_op_of_user_put(b, REC_OP_USER_SEEN, &op);
	(void)submit_end(s, inbox_seen, NULL);
}

void
inbox_connect(struct ws_conn *c)
{
	/* At once: he may be gone before his inbox is read. */
	if (reader_user_known(c->w->reader, c->user->tenant, c->user->name,
		c->user->len) == 0)
		inbox_introduce(c);
	c->inbox_state = INBOX_BEHIND;
	feed_wake(c);
}

void
inbox_disconnect(struct ws_conn *c)
{
	c->inbox_state = INBOX_NONE;
}

void
inbox_lost(struct ws_conn *c)
{
	if (c->inbox_state != INBOX_LIVE)
		return;
	c->inbox_state = INBOX_BEHIND;
	feed_wake(c);
}

bool
inbox_due(const struct ws_conn *c)
{
	return c->inbox_state == INBOX_BEHIND;
}

static void
inbox_send(struct ws_conn *c, struct ws_shared *frame, uint64_t id)
{
	ws_conn_send_shared(c, frame);
	c->inbox = id;
	page_add(c->w->page, c->w->page_slot, COUNTER_NOTIFICATION_FRAMES, 1);
}

struct inbox_read {
	struct ws_conn *c;
	unsigned rows;
	bool full; /* the connection has enough for now */
};

static bool
inbox_row(uint64_t id, const struct notify_text *t, void *arg)
{
	struct inbox_read *p = arg;
	struct buf *text = &p->c->w->feeder->text;
	struct ws_shared *frame;

	buf_clear(text);
	notify_text_frame(text, t);
	frame = ws_shared_new(WS_TEXT, buf_head(text), text->len);
	inbox_send(p->c, frame, id);
	ws_shared_unref(frame);
	p->rows++;
	p->full = p->c->out.bytes >= WS_OUT_HIGH;
	return !p->full;
}

int
inbox_page(struct ws_conn *c)
{
	struct inbox_read p = { .c = c };
	uint64_t head;

	/* Whatever the head is of is in the page, or was acknowledged. */
	if (reader_inbox_head(c->w->reader, &head) == -1 ||
	    reader_inbox(c->w->reader, c->user->tenant, c->user->name,
		c->user->len, c->inbox, INBOX_PAGE, inbox_row, &p) == -1)
		return -1;
	if (p.full || p.rows == INBOX_PAGE)
		return 0;
	if (c->inbox < head)
		c->inbox = head;
	c->inbox_state = INBOX_LIVE;
	return 0;
}

/* To the connections of one user; the frame is made when one wants it. */
static void
inbox_user(struct user *user, uint64_t id,
    const struct rec_event_notification *e, struct ws_shared **frame)
{
	struct ws_conn *c;

	LIST_FOREACH(c, &user->conns, in_user) {
		if (c->inbox_state != INBOX_LIVE || id <= c->inbox)
			continue;
		if (c->out.bytes > WS_OUT_HIGH) {
			inbox_lost(c);
			continue;
		}
		if (*frame == NULL)
			*frame = ws_shared_new(WS_TEXT, e->text.p, e->text.len);
		inbox_send(c, *frame, id);
	}
}

void
inbox_event(struct worker *w, const struct rec_event_notification *e)
{
	struct ws_shared *frame = NULL;
	struct str name;
	uint64_t id;
	size_t at = 0;

	while (rec_event_notification_next(e, &at, &name, &id)) {
		struct user *user = users_find(w->users, e->tenant, name.p,
		    name.len);

		if (user != NULL)
			inbox_user(user, id, e, &frame);
	}
	ws_shared_unref(frame);
}
