/* SPDX-License-Identifier: MIT */
/*
 * The table of users: a chained hash by user key, a node for each user who
 * is online, in grace, or gone and not yet told to every worker.  Runs in
 * the master; the callback keeps the hub's table in step.
 */
#include "presence.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/ids.h"
#include "../common/mem.h"

#define PRESENCE_SIZE_MIN 64

/* A user's connections on one worker. */
struct place {
	struct place *next;
	unsigned count; /* never 0 */
	uint16_t slot;
};

struct presence_user {
	struct presence_user *next; /* hash chain */
	TAILQ_ENTRY(presence_user) in_order;
	TAILQ_ENTRY(presence_user) in_wait; /* with count 0 */
	struct place *places;
	uint64_t key;
	uint64_t tenant;
	uint64_t change;   /* number of his last change */
	uint64_t until_ms; /* end of his grace */
	unsigned count;    /* over all workers */
	bool online;       /* with count 0: in grace, else gone */
	uint8_t len;
	char name[];
};

TAILQ_HEAD(presence_queue, presence_user);

struct answer {
	STAILQ_ENTRY(answer) next;
	uint64_t after; /* told before it */
	uint64_t conn;
	bool granted;
};

struct presence_worker {
	struct presence_user *next; /* first not told; NULL = all are */
	uint64_t since;             /* the change before it joined */
	bool joined;
	STAILQ_HEAD(, answer) answers;
};

struct presence {
	struct presence_user **table;
	size_t size; /* a power of two */
	size_t users;
	size_t total;
	size_t online;
	uint64_t changes;
	uint64_t grace_ms;
	struct presence_queue order; /* by rising change */
	struct presence_queue grace; /* by rising until_ms */
	struct presence_queue gone;  /* by rising change */
	struct presence_worker workers[PRESENCE_WORKERS_MAX];
	presence_cb *cb;
	void *arg;
};

struct presence *
presence_new(presence_cb *cb, void *arg, uint64_t grace_ms)
{
	struct presence *p = mem_alloc(sizeof(*p));

	p->size = PRESENCE_SIZE_MIN;
	p->table = mem_alloc(p->size * sizeof(struct presence_user *));
	p->grace_ms = grace_ms;
	TAILQ_INIT(&p->order);
	TAILQ_INIT(&p->grace);
	TAILQ_INIT(&p->gone);
	for (int i = 0; i < PRESENCE_WORKERS_MAX; i++)
		STAILQ_INIT(&p->workers[i].answers);
	p->cb = cb;
	p->arg = arg;
	return p;
}

static void
presence_drop_answers(struct presence_worker *w)
{
	struct answer *a;

	while ((a = STAILQ_FIRST(&w->answers)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->answers, next);
		free(a);
	}
}

void
presence_free(struct presence *p)
{
	struct presence_user *u;

	if (p == NULL)
		return;
	while ((u = TAILQ_FIRST(&p->order)) != NULL) {
		TAILQ_REMOVE(&p->order, u, in_order);
		while (u->places != NULL) {
			struct place *place = u->places;

			u->places = place->next;
			free(place);
		}
		free(u);
	}
	for (int i = 0; i < PRESENCE_WORKERS_MAX; i++)
		presence_drop_answers(&p->workers[i]);
	free(p->table);
	free(p);
}

void
presence_set_grace(struct presence *p, uint64_t grace_ms, uint64_t now_ms)
{
	struct presence_user *u;

	p->grace_ms = grace_ms;
	/* A longer one is for those who go from now on: the queue stays in
	 * the order of its ends. */
	TAILQ_FOREACH(u, &p->grace, in_wait)
		if (u->until_ms > now_ms + grace_ms)
			u->until_ms = now_ms + grace_ms;
}

/* ---- the table ---- */

static struct presence_user **
presence_bucket(const struct presence *p, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return &p->table[(size_t)(key >> 32) & (p->size - 1)];
}

static struct presence_user *
presence_find(const struct presence *p, uint64_t key, uint64_t tenant,
    struct str user)
{
	struct presence_user *u = *presence_bucket(p, key);

	while (u != NULL &&
	    (u->key != key || u->tenant != tenant || u->len != user.len ||
		memcmp(u->name, user.p, user.len) != 0))
		u = u->next;
	return u;
}

static struct place **
presence_place(struct presence_user *u, unsigned slot)
{
	struct place **at = &u->places;

	while (*at != NULL && (*at)->slot != slot)
		at = &(*at)->next;
	return at;
}

