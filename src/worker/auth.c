/* SPDX-License-Identifier: MIT */
/*
 * API keys and tenants, cached by the hash of the key until an event says
 * that something changed; and the rate limit.  Runs in a worker; writes
 * nothing but the moment of a key's last use, by way of the writer.
 */
#include "auth.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/key.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/submit.h"
#include "../common/utf8.h"
#include "auth_jwt.h"
#include "reader.h"
#include "worker.h"

#define AUTH_KEYS_MAX 4096
#define AUTH_SLOTS_MIN 64
#define AUTH_REPORT_MS 60000

struct auth_entry {
	uint8_t hash[KEY_HASH_SIZE];
	uint64_t key; /* 0 = the slot is free */
	uint64_t tenant;
	uint64_t reported_ms; /* monotonic; 0 = never */
	uint32_t rate_limit;
	bool disabled;
};

/* Open addressing; never more than half full. */
struct auth {
	struct worker *w;
	struct auth_entry *slots;
	size_t nslots; /* power of two */
	size_t used;
	struct auth_jwt *jwt;
};

struct auth *
auth_new(struct worker *w)
{
	struct auth *a = mem_alloc(sizeof(*a));

	a->w = w;
	a->nslots = AUTH_SLOTS_MIN;
	a->slots = mem_alloc(a->nslots * sizeof(*a->slots));
	a->jwt = auth_jwt_new(w);
	return a;
}

void
auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	auth_jwt_free(a->jwt);
	free(a->slots);
	free(a);
}

static struct auth_entry *
auth_slot(struct auth *a, const uint8_t hash[KEY_HASH_SIZE])
{
	uint64_t at;

	memcpy(&at, hash, sizeof(at));
	for (;; at++) {
		struct auth_entry *e = &a->slots[at & (a->nslots - 1)];

		if (e->key == 0 ||
		    sodium_memcmp(e->hash, hash, KEY_HASH_SIZE) == 0)
			return e;
	}
}

static void
auth_clear(struct auth *a)
{
	memset(a->slots, 0, a->nslots * sizeof(*a->slots));
	a->used = 0;
}

/* Room for one more; a full cache starts anew. */
static void
auth_grow(struct auth *a)
{
	struct auth_entry *old = a->slots;
	size_t n = a->nslots;

	if (2 * (a->used + 1) <= n)
		return;
	if (a->used >= AUTH_KEYS_MAX) {
		auth_clear(a);
		return;
	}
	a->nslots = 2 * n;
	a->slots = mem_alloc(a->nslots * sizeof(*a->slots));
	for (size_t i = 0; i < n; i++)
		if (old[i].key != 0)
			*auth_slot(a, old[i].hash) = old[i];
	free(old);
}

static uint32_t
tenant_rate(const struct auth *a, const struct reader_tenant *t)
{
	return t->has_rate_limit ? t->rate_limit : a->w->config.rate_limit;
}

/* Finds or loads the key's entry. */
static enum outcome
auth_load(struct auth *a, const uint8_t hash[KEY_HASH_SIZE],
    struct auth_entry **out)
{
	struct auth_entry *e = auth_slot(a, hash);
	struct reader_tenant t;
	uint64_t key;

	if (e->key == 0) {
		switch (reader_key(a->w->reader, hash, &key, &t)) {
		case 1:
			break;
		case 0:
			return OUTCOME_UNAUTHORIZED;
		default:
			return OUTCOME_STORAGE;
		}
		auth_grow(a);
		e = auth_slot(a, hash);
		memcpy(e->hash, hash, KEY_HASH_SIZE);
		e->key = key;
		e->tenant = t.id;
		e->rate_limit = tenant_rate(a, &t);
		e->disabled = t.disabled;
		e->reported_ms = 0;
		a->used++;
	}
	*out = e;
	return OUTCOME_OK;
}

