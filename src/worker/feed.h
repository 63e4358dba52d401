/* SPDX-License-Identifier: MIT */
/*
 * The one way to catch up: a feed that is not live is paged from the log
 * whenever its connection's output is low, until it stands at the head of a
 * snapshot; then events go straight to the socket.  Connect sync, subscribe,
 * slow readers and lost events are all this.
 */
#ifndef WORKER_FEED_H
#define WORKER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"
#include "rooms.h"

struct feeder;
struct worker;
struct ws_conn;

struct feeder *feeder_new(struct worker *w);
void feeder_free(struct feeder *f);

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

/* NULL when the connection has none in that room. */
struct feed *feed_find(struct ws_conn *c, const char *token);
/* The user became a member (start = his last_ack), or no longer is.  With
 * the frames for the client; repeats are harmless. */
void feed_joined(struct ws_conn *c, uint64_t room, const char *token,
    uint64_t start);
void feed_left(struct ws_conn *c, uint64_t room);

/*
 * subscribe: sets the position (has_after) or goes on from the last one, and
 * answers with sync.complete once caught up.  request_id is JSON text or
 * empty.
 */
void feed_subscribe(struct feed *f, bool has_after, uint64_t after,
    struct str request_id);
void feed_unsubscribe(struct feed *f);
/* Makes a feed for a member whose list has not been read that far yet. */
struct feed *feed_new(struct ws_conn *c, uint64_t room, const char *token,
    uint64_t start);

#endif
