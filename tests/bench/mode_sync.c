/* SPDX-License-Identifier: MIT */
/*
 * sync: one client connects to a room in which it has missed many messages,
 * several times over.  It never acknowledges, so each time brings all of
 * them; every one must come once and in order, before sync.complete.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "phase.h"
#include "plan.h"
#include "stats.h"
#include "ws_pool.h"
#include "ws_text.h"

#define SAMPLE_NS (10 * 1000000)
#define TIMEOUT_NS (120 * NS_PER_S)

struct sync {
	const struct bench *bench;
	uint64_t expect, bytes, wrong;
	uint64_t messages; /* all rounds */
	double seconds;    /* likewise, from connect to sync.complete */
	uint64_t peak_kb;  /* worker's growth while it feeds */
	struct hist round;
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct sync *s = c->pool->arg;
	struct ws_text_message m;

	if (!ws_text_is(text, len, "message"))
		return;
	if (!ws_text_message(text, len, &m) || m.seq != s->expect)
		s->wrong++;
	s->expect = m.seq + 1;
	s->bytes += len + (len < 126 ? 2 : 4);
}

/* Page tables are walked for this: rarely. */
static void
sync_memory(struct sync *s, const struct proc_set *before)
{
	struct proc_set now;
	uint64_t grown;

	if (proc_sample((pid_t)s->bench->server, &now) == -1 ||
	    proc_memory(&now) == -1)
		return;
	grown = proc_worker_growth_kb(before, &now);
	if (grown > s->peak_kb)
		s->peak_kb = grown;
}

/* One connect; 0, or -1 when it did not bring what it should. */
static int
sync_round(struct sync *s, const struct proc_set *memory)
{
	const struct plan_room *r = &s->bench->plan->room[0];
	uint64_t start, sample = 0;
	struct ws_pool p;
	int rc = -1;

	ws_pool_init(&p, s->bench, 1, on_text, s);
	p.client[0].user = s->bench->plan->user[r->first + r->nusers - 1];
	s->expect = 1;
	start = stats_now();
	ws_client_open(&p.client[0]);
	while (p.open == 0 && p.closed == 0 &&
	    stats_now() < start + TIMEOUT_NS) {
		ws_pool_turn(&p, 5);
		if (memory != NULL && p.now > sample + SAMPLE_NS) {
			sync_memory(s, memory);
			sample = stats_now();
		}
	}
	if (memory == NULL) {
		s->seconds += (double)(stats_now() - start) / 1e9;
		s->messages += s->expect - 1;
		hist_add(&s->round, stats_now() - start);
	}
	if (p.open == 1 && s->wrong == 0 && s->expect == s->bench->count + 1ULL)
		rc = 0;
	else
		fprintf(stderr, "got %llu of %u messages, %llu wrong\n",
		    (unsigned long long)(s->expect - 1), s->bench->count,
		    (unsigned long long)s->wrong);
	ws_pool_free(&p);
	return rc;
}

static int
sync_run(struct sync *s, struct phase *ph)
{
	struct proc_set memory;

	/* The first one is looked at for memory, while nothing of it is
	 * warm; the second is to find it so.  Neither is timed. */
	if (proc_sample((pid_t)s->bench->server, &memory) == -1 ||
	    proc_memory(&memory) == -1 || sync_round(s, &memory) == -1 ||
	    sync_round(s, NULL) == -1)
		return -1;
	s->seconds = 0;
	s->messages = s->bytes = 0;
	hist_clear(&s->round);
	if (phase_begin(ph, s->bench) == -1)
		return -1;
	for (unsigned i = 0; i < s->bench->repeats; i++)
		if (sync_round(s, NULL) == -1)
			return -1;
	return phase_end(ph, 0);
}

int
mode_sync(const struct bench *b)
{
	static struct sync s;
	static struct phase ph;

	s.bench = b;
	if (b->count == 0) {
		fprintf(stderr, "--count: how many messages were missed\n");
		return 2;
	}
	if (sync_run(&s, &ph) == -1)
		return 1;
	result_begin("sync");
	result_num("missed", b->count);
	result_num("rounds", b->repeats);
	result_num("messages_per_s", (double)s.messages / s.seconds);
	result_num("frame_bytes", (double)s.bytes / (double)s.messages);
	result_hist("round", &s.round);
	result_num("server_us_per_message", phase_server_us(&ph, s.messages));
	result_num("own_us_per_message",
	    (ph.own_after - ph.own_before) * 1e6 / (double)s.messages);
	result_num("worker_growth_kb", (double)s.peak_kb);
	result_num("server_died", !proc_same(&ph.before, &ph.after));
	result_end();
	return !proc_same(&ph.before, &ph.after);
}
