/* SPDX-License-Identifier: MIT */
/*
 * Group commit.  Reading only queues; at the end of the turn of the loop up
 * to BATCH_MAX operations run in one transaction, and only after its commit
 * are replies and events sent.  Runs in the writer; knows nothing of what an
 * operation does, and never blocks on a peer.
 */
#include "commit.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/records.h"
#include "background.h"
#include "queue.h"
#include "store.h"

#define BATCH_MAX 256
/* A batch ends early when its operations or its events are this large. */
#define BATCH_BYTES (4U * 1024 * 1024)
#define EVENTS_MAX (64U * 1024 * 1024)
/* Above this nothing more is read from workers, below half of it again. */
#define QUEUE_OPS_MAX 8192
#define QUEUE_BYTES_MAX (16U * 1024 * 1024)
/* A worker's numbers run no further ahead of its oldest open operation. */
#define WINDOW_MAX 65536
/* Memory that a burst made large is given back above this. */
#define KEEP_BYTES (1024U * 1024)
/* What a worker may leave unread of its replies. */
#define REPLIES_MAX (32U * 1024 * 1024)

struct peer {
	LIST_ENTRY(peer) next;
	struct commit *c;
	struct link *link; /* NULL: gone, but some of its work is queued */
	uint8_t role;
	uint32_t slot;
	uint64_t incarnation;
	uint64_t low; /* last told to the store */
	unsigned queued;
	struct buf replies; /* of the batch under way */
};

struct commit {
	struct event_base *base;
	struct store *store;
	struct page *page;
	struct link *bus;
	struct event *turn;
	struct event *probe; /* pending while the database refuses writes */
	struct background *background;
	struct queue *queue;
	LIST_HEAD(, peer) peers;
	bool paused;
	struct buf events;
	struct buf reply;   /* of one tool's operation */
	struct buf control; /* those of the batch, for the bus */
	struct queue_op *batch[BATCH_MAX];
	unsigned nbatch;
	uint64_t checkpoints;
};

static void commit_on_turn(evutil_socket_t fd, short what, void *arg);
static void commit_on_probe(evutil_socket_t fd, short what, void *arg);
static void commit_on_piece(void *arg);
static void commit_on_fatal(void *arg);

static const struct background_ops background_ops = {
	.done = commit_on_piece,
	.fatal = commit_on_fatal,
};

struct commit *
commit_new(struct event_base *base, struct store *store, struct page *page,
    struct link *bus)
{
	struct commit *c = mem_alloc(sizeof(*c));

	c->base = base;
	c->store = store;
	c->page = page;
	c->bus = bus;
	c->queue = queue_new();
	LIST_INIT(&c->peers);
	buf_init(&c->events, EVENTS_MAX);
	buf_init(&c->reply, WIRE_RECORD_MAX + WIRE_HEADER);
	buf_init(&c->control, REPLIES_MAX);
	c->turn = event_new(base, -1, 0, commit_on_turn, c);
	c->probe = event_new(base, -1, EV_PERSIST, commit_on_probe, c);
	if (c->turn == NULL || c->probe == NULL)
		abort();
	c->background = background_new(base, store, page, &c->events,
	    &background_ops, c);
	return c;
}

static void
peer_free(struct peer *p)
{
	LIST_REMOVE(p, next);
	link_free(p->link);
	buf_free(&p->replies);
	free(p);
}

void
commit_free(struct commit *c)
{
	struct peer *p;

	if (c == NULL)
		return;
	while ((p = LIST_FIRST(&c->peers)) != NULL)
		peer_free(p);
	queue_free(c->queue);
	event_free(c->turn);
	event_free(c->probe);
	background_free(c->background);
	buf_free(&c->events);
	buf_free(&c->reply);
	buf_free(&c->control);
	free(c);
}

/* ---- what comes in ---- */

static void
commit_schedule(struct commit *c)
{
	event_active(c->turn, EV_TIMEOUT, 0);
}

/* Reads from the workers, or not, as the queue allows. */
static void
commit_throttle(struct commit *c)
{
	size_t count = queue_count(c->queue), bytes = queue_bytes(c->queue);
	unsigned div = c->paused ? 2 : 1;
	bool full = count > QUEUE_OPS_MAX / div ||
	    bytes > QUEUE_BYTES_MAX / div;
	struct peer *p;

	page_set(c->page, PAGE_SLOT_WRITER, GAUGE_WRITER_QUEUE, count);
	page_set(c->page, PAGE_SLOT_WRITER, GAUGE_WRITER_QUEUE_BYTES, bytes);
	if (full == c->paused)
		return;
	c->paused = full;
	LIST_FOREACH(p, &c->peers, next)
		if (p->link != NULL)
			link_pause(p->link, full);
}

