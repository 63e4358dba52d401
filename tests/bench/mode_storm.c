/* SPDX-License-Identifier: MIT */
/*
 * storm: many clients with many rooms each lose their connections at once,
 * because a worker or the whole server is killed, and all come back at once.
 * They never acknowledge, so each misses the same messages every time.  In a
 * process of their own a few pairs chat meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "live.h"
#include "phase.h"
#include "plan.h"
#include "stats.h"
#include "victim.h"
#include "ws_pool.h"
#include "ws_text.h"

#define TIMEOUT_NS (120 * NS_PER_S)
/* Before a refused connect is tried again. */
#define REOPEN_NS (10 * 1000000)
#define QUIET_MS 300

struct comer {
	uint32_t got;      /* messages of this connection */
	uint32_t presence; /* presence frames likewise */
	uint64_t again_at; /* not opened before */
	bool waiting;      /* in storm.queue */
	bool hit;          /* was disconnected by the kill */
};

struct storm {
	const struct bench *bench;
	struct comer *comer;
	unsigned *queue; /* to be opened, a ring of n */
	unsigned head, waiting, n;
	enum victim victim;
	bool begun;
	uint64_t killed_at, first_at, end_at;
	unsigned hit, wrong;
	uint64_t refused; /* connects that failed meanwhile */
	struct phase phase;
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct comer *me = c->arg;

	if (ws_text_is(text, len, "message"))
		me->got++;
	else if (ws_text_is(text, len, "presence.update"))
		me->presence++;
}

static void
storm_queue(struct storm *s, unsigned i, uint64_t at)
{
	struct comer *me = &s->comer[i];

	if (me->waiting)
		return;
	me->waiting = true;
	me->again_at = at;
	s->queue[(s->head + s->waiting++) % s->n] = i;
}

static void
on_lost(struct ws_client *c)
{
	struct storm *s = c->pool->arg;
	struct comer *me = c->arg;

	if (s->begun && !me->hit) {
		me->hit = true;
		s->hit++;
		storm_queue(s, (unsigned)(c - c->pool->client), 0);
		return;
	}
	s->refused++;
	storm_queue(s, (unsigned)(c - c->pool->client),
	    stats_now() + REOPEN_NS);
}

/* Opens who waits, as far as handshakes at once are allowed. */
static void
storm_open(struct storm *s, struct ws_pool *p)
{
	uint64_t now = stats_now();

	while (s->waiting > 0 && p->busy < s->bench->pending) {
		unsigned i = s->queue[s->head];
		struct comer *me = &s->comer[i];

		if (me->again_at > now)
			break;
		s->head = (s->head + 1) % s->n;
		s->waiting--;
		me->waiting = false;
		me->got = me->presence = 0;
		ws_client_open(&p->client[i]);
	}
}

/* How many connections the kill will end. */
static unsigned
storm_expect(const struct storm *s, const struct ws_pool *p)
{
	unsigned n = 0;

	if (s->victim != VICTIM_WORKER)
		return p->n;
	for (unsigned i = 0; i < p->n; i++)
		n += p->client[i].slot == s->bench->slot;
	return n;
}

/* 0 when all are back, -1 when not in time. */
static int
storm_run(struct storm *s, struct ws_pool *p, struct live *l)
{
	unsigned expect = storm_expect(s, p);
	uint64_t open;

	hist_clear(&p->setup);
	for (unsigned i = 0; i < p->n; i++)
		s->comer[i].presence = 0;
	if (phase_begin(&s->phase, s->bench) == -1)
		return -1;
	live_phase(l, 1);
	s->begun = true;
	s->killed_at = stats_now();
	if (victim_kill((pid_t)s->bench->server, s->victim, s->bench->slot) ==
	    -1)
		return -1;
	while (s->hit < expect || p->up < p->n) {
		open = p->open;
		ws_pool_turn(p, 5);
		if (p->open > open && s->first_at == 0)
			s->first_at = stats_now();
		storm_open(s, p);
		if (stats_now() > s->killed_at + TIMEOUT_NS) {
			fprintf(stderr, "%u of %u are back\n", p->up, p->n);
			return -1;
		}
	}
	s->end_at = stats_now();
	live_phase(l, 2);
	return phase_end(&s->phase, victim_master(s->bench));
}

