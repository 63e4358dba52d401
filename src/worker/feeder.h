/* SPDX-License-Identifier: MIT */
/* Between feed.c (states), feed_list.c (lists of rooms), feed_page.c (pages
 * of a room) and feed_tell.c (frames): private to the four. */
#ifndef WORKER_FEEDER_H
#define WORKER_FEEDER_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/buf.h"
#include "../common/message.h"
#include "feed.h"

struct frame_cache;
struct reader_user_room;

/* A sync.complete with heads of very many rooms. */
#define FEEDER_TEXT_MAX (8 * 1024 * 1024)

TAILQ_HEAD(feeder_queue, ws_conn);

struct feeder {
	struct worker *w;
	struct feeder_queue queue; /* who is due, in turns */
	struct event *timer;       /* zero timeout: once per turn of the loop */
	struct buf text;           /* a frame under construction */
	struct frame_cache *cache;
	uint64_t n; /* batch that the transaction shows */
};

void feed_set_state(struct feed *f, enum feed_state state);
struct feed *feed_by_id(struct ws_conn *c, uint64_t id);
/* For who is a member at batch n. */
struct feed *feed_new(struct ws_conn *c, uint64_t room, const char *token,
    uint64_t seq, uint64_t rev, uint64_t n);
void feed_free(struct feed *f);
/* Progress was made: says so to whoever waits for it. */
void feed_progress(struct feed *f);

/* feed_list.c: reads one page of the user's rooms; -1 when the database
 * failed. */
int feed_list_page(struct ws_conn *c);
/* sync.complete waits until the feed has been sent up to there. */
void feed_list_sync(struct feed *f, uint64_t seq, uint64_t rev);

/* feed_page.c: within a transaction, the next page of the feed, which may
 * end here; -1 when the database failed. */
int feed_page(struct feeder *fr, struct feed *f);

/* One message of a backlog, with client_msg_id when it is the user's own. */
void feed_tell_own(struct ws_conn *c, const char *text, size_t len,
    struct str client_msg_id);
/* A message of a backlog changed. */
void feed_tell_change(struct ws_conn *c, const struct message *m,
    struct buf *text);
/* Retention removed what lies between the position and `to`. */
void feed_tell_gap(struct ws_conn *c, const struct feed *f, uint64_t to);
/* room.joined or room.updated, with the room. */
void feed_tell_room(struct ws_conn *c, const char *type,
    const struct reader_room *room);
void feed_tell_left(struct ws_conn *c, const char *token);
void feed_tell_deleted(struct ws_conn *c, const char *token);
/* Sends sync.complete once when its time has come. */
void feed_sync_complete(struct ws_conn *c);

/* Answers to subscribe that wait for the feed. */
void feed_subscribes_target(struct feed *f, uint64_t head, uint64_t rev);
void feed_subscribes_answer(struct feed *f);
/* Answers them with an error. */
void feed_subscribes_refuse(struct feed *f, enum outcome o);
void feed_subscribes_drop(struct feed *f);

#endif
