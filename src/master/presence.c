/* SPDX-License-Identifier: MIT */
/*
 * The table of attached users: a chained hash by user key, one node for each
 * user and worker.  Runs in the master; the callback keeps the hub's table
 * in step.
 */
#include "presence.h"

#include <stdlib.h>
#include <string.h>

#include "../common/ids.h"
#include "../common/mem.h"

#define PRESENCE_SIZE_MIN 64

struct presence_node {
	struct presence_node *next;
	uint64_t key;
	uint64_t tenant;
	unsigned count; /* never 0 */
	uint16_t slot;
	uint16_t len;
	char user[];
};

struct presence {
	struct presence_node **table;
	size_t size; /* a power of two */
	size_t nodes;
	size_t total;
	presence_cb *cb;
	void *arg;
};

struct presence *
presence_new(presence_cb *cb, void *arg)
{
	struct presence *p = mem_alloc(sizeof(*p));

	p->size = PRESENCE_SIZE_MIN;
	p->table = mem_alloc(p->size * sizeof(struct presence_node *));
	p->cb = cb;
	p->arg = arg;
	return p;
}

void
presence_free(struct presence *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->size; i++) {
		struct presence_node *n, *next;

		for (n = p->table[i]; n != NULL; n = next) {
			next = n->next;
			free(n);
		}
	}
	free(p->table);
	free(p);
}

static struct presence_node **
presence_bucket(const struct presence *p, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return &p->table[(size_t)(key >> 32) & (p->size - 1)];
}

static bool
presence_is(const struct presence_node *n, uint64_t key, uint64_t tenant,
    struct str user)
{
	return n->key == key && n->tenant == tenant && n->len == user.len &&
	    memcmp(n->user, user.p, user.len) == 0;
}

static struct presence_node **
presence_find(const struct presence *p, uint64_t key, unsigned slot,
    uint64_t tenant, struct str user)
{
	struct presence_node **at = presence_bucket(p, key);

	while (*at != NULL &&
	    ((*at)->slot != slot || !presence_is(*at, key, tenant, user)))
		at = &(*at)->next;
	return at;
}

/* Is any user with this key on that worker?  Two may share one. */
static bool
presence_key_on(const struct presence *p, uint64_t key, unsigned slot)
{
	struct presence_node *n;

	for (n = *presence_bucket(p, key); n != NULL; n = n->next)
		if (n->key == key && n->slot == slot)
			return true;
	return false;
}

static void
presence_grow(struct presence *p)
{
	struct presence_node **old = p->table;
	size_t old_size = p->size;

	p->size *= 2;
	p->table = mem_alloc(p->size * sizeof(struct presence_node *));
	for (size_t i = 0; i < old_size; i++) {
		struct presence_node *n, *next;

		for (n = old[i]; n != NULL; n = next) {
			struct presence_node **to = presence_bucket(p, n->key);

			next = n->next;
			n->next = *to;
			*to = n;
		}
	}
	free(old);
}

static void
presence_add(struct presence *p, uint64_t key, unsigned slot, uint64_t tenant,
    struct str user)
{
	bool first = !presence_key_on(p, key, slot);
	struct presence_node *n, **to;

	if (p->nodes >= p->size)
		presence_grow(p);
	n = mem_alloc(sizeof(*n) + user.len);
	n->key = key;
	n->tenant = tenant;
	n->count = 1;
	n->slot = (uint16_t)slot;
	n->len = (uint16_t)user.len;
	memcpy(n->user, user.p, user.len);
	to = presence_bucket(p, key);
	n->next = *to;
	*to = n;
	p->nodes++;
	if (first)
		p->cb(key, slot, true, p->arg);
}

static void
presence_remove(struct presence *p, struct presence_node **at)
{
	struct presence_node *n = *at;

	*at = n->next;
	p->nodes--;
	p->total -= n->count;
	if (!presence_key_on(p, n->key, n->slot))
		p->cb(n->key, n->slot, false, p->arg);
	free(n);
}

static unsigned
presence_sum(const struct presence *p, uint64_t key, uint64_t tenant,
    struct str user)
{
	struct presence_node *n;
	unsigned sum = 0;

	for (n = *presence_bucket(p, key); n != NULL; n = n->next)
		if (presence_is(n, key, tenant, user))
			sum += n->count;
	return sum;
}

bool
presence_attach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, unsigned limit)
{
	uint64_t key = id_user_key(tenant, user.p, user.len);
	struct presence_node *n;

	if (limit != 0 && presence_sum(p, key, tenant, user) >= limit)
		return false;
	n = *presence_find(p, key, slot, tenant, user);
	if (n != NULL)
		n->count++;
	else
		presence_add(p, key, slot, tenant, user);
	p->total++;
	return true;
}

int
presence_detach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user)
{
	uint64_t key = id_user_key(tenant, user.p, user.len);
	struct presence_node **at = presence_find(p, key, slot, tenant, user);

	if (*at == NULL)
		return -1;
	if ((*at)->count > 1) {
		(*at)->count--;
		p->total--;
	} else
		presence_remove(p, at);
	return 0;
}

void
presence_drop(struct presence *p, unsigned slot)
{
	for (size_t i = 0; i < p->size; i++) {
		struct presence_node **at = &p->table[i];

		while (*at != NULL) {
			if ((*at)->slot == slot)
				presence_remove(p, at);
			else
				at = &(*at)->next;
		}
	}
}

unsigned
presence_count(const struct presence *p, uint64_t tenant, struct str user)
{
	return presence_sum(p, id_user_key(tenant, user.p, user.len), tenant,
	    user);
}

size_t
presence_total(const struct presence *p)
{
	return p->total;
}
