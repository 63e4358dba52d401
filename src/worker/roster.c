/* SPDX-License-Identifier: MIT */
/*
 * The table of users known to be online, or told of as such: chained hash by
 * name, array by number.  Runs in a worker; holds no policy.
 */
#include "roster.h"

#include <stdlib.h>
#include <string.h>

#include "../common/ids.h"
#include "../common/mem.h"

#define ROSTER_SIZE_MIN 64

struct roster {
	struct peer **slot; /* by name */
	size_t size;        /* a power of two */
	size_t count;
	struct peer **peer; /* by number; [0] is nobody */
	uint32_t *spare;    /* numbers below `numbers` that are free */
	uint32_t nspare;
	uint32_t numbers;
	uint32_t cap; /* of both arrays */
};

struct roster *
roster_new(void)
{
	struct roster *r = mem_alloc(sizeof(*r));

	r->size = ROSTER_SIZE_MIN;
	r->slot = mem_alloc(r->size * sizeof(struct peer *));
	r->numbers = 1;
	return r;
}

void
roster_free(struct roster *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 1; i < r->numbers; i++)
		free(r->peer[i]);
	free(r->slot);
	free(r->peer);
	free(r->spare);
	free(r);
}

static struct peer **
roster_slot(const struct roster *r, uint64_t tenant, const char *name,
    size_t len)
{
	return &r->slot[id_user_key(tenant, name, len) & (r->size - 1)];
}

struct peer *
roster_find(const struct roster *r, uint64_t tenant, struct str user)
{
	struct peer *p = *roster_slot(r, tenant, user.p, user.len);

	while (p != NULL &&
	    (p->tenant != tenant || p->len != user.len ||
		memcmp(p->name, user.p, user.len) != 0))
		p = p->next;
	return p;
}

static void
roster_grow(struct roster *r)
{
	struct peer **old = r->slot;
	size_t size = r->size;

	r->size *= 2;
	r->slot = mem_alloc(r->size * sizeof(struct peer *));
	for (size_t i = 0; i < size; i++) {
		while (old[i] != NULL) {
			struct peer *p = old[i];
			struct peer **to;

			old[i] = p->next;
			to = roster_slot(r, p->tenant, p->name, p->len);
			p->next = *to;
			*to = p;
		}
	}
	free(old);
}

static uint32_t
roster_number(struct roster *r)
{
	if (r->nspare > 0)
		return r->spare[--r->nspare];
	if (r->numbers >= r->cap) {
		r->cap = r->cap == 0 ? ROSTER_SIZE_MIN : r->cap * 2;
		r->peer = mem_realloc(r->peer, r->cap * sizeof(struct peer *));
		r->spare = mem_realloc(r->spare, r->cap * sizeof(uint32_t));
		r->peer[0] = NULL;
	}
	return r->numbers++;
}

struct peer *
roster_get(struct roster *r, uint64_t tenant, struct str user)
{
	struct peer *p = roster_find(r, tenant, user), **slot;

	if (p != NULL)
		return p;
	if (r->count >= r->size)
		roster_grow(r);
	p = mem_alloc(sizeof(*p) + user.len);
	p->tenant = tenant;
	p->len = (uint8_t)user.len;
	memcpy(p->name, user.p, user.len);
	p->id = roster_number(r);
	r->peer[p->id] = p;
	slot = roster_slot(r, tenant, user.p, user.len);
	p->next = *slot;
	*slot = p;
	r->count++;
	return p;
}

struct peer *
roster_peer(const struct roster *r, uint32_t id)
{
	return r->peer[id];
}

void
roster_release(struct roster *r, struct peer *p)
{
	struct peer **at;

	if (p->online || p->queued || p->told > 0 || p->listed > 0)
		return;
	at = roster_slot(r, p->tenant, p->name, p->len);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	r->count--;
	r->peer[p->id] = NULL;
	r->spare[r->nspare++] = p->id;
	free(p);
}

void
roster_each(struct roster *r, void (*fn)(struct peer *p, void *arg), void *arg)
{
	for (uint32_t i = 1; i < r->numbers; i++)
		if (r->peer[i] != NULL)
			fn(r->peer[i], arg);
}

size_t
roster_count(const struct roster *r)
{
	return r->count;
}
