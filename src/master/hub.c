/* SPDX-License-Identifier: MIT */
/*
 * The hub's table: an open hash of keys to bit masks of workers, at most
 * half full.  Runs in the master; a look-up is what each forwarded record
 * pays, so there is one probe for both kinds of want.
 */
#include "hub.h"

#include <stdbool.h>
#include <stdlib.h>

#include "../common/mem.h"

#define HUB_SIZE_MIN 256

/* Half a line of the cache. */
struct hub_entry {
	uint64_t key;            /* 0 = free */
	uint64_t low[HUB_WANTS]; /* see struct hub_slots */
	uint8_t high[HUB_WANTS];
};

struct hub {
	struct hub_entry *table;
	size_t size; /* a power of two */
	size_t used;
};

struct hub *
hub_new(void)
{
	struct hub *h = mem_alloc(sizeof(*h));

	h->size = HUB_SIZE_MIN;
	h->table = mem_alloc(h->size * sizeof(*h->table));
	return h;
}

void
hub_free(struct hub *h)
{
	if (h == NULL)
		return;
	free(h->table);
	free(h);
}

static size_t
hub_home(const struct hub *h, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 32) & (h->size - 1);
}

/* Where the key is, or the free place where it would go. */
static size_t
hub_find(const struct hub *h, uint64_t key)
{
	size_t i = hub_home(h, key);

	while (h->table[i].key != 0 && h->table[i].key != key)
		i = (i + 1) & (h->size - 1);
	return i;
}

static bool
hub_wanted(const struct hub_entry *e)
{
	return (e->low[HUB_INTEREST] | e->low[HUB_USER]) != 0 ||
	    (e->high[HUB_INTEREST] | e->high[HUB_USER]) != 0;
}

static void
hub_clear(struct hub_entry *e, unsigned slot, enum hub_want want)
{
	if (slot < 64)
		e->low[want] &= ~(UINT64_C(1) << slot);
	else
		e->high[want] &= (uint8_t) ~(1U << (slot - 64));
}

/* Moves everything that somebody wants into a table of another size. */
static void
hub_resize(struct hub *h, size_t size)
{
	struct hub_entry *old = h->table;
	size_t old_size = h->size;

	h->table = mem_alloc(size * sizeof(*h->table));
	h->size = size;
	h->used = 0;
	for (size_t i = 0; i < old_size; i++) {
		if (!hub_wanted(&old[i]))
			continue;
		h->table[hub_find(h, old[i].key)] = old[i];
		h->used++;
	}
	free(old);
}

/* Frees place i and closes the gap, so that look-ups need no tombstones. */
static void
hub_remove(struct hub *h, size_t i)
{
	size_t wrap = h->size - 1;

	for (size_t j = (i + 1) & wrap; h->table[j].key != 0;
	     j = (j + 1) & wrap) {
		size_t home = hub_home(h, h->table[j].key);

		/* Stays when its home lies in (i, j], seen as a circle. */
		if (((j - home) & wrap) < ((j - i) & wrap))
			continue;
		h->table[i] = h->table[j];
		i = j;
	}
	h->table[i] = (struct hub_entry){ 0 };
	h->used--;
	if (h->size > HUB_SIZE_MIN && h->used < h->size / 8)
		hub_resize(h, h->size / 2);
}

void
hub_add(struct hub *h, uint64_t key, unsigned slot, enum hub_want want)
{
	size_t i = hub_find(h, key);

	if (h->table[i].key == 0) {
		if (h->used >= h->size / 2) {
			hub_resize(h, h->size * 2);
			i = hub_find(h, key);
		}
		h->table[i].key = key;
		h->used++;
	}
	if (slot < 64)
		h->table[i].low[want] |= UINT64_C(1) << slot;
	else
		h->table[i].high[want] |= (uint8_t)(1U << (slot - 64));
}

void
hub_del(struct hub *h, uint64_t key, unsigned slot, enum hub_want want)
{
	size_t i = hub_find(h, key);
	struct hub_entry *e = &h->table[i];

	if (e->key == 0)
		return;
	hub_clear(e, slot, want);
	if (!hub_wanted(e))
		hub_remove(h, i);
}

void
hub_drop(struct hub *h, unsigned slot)
{
	size_t left = 0, size = HUB_SIZE_MIN;

	for (size_t i = 0; i < h->size; i++) {
		struct hub_entry *e = &h->table[i];

		hub_clear(e, slot, HUB_INTEREST);
		hub_clear(e, slot, HUB_USER);
		left += hub_wanted(e);
	}
	while (size < left * 2)
		size *= 2;
	hub_resize(h, size);
}

void
hub_workers(const struct hub *h, uint64_t key, struct hub_slots *to)
{
	const struct hub_entry *e = &h->table[hub_find(h, key)];

	to->low |= e->low[HUB_INTEREST] | e->low[HUB_USER];
	to->high |= e->high[HUB_INTEREST] | e->high[HUB_USER];
}

void
hub_everybody(struct hub_slots *to)
{
	to->low = UINT64_MAX;
	to->high = UINT8_MAX;
}

unsigned
hub_slots_take(struct hub_slots *s)
{
	unsigned slot = HUB_WORKERS_MAX;

	if (s->low != 0) {
		slot = (unsigned)__builtin_ctzll(s->low);
		s->low &= s->low - 1;
	} else if (s->high != 0) {
		slot = 64 + (unsigned)__builtin_ctz(s->high);
		s->high &= (uint8_t)(s->high - 1);
	}
	return slot;
}

size_t
hub_keys(const struct hub *h)
{
	return h->used;
}
