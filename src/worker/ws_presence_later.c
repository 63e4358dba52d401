/* SPDX-License-Identifier: MIT */
/*
 * Changes of presence wait a moment for others before they are written: when
 * thousands connect at once each connection is told hundreds of things, and
 * a write for each would cost many times what telling does.  What else is
 * sent to the connection takes them along.  Runs in a worker.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "../common/clock.h"
#include "../common/mem.h"
#include "worker.h"
#include "ws_list.h"
#include "ws_presence_int.h"

/* The least time between two writes of a connection's changes. */
#define LATER_MS 50
/* Connections written to in one turn of the loop. */
#define LATER_CHUNK 256

static void later_run(evutil_socket_t fd, short what, void *arg);

void
ws_presence_later_init(struct ws_presence *p)
{
	struct presence_later *l = &p->later;

	l->timer = evtimer_new(p->w->base, later_run, p);
	if (l->timer == NULL)
		abort();
}

void
ws_presence_later_free(struct ws_presence *p)
{
	event_free(p->later.timer);
	free(p->later.conns);
}

/* The first of a quiet time goes at once. */
static void
later_arm(struct presence_later *l)
{
	uint64_t now = clock_mono_ms(), at = l->last_ms + LATER_MS;
	struct timeval tv = { 0, 0 };

	if (evtimer_pending(l->timer, NULL))
		return;
	if (at > now)
		tv.tv_usec = (suseconds_t)((at - now) * 1000);
	evtimer_add(l->timer, &tv);
}

void
ws_presence_later(struct ws_presence *p, struct ws_conn *c, struct ws_shared *f)
{
	struct presence_later *l = &p->later;

	ws_out_add(&c->out, f);
	if (c->later != 0)
		return;
	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? 64 : l->cap * 2;
		l->conns = mem_realloc(l->conns,
		    l->cap * sizeof(struct ws_conn *));
	}
	l->conns[l->count++] = c;
	c->later = l->count;
	later_arm(l);
}

void
ws_presence_later_drop(struct ws_presence *p, struct ws_conn *c)
{
	struct presence_later *l = &p->later;
	struct ws_conn *last;

	if (c->later == 0)
		return;
	last = l->conns[--l->count];
	l->conns[c->later - 1] = last;
	last->later = c->later;
	c->later = 0;
}

static void
later_run(evutil_socket_t fd, short what, void *arg)
{
	struct ws_presence *p = arg;
	struct presence_later *l = &p->later;
	struct timeval now = { 0, 0 };

	(void)fd;
	(void)what;
	for (int i = 0; i < LATER_CHUNK && l->count > 0; i++) {
		struct ws_conn *c = l->conns[l->count - 1];

		ws_presence_later_drop(p, c);
		ws_list_dirty(c);
	}
	l->last_ms = clock_mono_ms();
	if (l->count > 0)
		evtimer_add(l->timer, &now);
}