static int
peer_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct peer *p = arg;
	struct op_head h;
	struct queue_op *op;

	(void)l;
	if (rec_op_head_get(rec, &h) == -1 || h.low > h.op ||
	    h.op - h.low >= WINDOW_MAX)
		return -1;
	op = queue_add(p->c->queue, h.tenant, rec);
	op->owner = p;
	op->low = h.low;
	p->queued++;
	commit_schedule(p->c);
	return 0;
}

static void
peer_idle(struct link *l, void *arg)
{
	(void)l;
	commit_throttle(((struct peer *)arg)->c);
}

/* A closed link means a dead worker; its queued work is still done. */
static void
peer_gone(struct peer *p)
{
	link_free(p->link);
	p->link = NULL;
	if (p->queued > 0)
		return;
	store_confirm(p->c->store, p->incarnation, UINT64_MAX);
	peer_free(p);
}

static const char *
peer_role(const struct peer *p)
{
	return p->role == ROLE_COURIER ? "courier" : "worker";
}

static void
peer_closed(struct link *l, int err, void *arg)
{
	struct peer *p = arg;

	(void)l;
	log_info("peer gone", "peer=%s slot=%u queued=%u err=%d", peer_role(p),
	    p->slot, p->queued, err);
	peer_gone(p);
}

static const struct link_ops peer_ops = {
	.record = peer_record,
	.idle = peer_idle,
	.closed = peer_closed,
};

void
commit_peer(struct commit *c, const struct rec_peer *peer, int fd)
{
	uint64_t incarnation = peer->incarnation;
	struct peer *p;

	LIST_FOREACH(p, &c->peers, next)
		if (p->incarnation == incarnation)
			break;
	if (p == NULL) {
		p = mem_alloc(sizeof(*p));
		p->c = c;
		p->incarnation = incarnation;
		buf_init(&p->replies, REPLIES_MAX);
		LIST_INSERT_HEAD(&c->peers, p, next);
		/* It has shown up: its receipts are still wanted. */
		store_confirm(c->store, incarnation, 0);
	}
	p->role = peer->role;
	p->slot = peer->slot;
	link_free(p->link);
	p->link = link_new(c->base, fd, REPLIES_MAX, &peer_ops, p);
	link_pause(p->link, c->paused);
	/* Now the worker hands over what it has: not to a writer that may
	 * yet fail to start. */
	(void)rec_empty_put(link_out(p->link), REC_READY);
	link_push(p->link);
}

int
commit_control(struct commit *c, uint64_t client, const struct wire_record *rec)
{
	struct op_head h;
	struct queue_op *op;

	if (rec_op_head_get(rec, &h) == -1)
		return -1;
	op = queue_add(c->queue, h.tenant, rec);
	op->client = client;
	commit_schedule(c);
	return 0;
}

/* ---- one batch ---- */

static enum store_result
batch_apply(struct commit *c, struct queue_op *op)
{
	struct peer *p = op->owner;
	struct wire_record reply;
	enum store_result result;

	if (p != NULL) {
		if (op->low > p->low) {
			p->low = op->low;
			store_confirm(c->store, p->incarnation, op->low);
		}
		return store_apply(c->store, p->incarnation, &op->rec,
		    &p->replies, &c->events);
	}
	buf_clear(&c->reply);
	result = store_apply(c->store, 0, &op->rec, &c->reply, &c->events);
	if (result == STORE_OK &&
	    wire_next((uint8_t *)buf_head(&c->reply), c->reply.len, &reply) > 0)
		(void)rec_control_put(&c->control, REC_CONTROL_REPLY,
		    op->client, &reply);
	return result;
}

