/* SPDX-License-Identifier: MIT */
/*
 * slow: many connections of a busy room stop reading, and read again at
 * different times.  What a stalled one costs, what the live members notice,
 * and what catching up costs.  The first room of the plan names the slow
 * users, the second is the busy room with its sender and live members.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "live.h"
#include "phase.h"
#include "plan.h"
#include "stats.h"
#include "ws_pool.h"
#include "ws_text.h"

#define TIMEOUT_NS (150 * NS_PER_S)
#define SAMPLE_NS (200 * UINT64_C(1000000))

struct reader {
	uint64_t expect;
	uint64_t wake_at;
	bool done;
};

struct slow {
	const struct bench *bench;
	struct reader *reader;
	unsigned awake, done;
	uint64_t target; /* all are to have this seq */
	uint64_t delivered, gaps;
	uint64_t rchar; /* bytes read() by workers while they catch up */
	struct proc_set none, live, stalled;
	uint64_t peak_kb; /* of all processes, while stalled */
	struct phase fill, resume;
	struct hist late; /* from reading again to the target */
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct slow *s = c->pool->arg;
	struct reader *r = c->arg;
	struct ws_text_message m;

	if (!ws_text_is(text, len, "message") ||
	    !ws_text_message(text, len, &m))
		return;
	s->gaps += m.seq != r->expect;
	r->expect = m.seq + 1;
	s->delivered++;
	if (r->done || s->target == 0 || m.seq < s->target)
		return;
	r->done = true;
	s->done++;
	hist_add(&s->late, c->pool->now - r->wake_at);
}

static int
slow_memory(const struct slow *s, struct proc_set *set)
{
	return proc_sample((pid_t)s->bench->server, set) == -1 ||
		proc_memory(set) == -1 ?
	    -1 :
	    0;
}

static void
slow_wait(struct ws_pool *p, unsigned ms)
{
	uint64_t end = stats_now() + ms * UINT64_C(1000000);

	while (stats_now() < end)
		ws_pool_turn(p, 10);
}

/* Until the live members have `count` messages; the others read nothing. */
static int
slow_fill(struct slow *s, struct ws_pool *p, struct live *l)
{
	uint64_t end = stats_now() + TIMEOUT_NS, sample = 0, kb;
	struct proc_set now;

	for (unsigned i = 0; i < p->n; i++)
		ws_client_stall(&p->client[i], true);
	if (phase_begin(&s->fill, s->bench) == -1)
		return -1;
	live_phase(l, 1);
	while (atomic_load(&l->complete) < s->bench->count) {
		ws_pool_turn(p, 20);
		if (p->closed > 0 || stats_now() > end)
			return -1;
		if (stats_now() < sample + SAMPLE_NS)
			continue;
		sample = stats_now();
		if (slow_memory(s, &now) == 0 &&
		    (kb = proc_pss_kb(&now)) > s->peak_kb)
			s->peak_kb = kb;
	}
	if (phase_end(&s->fill, 0) == -1)
		return -1;
	return slow_memory(s, &s->stalled);
}

/* Each begins at a time of its own, over spread_ms. */
static int
slow_resume(struct slow *s, struct ws_pool *p, struct live *l)
{
	uint64_t start, end, now, spread = s->bench->spread_ms + 1;

	s->target = atomic_load(&l->head);
	s->delivered = 0;
	s->rchar = proc_read_bytes(&s->stalled, "worker");
	live_phase(l, 2);
	if (phase_begin(&s->resume, s->bench) == -1)
		return -1;
	start = stats_now();
	end = start + TIMEOUT_NS;
	for (unsigned i = 0; i < p->n; i++)
		s->reader[i].wake_at = start +
		    stats_random() % (spread * UINT64_C(1000000));
	while (s->done < p->n) {
		now = stats_now();
		for (unsigned i = 0; s->awake < p->n && i < p->n; i++) {
			if (!p->client[i].stalled || s->reader[i].wake_at > now)
				continue;
			ws_client_stall(&p->client[i], false);
			s->awake++;
		}
		ws_pool_turn(p, 2);
		if (p->closed > 0 || now > end) {
			fprintf(stderr, "%u of %u have caught up\n", s->done,
			    p->n);
			return -1;
		}
	}
	if (phase_end(&s->resume, 0) == -1)
		return -1;
	s->rchar = proc_read_bytes(&s->resume.after, "worker") - s->rchar;
	return 0;
}

static void
slow_result(struct slow *s, struct ws_pool *p, struct live *l)
{
	double none = (double)proc_pss_kb(&s->none);
	double live = (double)proc_pss_kb(&s->live);
	double n = p->n;
	uint64_t others = atomic_load(&l->delivered[2]);

	result_begin("slow");
	result_num("stalled", n);
	result_num("messages", s->bench->count);
	result_num("size", s->bench->size);
	result_num("bytes_per_live", (live - none) * 1024 / n);
	result_num("bytes_per_stalled",
	    ((double)proc_pss_kb(&s->stalled) - none) * 1024 / n);
	result_num("bytes_per_stalled_peak",
	    ((double)s->peak_kb - none) * 1024 / n);
	result_hist("live_before", &l->delivery[0]);
	result_hist("live_stalled", &l->delivery[1]);
	result_hist("live_resumed", &l->delivery[2]);
	phase_result(&s->fill, "stalled", "delivery",
	    atomic_load(&l->delivered[1]));
	result_num("catch_up_deliveries", (double)s->delivered);
	result_num("catch_up_deliveries_per_s",
	    (double)s->delivered / phase_seconds(&s->resume));
	result_hist("catch_up", &s->late);
	phase_result(&s->resume, "catch_up", "delivery", s->delivered + others);
	result_num("catch_up_read_bytes_per_delivery",
	    (double)s->rchar / (double)s->delivered);
	result_num("live_faults", (double)atomic_load(&l->faults));
	result_num("gaps", (double)s->gaps);
	result_num("closed", p->closed);
	result_end();
}

static int
slow_run(struct slow *s, struct ws_pool *p, struct live **l)
{
	if (slow_memory(s, &s->none) == -1 || ws_pool_open(p, 60000) == -1)
		return -1;
	slow_wait(p, 500);
	if (slow_memory(s, &s->live) == -1 ||
	    (*l = live_start(s->bench, 1)) == NULL)
		return -1;
	live_send(*l);
	slow_wait(p, s->bench->warmup_ms);
	if (slow_fill(s, p, *l) == -1 || slow_resume(s, p, *l) == -1)
		return -1;
	return live_stop(*l);
}

int
mode_slow(const struct bench *b)
{
	static struct slow s;
	const struct plan_room *r = &b->plan->room[0];
	struct live *l = NULL;
	struct ws_pool p;
	int rc = 1;

	s.bench = b;
	if ((s.reader = calloc(r->nusers, sizeof(*s.reader))) == NULL)
		abort();
	ws_pool_init(&p, b, r->nusers, on_text, &s);
	p.rcvbuf = b->rcvbuf;
	for (unsigned i = 0; i < p.n; i++) {
		p.client[i].user = b->plan->user[r->first + i];
		p.client[i].arg = &s.reader[i];
		s.reader[i].expect = 1;
	}
	if (slow_run(&s, &p, &l) == 0) {
		slow_result(&s, &p, l);
		rc = p.closed > 0 || s.gaps > 0 || atomic_load(&l->faults) > 0;
	}
	live_free(l);
	ws_pool_free(&p);
	free(s.reader);
	return rc;
}
