/* SPDX-License-Identifier: MIT */
/* Between ws_presence.c (whose turn it is, and frames) and ws_presence_list.c
 * (lists of rooms): private to the two. */
#ifndef WORKER_WS_PRESENCE_INT_H
#define WORKER_WS_PRESENCE_INT_H

#include "../common/buf.h"
#include "ws_presence.h"
#include "roster.h"
#include "ws_conn.h"

TAILQ_HEAD(presence_rooms, room);
TAILQ_HEAD(presence_conns, ws_conn);
TAILQ_HEAD(presence_peers, peer);

struct ws_presence {
	struct worker *w;
	struct roster *roster;
	struct event *timer;         /* zero timeout: once a turn */
	struct presence_rooms rooms; /* whose members are to be read */
	struct presence_conns conns; /* who have lists to go through */
	struct presence_peers peers; /* who changed */
	struct buf frames;           /* under construction */
	bool failed;                 /* the database: go on in a while */
};

/* There is something to do. */
void ws_presence_arm(struct ws_presence *p);
/* The feed's list is to be gone through for its connection. */
void ws_presence_owe(struct feed *f);

/* Reads the members of the first room in the queue. */
void ws_presence_list_read(struct ws_presence *p);
void ws_presence_list_add(struct ws_presence *p, struct room *room,
    struct peer *peer);
/* Has turned out to have that many members; true when it has a list. */
bool ws_presence_list_size(struct ws_presence *p, struct room *room,
    uint32_t members);

#endif
