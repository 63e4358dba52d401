/* SPDX-License-Identifier: MIT */
/*
 * Who is attached where: for each user of a tenant how many connections each
 * worker has granted.  Knows no process and no socket, so that it can be
 * tested alone.
 */
#ifndef MASTER_PRESENCE_H
#define MASTER_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"

struct presence;

/* A user's key (id_user_key) begins or ends to be present on a worker. */
typedef void presence_cb(uint64_t key, unsigned slot, bool present, void *arg);

struct presence *presence_new(presence_cb *cb, void *arg);
void presence_free(struct presence *p);

/*
 * One more connection of the user on that worker, unless he has `limit`
 * already over all workers (0 = no limit).  True when granted.
 */
bool presence_attach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, unsigned limit);
/* One less; -1 when that worker had none of his. */
int presence_detach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user) __attribute__((warn_unused_result));
/* The worker is dead: takes all its connections away. */
void presence_drop(struct presence *p, unsigned slot);

/* The user's connections over all workers. */
unsigned presence_count(const struct presence *p, uint64_t tenant,
    struct str user);
/* All connections. */
size_t presence_total(const struct presence *p);

#endif
