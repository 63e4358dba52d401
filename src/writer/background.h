/* SPDX-License-Identifier: MIT */
/*
 * What the writer does in pieces between batches: removing what is deleted,
 * bringing notifications to many users.  Each piece is a transaction of about
 * 2 ms; while there is other work, removal gets a tenth of the time and
 * notifications, which somebody waits for, a half.
 */
#ifndef WRITER_BACKGROUND_H
#define WRITER_BACKGROUND_H

struct background;
struct buf;
struct event_base;
struct page;
struct store;

struct background_ops {
	/* A piece was committed; what it has to tell is in the buffer. */
	void (*done)(void *arg);
	/* Nobody can say whether it was; does not return. */
	void (*fatal)(void *arg);
};

/* Begins with what an earlier process left.  All is borrowed; `events` is
 * empty whenever the loop runs. */
struct background *background_new(struct event_base *base, struct store *store,
    struct page *page, struct buf *events, const struct background_ops *ops,
    void *arg);
void background_free(struct background *b);
/* A batch has ended: there may be more to do, and less time for it. */
void background_batch(struct background *b);

#endif
