/* SPDX-License-Identifier: MIT */
/*
 * Stopping: workers answer what is in flight and leave, then the writer
 * commits what it has and leaves.  What takes too long is killed.
 */
#ifndef MASTER_DRAIN_H
#define MASTER_DRAIN_H

struct master;

/* Begins; called again it ends everything at once. */
void drain_begin(struct master *m, const char *why);
/* The start has failed: ends everything at once, exit status 1. */
void drain_fail(struct master *m);
/* A child is gone: goes on to the next step, in the end out of the loop. */
void drain_step(struct master *m);
/* Callback of master.limit: time is up. */
void drain_on_limit(int fd, short what, void *arg);

#endif
