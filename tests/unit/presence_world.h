/* SPDX-License-Identifier: MIT */
/*
 * A worker of rooms, users and presence over a real database, without
 * sockets, bus and feeds' pages: those are played by the test.
 */
#ifndef TESTS_PRESENCE_WORLD_H
#define TESTS_PRESENCE_WORLD_H

#include "store_fixture.h"

#include "worker/worker.h"
#include "worker/ws_conn.h"
#include "worker/ws_presence.h"

#define USERS 16
#define ROOMS 8
#define CROWD 95 /* of room 0 */
#define CONNS 24

/* A connection as the test sees it. */
struct client {
	struct ws_conn c;
	bool open;
	bool slow; /* its output does not drain */
	int user;
	int told[USERS]; /* 1 online, -1 offline, 0 nothing yet */
	unsigned frames;
	unsigned synced; /* sync.complete would have been sent */
};

struct world {
	struct fixture *f;
	struct worker w;
	struct client clients[CONNS];
	char tokens[ROOMS][ID_TOKEN_SIZE];
	uint64_t ids[ROOMS];
	uint64_t serial; /* of the last interest asked for */
	bool member[ROOMS][USERS];
	bool online[USERS];
	/* Who has shared a small room with whom since world_check(). */
	bool shared[USERS][USERS];
	struct buf late; /* events that have not come over the bus yet */
};
extern struct world world;

int world_up(void **state);
int world_down(void **state);
/* NULL when there are enough. */
struct client *world_open(int user);
void world_close(struct client *k);
void world_set_online(int user, bool is);
/* Joins or leaves; the event is late. */
void world_change_member(int room, int user);
/* The room has at most 100 members. */
bool world_small(int room);
/* Late events come now; or never, and lists of rooms are read again. */
void world_deliver_late(void);
void world_lose(void);
/* One turn of the loop; and turns until nothing is left to do. */
void world_turn(bool wait);
void world_settle(void);
/* Who reads knows what is true. */
void world_check(void);

#endif
