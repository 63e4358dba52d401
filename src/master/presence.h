/* SPDX-License-Identifier: MIT */
/*
 * Who is attached where, who therefore is online, and what each worker has
 * been told of it.  Knows no process, no socket and no clock, so that it can
 * be tested alone.
 *
 * Online is who has a connection on any worker, or had one until less than
 * the grace ago.  All users stand in one list in the order in which they
 * last changed, and each worker has a place in it: a worker that is new, or
 * slow, is told the rest later, each user once and as he then stands.
 */
#ifndef MASTER_PRESENCE_H
#define MASTER_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"

#define PRESENCE_WORKERS_MAX 72
/* presence_wait() when nobody is in grace. */
#define PRESENCE_NEVER UINT64_MAX

struct presence;

/* A user's key (id_user_key) begins or ends to be present on a worker. */
typedef void presence_cb(uint64_t key, unsigned slot, bool present, void *arg);

struct presence *presence_new(presence_cb *cb, void *arg, uint64_t grace_ms);
void presence_free(struct presence *p);
/* Another grace from now on; those in grace get no more than it. */
void presence_set_grace(struct presence *p, uint64_t grace_ms, uint64_t now_ms);

/*
 * One more connection of the user on that worker, unless he has `limit`
 * already over all workers (0 = no limit).  True when granted.
 */
bool presence_attach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, unsigned limit);
/* One less; -1 when that worker had none of his.  now_ms never goes back. */
int presence_detach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, uint64_t now_ms) __attribute__((warn_unused_result));
/* The worker is dead: takes all its connections away, and what it was still
 * to be told. */
void presence_drop(struct presence *p, unsigned slot, uint64_t now_ms);

/* Those whose grace is over go offline, at most `most` of them. */
void presence_due(struct presence *p, uint64_t now_ms, unsigned most);
/* Milliseconds until the next one's is; 0 = now, or PRESENCE_NEVER. */
uint64_t presence_wait(const struct presence *p, uint64_t now_ms);

/* The user's connections over all workers. */
unsigned presence_count(const struct presence *p, uint64_t tenant,
    struct str user);
/* 0 when he is offline, PRESENCE_NEVER when he has a connection, else the
 * milliseconds until his grace is over. */
uint64_t presence_look(const struct presence *p, uint64_t tenant,
    struct str user, uint64_t now_ms);
/* Users who are online, those in grace included. */
size_t presence_online(const struct presence *p);
/* All connections. */
size_t presence_total(const struct presence *p);
/* Users remembered: online, in grace, or offline and not told to all. */
size_t presence_users(const struct presence *p);

/* ---- what a worker is told ---- */

/* From now on it is, beginning with all who are online. */
void presence_join(struct presence *p, unsigned slot);
/* The answer to an attach is due, behind all that has changed before. */
void presence_answer(struct presence *p, unsigned slot, uint64_t conn,
    bool granted);

enum presence_kind { PRESENCE_NONE, PRESENCE_CHANGE, PRESENCE_ANSWER };

struct presence_item {
	enum presence_kind kind;
	struct rec_presence change; /* borrowed until the next call */
	struct rec_attached answer;
};

/* The next thing to tell it; PRESENCE_NONE when it knows all. */
enum presence_kind presence_next(struct presence *p, unsigned slot,
    struct presence_item *item);
/* It does not know all. */
bool presence_behind(const struct presence *p, unsigned slot);

#endif
