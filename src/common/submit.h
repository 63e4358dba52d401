/* SPDX-License-Identifier: MIT */
/*
 * Operations on their way through the writer.  Each is kept, encoded, until
 * its reply came, and handed to the next writer when one dies; the callback
 * is called exactly once, from the loop, unless cancelled.
 */
#ifndef COMMON_SUBMIT_H
#define COMMON_SUBMIT_H

#include <stdint.h>

#include "records.h"

struct event_base;
struct page;
struct submit;
struct submit_op;

/*
 * reply is borrowed.  Its outcome may also be OUTCOME_LATE or OUTCOME_BUSY
 * (nothing was done: 503) or OUTCOME_UNKNOWN (no writer could say in time:
 * close without an answer).
 */
typedef void submit_cb(const struct rec_reply *reply, void *arg);

/* Borrows base and page; page_slot is the process's own. */
struct submit *submit_new(struct event_base *base, struct page *page,
    int page_slot);
void submit_free(struct submit *s);

/*
 * Starts an operation: fills in the head (number, low mark, deadline of
 * SUBMIT_DEADLINE_MS) and returns the buf into which the caller puts exactly
 * one rec_op_…; then submit_end().
 */
#define SUBMIT_DEADLINE_MS 10000
struct buf *submit_begin(struct submit *s, struct op_head *h, uint64_t tenant);
/*
 * Hands it over, at the end of this turn of the loop.  Returns a handle for
 * submit_cancel(), valid until the callback; NULL when too much is waiting
 * already, or there is no writer and none can start (the callback is then
 * not called: answer OUTCOME_BUSY).
 */
struct submit_op *submit_end(struct submit *s, submit_cb *cb, void *arg);
/* The reply will be dropped; the operation itself goes on. */
void submit_cancel(struct submit_op *op);

/* How many are unanswered. */
unsigned submit_pending(const struct submit *s);
/* The master passed a link to a (new) writer: takes fd.  Operations go there
 * when it says that it is ready. */
void submit_set_writer(struct submit *s, int fd, uint64_t incarnation);

#endif
