/* SPDX-License-Identifier: MIT */
/*
 * The line of operations before the writer: one per tenant, and a ring of
 * the tenants that have something in theirs.  Runs in the writer; no I/O.
 */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "../common/records.h"

#define BUCKETS 256
/* Empty lines kept for the next operation. */
#define SPARE_MAX 16

STAILQ_HEAD(op_list, queue_op);

struct line {
	TAILQ_ENTRY(line) turn;
	LIST_ENTRY(line) chain;
	uint64_t tenant;
	struct op_list ops;
};

LIST_HEAD(line_list, line);

struct queue {
	TAILQ_HEAD(, line) turns; /* lines that are not empty */
	struct line_list buckets[BUCKETS];
	struct line_list spare;
	unsigned nspare;
	size_t count;
	size_t bytes;
};

struct queue *
queue_new(void)
{
	struct queue *q = mem_alloc(sizeof(*q));

	TAILQ_INIT(&q->turns);
	LIST_INIT(&q->spare);
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_INIT(&q->buckets[i]);
	return q;
}

void
queue_free(struct queue *q)
{
	struct queue_op *op;
	struct line *l;

	if (q == NULL)
		return;
	while ((op = queue_take(q)) != NULL)
		queue_op_free(op);
	while ((l = LIST_FIRST(&q->spare)) != NULL) {
		LIST_REMOVE(l, chain);
		free(l);
	}
	free(q);
}

static struct line *
line_get(struct queue *q, uint64_t tenant)
{
	struct line_list *bucket = &q->buckets[tenant % BUCKETS];
	struct line *l;

	LIST_FOREACH(l, bucket, chain)
		if (l->tenant == tenant)
			return l;
	if ((l = LIST_FIRST(&q->spare)) != NULL) {
		LIST_REMOVE(l, chain);
		q->nspare--;
	} else
		l = mem_alloc(sizeof(*l));
	l->tenant = tenant;
	STAILQ_INIT(&l->ops);
	LIST_INSERT_HEAD(bucket, l, chain);
	TAILQ_INSERT_TAIL(&q->turns, l, turn);
	return l;
}

/* Its last operation was taken. */
static void
line_release(struct queue *q, struct line *l)
{
	LIST_REMOVE(l, chain);
	if (q->nspare >= SPARE_MAX) {
		free(l);
		return;
	}
	LIST_INSERT_HEAD(&q->spare, l, chain);
	q->nspare++;
}

struct queue_op *
queue_add(struct queue *q, uint64_t tenant, const struct wire_record *rec)
{
	struct line *l = line_get(q, tenant);
	struct queue_op *op = mem_realloc(NULL, sizeof(*op) + rec->whole_len);

	memset(op, 0, sizeof(*op));
	memcpy(op->bytes, rec->whole, rec->whole_len);
	op->rec = *rec;
	op->rec.whole = op->bytes;
	op->rec.payload = op->bytes + (rec->payload - rec->whole);
	STAILQ_INSERT_TAIL(&l->ops, op, next);
	q->count++;
	q->bytes += rec->whole_len;
	return op;
}

struct queue_op *
queue_take(struct queue *q)
{
	struct line *l = TAILQ_FIRST(&q->turns);
	struct queue_op *op;

	if (l == NULL)
		return NULL;
	op = STAILQ_FIRST(&l->ops);
	STAILQ_REMOVE_HEAD(&l->ops, next);
	TAILQ_REMOVE(&q->turns, l, turn);
	if (STAILQ_EMPTY(&l->ops))
		line_release(q, l);
	else
		TAILQ_INSERT_TAIL(&q->turns, l, turn);
	q->count--;
	q->bytes -= op->rec.whole_len;
	return op;
}

void
queue_op_free(struct queue_op *op)
{
	/* Some hold a secret. */
	if (op->rec.type == REC_OP_TENANT_UPDATE)
		explicit_bzero(op->bytes, op->rec.whole_len);
	free(op);
}

size_t
queue_count(const struct queue *q)
{
	return q->count;
}

size_t
queue_bytes(const struct queue *q)
{
	return q->bytes;
}
