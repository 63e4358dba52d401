/* SPDX-License-Identifier: MIT */
/*
 * The rooms that have a WebSocket on this worker, and the feeds that tie
 * connections to them.  A room exists here while it has a feed.
 */
#ifndef WORKER_ROOMS_H
#define WORKER_ROOMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../common/ids.h"
#include "ws_presence.h"

struct room;
struct rooms;
struct worker;
struct ws_conn;
struct subscribe;

enum feed_state {
	FEED_WAITING, /* the hub has not confirmed the room's interest */
	FEED_BEHIND,  /* pages from the log are due */
	FEED_LIVE,    /* the next event goes straight to the socket */
	FEED_PAUSED   /* the client unsubscribed */
};

/* One connection in one room. */
struct feed {
	LIST_ENTRY(feed) in_room;
	TAILQ_ENTRY(feed) in_conn; /* conn->feeds or conn->behind */
	struct room *room;
	struct ws_conn *conn;
	struct subscribe *subscribes; /* answers due when caught up */
	uint64_t sent;                /* highest seq queued on the socket */
	uint64_t rev;                 /* changes up to it are told */
	uint64_t target;              /* head at connect, while syncing */
	uint64_t target_rev;          /* the room's rev then */
	uint64_t n;                   /* batch at which he was a member */
	uint8_t state;                /* enum feed_state */
	bool syncing;                 /* sync.complete waits for it */
	bool seen;                    /* mark of a relist under way */
	bool peers;                   /* told of who is online in the room */
	bool unheard; /* what became of the room after n may be unknown */
};

LIST_HEAD(feed_list, feed);

struct room {
	struct room *next_id;    /* hash chain */
	TAILQ_ENTRY(room) asked; /* waiting for the hub */
	uint64_t id;
	uint64_t tenant;
	uint64_t serial; /* of the interest request */
	bool confirmed;
	char token[ID_TOKEN_SIZE];
	struct feed_list feeds;
	struct room_presence presence;
};

struct rooms *rooms_new(struct worker *w);
void rooms_free(struct rooms *r);
/* NULL when no feed is in it. */
struct room *rooms_find(struct rooms *r, uint64_t id);
/* Finds or makes it (then the hub is asked for its records).  A room
 * without a feed must get one at once, or rooms_release(). */
struct room *rooms_get(struct rooms *r, uint64_t tenant, uint64_t id,
    const char *token);
/* How many there are, and fn for each. */
size_t rooms_count(const struct rooms *r);
void rooms_each(struct rooms *r, void (*fn)(struct room *room, void *arg),
    void *arg);
/* Frees it when no feed is left. */
void rooms_release(struct rooms *r, struct room *room);
/* The hub confirmed interest up to this serial. */
void rooms_confirmed(struct rooms *r, uint64_t serial);

#endif
