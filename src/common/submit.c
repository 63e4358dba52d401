/* SPDX-License-Identifier: MIT */
/*
 * Operations on their way through the writer: numbered, kept encoded until
 * answered, handed again to the next writer when one dies.  Runs in
 * workers and courier; never waits and never opens the database.
 */
#include "submit.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "link.h"
#include "log.h"
#include "mem.h"
#include "page.h"

/* Most operations and bytes that may wait; more are refused as busy. */
#define SUBMIT_OPS_MAX 16384
#define SUBMIT_BYTES_MAX (64U * 1024 * 1024)
/* How far numbers may run ahead of the oldest unanswered one. */
#define SUBMIT_WINDOW_MAX 65536
/* How long past its deadline an operation that a writer took may stay
 * unanswered before its client is let go. */
#define SUBMIT_GRACE_MS 5000
/* Where a record has its type: see wire.h. */
#define TYPE_AT 4

struct submit_op {
	uint64_t op;
	uint64_t deadline_ms;
	submit_cb *cb; /* NULL = cancelled */
	void *arg;
	bool handed; /* some writer may have seen it */
	size_t len;
	uint8_t record[];
};

struct submit {
	struct event_base *base;
	struct page *page;
	int page_slot;
	struct link *link; /* NULL while there is no writer */
	bool ready;        /* it has said that it takes operations */
	struct event *tick;
	bool ticking;
	struct buf scratch; /* the record under construction */
	uint64_t next;      /* number of the next operation */
	uint64_t low;       /* every one below is answered */
	uint64_t begun_deadline_ms;
	struct submit_op **ring; /* by number & (size - 1) */
	size_t size;
	unsigned pending;
	size_t bytes;
};

static void submit_tick(evutil_socket_t fd, short what, void *arg);

struct submit *
submit_new(struct event_base *base, struct page *page, int page_slot)
{
	struct submit *s = mem_alloc(sizeof(*s));

	s->base = base;
	s->page = page;
	s->page_slot = page_slot;
	s->next = 1;
	s->low = 1;
	s->size = 1024;
	s->ring = mem_alloc(s->size * sizeof(struct submit_op *));
	s->tick = event_new(base, -1, EV_PERSIST, submit_tick, s);
	if (s->tick == NULL)
		abort();
	buf_init(&s->scratch, WIRE_RECORD_MAX + WIRE_HEADER);
	return s;
}

void
submit_free(struct submit *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->size; i++)
		free(s->ring[i]);
	free(s->ring);
	link_free(s->link);
	event_free(s->tick);
	buf_free(&s->scratch);
	free(s);
}

unsigned
submit_pending(const struct submit *s)
{
	return s->pending;
}

static void
submit_measure(const struct submit *s)
{
	page_set(s->page, s->page_slot, GAUGE_PENDING, s->pending);
}

struct buf *
submit_begin(struct submit *s, struct op_head *h, uint64_t tenant)
{
	buf_clear(&s->scratch);
	h->op = s->next;
	h->low = s->low;
	h->deadline_ms = clock_mono_ms() + SUBMIT_DEADLINE_MS;
	h->tenant = tenant;
	s->begun_deadline_ms = h->deadline_ms;
	return &s->scratch;
}

static void
submit_grow(struct submit *s)
{
	struct submit_op **ring;
	size_t size = s->size * 2;

	ring = mem_alloc(size * sizeof(struct submit_op *));
	for (uint64_t n = s->low; n < s->next; n++)
		ring[n & (size - 1)] = s->ring[n & (s->size - 1)];
	free(s->ring);
	s->ring = ring;
	s->size = size;
}

/* Gives one operation to the writer, if there is one. */
static void
submit_hand(struct submit *s, struct submit_op *op)
{
	if (!s->ready)
		return;
	if (buf_add(link_out(s->link), op->record, op->len) == -1) {
		/* The queue holds all that may be pending, so this is a
		 * writer that has stopped reading; the deadline decides. */
		log_error("writer queue full", "pending=%u", s->pending);
		return;
	}
	op->handed = true;
	link_push(s->link);
}