/* Is any user with this key on that worker?  Two may share one. */
static bool
presence_key_on(const struct presence *p, uint64_t key, unsigned slot)
{
	struct presence_user *u;

	for (u = *presence_bucket(p, key); u != NULL; u = u->next)
		if (u->key == key && *presence_place(u, slot) != NULL)
			return true;
	return false;
}

static void
presence_grow(struct presence *p)
{
	struct presence_user **old = p->table;
	size_t old_size = p->size;

	p->size *= 2;
	p->table = mem_alloc(p->size * sizeof(struct presence_user *));
	for (size_t i = 0; i < old_size; i++) {
		struct presence_user *u, *next;

		for (u = old[i]; u != NULL; u = next) {
			struct presence_user **to = presence_bucket(p, u->key);

			next = u->next;
			u->next = *to;
			*to = u;
		}
	}
	free(old);
}

static struct presence_user *
presence_add(struct presence *p, uint64_t key, uint64_t tenant, struct str user)
{
	struct presence_user *u, **to;

	if (p->users >= p->size)
		presence_grow(p);
	u = mem_alloc(sizeof(*u) + user.len);
	u->key = key;
	u->tenant = tenant;
	u->len = (uint8_t)user.len;
	memcpy(u->name, user.p, user.len);
	to = presence_bucket(p, key);
	u->next = *to;
	*to = u;
	p->users++;
	return u;
}

/* ---- changes ---- */

/* He goes to the end of the order, as the last to have changed. */
static void
presence_changed(struct presence *p, struct presence_user *u, bool online)
{
	if (u->change != 0) {
		for (int i = 0; i < PRESENCE_WORKERS_MAX; i++)
			if (p->workers[i].next == u)
				p->workers[i].next = TAILQ_NEXT(u, in_order);
		TAILQ_REMOVE(&p->order, u, in_order);
	}
	if (online != u->online)
		p->online += online ? 1 : (size_t)-1;
	u->online = online;
	u->change = ++p->changes;
	TAILQ_INSERT_TAIL(&p->order, u, in_order);
	for (int i = 0; i < PRESENCE_WORKERS_MAX; i++)
		if (p->workers[i].joined && p->workers[i].next == NULL)
			p->workers[i].next = u;
}

/* Forgets those gone of whom every worker has been told. */
static void
presence_sweep(struct presence *p)
{
	uint64_t told = UINT64_MAX;
	struct presence_user *u;

	if (TAILQ_EMPTY(&p->gone))
		return;
	for (int i = 0; i < PRESENCE_WORKERS_MAX; i++) {
		const struct presence_worker *w = &p->workers[i];

		if (w->next != NULL && w->next->change < told)
			told = w->next->change;
	}
	while ((u = TAILQ_FIRST(&p->gone)) != NULL && u->change < told) {
		struct presence_user **at = presence_bucket(p, u->key);

		while (*at != u)
			at = &(*at)->next;
		*at = u->next;
		TAILQ_REMOVE(&p->gone, u, in_wait);
		TAILQ_REMOVE(&p->order, u, in_order);
		p->users--;
		free(u);
	}
}

bool
presence_attach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, unsigned limit)
{
	uint64_t key = id_user_key(tenant, user.p, user.len);
	struct presence_user *u = presence_find(p, key, tenant, user);
	struct place **at;

	if (u == NULL)
		u = presence_add(p, key, tenant, user);
	else if (limit != 0 && u->count >= limit)
		return false;
	else if (u->count == 0)
		TAILQ_REMOVE(u->online ? &p->grace : &p->gone, u, in_wait);
	at = presence_place(u, slot);
	if (*at == NULL) {
		bool first = !presence_key_on(p, key, slot);

		*at = mem_alloc(sizeof(**at));
		(*at)->slot = (uint16_t)slot;
		if (first)
			p->cb(key, slot, true, p->arg);
	}
	(*at)->count++;
	u->count++;
	p->total++;
	if (!u->online)
		presence_changed(p, u, true);
	return true;
}

/* n connections of a place have gone; the place too when it was all. */
static void
presence_subtract(struct presence *p, struct presence_user *u,
    struct place **at, unsigned n, uint64_t now_ms)
{
	struct place *place = *at;
	unsigned slot = place->slot;

	place->count -= n;
	u->count -= n;
	p->total -= n;
	if (place->count == 0) {
		*at = place->next;
		free(place);
		if (!presence_key_on(p, u->key, slot))
			p->cb(u->key, slot, false, p->arg);
	}
	if (u->count == 0) {
		u->until_ms = now_ms + p->grace_ms;
		TAILQ_INSERT_TAIL(&p->grace, u, in_wait);
	}
}

