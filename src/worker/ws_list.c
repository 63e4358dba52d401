/* SPDX-License-Identifier: MIT */
/*
 * The set of a worker's WebSocket connections: the flush at the end of each
 * turn of the loop, pings and dead peers once in a while, and the drain.
 * Runs in a worker; does nothing at all while there is no connection.
 */
#include "ws_list.h"

#include <event2/event.h>
#include <json-c/json_tokener.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/json_check.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "auth.h"
#include "bus.h"
#include "feed.h"
#include "inbox.h"
#include "reader.h"

/* Each connection is looked at every TICK_BUCKETS seconds. */
#define TICK_BUCKETS 5
/* How long a peer may take to answer our close frame. */
#define CLOSE_WAIT_S 5

TAILQ_HEAD(ws_queue, ws_conn);

struct ws_list {
	struct worker *w;
	struct event *flush;
	struct event *tick;
	bool flushing; /* the flush event is due this turn */
	struct ws_conn *dirty;
	struct ws_conn *gone;
	struct ws_queue bucket[TICK_BUCKETS];
	struct ws_queue attaching; /* in the order asked */
	uint32_t tick_s;
	unsigned count;
	unsigned closing; /* an upper bound, set anew at each tick */
	uint64_t next_id;
	int64_t ends_ms; /* Unix: the first JWT is over; 0 = none */
	struct json_tokener *tokener;
	char epoch[33];
	uint8_t scratch[WS_READ_MAX];
};

static void list_flush(evutil_socket_t fd, short what, void *arg);
static void list_tick(evutil_socket_t fd, short what, void *arg);
static void list_ends(struct ws_list *l, const struct ws_conn *c);

struct ws_list *
ws_list_new(struct worker *w)
{
	struct ws_list *l = mem_alloc(sizeof(*l));

	l->w = w;
	l->next_id = 1;
	TAILQ_INIT(&l->attaching);
	for (int i = 0; i < TICK_BUCKETS; i++)
		TAILQ_INIT(&l->bucket[i]);
	l->flush = event_new(w->base, -1, 0, list_flush, l);
	l->tick = event_new(w->base, -1, EV_PERSIST, list_tick, l);
	l->tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	if (l->flush == NULL || l->tick == NULL || l->tokener == NULL)
		abort();
	json_tokener_set_flags(l->tokener, JSON_TOKENER_STRICT);
	if (reader_epoch(w->reader, l->epoch) != 1)
		l->epoch[0] = '\0';
	return l;
}

void
ws_list_free(struct ws_list *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < TICK_BUCKETS; i++) {
		struct ws_conn *c;

		TAILQ_FOREACH(c, &l->bucket[i], in_tick)
			ws_conn_abort(c);
	}
	list_flush(-1, 0, l);
	event_free(l->flush);
	event_free(l->tick);
	json_tokener_free(l->tokener);
	free(l);
}

unsigned
ws_list_count(const struct ws_list *l)
{
	return l->count;
}

struct json_tokener *
ws_list_tokener(struct ws_list *l)
{
	return l->tokener;
}

const char *
ws_list_epoch(const struct ws_list *l)
{
	return l->epoch;
}

uint8_t *
ws_list_scratch(struct ws_list *l)
{
	return l->scratch;
}

const char *
ws_list_reason(uint16_t code)
{
	switch (code) {
	case WS_CLOSE_DISABLED:
		return "tenant disabled";
	case WS_CLOSE_EXPIRED:
		return "token expired";
	default:
		return "credentials revoked";
	}
}

uint32_t
ws_list_now_s(void)
{
	return (uint32_t)(clock_mono_ms() / 1000);
}

void
ws_list_insert(struct ws_list *l, struct ws_conn *c)
{
	struct timeval second = { 1, 0 };

	c->id = l->next_id++;
	TAILQ_INSERT_TAIL(&l->bucket[c->id % TICK_BUCKETS], c, in_tick);
	TAILQ_INSERT_TAIL(&l->attaching, c, in_attach);
	list_ends(l, c);
	if (l->count++ == 0)
		event_add(l->tick, &second);
	page_set(l->w->page, l->w->page_slot, GAUGE_CONNECTIONS, l->count);
}

