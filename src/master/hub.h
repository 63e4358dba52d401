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

#define HUB_WORKERS_MAX 64

enum hub_want { HUB_INTEREST, HUB_USER, HUB_WANTS };

struct hub;

struct hub *hub_new(void);
void hub_free(struct hub *h);

/* slot < HUB_WORKERS_MAX, key not 0.  del of what is not there does
 * nothing. */
void hub_add(struct hub *h, uint64_t key, unsigned slot, enum hub_want want);
void hub_del(struct hub *h, uint64_t key, unsigned slot, enum hub_want want);
/* The worker is dead: takes away all it wanted. */
void hub_drop(struct hub *h, unsigned slot);

/* Workers that want the key: bit n is slot n. */
uint64_t hub_workers(const struct hub *h, uint64_t key);
/* Keys somebody wants. */
size_t hub_keys(const struct hub *h);

#endif
