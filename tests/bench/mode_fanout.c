/* SPDX-License-Identifier: MIT */
/*
 * fanout: one room with many connected members; one of them sends.  With
 * one message outstanding and a pause nothing can be coalesced; with more
 * the server is saturated.  Checks seqs on every connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "plan.h"
#include "stats.h"
#include "window.h"
#include "ws_pool.h"
#include "ws_text.h"

#define RING 1024 /* messages told apart; outstanding is below half */

struct fanout {
	const struct bench *bench;
	struct window window;
	struct ws_template frame;
	uint64_t *expect;   /* next seq per connection */
	unsigned got[RING]; /* connections that have seq */
	uint64_t sent, complete, answered;
	uint64_t next_at; /* not before */
	uint64_t window_delivered, window_complete, window_bytes;
	uint64_t gaps, repeats, strays, errors;
	struct hist delivery, last;
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct fanout *f = c->pool->arg;
	uint64_t *expect = &f->expect[c - c->pool->client];
	struct ws_text_message m;
	unsigned *got;

	if (!ws_text_is(text, len, "message")) {
		if (ws_text_is(text, len, "message.sent"))
			f->answered++;
		else if (ws_text_is(text, len, "error") && f->errors++ < 3)
			fprintf(stderr, "%.*s\n", (int)len, text);
		return;
	}
	if (!ws_text_message(text, len, &m) || m.stamp == 0) {
		f->strays++;
		return;
	}
	if (*expect != 0 && m.seq > *expect)
		f->gaps++;
	else if (*expect != 0 && m.seq < *expect)
		f->repeats++;
	*expect = m.seq + 1;
	if (f->window.state == WINDOW_OPEN) {
		f->window_delivered++;
		f->window_bytes += len + (len < 126 ? 2 : 4);
		hist_add(&f->delivery, c->pool->now - m.stamp);
	}
	got = &f->got[m.seq % RING];
	if (++*got < c->pool->n)
		return;
	*got = 0;
	f->complete++;
	f->next_at = c->pool->now + f->bench->pause_us * UINT64_C(1000);
	if (f->window.state == WINDOW_OPEN) {
		f->window_complete++;
		hist_add(&f->last, c->pool->now - m.stamp);
	}
}

/* Sends what is due; returns how long to wait at most, in ms. */
static int
fanout_send(struct fanout *f, struct ws_pool *p)
{
	struct ws_client *c = &p->client[0];
	uint64_t now = stats_now();
	uint8_t *out;

	if (f->sent - f->complete >= f->bench->outstanding)
		return 10;
	if (now < f->next_at)
		return (int)((f->next_at - now) / 1000000);
	while (f->sent - f->complete < f->bench->outstanding) {
		out = ws_client_reserve(c, ws_text_frame_size(f->frame.len));
		ws_client_added(c,
		    ws_text_send(&f->frame, out, 0, stats_now(), f->sent));
		f->sent++;
	}
	ws_client_flush(c);
	return 10;
}

static void
fanout_run(struct fanout *f, struct ws_pool *p)
{
	uint64_t end;

	window_begin(&f->window, f->bench);
	p->now = stats_now();
	while (p->closed == 0 && f->errors == 0 &&
	    window_tick(&f->window, p->now) != WINDOW_DONE)
		ws_pool_turn(p, fanout_send(f, p));
	window_close(&f->window);
	end = stats_now() + 10 * NS_PER_S;
	while (p->closed == 0 && stats_now() < end &&
	    (f->complete < f->sent || f->answered < f->sent))
		ws_pool_turn(p, 50);
}

static void
fanout_result(struct fanout *f, struct ws_pool *p)
{
	double t = window_seconds(&f->window);
	double n = (double)f->window_delivered;

	result_begin("fanout");
	result_num("members", p->n);
	result_num("outstanding", f->bench->outstanding);
	result_num("pause_us", f->bench->pause_us);
	result_num("frame_bytes", n > 0 ? (double)f->window_bytes / n : 0);
	result_num("messages", (double)f->window_complete);
	result_num("messages_per_s", (double)f->window_complete / t);
	result_num("deliveries", n);
	result_num("deliveries_per_s", n / t);
	result_hist("delivery", &f->delivery);
	result_hist("last", &f->last);
	window_result(&f->window, "delivery", f->window_delivered);
	result_num("gaps", (double)f->gaps);
	result_num("repeats", (double)f->repeats);
	result_num("strays", (double)f->strays);
	result_num("errors", (double)f->errors);
	result_num("missing", (double)(f->sent - f->complete));
	result_num("closed", p->closed);
	result_end();
}

int
mode_fanout(const struct bench *b)
{
	static struct fanout f;
	const struct plan_room *r = &b->plan->room[0];
	unsigned n = b->members < r->nusers ? b->members : r->nusers;
	struct ws_pool p;
	int rc = 1;

	f.bench = b;
	ws_pool_init(&p, b, n, on_text, &f);
	for (unsigned i = 0; i < n; i++)
		p.client[i].user = b->plan->user[r->first + i];
	ws_template_init(&f.frame, r->id, b->size, b->client_ids != 0);
	if ((f.expect = calloc(n, sizeof(*f.expect))) == NULL)
		abort();
	if (ws_pool_open(&p, 30000) == 0) {
		/* What the connect sync sent does not count. */
		memset(f.got, 0, sizeof(f.got));
		f.complete = 0;
		fanout_run(&f, &p);
		fanout_result(&f, &p);
		rc = p.closed > 0 || f.errors > 0 || f.gaps > 0 ||
		    f.repeats > 0 || f.strays > 0 || f.complete < f.sent;
	}
	free(f.expect);
	ws_template_free(&f.frame);
	ws_pool_free(&p);
	return rc;
}
