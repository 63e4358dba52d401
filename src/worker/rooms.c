/* SPDX-License-Identifier: MIT */
/*
 * The table of rooms with sockets on this worker, and the hub's interest in
 * them.  Runs in a worker; reads no database.
 */
#include "rooms.h"

#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "bus.h"
#include "feed.h"
#include "worker.h"

TAILQ_HEAD(room_queue, room);

struct rooms {
	struct worker *w;
	struct room **slot; /* by id */
	size_t size;
	size_t count;
	struct room_queue asked; /* by rising serial */
};

struct rooms *
rooms_new(struct worker *w)
{
	struct rooms *r = mem_alloc(sizeof(*r));

	r->w = w;
	r->size = 256;
	r->slot = mem_alloc(r->size * sizeof(struct room *));
	TAILQ_INIT(&r->asked);
	return r;
}

void
rooms_free(struct rooms *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->size; i++) {
		while (r->slot[i] != NULL) {
			struct room *room = r->slot[i];

			r->slot[i] = room->next_id;
			free(room);
		}
	}
	free(r->slot);
	free(r);
}

/* Internal ids are dense, so their low bits spread well. */
static struct room **
rooms_slot(struct rooms *r, uint64_t id)
{
	return &r->slot[id & (r->size - 1)];
}

struct room *
rooms_find(struct rooms *r, uint64_t id)
{
	struct room *room = *rooms_slot(r, id);

	while (room != NULL && room->id != id)
		room = room->next_id;
	return room;
}

static void
rooms_grow(struct rooms *r)
{
	struct room **old = r->slot;
	size_t size = r->size;

	r->size *= 2;
	r->slot = mem_alloc(r->size * sizeof(struct room *));
	for (size_t i = 0; i < size; i++) {
		while (old[i] != NULL) {
			struct room *room = old[i];
			struct room **to = rooms_slot(r, room->id);

			old[i] = room->next_id;
			room->next_id = *to;
			*to = room;
		}
	}
	free(old);
}

struct room *
rooms_get(struct rooms *r, uint64_t tenant, uint64_t id, const char *token)
{
	struct room *room = rooms_find(r, id);
	struct room **slot;

	if (room != NULL)
		return room;
	if (r->count >= r->size)
		rooms_grow(r);
	room = mem_alloc(sizeof(*room));
	room->id = id;
	room->tenant = tenant;
	memcpy(room->token, token, ID_TOKEN_LEN);
	LIST_INIT(&room->feeds);
	slot = rooms_slot(r, id);
	room->next_id = *slot;
	*slot = room;
	r->count++;
	room->serial = bus_interest_add(r->w->bus, id_room_key(id));
	TAILQ_INSERT_TAIL(&r->asked, room, asked);
	return room;
}

size_t
rooms_count(const struct rooms *r)
{
	return r->count;
}

void
rooms_each(struct rooms *r, void (*fn)(struct room *room, void *arg), void *arg)
{
	for (size_t i = 0; i < r->size; i++)
		for (struct room *room = r->slot[i]; room != NULL;
		     room = room->next_id)
			fn(room, arg);
}

void
rooms_release(struct rooms *r, struct room *room)
{
	struct room **at;

	if (!LIST_EMPTY(&room->feeds))
		return;
	at = rooms_slot(r, room->id);
	while (*at != room)
		at = &(*at)->next_id;
	*at = room->next_id;
	r->count--;
	if (!room->confirmed)
		TAILQ_REMOVE(&r->asked, room, asked);
	ws_presence_room_gone(r->w->presence, room);
	bus_interest_del(r->w->bus, id_room_key(room->id));
	free(room);
}

void
rooms_confirmed(struct rooms *r, uint64_t serial)
{
	struct room *room;

	while ((room = TAILQ_FIRST(&r->asked)) != NULL &&
	    room->serial <= serial) {
		struct feed *f;

		TAILQ_REMOVE(&r->asked, room, asked);
		room->confirmed = true;
		ws_presence_room(r->w->presence, room);
		LIST_FOREACH(f, &room->feeds, in_room)
			feed_room_confirmed(f);
	}
}