/* Takes operations off the queue into one transaction. */
static enum store_result
batch_run(struct commit *c)
{
	enum store_result result;
	size_t bytes = 0;
	uint64_t began, n = store_batch(c->store);

	if ((result = store_begin(c->store)) != STORE_OK) {
		/* One batch's worth of what waits is refused all the same. */
		while (c->nbatch < BATCH_MAX && queue_count(c->queue) > 0)
			c->batch[c->nbatch++] = queue_take(c->queue);
		return result;
	}
	while (c->nbatch < BATCH_MAX && bytes < BATCH_BYTES &&
	    c->events.len < BATCH_BYTES) {
		struct queue_op *op = queue_take(c->queue);

		if (op == NULL)
			break;
		c->batch[c->nbatch++] = op;
		bytes += op->rec.whole_len;
		if ((result = batch_apply(c, op)) != STORE_OK)
			return result;
	}
	began = clock_mono_ns();
	result = store_commit(c->store);
	if (store_batch(c->store) > n) {
		uint64_t took = clock_mono_ns() - began;

		page_observe(c->page, PAGE_SLOT_WRITER, HISTOGRAM_COMMIT, took);
		page_set(c->page, PAGE_SLOT_WRITER, GAUGE_COMMIT_NS, took);
		page_set(c->page, PAGE_SLOT_WRITER, GAUGE_COMMIT_MS,
		    clock_mono_ms());
		page_set(c->page, PAGE_SLOT_WRITER, GAUGE_BATCH,
		    store_batch(c->store));
		page_observe(c->page, PAGE_SLOT_WRITER, HISTOGRAM_BATCH,
		    c->nbatch);
	}
	return result;
}

static void
commit_set_writable(struct commit *c, bool writable)
{
	struct timeval second = { 1, 0 };

	atomic_store(&c->page->db_writable, writable ? 1 : 0);
	if (writable == !event_pending(c->probe, EV_TIMEOUT, NULL))
		return;
	if (writable) {
		log_info("database writable again", NULL);
		event_del(c->probe);
	} else {
		log_error("database refuses writes", NULL);
		event_add(c->probe, &second);
	}
}

/* Nothing of the batch is stored: that is what everybody is told. */
static void
batch_refuse(struct commit *c)
{
	struct rec_reply r = { .outcome = OUTCOME_STORAGE };
	struct wire_record reply;
	struct op_head h;
	struct peer *p;

	LIST_FOREACH(p, &c->peers, next)
		buf_clear(&p->replies);
	buf_clear(&c->events);
	buf_clear(&c->control);
	for (unsigned i = 0; i < c->nbatch; i++) {
		struct queue_op *op = c->batch[i];

		if (rec_op_head_get(&op->rec, &h) == -1)
			continue;
		r.op = h.op;
		if ((p = op->owner) != NULL) {
			/* Done by a batch before this one, or nobody can
			 * tell: then silence is the only true answer. */
			if (store_repeat(c->store, p->incarnation, &op->rec,
				&p->replies) == 0)
				(void)rec_reply_put(&p->replies, &r);
			continue;
		}
		buf_clear(&c->reply);
		(void)rec_reply_put(&c->reply, &r);
		if (wire_next((uint8_t *)buf_head(&c->reply), c->reply.len,
			&reply) > 0)
			(void)rec_control_put(&c->control, REC_CONTROL_REPLY,
			    op->client, &reply);
	}
}

/* ---- what goes out ---- */

/* The hub has not read for long: it is told what it missed. */
static void
commit_lost(struct commit *c)
{
	size_t at;

	log_warn("events dropped", "queued=%zu", link_queued(c->bus));
	page_add(c->page, PAGE_SLOT_WRITER, COUNTER_BUS_LOST, 1);
	link_drop_queue(c->bus);
	at = rec_publish_begin(link_out(c->bus), NULL, 0);
	(void)rec_empty_put(link_out(c->bus), REC_LOST);
	(void)rec_publish_end(link_out(c->bus), at);
}

static void
commit_clear(struct buf *b)
{
	if (b->cap > KEEP_BYTES)
		buf_free(b);
	buf_clear(b);
}

static void
send_to_bus(struct commit *c)
{
	struct buf *out = link_out(c->bus);

	if (c->events.len + c->control.len == 0 && !c->events.failed)
		return;
	if (c->events.failed ||
	    (c->events.len > 0 &&
		buf_add(out, buf_head(&c->events), c->events.len) == -1))
		commit_lost(c);
	if (c->control.len > 0 &&
	    buf_add(out, buf_head(&c->control), c->control.len) == -1)
		commit_lost(c);
	(void)link_flush(c->bus);
	commit_clear(&c->events);
	commit_clear(&c->control);
}