struct ws_conn *
ws_list_attaching(struct ws_list *l)
{
	return TAILQ_FIRST(&l->attaching);
}

void
ws_list_attach_done(struct ws_list *l, struct ws_conn *c, bool granted)
{
	TAILQ_REMOVE(&l->attaching, c, in_attach);
	c->attached = granted;
}

static void
list_run_flush(struct ws_list *l)
{
	if (!l->flushing) {
		l->flushing = true;
		event_active(l->flush, EV_TIMEOUT, 0);
	}
}

void
ws_list_dirty(struct ws_conn *c)
{
	struct ws_list *l = c->w->ws;

	if (c->dirty || c->state == WS_GONE)
		return;
	c->dirty = true;
	c->next_dirty = l->dirty;
	l->dirty = c;
	list_run_flush(l);
}

void
ws_list_gone(struct ws_conn *c)
{
	struct ws_list *l = c->w->ws;

	LIST_REMOVE(c, in_user);
	if (c->attached) {
		struct rec_attach detach = { 0 };

		detach.conn = c->id;
		detach.tenant = c->user->tenant;
		detach.user.p = c->user->name;
		detach.user.len = c->user->len;
		bus_detach(l->w->bus, &detach);
	}
	users_release(l->w->users, c->user);
	c->user = NULL;
	c->next_gone = l->gone;
	l->gone = c;
	list_run_flush(l);
}

void
ws_list_closing(struct ws_list *l)
{
	l->closing++;
}

/* End of the turn: one write per connection that has something to say. */
static void
list_flush(evutil_socket_t fd, short what, void *arg)
{
	struct ws_list *l = arg;
	struct ws_conn *c;

	(void)fd;
	(void)what;
	/* A flush may make others dirty (feeds that wake up): they follow
	 * in this same pass. */
	while ((c = l->dirty) != NULL) {
		l->dirty = c->next_dirty;
		c->dirty = false;
		ws_conn_flush(c);
	}
	l->flushing = false;
	while ((c = l->gone) != NULL) {
		l->gone = c->next_gone;
		TAILQ_REMOVE(&l->bucket[c->id % TICK_BUCKETS], c, in_tick);
		free(c);
		if (--l->count == 0) {
			event_del(l->tick);
			feeder_rest(l->w->feeder);
		}
	}
	page_set(l->w->page, l->w->page_slot, GAUGE_CONNECTIONS, l->count);
}

/* A closing connection whose peer does not answer. */
static bool
list_close_over(const struct ws_list *l, const struct ws_conn *c, uint32_t now)
{
	uint32_t wait = l->w->draining ? 1 : CLOSE_WAIT_S;

	return c->state == WS_CLOSING && now - c->closing_s >= wait;
}

static void
list_check(struct ws_list *l, struct ws_conn *c, uint32_t now)
{
	(void)l;
	if (c->state != WS_OPEN)
		return;
	if (c->want_write && now - c->last_rx_s >= WS_DEAD_MS / 1000 &&
	    now - c->last_tx_s >= WS_DEAD_MS / 1000) {
		/* Nothing gets through, so neither will a close frame. */
		ws_conn_close(c, WS_CLOSE_NOT_READING, "not reading");
		ws_conn_abort(c);
		return;
	}
	if (now - c->last_ping_s >= WS_PING_MS / 1000 && !c->want_write) {
		c->last_ping_s = now;
		ws_conn_ping(c);
	}
}

/* Its right is gone: with this code, now or once it is attached. */
static void
list_refuse(struct ws_conn *c, uint16_t code)
{
	if (c->state == WS_ATTACHING)
		c->refused = code;
	else
		ws_conn_close(c, code, ws_list_reason(code));
}

static void
list_ends(struct ws_list *l, const struct ws_conn *c)
{
	if (c->ends_ms != 0 && (l->ends_ms == 0 || c->ends_ms < l->ends_ms))
		l->ends_ms = c->ends_ms;
}

/* Closes those whose JWT is over, and finds out when the next one is. */
static void
list_expire(struct ws_list *l, int64_t now)
{
	struct ws_conn *c;

	l->ends_ms = 0;
	for (int i = 0; i < TICK_BUCKETS; i++) {
		TAILQ_FOREACH(c, &l->bucket[i], in_tick) {
			if (c->ends_ms == 0 || c->state > WS_OPEN)
				continue;
			if (c->ends_ms > now)
				list_ends(l, c);
			else
				list_refuse(c, WS_CLOSE_EXPIRED);
		}
	}
}