int
presence_detach(struct presence *p, unsigned slot, uint64_t tenant,
    struct str user, uint64_t now_ms)
{
	uint64_t key = id_user_key(tenant, user.p, user.len);
	struct presence_user *u = presence_find(p, key, tenant, user);
	struct place **at;

	if (u == NULL || *(at = presence_place(u, slot)) == NULL)
		return -1;
	presence_subtract(p, u, at, 1, now_ms);
	return 0;
}

void
presence_drop(struct presence *p, unsigned slot, uint64_t now_ms)
{
	struct presence_worker *w = &p->workers[slot];
	struct presence_user *u;

	presence_drop_answers(w);
	w->joined = false;
	w->next = NULL;
	TAILQ_FOREACH(u, &p->order, in_order) {
		struct place **at = presence_place(u, slot);

		if (*at != NULL)
			presence_subtract(p, u, at, (*at)->count, now_ms);
	}
	presence_sweep(p);
}

void
presence_due(struct presence *p, uint64_t now_ms, unsigned most)
{
	struct presence_user *u;

	while (most-- > 0 && (u = TAILQ_FIRST(&p->grace)) != NULL &&
	    u->until_ms <= now_ms) {
		TAILQ_REMOVE(&p->grace, u, in_wait);
		presence_changed(p, u, false);
		TAILQ_INSERT_TAIL(&p->gone, u, in_wait);
	}
	presence_sweep(p);
}

uint64_t
presence_wait(const struct presence *p, uint64_t now_ms)
{
	const struct presence_user *u = TAILQ_FIRST(&p->grace);

	if (u == NULL)
		return PRESENCE_NEVER;
	return u->until_ms > now_ms ? u->until_ms - now_ms : 0;
}

unsigned
presence_count(const struct presence *p, uint64_t tenant, struct str user)
{
	const struct presence_user *u = presence_find(p,
	    id_user_key(tenant, user.p, user.len), tenant, user);

	return u == NULL ? 0 : u->count;
}

uint64_t
presence_look(const struct presence *p, uint64_t tenant, struct str user,
    uint64_t now_ms)
{
	const struct presence_user *u = presence_find(p,
	    id_user_key(tenant, user.p, user.len), tenant, user);

	if (u == NULL || !u->online)
		return 0;
	if (u->count > 0)
		return PRESENCE_NEVER;
	return u->until_ms > now_ms ? u->until_ms - now_ms : 0;
}

size_t
presence_online(const struct presence *p)
{
	return p->online;
}

size_t
presence_total(const struct presence *p)
{
	return p->total;
}

size_t
presence_users(const struct presence *p)
{
	return p->users;
}

/* ---- what a worker is told ---- */

void
presence_join(struct presence *p, unsigned slot)
{
	struct presence_worker *w = &p->workers[slot];

	w->joined = true;
	w->since = p->changes;
	w->next = TAILQ_FIRST(&p->order);
}

void
presence_answer(struct presence *p, unsigned slot, uint64_t conn, bool granted)
{
	struct answer *a = mem_alloc(sizeof(*a));

	a->after = p->changes;
	a->conn = conn;
	a->granted = granted;
	STAILQ_INSERT_TAIL(&p->workers[slot].answers, a, next);
}

enum presence_kind
presence_next(struct presence *p, unsigned slot, struct presence_item *item)
{
	struct presence_worker *w = &p->workers[slot];
	struct answer *a = STAILQ_FIRST(&w->answers);
	struct presence_user *u;

	/* It has never heard of those who had gone before it came. */
	while ((u = w->next) != NULL && !u->online && u->change <= w->since)
		w->next = TAILQ_NEXT(u, in_order);
	if (a != NULL && (u == NULL || u->change > a->after)) {
		item->answer.conn = a->conn;
		item->answer.granted = a->granted;
		STAILQ_REMOVE_HEAD(&w->answers, next);
		free(a);
		return item->kind = PRESENCE_ANSWER;
	}
	if (u == NULL) {
		presence_sweep(p);
		return item->kind = PRESENCE_NONE;
	}
	w->next = TAILQ_NEXT(u, in_order);
	item->change.tenant = u->tenant;
	item->change.online = u->online;
	item->change.user.p = u->name;
	item->change.user.len = u->len;
	return item->kind = PRESENCE_CHANGE;
}

bool
presence_behind(const struct presence *p, unsigned slot)
{
	const struct presence_worker *w = &p->workers[slot];

	return w->next != NULL || !STAILQ_EMPTY(&w->answers);
}
