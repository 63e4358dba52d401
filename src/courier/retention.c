/* SPDX-License-Identifier: MIT */
/*
 * Looks through the rooms of tenants with retention_days, a few at a time,
 * and has the writer trim those whose oldest messages are too old.  Runs in
 * the courier.  created_at rises with seq, so a few reads by key find where
 * to cut, however long the room is.
 */
#include "retention.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/submit.h"
#include "courier.h"
#include "view.h"

#define DAY_MS INT64_C(86400000)
#define SLICE_NS (2U * 1000 * 1000)
#define TRIMS_MAX 8

struct retention {
	struct courier *c;
	struct event *slice;
	bool running;
	int64_t began_ms; /* Unix; 0 = never */
	uint64_t tenant;  /* whose rooms are looked through; 0 = none */
	uint64_t after;   /* tenants and rooms up to these are done */
	uint64_t room;
	int64_t before_ms; /* what is older goes */
	unsigned trims;    /* at the writer */
};

static void retention_on_slice(evutil_socket_t fd, short what, void *arg);

struct retention *
retention_new(struct courier *c)
{
	struct retention *r = mem_alloc(sizeof(*r));

	r->c = c;
	r->slice = event_new(c->base, -1, 0, retention_on_slice, r);
	if (r->slice == NULL)
		abort();
	return r;
}

void
retention_free(struct retention *r)
{
	if (r == NULL)
		return;
	event_free(r->slice);
	free(r);
}

static void
retention_go_on(struct retention *r)
{
	/* By a timer, so that the loop looks at the sockets first. */
	static const struct timeval soon = { 0, 1000 };

	(void)event_add(r->slice, &soon);
}

static void
retention_trimmed(const struct rec_reply *reply, void *arg)
{
	struct retention *r = arg;

	r->trims--;
	if (reply->outcome == OUTCOME_OK)
		page_add(r->c->page, PAGE_SLOT_COURIER, COUNTER_RETENTION_TRIMS,
		    1);
	else if (reply->outcome != OUTCOME_REPEATED)
		log_warn("room not trimmed, to be tried again", "outcome=%u",
		    reply->outcome);
	if (r->running)
		retention_go_on(r);
}

static void
retention_trim(struct retention *r, const struct view_room *room,
    uint64_t first_seq)
{
	struct rec_op_room_trim op = { .first_seq = first_seq,
		.room = { room->token, ID_TOKEN_LEN } };
	struct buf *b = submit_begin(r->c->submit, &op.h, r->tenant);

	(void)rec_op_room_trim_put(b, &op);
	if (submit_end(r->c->submit, retention_trimmed, r) != NULL)
		r->trims++;
}

/* The first seq of the room to keep; its first_seq when all may stay; 0 when
 * that cannot be told now. */
static uint64_t
retention_cut(struct retention *r, const struct view_room *room)
{
	uint64_t old = room->first_seq, kept = room->last_seq + 1, middle;
	int64_t ms;
	int rc;

	if (old >= kept)
		return old;
	if ((rc = view_created(r->c->view, room->id, old, &ms)) != 1)
		return 0;
	if (ms >= r->before_ms)
		return old;
	while (kept - old > 1) {
		middle = old + (kept - old) / 2;
		rc = view_created(r->c->view, room->id, middle, &ms);
		if (rc != 1)
			return 0;
		if (ms < r->before_ms)
			old = middle;
		else
			kept = middle;
	}
	return kept;
}

/* One room, or on to the next tenant.  False when none is left. */
static bool
retention_step(struct retention *r)
{
	struct view_room room;
	uint64_t cut;
	uint32_t days;
	int rc;

	if (r->tenant == 0) {
		if (view_next_retention(r->c->view, r->after, &r->tenant,
			&days) != 1)
			return false;
		r->room = 0;
		r->before_ms = clock_unix_ms() - (int64_t)days * DAY_MS;
	}
	rc = view_next_room(r->c->view, r->tenant, r->room, &room);
	if (rc != 1) {
		r->after = r->tenant;
		r->tenant = 0;
		return rc == 0;
	}
	r->room = room.id;
	cut = retention_cut(r, &room);
	if (cut > room.first_seq)
		retention_trim(r, &room, cut);
	return true;
}

static void
retention_on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct retention *r = arg;
	uint64_t until = clock_mono_ns() + SLICE_NS;

	(void)fd;
	(void)what;
	if (r->c->draining)
		r->running = false;
	while (r->running) {
		/* The next answer goes on with it. */
		if (r->trims >= TRIMS_MAX)
			return;
		if (!retention_step(r))
			r->running = false;
		else if (clock_mono_ns() > until) {
			retention_go_on(r);
			return;
		}
	}
}

void
retention_tick(struct retention *r)
{
	int64_t now = clock_unix_ms();

	if (r->running ||
	    (r->began_ms != 0 && now >= r->began_ms &&
		now < r->began_ms + RETENTION_EVERY_MS))
		return;
	r->began_ms = now;
	r->running = true;
	r->tenant = r->after = 0;
	retention_go_on(r);
}
