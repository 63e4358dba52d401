/* SPDX-License-Identifier: MIT */
/* See tenants.h: a hash of tenants and two queues.  Runs in the courier. */
#include "tenants.h"

#include <stdlib.h>

#include "../common/mem.h"

#define TENANTS_SLOTS 1024

TAILQ_HEAD(tenant_queue, tenant);

struct tenants {
	struct tenant *slots[TENANTS_SLOTS];
	struct tenant_queue circle[TENANT_WORKS];
	size_t count;
};

struct tenants *
tenants_new(void)
{
	struct tenants *ts = mem_alloc(sizeof(*ts));

	for (int w = 0; w < TENANT_WORKS; w++)
		TAILQ_INIT(&ts->circle[w]);
	return ts;
}

void
tenants_free(struct tenants *ts)
{
	struct tenant *t;

	if (ts == NULL)
		return;
	for (size_t i = 0; i < TENANTS_SLOTS; i++) {
		while ((t = ts->slots[i]) != NULL) {
			ts->slots[i] = t->next;
			free(t);
		}
	}
	free(ts);
}

size_t
tenants_count(const struct tenants *ts)
{
	return ts->count;
}

struct tenant *
tenants_get(struct tenants *ts, uint64_t id)
{
	struct tenant **at = &ts->slots[id % TENANTS_SLOTS], *t;

	for (t = *at; t != NULL; t = t->next)
		if (t->id == id)
			return t;
	t = mem_alloc(sizeof(*t));
	t->id = id;
	t->limit = 1;
	t->next = *at;
	*at = t;
	ts->count++;
	return t;
}

void
tenants_wait(struct tenants *ts, struct tenant *t, enum tenant_work w)
{
	if (t->waits[w])
		return;
	t->waits[w] = true;
	TAILQ_INSERT_TAIL(&ts->circle[w], t, turn[w]);
}

struct tenant *
tenants_turn(struct tenants *ts, enum tenant_work w)
{
	struct tenant *t = TAILQ_FIRST(&ts->circle[w]);

	if (t == NULL)
		return NULL;
	TAILQ_REMOVE(&ts->circle[w], t, turn[w]);
	t->waits[w] = false;
	return t;
}

void
tenants_learn(struct tenant *t, bool success)
{
	if (!success)
		t->limit = 1;
	else if (t->limit < TENANT_SENDING_MAX)
		t->limit *= 2;
}

void
tenants_release(struct tenants *ts, struct tenant *t)
{
	struct tenant **at = &ts->slots[t->id % TENANTS_SLOTS];

	if (t->waits[TENANT_OUTBOX] || t->waits[TENANT_SEND] || t->steps > 0 ||
	    t->sending > 0 || t->dropping || t->due_ms != 0)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	ts->count--;
	free(t);
}

int64_t
tenants_due(struct tenants *ts, int64_t now_ms)
{
	int64_t first = 0;
	struct tenant *t;

	for (size_t i = 0; i < TENANTS_SLOTS; i++) {
		for (t = ts->slots[i]; t != NULL; t = t->next) {
			if (t->due_ms == 0)
				continue;
			if (t->due_ms <= now_ms) {
				t->due_ms = 0;
				tenants_wait(ts, t, TENANT_SEND);
			} else if (first == 0 || t->due_ms < first)
				first = t->due_ms;
		}
	}
	return first;
}
