/* SPDX-License-Identifier: MIT */
/*
 * Tells the workers who is online, and runs the one timer that ends graces.
 * Runs in the master.  What a worker does not take quickly waits in the
 * table of users, not in its queue, so these records need never be dropped.
 */
#include "relay_presence.h"

#include <event2/event.h>
#include <stdlib.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/config.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/page.h"
#include "../common/records_courier.h"
#include "../common/utf8.h"
#include "child.h"
#include "hub.h"
#include "master.h"
#include "presence.h"
#include "relay.h"

/* A worker with more than this unsent is told the rest later. */
#define TELL_QUEUE_MAX (2U * 1024 * 1024)
/* Records to one worker, and ends of grace, in one go. */
#define TELL_CHUNK 4096
/* When to go on with a worker that has not been told all. */
#define TELL_AGAIN_MS 2

static void presence_on_timer(evutil_socket_t fd, short what, void *arg);

/* Tells one worker as much as may be; true when something is left. */
static bool
presence_tell(struct child *to)
{
	struct presence *p = to->m->presence;
	struct presence_item item;
	struct buf *out;
	unsigned n = 0;

	if (to->link == NULL)
		return false;
	out = link_out(to->link);
	while (out->len < TELL_QUEUE_MAX && n < TELL_CHUNK &&
	    presence_next(p, to->slot, &item) != PRESENCE_NONE) {
		if (item.kind == PRESENCE_ANSWER)
			(void)rec_attached_put(out, &item.answer);
		else
			(void)rec_presence_put(out, &item.change);
		n++;
	}
	if (n > 0)
		link_push(to->link);
	return presence_behind(p, to->slot);
}

static void
presence_arm(struct master *m, bool behind)
{
	uint64_t wait = presence_wait(m->presence, clock_mono_ms());
	struct timeval tv;

	if (behind && wait > TELL_AGAIN_MS)
		wait = TELL_AGAIN_MS;
	if (m->presence_timer == NULL)
		m->presence_timer = event_new(m->base, -1, 0, presence_on_timer,
		    m);
	if (m->presence_timer == NULL)
		abort();
	if (wait == PRESENCE_NEVER) {
		(void)event_del(m->presence_timer);
		return;
	}
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	(void)event_add(m->presence_timer, &tv);
}

static void
presence_tell_all(struct master *m)
{
	bool behind = false;
	struct child *c;

	page_set(m->page, PAGE_SLOT_MASTER, GAUGE_USERS_ONLINE,
	    presence_online(m->presence));
	CHILD_FOREACH_WORKER(c, m)
		behind |= presence_tell(c);
	presence_arm(m, behind);
}

static void
presence_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	(void)fd;
	(void)what;
	presence_due(m->presence, clock_mono_ms(), TELL_CHUNK);
	presence_tell_all(m);
}

int
relay_attach(struct child *from, const struct wire_record *rec)
{
	struct master *m = from->m;
	struct rec_attach r;
	bool granted;

	if (from->role != ROLE_WORKER || rec_attach_get(rec, &r) == -1 ||
	    r.user.len == 0 || r.user.len > USER_ID_MAX)
		return -1;
	granted = presence_attach(m->presence, from->slot, r.tenant, r.user,
	    m->config->ws_max_per_user);
	presence_answer(m->presence, from->slot, r.conn, granted);
	presence_tell_all(m);
	return 0;
}

int
relay_detach(struct child *from, const struct wire_record *rec)
{
	struct master *m = from->m;
	struct rec_attach r;

	if (from->role != ROLE_WORKER || rec_detach_get(rec, &r) == -1 ||
	    r.user.len == 0 || r.user.len > USER_ID_MAX)
		return -1;
	if (presence_detach(m->presence, from->slot, r.tenant, r.user,
		clock_mono_ms()) == -1)
		log_error("detach of a connection that was not attached",
		    "slot=%u conn=%llu", from->slot,
		    (unsigned long long)r.conn);
	presence_tell_all(m);
	return 0;
}

int
relay_absence(struct child *from, const struct wire_record *rec)
{
	uint32_t states[ABSENCE_USERS_MAX];
	uint64_t now = clock_mono_ms();
	struct rec_absence_ok ok = { .list = states };
	struct rec_absence r;
	struct str user;
	struct buf *out;
	size_t at = 0;

	if (from->role != ROLE_COURIER || rec_absence_get(rec, &r) == -1)
		return -1;
	ok.serial = r.serial;
	while (rec_absence_next(&r, &at, &user)) {
		uint64_t left = presence_look(from->m->presence, r.tenant, user,
		    now);

		states[ok.n++] = left == PRESENCE_NEVER ? ABSENCE_ONLINE :
		    left < ABSENCE_ONLINE               ? (uint32_t)left :
							  ABSENCE_ONLINE - 1;
	}
	if ((out = relay_out(from)) != NULL) {
		(void)rec_absence_ok_put(out, &ok);
		relay_push(from);
	}
	return 0;
}

void
relay_greet(struct child *worker)
{
	struct buf *out;

	if ((out = relay_out(worker)) == NULL)
		return;
	(void)rec_empty_put(out, REC_PRESENCE_RESET);
	relay_push(worker);
	presence_join(worker->m->presence, worker->slot);
	presence_tell_all(worker->m);
}

void
relay_presence_drop(struct child *worker)
{
	struct master *m = worker->m;

	presence_drop(m->presence, worker->slot, clock_mono_ms());
	presence_tell_all(m);
}

void
relay_presence_grace(struct master *m)
{
	presence_set_grace(m->presence, m->config->presence_grace_ms,
	    clock_mono_ms());
	presence_tell_all(m);
}

void
relay_presence(uint64_t key, unsigned slot, bool present, void *arg)
{
	struct master *m = arg;

	if (present)
		hub_add(m->hub, key, slot, HUB_USER);
	else
		hub_del(m->hub, key, slot, HUB_USER);
}
