/* SPDX-License-Identifier: MIT */
/* Between bus.c and worker.c: the master's orders. */
#ifndef WORKER_WORKER_START_H
#define WORKER_WORKER_START_H

#include <stdint.h>

struct rec_hello;
struct wire_record;
struct worker;

/* What this process is, for HELLO. */
void worker_hello(const struct worker *w, struct rec_hello *h);
/* The first record: opens the database, starts to serve.  A later one:
 * settings that have changed.  -1 = bad. */
int worker_configure(struct worker *w, const struct wire_record *rec);
/* Stop serving: finish what is in flight, then leave the loop. */
void worker_drain(struct worker *w, uint64_t timeout_ms);

#endif
