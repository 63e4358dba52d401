/* SPDX-License-Identifier: MIT */
/*
 * Operations waiting for a batch: first come, first served within a tenant,
 * and tenants take turns, so that one cannot starve the rest.  Pure memory;
 * the bound is the caller's.
 */
#ifndef WRITER_QUEUE_H
#define WRITER_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../common/wire.h"

struct queue;

struct queue_op {
	STAILQ_ENTRY(queue_op) next;
	void *owner;            /* who is to be answered; the caller's */
	uint64_t client;        /* the caller's */
	uint64_t low;           /* the caller's */
	struct wire_record rec; /* points into bytes */
	uint8_t bytes[];
};

struct queue *queue_new(void);
/* With everything in it. */
void queue_free(struct queue *q);

/* Adds a copy of the record, at the end of its tenant's line. */
struct queue_op *queue_add(struct queue *q, uint64_t tenant,
    const struct wire_record *rec);
/* Takes the next one, the caller's to queue_op_free(); NULL when empty. */
struct queue_op *queue_take(struct queue *q);
void queue_op_free(struct queue_op *op);

/* What waits: operations, and bytes of their records. */
size_t queue_count(const struct queue *q);
size_t queue_bytes(const struct queue *q);

#endif
