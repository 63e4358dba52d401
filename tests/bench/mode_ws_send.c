/* SPDX-License-Identifier: MIT */
/*
 * ws-send: connections in small rooms keep a number of send_message frames
 * in flight each; every message goes to all members of its room.  Checks
 * that each connection sees its room's seqs rise by one, and that nothing
 * acknowledged is missing at the end.
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

struct sender {
	struct ws_template frame;
	unsigned room;
	uint64_t expect;   /* the room's next seq; 0 = any */
	uint64_t *sent_at; /* by place in flight */
};

struct ws_send {
	const struct bench *bench;
	struct window window;
	struct sender *sender;
	unsigned *listeners; /* connections per room */
	bool stopping;
	uint64_t sent, answered, errors, owed; /* owed = deliveries */
	uint64_t delivered;
	uint64_t window_acked, window_delivered;
	uint64_t gaps, repeats, strays;
	struct hist ack, delivery;
};

static void
send_one(struct ws_client *c, uint32_t place)
{
	struct ws_send *s = c->pool->arg;
	struct sender *me = c->arg;
	uint8_t *out;

	if (s->stopping || (s->bench->count != 0 && s->sent == s->bench->count))
		return;
	out = ws_client_reserve(c, ws_text_frame_size(me->frame.len));
	me->sent_at[place] = stats_now();
	ws_client_added(c,
	    ws_text_send(&me->frame, out, place, me->sent_at[place], s->sent));
	s->sent++;
}

static void
on_message(struct ws_client *c, const char *text, size_t len)
{
	struct ws_send *s = c->pool->arg;
	struct sender *me = c->arg;
	struct ws_text_message m;

	if (!ws_text_message(text, len, &m) ||
	    memcmp(m.room, s->bench->plan->room[me->room].id,
		WS_TEXT_ROOM_LEN) != 0) {
		s->strays++;
		return;
	}
	if (me->expect != 0 && m.seq > me->expect)
		s->gaps++;
	else if (me->expect != 0 && m.seq < me->expect)
		s->repeats++;
	me->expect = m.seq + 1;
	s->delivered++;
	if (s->window.state == WINDOW_OPEN) {
		s->window_delivered++;
		if (m.stamp != 0)
			hist_add(&s->delivery, c->pool->now - m.stamp);
	}
}

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct ws_send *s = c->pool->arg;
	struct sender *me = c->arg;
	uint32_t place;
	bool ok;

	if (ws_text_is(text, len, "message")) {
		on_message(c, text, len);
		return;
	}
	ok = ws_text_is(text, len, "message.sent");
	if (!ok && !ws_text_is(text, len, "error"))
		return;
	if (!ok && s->errors++ < 3)
		fprintf(stderr, "%.*s\n", (int)len, text);
	if (!ws_text_request(text, len, &place) || place >= s->bench->inflight)
		return;
	s->answered++;
	if (ok) {
		s->owed += s->listeners[me->room];
		if (s->window.state == WINDOW_OPEN) {
			s->window_acked++;
			hist_add(&s->ack, c->pool->now - me->sent_at[place]);
		}
	}
	send_one(c, place);
}

static void
ws_send_setup(struct ws_send *s, struct ws_pool *p)
{
	const struct bench *b = s->bench;
	const struct plan_room *r;
	struct sender *me;

	s->sender = calloc(p->n, sizeof(*s->sender));
	s->listeners = calloc(b->plan->nrooms, sizeof(*s->listeners));
	if (s->sender == NULL || s->listeners == NULL)
		abort();
	for (unsigned i = 0; i < p->n; i++) {
		me = &s->sender[i];
		me->room = i % b->plan->nrooms;
		r = &b->plan->room[me->room];
		p->client[i].user =
		    b->plan->user[r->first + i / b->plan->nrooms % r->nusers];
		p->client[i].arg = me;
		s->listeners[me->room]++;
		ws_template_init(&me->frame, r->id, b->size,
		    b->client_ids != 0);
		me->sent_at = calloc(b->inflight, sizeof(*me->sent_at));
		if (me->sent_at == NULL)
			abort();
	}
}

static void
ws_send_run(struct ws_send *s, struct ws_pool *p)
{
	uint64_t end;

	window_begin(&s->window, s->bench);
	for (unsigned i = 0; i < p->n; i++) {
		for (unsigned k = 0; k < s->bench->inflight; k++)
			send_one(&p->client[i], k);
		ws_client_flush(&p->client[i]);
	}
	while (p->closed == 0 && s->errors < 1000 &&
	    window_tick(&s->window, p->now) != WINDOW_DONE &&
	    (s->bench->count == 0 || s->answered < s->bench->count))
		ws_pool_turn(p, 5);
	window_close(&s->window);
	s->stopping = true;
	end = stats_now() + 10 * NS_PER_S;
	while (p->closed == 0 && stats_now() < end &&
	    (s->answered < s->sent || s->delivered < s->owed))
		ws_pool_turn(p, 50);
}

static void
ws_send_result(struct ws_send *s, struct ws_pool *p)
{
	double t = window_seconds(&s->window);

	result_begin("ws-send");
	result_num("connections", p->n);
	result_num("rooms", s->bench->plan->nrooms);
	result_num("inflight", s->bench->inflight);
	result_num("size", s->bench->size);
	result_num("messages", (double)s->window_acked);
	result_num("messages_per_s", (double)s->window_acked / t);
	result_num("deliveries_per_s", (double)s->window_delivered / t);
	result_hist("ack", &s->ack);
	result_hist("delivery", &s->delivery);
	window_result(&s->window, "message", s->window_acked);
	result_num("gaps", (double)s->gaps);
	result_num("repeats", (double)s->repeats);
	result_num("strays", (double)s->strays);
	result_num("errors", (double)s->errors);
	result_num("unanswered", (double)(s->sent - s->answered));
	result_num("missing", (double)s->owed - (double)s->delivered);
	result_num("closed", p->closed);
	result_end();
}

int
mode_ws_send(const struct bench *b)
{
	static struct ws_send s;
	struct ws_pool p;
	int rc = 1;

	s.bench = b;
	ws_pool_init(&p, b, b->connections, on_text, &s);
	ws_send_setup(&s, &p);
	if (ws_pool_open(&p, 30000) == 0) {
		/* What the connect sync sent is not owed to anyone. */
		s.delivered = 0;
		ws_send_run(&s, &p);
		ws_send_result(&s, &p);
		rc = p.closed > 0 || s.errors > 0 || s.gaps > 0 ||
		    s.repeats > 0 || s.strays > 0 || s.delivered != s.owed;
	}
	for (unsigned i = 0; i < p.n; i++) {
		ws_template_free(&s.sender[i].frame);
		free(s.sender[i].sent_at);
	}
	free(s.sender);
	free(s.listeners);
	ws_pool_free(&p);
	return rc;
}
