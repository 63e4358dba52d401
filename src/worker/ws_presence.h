/* SPDX-License-Identifier: MIT */
/*
 * presence.update for this worker's clients.
 *
 * The hub tells every worker who is online (roster.h).  Each small room with
 * a feed here has a list of its members who are; each connection knows of
 * whom it was told (told.h), and each feed whether its room's list has been
 * gone through for it.  A list is gone through when a feed is new, when
 * somebody joins, and when something could not be told to a slow reader; a
 * change of one user goes straight to the feeds of his rooms.
 */
#ifndef WORKER_WS_PRESENCE_H
#define WORKER_WS_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Rooms with more members than this have no presence. */
#define PRESENCE_MEMBERS_MAX 100

enum presence_list {
	PRESENCE_UNREAD, /* the members are still to be read */
	PRESENCE_LISTED,
	PRESENCE_LARGE
};

/* The part of a room that belongs to presence. */
struct room_presence {
	TAILQ_ENTRY(room) in_queue; /* to be read */
	uint64_t n;                 /* batch that the list shows */
	uint32_t *ids;
	uint16_t count;
	uint16_t cap;
	uint8_t state; /* enum presence_list */
	bool queued;
};

struct feed;
struct ws_presence;
struct rec_event_members;
struct rec_presence;
struct room;
struct worker;
struct ws_conn;

struct ws_presence *ws_presence_new(struct worker *w);
void ws_presence_free(struct ws_presence *p);

/* From the hub.  RESET: nobody is online any more. */
void ws_presence_change(struct ws_presence *p, const struct rec_presence *r);
void ws_presence_reset(struct ws_presence *p);
/* Events of membership may be missing. */
void ws_presence_lost(struct ws_presence *p);

/* The hub confirmed interest in the room's records: its members can be
 * read.  And the room is about to be freed. */
void ws_presence_room(struct ws_presence *p, struct room *room);
void ws_presence_room_gone(struct ws_presence *p, struct room *room);
/* JOINED (else LEFT), after the feeds of those named have come or gone. */
void ws_presence_members(struct ws_presence *p,
    const struct rec_event_members *e, bool joined);

/* The connection has a new feed. */
void ws_presence_feed(struct feed *f);
/* It has been told of all who are online; when not, feed_sync_complete() is
 * called again later. */
bool ws_presence_synced(const struct ws_conn *c);
/* Its output has drained. */
void ws_presence_wake(struct ws_conn *c);
/* Its feeds are gone, and it is about to go. */
void ws_presence_disconnect(struct ws_conn *c);

#endif
