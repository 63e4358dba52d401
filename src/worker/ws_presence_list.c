/* SPDX-License-Identifier: MIT */
/*
 * The lists of rooms: which of a small room's members are online, or were
 * and somebody here has not been told of the change.  A list is read once
 * and kept right by events.  Runs in a worker; reads only.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "../common/records.h"
#include "ws_presence_int.h"
#include "reader.h"
#include "rooms.h"
#include "worker.h"

#define LIST_CAP_MIN 4
/* Twice what there can be: something was missed. */
#define LIST_CAP_MAX (2 * PRESENCE_MEMBERS_MAX)

static void
list_free(struct ws_presence *p, struct room *room)
{
	struct room_presence *l = &room->presence;

	for (uint16_t i = 0; i < l->count; i++) {
		struct peer *peer = roster_peer(p->roster, l->ids[i]);

		peer->listed--;
		roster_release(p->roster, peer);
	}
	free(l->ids);
	l->ids = NULL;
	l->count = l->cap = 0;
}

static void
list_queue(struct ws_presence *p, struct room *room)
{
	struct room_presence *l = &room->presence;

	l->state = PRESENCE_UNREAD;
	if (l->queued)
		return;
	l->queued = true;
	TAILQ_INSERT_TAIL(&p->rooms, room, presence.in_queue);
	ws_presence_arm(p);
}

static void
list_unqueue(struct ws_presence *p, struct room *room)
{
	if (room->presence.queued)
		TAILQ_REMOVE(&p->rooms, room, presence.in_queue);
	room->presence.queued = false;
}

/* Everybody in the room is to be told of whom he does not know. */
static void
list_tell(struct room *room)
{
	struct feed *f;

	LIST_FOREACH(f, &room->feeds, in_room)
		ws_presence_owe(f);
}

static void
list_large(struct ws_presence *p, struct room *room)
{
	list_free(p, room);
	room->presence.state = PRESENCE_LARGE;
}

/* Offline, and nobody here thinks otherwise. */
static bool
list_needless(const struct peer *peer)
{
	return !peer->online && peer->told == 0;
}

static void
list_prune(struct ws_presence *p, struct room_presence *l)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < l->count; i++) {
		struct peer *peer = roster_peer(p->roster, l->ids[i]);

		if (list_needless(peer)) {
			peer->listed--;
			roster_release(p->roster, peer);
		} else
			l->ids[kept++] = l->ids[i];
	}
	l->count = kept;
}

static int
list_find(const struct room_presence *l, uint32_t id)
{
	for (uint16_t i = 0; i < l->count; i++)
		if (l->ids[i] == id)
			return i;
	return -1;
}

void
ws_presence_list_add(struct ws_presence *p, struct room *room,
    struct peer *peer)
{
	struct room_presence *l = &room->presence;

	if (list_find(l, peer->id) != -1)
		return;
	if (l->count == l->cap)
		list_prune(p, l);
	if (l->count == l->cap && l->cap >= LIST_CAP_MAX) {
		list_queue(p, room);
		return;
	}
	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? LIST_CAP_MIN : (uint16_t)(l->cap * 2);
		l->ids = mem_realloc(l->ids, l->cap * sizeof(*l->ids));
	}
	l->ids[l->count++] = peer->id;
	peer->listed++;
}

static void
list_del(struct ws_presence *p, struct room_presence *l, struct peer *peer)
{
	int i = list_find(l, peer->id);

	if (i == -1)
		return;
	l->ids[i] = l->ids[--l->count];
	peer->listed--;
	roster_release(p->roster, peer);
}

bool
ws_presence_list_size(struct ws_presence *p, struct room *room,
    uint32_t members)
{
	struct room_presence *l = &room->presence;

	if (l->state == PRESENCE_UNREAD)
		return false;
	if (members > PRESENCE_MEMBERS_MAX)
		list_large(p, room);
	else if (l->state == PRESENCE_LARGE)
		list_queue(p, room);
	return l->state == PRESENCE_LISTED;
}

/* ---- reading ---- */

struct list_read {
	struct ws_presence *p;
	struct room *room;
	unsigned members;
};

static bool
list_member(const struct reader_member_row *m, void *arg)
{
	struct list_read *rd = arg;
	struct peer *peer;

	rd->members++;
	peer = roster_find(rd->p->roster, rd->room->tenant, m->user);
	if (peer != NULL && !list_needless(peer))
		ws_presence_list_add(rd->p, rd->room, peer);
	return true;
}

void
ws_presence_list_read(struct ws_presence *p)
{
	struct room *room = TAILQ_FIRST(&p->rooms);
	struct room_presence *l = &room->presence;
	struct list_read rd = { p, room, 0 };
	struct reader *r = p->w->reader;
	struct str start = { "", 0 };
	int rc;

	if (reader_begin(r, &l->n) == -1) {
		p->failed = true;
		return;
	}
	list_free(p, room);
	rc = reader_members(r, room->id, start, PRESENCE_MEMBERS_MAX + 1,
	    list_member, &rd);
	reader_end(r);
	if (rc == -1) {
		p->failed = true;
		return;
	}
	list_unqueue(p, room);
	l->state = PRESENCE_LISTED;
	if (rd.members > PRESENCE_MEMBERS_MAX)
		list_large(p, room);
	list_tell(room);
}

/* ---- what happens to a room ---- */

void
ws_presence_room(struct ws_presence *p, struct room *room)
{
	list_queue(p, room);
}

void
ws_presence_room_gone(struct ws_presence *p, struct room *room)
{
	list_unqueue(p, room);
	list_free(p, room);
}

static void
list_lost(struct room *room, void *arg)
{
	struct ws_presence *p = arg;
	struct feed *f;

	if (!room->confirmed)
		return;
	list_queue(p, room);
	LIST_FOREACH(f, &room->feeds, in_room)
		f->peers = false;
}

void
ws_presence_lost(struct ws_presence *p)
{
	rooms_each(p->w->rooms, list_lost, p);
}

void
ws_presence_members(struct ws_presence *p, const struct rec_event_members *e,
    bool joined)
{
	struct room *room = rooms_find(p->w->rooms, e->room);
	struct str name;
	bool news = false;
	size_t at = 0;

	/* What is still to be read, or was after this, shows it. */
	if (room == NULL || room->tenant != e->tenant ||
	    room->presence.state == PRESENCE_UNREAD ||
	    e->n <= room->presence.n ||
	    !ws_presence_list_size(p, room, e->members))
		return;
	while (rec_event_members_next(e, &at, &name)) {
		struct peer *peer = roster_find(p->roster, e->tenant, name);

		if (peer == NULL)
			continue;
		if (!joined) {
			list_del(p, &room->presence, peer);
		} else if (!list_needless(peer)) {
			ws_presence_list_add(p, room, peer);
			news = true;
		}
	}
	if (news)
		list_tell(room);
}
