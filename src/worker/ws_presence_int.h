/* SPDX-License-Identifier: MIT */
/* Between ws_presence.c (whose turn it is, and frames), ws_presence_later.c
 * (when changes are written) and ws_presence_list.c (lists of rooms): private
 * to the three. */
#ifndef WORKER_WS_PRESENCE_INT_H
#define WORKER_WS_PRESENCE_INT_H

#include "../common/buf.h"
#include "ws_presence.h"
#include "roster.h"
#include "ws_conn.h"

TAILQ_HEAD(presence_rooms, room);
TAILQ_HEAD(presence_conns, ws_conn);
TAILQ_HEAD(presence_peers, peer);

/* Connections with changes not yet written. */
struct presence_later {
	struct event *timer;
	struct ws_conn **conns; /* conn->later - 1 is its place */
	uint32_t count, cap;
	uint64_t last_ms;
};

struct ws_presence {
	struct worker *w;
	struct roster *roster;
	struct event *timer;         /* zero timeout: once a turn */
	struct presence_rooms rooms; /* whose members are to be read */
	struct presence_conns conns; /* who have lists to go through */
	struct presence_peers peers; /* who changed */
	struct buf frames;           /* for one connection */
	struct buf text;             /* of one frame */
	struct presence_later later;
	bool failed; /* the database: go on in a while */
};

/* There is something to do. */
void ws_presence_arm(struct ws_presence *p);
/* The feed's list is to be gone through for its connection. */
void ws_presence_owe(struct feed *f);

/* ws_presence_later.c: queues a change; it is written in a moment. */
void ws_presence_later_init(struct ws_presence *p);
void ws_presence_later_free(struct ws_presence *p);
void ws_presence_later(struct ws_presence *p, struct ws_conn *c,
    struct ws_shared *f);
/* The connection is about to go. */
void ws_presence_later_drop(struct ws_presence *p, struct ws_conn *c);

/* Reads the members of the first room in the queue. */
void ws_presence_list_read(struct ws_presence *p);
void ws_presence_list_add(struct ws_presence *p, struct room *room,
    struct peer *peer);
/* Has turned out to have that many members; true when it has a list. */
bool ws_presence_list_size(struct ws_presence *p, struct room *room,
    uint32_t members);

#endif