struct submit_op *
submit_end(struct submit *s, submit_cb *cb, void *arg)
{
	struct submit_op *op;

	if (s->scratch.failed || s->scratch.len == 0 ||
	    s->pending >= SUBMIT_OPS_MAX ||
	    s->bytes + s->scratch.len > SUBMIT_BYTES_MAX)
		return NULL;
	/* No writer, and the last one could not write either: it is not
	 * worth waiting for the next. */
	if (!s->ready && atomic_load(&s->page->db_writable) == 0)
		return NULL;
	if (s->next - s->low >= s->size) {
		if (s->size >= SUBMIT_WINDOW_MAX)
			return NULL;
		submit_grow(s);
	}
	op = mem_realloc(NULL, sizeof(*op) + s->scratch.len);
	op->op = s->next++;
	op->deadline_ms = s->begun_deadline_ms;
	op->cb = cb;
	op->arg = arg;
	op->handed = false;
	op->len = s->scratch.len;
	memcpy(op->record, buf_head(&s->scratch), op->len);
	s->ring[op->op & (s->size - 1)] = op;
	s->pending++;
	s->bytes += op->len;
	submit_measure(s);
	if (!s->ticking) {
		struct timeval second = { 1, 0 };

		event_add(s->tick, &second);
		s->ticking = true;
	}
	submit_hand(s, op);
	return op;
}

void
submit_cancel(struct submit_op *op)
{
	op->cb = NULL;
}

/* Takes the operation out and tells its owner. */
static void
submit_finish(struct submit *s, struct submit_op *op,
    const struct rec_reply *reply)
{
	s->ring[op->op & (s->size - 1)] = NULL;
	s->pending--;
	s->bytes -= op->len;
	submit_measure(s);
	while (s->low < s->next && s->ring[s->low & (s->size - 1)] == NULL)
		s->low++;
	if (op->cb != NULL)
		op->cb(reply, op->arg);
	/* It may hold a secret. */
	if (op->record[TYPE_AT] == REC_OP_TENANT_UPDATE)
		explicit_bzero(op->record, op->len);
	free(op);
}

/* The writer takes operations: all that wait, in their order. */
static int
submit_ready(struct submit *s, const struct wire_record *rec)
{
	if (s->ready || rec_empty_get(rec) == -1)
		return -1;
	s->ready = true;
	for (uint64_t n = s->low; n < s->next; n++) {
		struct submit_op *op = s->ring[n & (s->size - 1)];

		if (op != NULL)
			submit_hand(s, op);
	}
	return 0;
}

static int
submit_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct submit *s = arg;
	struct submit_op *op;
	struct rec_reply reply;

	(void)l;
	if (rec->type == REC_READY)
		return submit_ready(s, rec);
	if (rec->type != REC_REPLY || rec_reply_get(rec, &reply) == -1)
		return -1;
	if (reply.op < s->low || reply.op >= s->next)
		return 0;
	op = s->ring[reply.op & (s->size - 1)];
	if (op != NULL)
		submit_finish(s, op, &reply);
	return 0;
}

static void
submit_closed(struct link *l, int err, void *arg)
{
	struct submit *s = arg;

	/* The master says why. */
	log_info("writer gone", "err=%d pending=%u", err, s->pending);
	link_free(l);
	s->link = NULL;
	s->ready = false;
}

static const struct link_ops submit_ops = {
	.record = submit_record,
	.closed = submit_closed,
};

void
submit_set_writer(struct submit *s, int fd, uint64_t incarnation)
{
	link_free(s->link);
	s->link = link_new(s->base, fd, 2 * SUBMIT_BYTES_MAX, &submit_ops, s);
	s->ready = false;
	log_debug("writer linked", "writer=%llu pending=%u",
	    (unsigned long long)incarnation, s->pending);
}

/* Every second while something is pending: what nobody will answer any
 * more. */
static void
submit_tick(evutil_socket_t fd, short what, void *arg)
{
	struct submit *s = arg;
	uint64_t now = clock_mono_ms();
	uint64_t end = s->next;

	(void)fd;
	(void)what;
	for (uint64_t n = s->low; n < end; n++) {
		struct submit_op *op = s->ring[n & (s->size - 1)];
		struct rec_reply reply = { 0 };

		if (op == NULL || now < op->deadline_ms)
			continue;
		if (op->handed && now < op->deadline_ms + SUBMIT_GRACE_MS)
			continue;
		reply.op = op->op;
		reply.outcome = op->handed ? OUTCOME_UNKNOWN : OUTCOME_LATE;
		submit_finish(s, op, &reply);
	}
	if (s->pending == 0) {
		event_del(s->tick);
		s->ticking = false;
	}
}
