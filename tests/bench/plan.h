/* SPDX-License-Identifier: MIT */
/* Who talks where: rooms with their members, from a file. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stddef.h>

#define PLAN_ROOM_MAX 63

struct plan_room {
	char id[PLAN_ROOM_MAX + 1]; /* "-" when it does not matter */
	unsigned first;             /* its users in plan->user */
	unsigned nusers;
};

struct plan {
	struct plan_room *room;
	unsigned nrooms;
	char **user;
	unsigned nusers;
	char *text; /* what the names point into */
};

/* A room a line: its id, then its members, separated by spaces.  NULL after
 * a complaint on stderr. */
struct plan *plan_load(const char *path);
void plan_free(struct plan *p);

#endif