/* Messages beyond sync.complete would be repeats: let them come. */
static void
storm_settle(struct ws_pool *p, unsigned ms)
{
	uint64_t end = stats_now() + ms * UINT64_C(1000000);

	while (stats_now() < end)
		ws_pool_turn(p, 10);
}

/* What the first connects set off is over: presence of many users takes
 * longer than they do. */
static int
storm_quiet(struct ws_pool *p)
{
	uint64_t end = stats_now() + TIMEOUT_NS, seen;

	do {
		seen = p->frames;
		storm_settle(p, QUIET_MS);
	} while (p->frames != seen && stats_now() < end);
	if (p->frames == seen)
		return 0;
	fprintf(stderr, "frames never cease to come\n");
	return -1;
}

static void
storm_result(struct storm *s, struct ws_pool *p, struct live *l)
{
	uint64_t presence = 0;

	for (unsigned i = 0; i < p->n; i++) {
		presence += s->comer[i].presence;
		s->wrong += s->comer[i].hit &&
		    s->comer[i].got != s->bench->count;
	}
	result_begin("storm");
	result_num("connections", p->n);
	result_num("reconnected", s->hit);
	result_num("missed_each", s->bench->count);
	result_num("seconds", (double)(s->end_at - s->killed_at) / 1e9);
	result_num("first_s", (double)(s->first_at - s->killed_at) / 1e9);
	result_num("reconnects_per_s",
	    s->hit / ((double)(s->end_at - s->first_at) / 1e9));
	result_hist("reconnect", &p->setup);
	result_num("deliveries", (double)s->hit * s->bench->count);
	result_num("presence_frames", (double)presence);
	phase_result(&s->phase, "storm", "connection", s->hit);
	result_num("server_us_per_message",
	    phase_server_us(&s->phase, (uint64_t)s->hit * s->bench->count));
	result_hist("live_before", &l->delivery[0]);
	result_hist("live_meanwhile", &l->delivery[1]);
	result_hist("live_broken", &l->broken[1]);
	result_num("live_refused", (double)atomic_load(&l->refused));
	result_num("live_delivered", (double)atomic_load(&l->delivered[1]));
	result_num("live_lost", (double)atomic_load(&l->lost));
	result_num("live_faults", (double)atomic_load(&l->faults));
	result_num("refused", (double)s->refused);
	result_num("wrong", s->wrong);
	result_end();
}

int
mode_storm(const struct bench *b)
{
	static struct storm s;
	const struct plan_room *r = &b->plan->room[0];
	struct live *l = NULL;
	struct ws_pool p;
	int rc = 1;

	s.bench = b;
	s.n = r->nusers;
	s.comer = calloc(s.n, sizeof(*s.comer));
	s.queue = calloc(s.n, sizeof(*s.queue));
	if (s.comer == NULL || s.queue == NULL)
		abort();
	ws_pool_init(&p, b, s.n, on_text, &s);
	for (unsigned i = 0; i < s.n; i++) {
		p.client[i].user = b->plan->user[r->first + i];
		p.client[i].arg = &s.comer[i];
	}
	if (victim_parse(b->kill, &s.victim) == -1 ||
	    ws_pool_open(&p, 120000) == -1 || (l = live_start(b, 1)) == NULL)
		goto out;
	if (storm_quiet(&p) == -1)
		goto out;
	live_send(l);
	storm_settle(&p, b->warmup_ms);
	p.lost = on_lost;
	if (storm_run(&s, &p, l) == -1)
		goto out;
	storm_settle(&p, 500);
	rc = live_stop(l) == -1;
	storm_result(&s, &p, l);
	rc |= s.wrong > 0 || atomic_load(&l->faults) > 0;
out:
	live_free(l);
	ws_pool_free(&p);
	free(s.comer);
	free(s.queue);
	return rc;
}
