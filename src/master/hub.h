/* SPDX-License-Identifier: MIT */
/*
 * Which worker wants records with which key.  Two independent wants a worker
 * and key: INTEREST (said by the worker, a set: adding twice is adding once)
 * and that of a user attached there.  Knows no process and no socket.
 */
#ifndef MASTER_HUB_H
#define MASTER_HUB_H

#include <stddef.h>
#include <stdint.h>

#define HUB_WORKERS_MAX 72

enum hub_want { HUB_INTEREST, HUB_USER, HUB_WANTS };

/* A set of slots: bit n of low is slot n, bit n of high is slot 64 + n. */
struct hub_slots {
	uint64_t low;
	uint8_t high;
};

struct hub;

struct hub *hub_new(void);
void hub_free(struct hub *h);

/* slot < HUB_WORKERS_MAX, key not 0.  del of what is not there does
 * nothing. */
void hub_add(struct hub *h, uint64_t key, unsigned slot, enum hub_want want);
void hub_del(struct hub *h, uint64_t key, unsigned slot, enum hub_want want);
/* The worker is dead: takes away all it wanted. */
void hub_drop(struct hub *h, unsigned slot);

/* Puts the workers that want the key into the set, to those there. */
void hub_workers(const struct hub *h, uint64_t key, struct hub_slots *to);
/* Puts all slots into the set. */
void hub_everybody(struct hub_slots *to);
/* Takes the lowest slot out of the set; HUB_WORKERS_MAX when it is empty. */
unsigned hub_slots_take(struct hub_slots *s);
/* Keys somebody wants. */
size_t hub_keys(const struct hub *h);

#endif
