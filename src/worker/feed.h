/* SPDX-License-Identifier: MIT */
/*
 * The one way to catch up: a feed that is not live is paged from the log
 * whenever its connection's output is low, until it stands at the head of a
 * snapshot; then events go straight to the socket.  Connect sync, resume,
 * subscribe, slow readers and lost events are all this.
 */
#ifndef WORKER_FEED_H
#define WORKER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"
#include "rooms.h"

struct feeder;
struct reader_room;
struct worker;
struct ws_conn;
struct ws_shared;

struct feeder *feeder_new(struct worker *w);
void feeder_free(struct feeder *f);
/* Once a second while there are connections: frees what nobody reads. */
void feeder_tick(struct feeder *f);
/* The last connection has gone. */
void feeder_rest(struct feeder *f);

/* A granted connection: read its list of rooms, then feed them all. */
void feed_connect(struct ws_conn *c);
/* Its output has drained, or a feed of it became due. */
void feed_wake(struct ws_conn *c);
/* Ends all its feeds; it is about to go. */
void feed_disconnect(struct ws_conn *c);
/* Events may have been missed: everything of it is read again. */
void feed_lost(struct ws_conn *c);

/* The hub confirmed the interest in the feed's room. */
void feed_room_confirmed(struct feed *f);
/* A live feed cannot take the next event: from now on it is paged. */
void feed_fall_behind(struct feed *f);
/* A message went to the live ones of a room; readers behind them will want
 * the same frame. */
void feed_keep(struct room *room, uint64_t rev,
    const struct rec_event_message *m, struct ws_shared *frame);

/* NULL when the connection has none in that room. */
struct feed *feed_find(struct ws_conn *c, const char *token);
/* The user became a member (start = his last_ack) and was one right after
 * batch n.  With the frame for the client; repeats are harmless. */
void feed_joined(struct ws_conn *c, uint64_t room, uint64_t start, uint64_t n);
/* He no longer is one since batch n, unless he has come back since. */
void feed_left(struct ws_conn *c, uint64_t room, uint64_t n);
/* The room is gone; frame = room.deleted. */
void feed_deleted(struct feed *f, struct ws_shared *frame);
/* The room changed; frame = room.updated. */
void feed_updated(struct feed *f, struct ws_shared *frame);

/* Where `subscribe` wants to go on; without a seq from the last one sent. */
struct subscribe_from {
	bool has_seq;
	bool has_rev; /* changes above rev are replayed */
	uint64_t seq;
	uint64_t rev;
};
/* Answers with sync.complete once caught up.  request_id is JSON text or
 * empty. */
void feed_subscribe(struct feed *f, const struct subscribe_from *from,
    struct str request_id);
void feed_unsubscribe(struct feed *f);
/* Makes a feed for who is a member at batch n, before his list of rooms or
 * the news of it says so. */
struct feed *feed_new_member(struct ws_conn *c, const struct reader_room *room,
    uint64_t last_ack, uint64_t n);

#endif
