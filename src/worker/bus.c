/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of the bus.  What the master or the hub sends is acted on
 * in the order in which it came; a bad record, or the bus closing, ends the
 * process.
 */
#include "bus.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/submit.h"
#include "auth.h"
#include "fanout.h"
#include "rooms.h"
#include "tls.h"
#include "worker.h"
#include "worker_start.h"
#include "ws_conn.h"
#include "ws_presence.h"

#define BUS_QUEUE_MAX (64 * 1024 * 1024)

struct bus {
	struct worker *w;
	struct link *link;
	struct event *heartbeat;
	struct event *flush; /* sends the gathered interest */
	bool flushing;
	uint64_t serial; /* of the request being gathered */
	uint64_t *add, *del;
	size_t nadd, ndel, addcap, delcap;
};

static void
bus_flush_interest(struct bus *b)
{
	size_t a = 0, d = 0;

	/* Several records when there is much; all but the last carry the
	 * serial before, so that the last confirms the whole.  One goes out
	 * even when all has cancelled out: its serial is waited for. */
	do {
		struct rec_interest r = { 0 };
		size_t na = b->nadd - a, nd = b->ndel - d;

		if (na > INTEREST_KEYS_MAX)
			na = INTEREST_KEYS_MAX;
		if (nd > INTEREST_KEYS_MAX - na)
			nd = INTEREST_KEYS_MAX - na;
		r.nadd = (uint32_t)na;
		r.ndel = (uint32_t)nd;
		r.add = b->add + a;
		r.del = b->del + d;
		a += na;
		d += nd;
		r.serial = a == b->nadd && d == b->ndel ? b->serial :
							  b->serial - 1;
		(void)rec_interest_put(link_out(b->link), &r);
	} while (a < b->nadd || d < b->ndel);
	b->nadd = b->ndel = 0;
	b->serial++;
	link_push(b->link);
}

static void
bus_flush(evutil_socket_t fd, short what, void *arg)
{
	struct bus *b = arg;

	(void)fd;
	(void)what;
	b->flushing = false;
	bus_flush_interest(b);
}

static void
bus_gather(uint64_t **keys, size_t *n, size_t *cap, uint64_t key)
{
	if (*n == *cap) {
		*cap = *cap == 0 ? 64 : *cap * 2;
		*keys = mem_realloc(*keys, *cap * sizeof(uint64_t));
	}
	(*keys)[(*n)++] = key;
}

/* Takes a key out of a list; false when it is not there. */
static bool
bus_cancel(uint64_t *keys, size_t *n, uint64_t key)
{
	for (size_t i = *n; i > 0; i--) {
		if (keys[i - 1] == key) {
			keys[i - 1] = keys[--*n];
			return true;
		}
	}
	return false;
}

static void
bus_flush_soon(struct bus *b)
{
	if (!b->flushing) {
		b->flushing = true;
		event_active(b->flush, EV_TIMEOUT, 0);
	}
}

uint64_t
bus_interest_add(struct bus *b, uint64_t key)
{
	/* Given up in this same turn: it is still in force at the hub. */
	if (!bus_cancel(b->del, &b->ndel, key))
		bus_gather(&b->add, &b->nadd, &b->addcap, key);
	bus_flush_soon(b);
	return b->serial;
}

void
bus_interest_del(struct bus *b, uint64_t key)
{
	/* Asked for in this same turn: the hub has never heard of it. */
	if (!bus_cancel(b->add, &b->nadd, key))
		bus_gather(&b->del, &b->ndel, &b->delcap, key);
	bus_flush_soon(b);
}

void
bus_attach(struct bus *b, const struct rec_attach *a)
{
	(void)rec_attach_put(link_out(b->link), a);
	link_push(b->link);
}

void
bus_detach(struct bus *b, const struct rec_attach *a)
{
	(void)rec_detach_put(link_out(b->link), a);
	link_push(b->link);
}

void
bus_publish_typing(struct bus *b, const struct rec_event_typing *t)
{
	uint64_t key = id_room_key(t->room);
	struct buf *out = link_out(b->link);
	size_t at;

	at = rec_publish_begin(out, &key, 1);
	if (rec_event_typing_put(out, t) == 0)
		(void)rec_publish_end(out, at);
	link_push(b->link);
}

