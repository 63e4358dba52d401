/* SPDX-License-Identifier: MIT */
/*
 * The courier's end of the bus: configuration and orders from the master.
 * A bad record, or the bus closing, ends the process.
 */
#include "bus.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/records_courier.h"
#include "../common/submit.h"
#include "../writer/store.h"
#include "courier.h"

/* All questions that can be open at once. */
#define BUS_QUEUE_MAX (64U * 1024 * 1024)
static const struct timeval heartbeat_every = { 2, 500000 };

struct bus {
	struct courier *c;
	struct link *link;
	struct event *heartbeat;
	uint64_t serial;                   /* of the last question */
	STAILQ_HEAD(, question) questions; /* in their order, as the answers */
};

struct question {
	STAILQ_ENTRY(question) next;
	uint64_t serial;
	uint32_t n;
	bus_answer_cb *cb;
	void *arg;
};

static int
bus_peer(struct bus *b, const struct wire_record *rec)
{
	struct rec_peer peer;
	int fd = link_take_fd(b->link);

	if (rec_peer_get(rec, &peer) == -1 || fd == -1 ||
	    b->c->submit == NULL) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	submit_set_writer(b->c->submit, fd, peer.incarnation);
	return 0;
}

void
bus_ask(struct bus *b, uint64_t tenant, const struct str *users, uint32_t n,
    bus_answer_cb *cb, void *arg)
{
	struct question *q = mem_alloc(sizeof(*q));
	struct rec_absence r = { .serial = ++b->serial,
		.tenant = tenant,
		.nusers = n,
		.list = users };

	q->serial = r.serial;
	q->n = n;
	q->cb = cb;
	q->arg = arg;
	STAILQ_INSERT_TAIL(&b->questions, q, next);
	if (rec_absence_put(link_out(b->link), &r) == -1)
		abort();
	link_push(b->link);
}

static int
bus_answer(struct bus *b, const struct wire_record *rec)
{
	static uint32_t states[ABSENCE_USERS_MAX];
	struct question *q = STAILQ_FIRST(&b->questions);
	struct rec_absence_ok r;
	bus_answer_cb *cb;
	void *arg;

	if (rec_absence_ok_get(rec, &r) == -1 || q == NULL ||
	    q->serial != r.serial || q->n != r.n)
		return -1;
	for (uint32_t i = 0; i < r.n; i++)
		states[i] = rec_absence_state(&r, i);
	cb = q->cb;
	arg = q->arg;
	STAILQ_REMOVE_HEAD(&b->questions, next);
	free(q);
	cb(states, arg);
	return 0;
}

static int
bus_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct bus *b = arg;
	struct rec_event_tenant e;
	uint64_t v;

	(void)l;
	switch (rec->type) {
	case REC_CONFIG:
		return courier_configure(b->c, rec);
	case REC_PEER:
		return bus_peer(b, rec);
	case REC_ABSENCE_OK:
		return bus_answer(b, rec);
	case REC_EVENT_WEBHOOK:
		if (rec_event_webhook_get(rec, &e) == -1)
			return -1;
		courier_wake(b->c, e.tenant);
		return 0;
	case REC_LOST:
		if (rec_empty_get(rec) == -1)
			return -1;
		courier_wake(b->c, 0);
		return 0;
	case REC_DRAIN:
		if (rec_drain_get(rec, &v) == -1)
			return -1;
		courier_drain(b->c, v);
		return 0;
	default:
		return -1;
	}
}

static void
bus_closed(struct link *l, int err, void *arg)
{
	(void)l;
	(void)arg;
	if (err != 0)
		log_error("bus broke", "err=%d", err);
	else
		log_warn("master gone, leaving", NULL);
	_exit(err != 0);
}

static const struct link_ops bus_ops = {
	.record = bus_record,
	.closed = bus_closed,
};

static void
bus_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct bus *b = arg;

	(void)fd;
	(void)what;
	(void)rec_empty_put(link_out(b->link), REC_HEARTBEAT);
	link_push(b->link);
	courier_tick(b->c);
}

struct bus *
bus_new(struct courier *c)
{
	struct bus *b = mem_alloc(sizeof(*b));
	struct rec_hello hello = {
		.role = ROLE_COURIER,
		.pid = (uint32_t)getpid(),
		.page_layout = PAGE_LAYOUT,
		.schema = store_schema_version(),
		.build = { PACKAGE_VERSION, strlen(PACKAGE_VERSION) },
	};

	b->c = c;
	STAILQ_INIT(&b->questions);
	b->link = link_new(c->base, CHILD_FD_BUS, BUS_QUEUE_MAX, &bus_ops, b);
	b->heartbeat = event_new(c->base, -1, EV_PERSIST, bus_heartbeat, b);
	if (b->link == NULL || b->heartbeat == NULL)
		abort();
	(void)rec_hello_put(link_out(b->link), &hello);
	link_push(b->link);
	return b;
}

void
bus_free(struct bus *b)
{
	struct question *q;

	if (b == NULL)
		return;
	while ((q = STAILQ_FIRST(&b->questions)) != NULL) {
		STAILQ_REMOVE_HEAD(&b->questions, next);
		free(q);
	}
	(void)link_flush(b->link);
	link_free(b->link);
	event_free(b->heartbeat);
	free(b);
}

void
bus_ready(struct bus *b)
{
	(void)rec_empty_put(link_out(b->link), REC_READY);
	link_push(b->link);
	(void)event_add(b->heartbeat, &heartbeat_every);
}

void
bus_drained(struct bus *b)
{
	(void)rec_empty_put(link_out(b->link), REC_DRAINED);
	(void)link_flush(b->link);
}
