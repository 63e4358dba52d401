/* SPDX-License-Identifier: MIT */
/*
 * Work in pieces between batches: when the next one is due.  Runs in the
 * writer; what a piece does is in store_sweep.c and store_fanout.c.
 */
#include "background.h"

#include <event2/event.h>
#include <stdlib.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "store.h"

/* A busy writer's pause, in times of what the piece took; and the pause
 * after a failure. */
#define SWEEP_SHARE 9
#define FANOUT_SHARE 1
#define RETRY_NS UINT64_C(1000000000)

struct background {
	struct store *store;
	struct page *page;
	struct buf *events;
	const struct background_ops *ops;
	void *arg;
	struct event *sweep;  /* pending while something is to be removed */
	struct event *erase;  /* pending while somebody is erased */
	struct event *fanout; /* pending while a notification is under way */
	bool sweep_busy;      /* a batch since the last piece */
	bool fanout_busy;
	bool erase_busy;
};

static void background_on_sweep(evutil_socket_t fd, short what, void *arg);
static void background_on_erase(evutil_socket_t fd, short what, void *arg);
static void background_on_fanout(evutil_socket_t fd, short what, void *arg);

static void
background_arm(struct event *e, uint64_t pause_ns)
{
	struct timeval tv = { (time_t)(pause_ns / 1000000000),
		(suseconds_t)(pause_ns / 1000 % 1000000) };

	/* By a timer also for no pause, so that the loop looks at the
	 * sockets first. */
	if (!event_pending(e, EV_TIMEOUT, NULL))
		event_add(e, &tv);
}

static void
background_sweep(struct background *b, uint64_t pause_ns)
{
	if (store_sweep_pending(b->store))
		background_arm(b->sweep, pause_ns);
}

static void
background_fanout(struct background *b, uint64_t pause_ns)
{
	uint64_t n = store_fanouts(b->store);

	page_set(b->page, PAGE_SLOT_WRITER, GAUGE_EXPANSIONS, n);
	if (n > 0)
		background_arm(b->fanout, pause_ns);
}

static void
background_erase(struct background *b, uint64_t pause_ns)
{
	if (store_erase_pending(b->store))
		background_arm(b->erase, pause_ns);
}

struct background *
background_new(struct event_base *base, struct store *store, struct page *page,
    struct buf *events, const struct background_ops *ops, void *arg)
{
	struct background *b = mem_alloc(sizeof(*b));

	b->store = store;
	b->page = page;
	b->events = events;
	b->ops = ops;
	b->arg = arg;
	b->sweep = event_new(base, -1, 0, background_on_sweep, b);
	b->fanout = event_new(base, -1, 0, background_on_fanout, b);
	b->erase = event_new(base, -1, 0, background_on_erase, b);
	if (b->sweep == NULL || b->fanout == NULL || b->erase == NULL)
		abort();
	background_sweep(b, 0);
	background_fanout(b, 0);
	background_erase(b, 0);
	return b;
}

void
background_free(struct background *b)
{
	if (b == NULL)
		return;
	event_free(b->sweep);
	event_free(b->fanout);
	event_free(b->erase);
	free(b);
}

void
background_batch(struct background *b)
{
	b->sweep_busy = true;
	b->fanout_busy = true;
	b->erase_busy = true;
	background_sweep(b, 0);
	background_fanout(b, 0);
	background_erase(b, 0);
}

/* A piece that began then has ended: the pause until the next one. */
static uint64_t
background_pause(struct background *b, enum store_result result, uint64_t began,
    bool busy, unsigned share)
{
	if (result == STORE_FATAL)
		b->ops->fatal(b->arg);
	if (result != STORE_OK) {
		buf_clear(b->events);
		return RETRY_NS;
	}
	b->ops->done(b->arg);
	return busy ? share * (clock_mono_ns() - began) : 0;
}

static void
background_on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct background *b = arg;
	uint64_t began = clock_mono_ns(), pause;

	(void)fd;
	(void)what;
	pause = background_pause(b, store_sweep(b->store), began, b->sweep_busy,
	    SWEEP_SHARE);
	b->sweep_busy = false;
	background_sweep(b, pause);
}

static void
background_on_fanout(evutil_socket_t fd, short what, void *arg)
{
	struct background *b = arg;
	uint64_t began = clock_mono_ns(), pause;

	(void)fd;
	(void)what;
	pause = background_pause(b, store_fanout(b->store, b->events), began,
	    b->fanout_busy, FANOUT_SHARE);
	b->fanout_busy = false;
	background_fanout(b, pause);
}

static void
background_on_erase(evutil_socket_t fd, short what, void *arg)
{
	struct background *b = arg;
	uint64_t began = clock_mono_ns(), pause;

	(void)fd;
	(void)what;
	pause = background_pause(b, store_erase(b->store, b->events), began,
	    b->erase_busy, SWEEP_SHARE);
	b->erase_busy = false;
	background_erase(b, pause);
}