static int
bus_peer(struct bus *b, const struct wire_record *rec)
{
	struct rec_peer peer;
	int fd;

	if (rec_peer_get(rec, &peer) == -1)
		return -1;
	fd = link_take_fd(b->link);
	if (fd == -1)
		return -1;
	submit_set_writer(b->w->submit, fd, peer.incarnation);
	return 0;
}

static int
bus_certificate(struct bus *b, const struct wire_record *rec)
{
	int fd;

	if (rec_empty_get(rec) == -1)
		return -1;
	fd = link_take_fd(b->link);
	/* Of those that were good for the master a later one may fail; the
	 * first may not. */
	return fd == -1 || (tls_use(b->w, fd) == -1 && b->w->tls == NULL) ? -1 :
									    0;
}

static int
bus_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct bus *b = arg;
	struct worker *w = b->w;
	struct rec_attached attached;
	struct rec_presence presence;
	uint64_t v;

	(void)l;
	if (rec->type >= REC_EVENT_MESSAGE && rec->type < REC_OP_SEND)
		return fanout_event(w, rec);
	switch (rec->type) {
	case REC_CONFIG:
		return worker_configure(w, rec);
	case REC_CERTIFICATE:
		return bus_certificate(b, rec);
	case REC_PEER:
		return bus_peer(b, rec);
	case REC_INTEREST_OK:
		if (rec_interest_ok_get(rec, &v) == -1)
			return -1;
		rooms_confirmed(w->rooms, v);
		return 0;
	case REC_ATTACHED:
		if (rec_attached_get(rec, &attached) == -1)
			return -1;
		ws_conn_attached(w, attached.conn, attached.granted);
		return 0;
	case REC_LOST:
		if (rec_empty_get(rec) == -1)
			return -1;
		/* Who dropped some has warned; a new writer only means that
		 * the one before may have left some untold. */
		log_info("events may be missing, reading the log", NULL);
		auth_forget(w->auth, 0);
		ws_list_lost(w->ws);
		ws_presence_lost(w->presence);
		ws_list_recheck(w->ws, 0);
		return 0;
	case REC_PRESENCE:
		if (rec_presence_get(rec, &presence) == -1)
			return -1;
		ws_presence_change(w->presence, &presence);
		return 0;
	case REC_PRESENCE_RESET:
		if (rec_empty_get(rec) == -1)
			return -1;
		ws_presence_reset(w->presence);
		return 0;
	case REC_REPLACED:
		w->replaced = true;
		return rec_empty_get(rec);
	case REC_DRAIN:
		if (rec_drain_get(rec, &v) == -1)
			return -1;
		worker_drain(w, v);
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
}

struct bus *
bus_new(struct worker *w)
{
	struct bus *b = mem_alloc(sizeof(*b));
	struct rec_hello hello = { 0 };

	b->w = w;
	b->serial = 2;
	b->link = link_new(w->base, CHILD_FD_BUS, BUS_QUEUE_MAX, &bus_ops, b);
	b->heartbeat = event_new(w->base, -1, EV_PERSIST, bus_heartbeat, b);
	b->flush = event_new(w->base, -1, 0, bus_flush, b);
	if (b->link == NULL || b->heartbeat == NULL || b->flush == NULL)
		abort();
	worker_hello(w, &hello);
	(void)rec_hello_put(link_out(b->link), &hello);
	link_push(b->link);
	return b;
}

void
bus_free(struct bus *b)
{
	if (b == NULL)
		return;
	(void)link_flush(b->link);
	link_free(b->link);
	event_free(b->heartbeat);
	event_free(b->flush);
	free(b->add);
	free(b->del);
	free(b);
}

void
bus_ready(struct bus *b)
{
	struct timeval tv = { BUS_HEARTBEAT_MS / 1000,
		BUS_HEARTBEAT_MS % 1000 * 1000 };

	(void)rec_empty_put(link_out(b->link), REC_READY);
	link_push(b->link);
	event_add(b->heartbeat, &tv);
}

void
bus_drained(struct bus *b)
{
	(void)rec_empty_put(link_out(b->link), REC_DRAINED);
	(void)link_flush(b->link);
}
