/* SPDX-License-Identifier: MIT */
/*
 * A table of frames by room and seq, and, to the second, the order in which
 * they were last used.  Runs in a worker; pure.
 */
#include "frame_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/mem.h"
#include "ws_out.h"

#define SLOTS_MIN 256

struct entry {
	struct entry *next; /* hash chain */
	TAILQ_ENTRY(entry) used;
	uint64_t room;
	uint64_t seq;
	uint64_t rev;
	uint32_t tick; /* when it was last used */
	uint32_t bytes;
	struct cached_frame c;
	char text[]; /* sender, client_msg_id */
};

TAILQ_HEAD(entry_queue, entry);

struct frame_cache {
	struct entry **slots; /* NULL while empty */
	size_t size;          /* power of two */
	size_t count;
	size_t bytes;
	uint32_t tick;
	struct entry_queue used; /* the oldest first */
};

struct frame_cache *
frame_cache_new(void)
{
	struct frame_cache *fc = mem_alloc(sizeof(*fc));

	TAILQ_INIT(&fc->used);
	return fc;
}

/* Neighbours in a room lie in neighbouring slots. */
static struct entry **
cache_slot(const struct frame_cache *fc, uint64_t room, uint64_t seq)
{
	uint64_t h = room * UINT64_C(0x9e3779b97f4a7c15);

	return &fc->slots[((h >> 32) + seq) & (fc->size - 1)];
}

static struct entry **
cache_find(const struct frame_cache *fc, uint64_t room, uint64_t seq)
{
	struct entry **at = cache_slot(fc, room, seq);

	while (*at != NULL && ((*at)->room != room || (*at)->seq != seq))
		at = &(*at)->next;
	return at;
}

static void
cache_remove(struct frame_cache *fc, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	TAILQ_REMOVE(&fc->used, e, used);
	fc->count--;
	fc->bytes -= e->bytes;
	ws_shared_unref(e->c.frame);
	free(e);
	if (fc->count == 0) {
		free(fc->slots);
		fc->slots = NULL;
		fc->size = 0;
	}
}

static void
cache_remove_oldest(struct frame_cache *fc)
{
	struct entry *e = TAILQ_FIRST(&fc->used);

	cache_remove(fc, cache_find(fc, e->room, e->seq));
}

void
frame_cache_clear(struct frame_cache *fc)
{
	while (fc->count > 0)
		cache_remove_oldest(fc);
}

void
frame_cache_free(struct frame_cache *fc)
{
	if (fc == NULL)
		return;
	frame_cache_clear(fc);
	free(fc);
}

static void
cache_grow(struct frame_cache *fc)
{
	struct entry **old = fc->slots;
	size_t size = fc->size;

	fc->size = size == 0 ? SLOTS_MIN : size * 2;
	fc->slots = mem_alloc(fc->size * sizeof(struct entry *));
	for (size_t i = 0; i < size; i++) {
		while (old[i] != NULL) {
			struct entry *e = old[i];
			struct entry **to = cache_slot(fc, e->room, e->seq);

			old[i] = e->next;
			e->next = *to;
			*to = e;
		}
	}
	free(old);
}

const struct cached_frame *
frame_cache_get(struct frame_cache *fc, uint64_t room, uint64_t seq,
    uint64_t rev)
{
	struct entry **at, *e;

	if (fc->count == 0)
		return NULL;
	at = cache_find(fc, room, seq);
	if ((e = *at) == NULL)
		return NULL;
	if (e->rev != rev) {
		/* Something in the room changed, maybe this one. */
		if (e->rev < rev)
			cache_remove(fc, at);
		return NULL;
	}
	if (e->tick != fc->tick) {
		e->tick = fc->tick;
		TAILQ_REMOVE(&fc->used, e, used);
		TAILQ_INSERT_TAIL(&fc->used, e, used);
	}
	return &e->c;
}

void
frame_cache_put(struct frame_cache *fc, uint64_t room, uint64_t seq,
    uint64_t rev, const struct cached_frame *c)
{
	size_t text = c->sender.len + c->client_msg_id.len;
	struct entry **at, *e;

	if (fc->count >= fc->size)
		cache_grow(fc);
	at = cache_find(fc, room, seq);
	if (*at != NULL) {
		if ((*at)->rev >= rev)
			return;
		cache_remove(fc, at);
		if (fc->size == 0)
			cache_grow(fc);
		at = cache_find(fc, room, seq);
	}
	e = mem_alloc(sizeof(*e) + text);
	e->room = room;
	e->seq = seq;
	e->rev = rev;
	e->tick = fc->tick;
	e->bytes = (uint32_t)(sizeof(*e) + text + c->frame->len);
	e->c = *c;
	e->c.frame->refs++;
	if (text > 0) {
		memcpy(e->text, c->sender.p, c->sender.len);
		memcpy(e->text + c->sender.len, c->client_msg_id.p,
		    c->client_msg_id.len);
	}
	e->c.sender.p = e->text;
	e->c.client_msg_id.p = e->text + c->sender.len;
	e->next = NULL;
	*at = e;
	TAILQ_INSERT_TAIL(&fc->used, e, used);
	fc->count++;
	fc->bytes += e->bytes;
	while (fc->bytes > FRAME_CACHE_MAX)
		cache_remove_oldest(fc);
}

void
frame_cache_tick(struct frame_cache *fc)
{
	struct entry *e;

	fc->tick++;
	while ((e = TAILQ_FIRST(&fc->used)) != NULL &&
	    fc->tick - e->tick >= FRAME_CACHE_TICKS)
		cache_remove_oldest(fc);
}

size_t
frame_cache_bytes(const struct frame_cache *fc)
{
	return fc->bytes;
}
