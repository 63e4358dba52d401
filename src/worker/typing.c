/* SPDX-License-Identifier: MIT */
/*
 * Typing indicators in the rooms of this worker's clients.  Runs in a worker;
 * a timer runs only while someone types.  How many entries there can be is
 * bounded by TYPING_MAX; beyond it a start is simply not told.
 */
#include "typing.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/clock.h"
#include "../common/mem.h"
#include "../common/records.h"
#include "fanout.h"
#include "worker.h"

#define TYPING_MAX 4096

struct typist {
	TAILQ_ENTRY(typist) link; /* by rising end_ms */
	uint64_t tenant;
	uint64_t room;
	uint64_t told_ms;
	uint64_t end_ms;
	size_t len;
	char name[];
};

TAILQ_HEAD(typist_list, typist);

struct typing {
	struct worker *w;
	struct event *timer;
	struct typist_list list;
	unsigned count;
};

static void typing_expire(evutil_socket_t fd, short what, void *arg);

struct typing *
typing_new(struct worker *w)
{
	struct typing *t = mem_alloc(sizeof(*t));

	t->w = w;
	TAILQ_INIT(&t->list);
	t->timer = evtimer_new(w->base, typing_expire, t);
	if (t->timer == NULL)
		abort();
	return t;
}

static void
typing_remove(struct typing *t, struct typist *p)
{
	TAILQ_REMOVE(&t->list, p, link);
	t->count--;
	free(p);
}

void
typing_free(struct typing *t)
{
	struct typist *p;

	if (t == NULL)
		return;
	while ((p = TAILQ_FIRST(&t->list)) != NULL)
		typing_remove(t, p);
	event_free(t->timer);
	free(t);
}

static void
typing_tell(struct typing *t, const struct typist *p, bool start)
{
	struct rec_event_typing e = { 0 };

	e.tenant = p->tenant;
	e.room = p->room;
	e.start = start;
	e.user.p = p->name;
	e.user.len = p->len;
	fanout_typing(t->w, &e);
}

static struct typist *
typing_find(struct typing *t, const struct rec_event_typing *e)
{
	struct typist *p;

	/* The newest are at the end, and a user who types is new. */
	TAILQ_FOREACH_REVERSE(p, &t->list, typist_list, link) {
		if (p->room == e->room && p->tenant == e->tenant &&
		    p->len == e->user.len &&
		    memcmp(p->name, e->user.p, p->len) == 0)
			return p;
	}
	return NULL;
}

static void
typing_arm(struct typing *t, uint64_t now)
{
	struct typist *first = TAILQ_FIRST(&t->list);
	struct timeval tv;
	uint64_t wait;

	if (first == NULL) {
		evtimer_del(t->timer);
		return;
	}
	wait = first->end_ms > now ? first->end_ms - now : 1;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	evtimer_add(t->timer, &tv);
}

static void
typing_start(struct typing *t, const struct rec_event_typing *e)
{
	struct typist *p = typing_find(t, e);
	uint64_t now = clock_mono_ms();

	if (p == NULL) {
		if (t->count >= TYPING_MAX)
			return;
		p = mem_alloc(sizeof(*p) + e->user.len);
		p->tenant = e->tenant;
		p->room = e->room;
		p->len = e->user.len;
		memcpy(p->name, e->user.p, p->len);
		t->count++;
	} else {
		TAILQ_REMOVE(&t->list, p, link);
	}
	if (p->told_ms == 0 || now - p->told_ms >= TYPING_REPEAT_MS) {
		p->told_ms = now;
		typing_tell(t, p, true);
	}
	p->end_ms = now + TYPING_END_MS;
	TAILQ_INSERT_TAIL(&t->list, p, link);
	typing_arm(t, now);
}

static void
typing_stop(struct typing *t, const struct rec_event_typing *e)
{
	struct typist *p = typing_find(t, e);

	if (p == NULL)
		return;
	typing_tell(t, p, false);
	typing_remove(t, p);
	typing_arm(t, clock_mono_ms());
}

void
typing_event(struct typing *t, const struct rec_event_typing *e)
{
	if (e->start)
		typing_start(t, e);
	else
		typing_stop(t, e);
}

static void
typing_expire(evutil_socket_t fd, short what, void *arg)
{
	struct typing *t = arg;
	uint64_t now = clock_mono_ms();
	struct typist *p;

	(void)fd;
	(void)what;
	while ((p = TAILQ_FIRST(&t->list)) != NULL && p->end_ms <= now) {
		typing_tell(t, p, false);
		typing_remove(t, p);
	}
	typing_arm(t, now);
}
