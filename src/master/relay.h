/* SPDX-License-Identifier: MIT */
/*
 * The hub's traffic: records from a child to those who want them, requests
 * for interest and attaching, and the queues in between.
 */
#ifndef MASTER_RELAY_H
#define MASTER_RELAY_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct child;
struct master;
struct wire_record;

/* Most unsent bytes to a child. */
#define RELAY_QUEUE_MAX (8U * 1024 * 1024)

/* PUBLISH, INTEREST, ATTACH or DETACH of a child; -1 when it is bad. */
int relay_record(struct child *from, const struct wire_record *rec);
/* End of a wake-up: brings the counters up to date. */
void relay_idle(struct child *c);

/* Shows how much each child has not taken yet; from time to time. */
void relay_measure(const struct master *m);

/*
 * Where to add a record that is no event for the child; NULL when it has no
 * bus, or takes so little that it had to be killed.  relay_push() after.
 */
struct buf *relay_out(struct child *to);
void relay_push(struct child *to);
/* Events may be missing: the child must look at the log. */
void relay_lost(struct child *to);

/* The worker is gone: takes its interest and its users away. */
void relay_forget(struct child *worker);

/* Makes the direct link between the writer and a worker or the courier, both
 * live. */
void relay_peers(struct child *writer, struct child *other);

#endif
