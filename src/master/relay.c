/* SPDX-License-Identifier: MIT */
/*
 * Forwards records between the children's buses.  Runs in the master and
 * reads no further into an event than the keys in front of it.  A queue
 * that is full loses its events, and the child is told so: nobody waits.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/config.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/page.h"
#include "child.h"
#include "hub.h"
#include "master.h"
#include "relay_presence.h"

/* Kept free for records that are no events. */
#define RELAY_RESERVE (256U * 1024)
#define RELAY_PEER_BUFFER (1024 * 1024)

static bool
relay_is_event(const struct wire_record *rec)
{
	return rec->type == REC_LOST ||
	    (rec->type >= REC_EVENT_MESSAGE && rec->type < REC_OP_SEND);
}

void
relay_push(struct child *to)
{
	link_push(to->link);
}

void
relay_lost(struct child *to)
{
	/* Before it has its configuration it knows nothing that could be
	 * out of date. */
	if (to->link == NULL || to->state < CHILD_LIVE)
		return;
	(void)rec_empty_put(link_out(to->link), REC_LOST);
	link_push(to->link);
}

/* The queue is full: its events go, what answers the child stays. */
static void
relay_overflow(struct child *to)
{
	log_warn("bus queue full, events dropped", "child=%s slot=%u bytes=%zu",
	    child_role(to), to->seat, link_queued(to->link));
	page_add(to->m->page, PAGE_SLOT_MASTER, COUNTER_BUS_LOST, 1);
	link_drop_records(to->link, relay_is_event);
	relay_lost(to);
}

struct buf *
relay_out(struct child *to)
{
	if (to->link == NULL)
		return NULL;
	if (link_queued(to->link) + RELAY_RESERVE > RELAY_QUEUE_MAX ||
	    link_out(to->link)->failed) {
		relay_overflow(to);
		if (link_queued(to->link) + RELAY_RESERVE > RELAY_QUEUE_MAX) {
			child_kill(to, "reads nothing");
			return NULL;
		}
	}
	return link_out(to->link);
}

static void
relay_forward(struct child *to, const struct wire_record *event)
{
	struct buf *out;

	if (to->link == NULL || to->state < CHILD_LIVE)
		return;
	out = link_out(to->link);
	if (out->len + event->whole_len + RELAY_RESERVE > RELAY_QUEUE_MAX) {
		relay_overflow(to);
		return;
	}
	(void)buf_add(out, event->whole, event->whole_len);
	to->forwarded++;
	link_push(to->link);
}

static int
relay_publish(struct child *from, const struct wire_record *rec)
{
	struct master *m = from->m;
	struct rec_publish p;
	struct hub_slots to = { 0 };
	unsigned slot;

	if (from->role == ROLE_COURIER || rec_publish_get(rec, &p) == -1 ||
	    !relay_is_event(&p.inner))
		return -1;
	for (uint16_t i = 0; i < p.nkeys; i++) {
		uint64_t key = rec_publish_key(&p, i);

		if (key != 0)
			hub_workers(m->hub, key, &to);
	}
	if (p.nkeys == 0)
		hub_everybody(&to);
	while ((slot = hub_slots_take(&to)) != HUB_WORKERS_MAX)
		if (m->workers[slot] != NULL)
			relay_forward(m->workers[slot], &p.inner);
	if (p.inner.type == REC_EVENT_WEBHOOK || p.inner.type == REC_LOST)
		relay_forward(m->courier, &p.inner);
	return 0;
}

static int
relay_interest(struct child *from, const struct wire_record *rec)
{
	struct hub *hub = from->m->hub;
	struct rec_interest r;
	struct buf *out;

	if (from->role != ROLE_WORKER || rec_interest_get(rec, &r) == -1)
		return -1;
	for (uint32_t i = 0; i < r.nadd + r.ndel; i++) {
		uint64_t key = rec_interest_key(&r, i);

		if (key == 0)
			return -1;
		if (i < r.nadd)
			hub_add(hub, key, from->slot, HUB_INTEREST);
		else
			hub_del(hub, key, from->slot, HUB_INTEREST);
	}
	if ((out = relay_out(from)) != NULL) {
		(void)rec_interest_ok_put(out, r.serial);
		relay_push(from);
	}
	return 0;
}

int
relay_record(struct child *from, const struct wire_record *rec)
{
	switch (rec->type) {
	case REC_PUBLISH:
		return relay_publish(from, rec);
	case REC_INTEREST:
		return relay_interest(from, rec);
	case REC_ATTACH:
		return relay_attach(from, rec);
	case REC_DETACH:
		return relay_detach(from, rec);
	default:
		return -1;
	}
}

void
relay_idle(struct child *c)
{
	struct master *m = c->m;
	struct child *to;
	uint64_t sum = 0;

	CHILD_FOREACH_WORKER(to, m) {
		sum += to->forwarded;
		to->forwarded = 0;
	}
	if (sum > 0)
		page_add(m->page, PAGE_SLOT_MASTER, COUNTER_BUS_RECORDS, sum);
}

static void
relay_measure_child(const struct child *c)
{
	page_set(c->m->page, c->page_slot, GAUGE_BUS_QUEUE_BYTES,
	    c->link != NULL ? link_queued(c->link) : 0);
}

void
relay_measure(const struct master *m)
{
	struct child *c;

	relay_measure_child(m->writer);
	CHILD_FOREACH_WORKER(c, m)
		relay_measure_child(c);
	relay_measure_child(m->courier);
}

void
relay_forget(struct child *worker)
{
	relay_presence_drop(worker);
	hub_drop(worker->m->hub, worker->slot);
}

static void
relay_peer(struct child *to, const struct child *peer, int fd)
{
	struct rec_peer r = { .role = (uint8_t)peer->role,
		.slot = peer->slot,
		.incarnation = peer->incarnation };
	struct buf *out = relay_out(to);

	if (out == NULL || rec_peer_put(out, &r) == -1)
		return;
	link_send_fd(to->link, fd);
	relay_push(to);
}

void
relay_peers(struct child *writer, struct child *other)
{
	int size = RELAY_PEER_BUFFER, fds[2];

	if (writer->link == NULL || other->link == NULL)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		fds) == -1) {
		log_error("no link to the writer", "child=%s error=\"%s\"",
		    child_role(other), strerror(errno));
		child_kill(other, "cannot be linked");
		return;
	}
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			sizeof(size)) == -1)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size,
			    sizeof(size));
	relay_peer(other, writer, fds[0]);
	relay_peer(writer, other, fds[1]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
