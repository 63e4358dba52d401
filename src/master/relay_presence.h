/* SPDX-License-Identifier: MIT */
/*
 * Presence on its way: attaches and detaches of the workers' connections,
 * and what each worker is told of who is online.
 */
#ifndef MASTER_RELAY_PRESENCE_H
#define MASTER_RELAY_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

struct child;
struct master;
struct wire_record;

/* ATTACH and DETACH of a worker; -1 when it is bad. */
int relay_attach(struct child *from, const struct wire_record *rec);
int relay_detach(struct child *from, const struct wire_record *rec);

/* ABSENCE of the courier; -1 when it is bad. */
int relay_absence(struct child *from, const struct wire_record *rec);

/* A new worker has its links: it is told who is online, all of it before
 * its first attach is answered. */
void relay_greet(struct child *worker);
/* The worker is gone: so are its connections. */
void relay_presence_drop(struct child *worker);

/* The grace is another from now on. */
void relay_presence_grace(struct master *m);

/* The hub's side of presence: a presence_cb, arg = struct master. */
void relay_presence(uint64_t key, unsigned slot, bool present, void *arg);

#endif