static void
send_to_peer(struct peer *p)
{
	if (p->replies.len == 0 && !p->replies.failed)
		return;
	if (p->link != NULL &&
	    (p->replies.failed ||
		buf_add(link_out(p->link), buf_head(&p->replies),
		    p->replies.len) == -1)) {
		/* It does not read: the master will find it stuck. */
		log_error("peer does not read its replies", "peer=%s slot=%u",
		    peer_role(p), p->slot);
		link_free(p->link);
		p->link = NULL;
	}
	if (p->link != NULL)
		(void)link_flush(p->link);
	commit_clear(&p->replies);
}

/* Sends everything and lets go of the batch and of peers that are gone. */
static void
batch_end(struct commit *c)
{
	struct peer *p, *next;

	send_to_bus(c);
	for (unsigned i = 0; i < c->nbatch; i++) {
		if ((p = c->batch[i]->owner) != NULL)
			p->queued--;
		queue_op_free(c->batch[i]);
	}
	c->nbatch = 0;
	for (p = LIST_FIRST(&c->peers); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		send_to_peer(p);
		if (p->link == NULL)
			peer_gone(p);
	}
}

static void
commit_maintain(struct commit *c)
{
	uint64_t checkpoints;

	store_maintain(c->store);
	checkpoints = store_checkpoints(c->store);
	page_add(c->page, PAGE_SLOT_WRITER, COUNTER_CHECKPOINTS,
	    checkpoints - c->checkpoints);
	c->checkpoints = checkpoints;
	page_set(c->page, PAGE_SLOT_WRITER, GAUGE_WAL_BYTES,
	    store_wal_bytes(c->store));
}

static void
commit_fatal(struct commit *c)
{
	/* The next one probes before it says that it is ready. */
	atomic_store(&c->page->db_writable, 2);
	log_error("commit with unknown outcome, leaving it to the receipts",
	    NULL);
	_exit(1);
}

static void
commit_batch(struct commit *c)
{
	uint64_t n = store_batch(c->store);
	enum store_result result = batch_run(c);

	if (result == STORE_FATAL)
		commit_fatal(c);
	if (result == STORE_REFUSED) {
		batch_refuse(c);
		page_add(c->page, PAGE_SLOT_WRITER, COUNTER_BATCHES_REFUSED, 1);
	}
	/* Before it is told: who was told finds it counted, and who was
	 * refused finds /health saying why. */
	page_add(c->page, PAGE_SLOT_WRITER, COUNTER_OPERATIONS, c->nbatch);
	page_add(c->page, PAGE_SLOT_WRITER, COUNTER_MESSAGES_SENT,
	    store_batch_messages(c->store));
	page_add(c->page, PAGE_SLOT_WRITER, COUNTER_NOTIFICATIONS,
	    store_batch_notifications(c->store));
	page_set(c->page, PAGE_SLOT_WRITER, GAUGE_EXPANSIONS,
	    store_fanouts(c->store));
	/* A batch that only read says nothing about writing. */
	if (result != STORE_OK || store_batch(c->store) > n)
		commit_set_writable(c, result == STORE_OK);
	batch_end(c);
	commit_maintain(c);
	background_batch(c->background);
}

/* A piece of what is done between batches is on disk. */
static void
commit_on_piece(void *arg)
{
	struct commit *c = arg;

	send_to_bus(c);
	commit_maintain(c);
}

static void
commit_on_fatal(void *arg)
{
	commit_fatal(arg);
}

static void
commit_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct commit *c = arg;
	struct timeval now = { 0, 0 };

	(void)fd;
	(void)what;
	if (queue_count(c->queue) > 0)
		commit_batch(c);
	commit_throttle(c);
	/* By a timer, so that the loop looks at the sockets first. */
	if (queue_count(c->queue) > 0)
		event_add(c->turn, &now);
}

void
commit_probe(struct commit *c)
{
	enum store_result result = store_probe(c->store);

	if (result == STORE_FATAL)
		commit_fatal(c);
	commit_set_writable(c, result == STORE_OK);
}

static void
commit_on_probe(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	commit_probe(arg);
}

void
commit_drain(struct commit *c)
{
	struct peer *p, *next;

	bool more;

	do {
		for (p = LIST_FIRST(&c->peers); p != NULL; p = next) {
			next = LIST_NEXT(p, next);
			if (p->link != NULL)
				link_drain(p->link);
		}
		/* A full queue stopped the reading short. */
		more = c->paused;
		while (queue_count(c->queue) > 0)
			commit_batch(c);
		commit_throttle(c);
	} while (more);
}