static void
list_tick(evutil_socket_t fd, short what, void *arg)
{
	struct ws_list *l = arg;
	uint32_t now = ws_list_now_s();
	struct ws_conn *c;

	(void)fd;
	(void)what;
	l->tick_s++;
	feeder_tick(l->w->feeder);
	if (l->ends_ms != 0 && clock_unix_ms() >= l->ends_ms)
		list_expire(l, clock_unix_ms());
	TAILQ_FOREACH(c, &l->bucket[l->tick_s % TICK_BUCKETS], in_tick)
		list_check(l, c, now);
	if (l->closing == 0)
		return;
	l->closing = 0;
	for (int i = 0; i < TICK_BUCKETS; i++) {
		TAILQ_FOREACH(c, &l->bucket[i], in_tick) {
			if (list_close_over(l, c, now))
				ws_conn_abort(c);
			else if (c->state == WS_CLOSING)
				l->closing++;
		}
	}
}

/* Spread over a few seconds, more for more connections. */
static uint32_t
list_reconnect_ms(const struct ws_list *l)
{
	uint32_t spread = 2000 + l->count;

	return 200 + randombytes_uniform(spread > 30000 ? 30000 : spread);
}

void
ws_list_drain(struct ws_list *l, uint64_t timeout_ms)
{
	struct ws_conn *c;

	(void)timeout_ms;
	for (int i = 0; i < TICK_BUCKETS; i++) {
		TAILQ_FOREACH(c, &l->bucket[i], in_tick) {
			char text[80];
			int n;

			if (c->state != WS_OPEN)
				continue;
			n = snprintf(text, sizeof(text),
			    "{\"type\":\"server.shutdown\","
			    "\"reconnect_after_ms\":%u}",
			    list_reconnect_ms(l));
			ws_conn_send_text(c, text, (size_t)n);
			ws_conn_drain(c);
		}
	}
}

void
ws_list_lost(struct ws_list *l)
{
	struct ws_conn *c;

	for (int i = 0; i < TICK_BUCKETS; i++) {
		TAILQ_FOREACH(c, &l->bucket[i], in_tick) {
			feed_lost(c);
			inbox_lost(c);
		}
	}
}

/* The close code for a connection whose right is gone; 0 = it is good, with
 * its tenant's rate limit. */
static uint16_t
list_refusal(const struct ws_list *l, const struct ws_conn *c, uint32_t *rate)
{
	struct caller who = { 0 };

	who.tenant = c->user->tenant;
	who.key = c->key;
	who.jwt_n = c->jwt_n;
	who.by_key = c->key != 0;
	*rate = c->rate_limit;
	switch (auth_recheck(l->w->auth, &who)) {
	case OUTCOME_OK:
		*rate = who.rate_limit;
		return 0;
	case OUTCOME_TENANT_DISABLED:
		return WS_CLOSE_DISABLED;
	case OUTCOME_UNAUTHORIZED:
		return WS_CLOSE_REVOKED;
	default:
		return 0;
	}
}

void
ws_list_recheck(struct ws_list *l, uint64_t tenant)
{
	uint64_t last_tenant = 0, last_key = 0, last_jwt_n = 0;
	uint32_t rate = 0;
	uint16_t code = 0;
	struct ws_conn *c;

	for (int i = 0; i < TICK_BUCKETS; i++) {
		TAILQ_FOREACH(c, &l->bucket[i], in_tick) {
			if (c->state > WS_OPEN ||
			    (tenant != 0 && c->user->tenant != tenant))
				continue;
			/* Thousands may hang on one key: it is read once. */
			if (c->user->tenant != last_tenant ||
			    c->key != last_key || c->jwt_n != last_jwt_n)
				code = list_refusal(l, c, &rate);
			last_tenant = c->user->tenant;
			last_key = c->key;
			last_jwt_n = c->jwt_n;
			if (code == 0)
				c->rate_limit = rate;
			else
				list_refuse(c, code);
		}
	}
}
