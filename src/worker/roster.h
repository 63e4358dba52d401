/* SPDX-License-Identifier: MIT */
/*
 * This worker's copy of who is online on all of them.  Each user who
 * matters here has a small number, which others keep instead of his name; it
 * is given to nobody else while anyone keeps it.
 */
#ifndef WORKER_ROSTER_H
#define WORKER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../common/records.h"

struct peer {
	struct peer *next;          /* hash chain */
	TAILQ_ENTRY(peer) in_queue; /* his change is to be passed on */
	uint64_t tenant;
	uint64_t after; /* passed on to his rooms up to this one */
	uint32_t id;
	uint32_t told;   /* connections told that he is online */
	uint32_t listed; /* rooms whose list has him */
	bool online;
	bool queued;
	uint8_t len;
	char name[];
};

struct roster;

struct roster *roster_new(void);
void roster_free(struct roster *r);
/* NULL when nobody knows of him. */
struct peer *roster_find(const struct roster *r, uint64_t tenant,
    struct str user);
/* Finds or makes him, offline. */
struct peer *roster_get(struct roster *r, uint64_t tenant, struct str user);
/* The one with that number, which somebody keeps. */
struct peer *roster_peer(const struct roster *r, uint32_t id);
/* Frees him when he is offline and nobody keeps his number. */
void roster_release(struct roster *r, struct peer *p);
/* Calls fn for each; fn may release the one it is given. */
void roster_each(struct roster *r, void (*fn)(struct peer *p, void *arg),
    void *arg);
size_t roster_count(const struct roster *r);

#endif