static void
auth_reported(const struct rec_reply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

/* At most once a minute a key. */
static void
auth_report(struct auth *a, struct auth_entry *e)
{
	uint64_t now = clock_mono_ms();
	struct rec_op_key_used op = { 0 };
	struct buf *b;

	if (e->reported_ms != 0 && now - e->reported_ms < AUTH_REPORT_MS)
		return;
	e->reported_ms = now;
	if (a->w->submit == NULL)
		return;
	b = submit_begin(a->w->submit, &op.h, e->tenant);
	op.key = e->key;
	op.unix_ms = (uint64_t)clock_unix_ms();
	rec_op_key_used_put(b, &op);
	submit_end(a->w->submit, auth_reported, NULL);
}

enum outcome
auth_api_key(struct auth *a, const char *api_key, const char *user_id,
    struct caller *out, const char **why)
{
	uint8_t hash[KEY_HASH_SIZE];
	struct auth_entry *e;
	size_t len = user_id != NULL ? strlen(user_id) : 0;
	enum outcome o = OUTCOME_UNAUTHORIZED;

	memset(out, 0, sizeof(*out));
	*why = "The X-API-Key is not valid.";
	if (api_key == NULL || !key_hash(api_key, strlen(api_key), hash))
		return OUTCOME_UNAUTHORIZED;
	o = auth_load(a, hash, &e);
	if (o != OUTCOME_OK) {
		if (o != OUTCOME_UNAUTHORIZED)
			*why = NULL;
		return o;
	}
	if (user_id != NULL && !utf8_user_id_valid(user_id, len)) {
		*why = "A user's id has 1 to 128 bytes of UTF-8 without "
		       "control characters.";
		return OUTCOME_INVALID;
	}
	*why = NULL;
	if (e->disabled)
		return OUTCOME_TENANT_DISABLED;
	out->tenant = e->tenant;
	out->key = e->key;
	out->rate_limit = e->rate_limit;
	out->by_key = true;
	out->backend = user_id == NULL;
	out->user_len = len;
	if (len > 0)
		memcpy(out->user, user_id, len + 1);
	auth_report(a, e);
	return OUTCOME_OK;
}

enum outcome
auth_token(struct auth *a, const char *token, struct caller *out,
    const char **why)
{
	return auth_jwt_check(a->jwt, token, out, why);
}

struct rate_result
auth_rate(struct auth *a, const struct caller *c)
{
	struct rate_result r = { .allowed = true };
	struct page *page = a->w->page;
	_Atomic uint64_t *cell = NULL;

	if (page != NULL)
		cell = page_rate_cell(page, c->tenant);
	if (cell == NULL)
		return r;
	r = rate_take(cell, c->rate_limit, clock_mono_ns());
	if (!r.allowed)
		page_add(page, a->w->page_slot, COUNTER_RATE_LIMITED, 1);
	return r;
}

enum outcome
auth_recheck(struct auth *a, struct caller *c)
{
	struct reader_tenant t;
	uint64_t jwt_n = 0;
	int alive = reader_tenant(a->w->reader, c->tenant, &t);

	if (alive == 0 || (alive == 1 && t.disabled))
		return OUTCOME_TENANT_DISABLED;
	if (alive == 1)
		c->rate_limit = tenant_rate(a, &t);
	if (alive == 1 && c->key != 0)
		alive = reader_key_alive(a->w->reader, c->key);
	if (alive == 1 && c->jwt_n != 0) {
		alive = reader_jwt_n(a->w->reader, c->tenant, &jwt_n);
		if (alive == 1 && jwt_n != c->jwt_n)
			alive = 0;
	}
	if (alive == -1)
		return OUTCOME_STORAGE;
	return alive == 1 ? OUTCOME_OK : OUTCOME_UNAUTHORIZED;
}

enum outcome
auth_master(struct auth *a, const char *key)
{
	const char *master = a->w->config.master_key;

	if (master == NULL || *master == '\0')
		return OUTCOME_ADMIN_OFF;
	if (key == NULL || !key_equal(key, master))
		return OUTCOME_UNAUTHORIZED;
	return OUTCOME_OK;
}

void
auth_forget(struct auth *a, uint64_t tenant)
{
	bool hit = tenant == 0;

	for (size_t i = 0; i < a->nslots && !hit; i++)
		hit = a->slots[i].key != 0 && a->slots[i].tenant == tenant;
	auth_jwt_forget(a->jwt, tenant);
	/* Dropping one would leave a hole in its probe sequence; changes are
	 * rare enough to load all keys again. */
	if (hit)
		auth_clear(a);
}
