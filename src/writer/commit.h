/* SPDX-License-Identifier: MIT */
/*
 * Group commit: what has arrived on the sockets becomes one transaction,
 * then everybody is answered and the events are published.
 */
#ifndef WRITER_COMMIT_H
#define WRITER_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

struct commit;
struct event_base;
struct link;
struct page;
struct peer;
struct rec_peer;
struct store;
struct wire_record;

/* Borrows all four. */
struct commit *commit_new(struct event_base *base, struct store *store,
    struct page *page, struct link *bus);
void commit_free(struct commit *c);
/*
 * Finds out whether the database takes writes and says so in the page.
 * Once it does not, that is tried every second by itself.
 */
void commit_probe(struct commit *c);

/*
 * A worker's or the courier's end at the writer: takes fd.  A second one of the same
 * incarnation takes the place of the first.
 */
void commit_peer(struct commit *c, const struct rec_peer *peer, int fd);
/* An operation of a tool, by the master's number of it; -1 when it is none. */
int commit_control(struct commit *c, uint64_t client,
    const struct wire_record *op) __attribute__((warn_unused_result));
/* Reads and commits all that the workers have sent, and answers. */
void commit_drain(struct commit *c);

#endif
