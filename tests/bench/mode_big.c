/* SPDX-License-Identifier: MIT */
/*
 * big: what a room with many members costs: sends with their fan-out to those
 * who are connected, acks, and joins and leaves by REST.  The first room of
 * the plan is the room with its connected members, the second names users
 * who join and leave; members who are in neither are the point of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "http_pool.h"
#include "phase.h"
#include "plan.h"
#include "stats.h"
#include "ws_pool.h"
#include "ws_text.h"

#define TIMEOUT_NS (60 * NS_PER_S)
#define RING 1024 /* messages told apart */
#define JOIN_CONNECTIONS 16

struct big {
	const struct bench *bench;
	const struct plan_room *room, *guests;
	struct ws_template frame;
	uint64_t *expect;
	unsigned got[RING];
	uint64_t sent, complete, delivered, acked;
	uint64_t gaps, errors;
	struct hist delivery, ack;
	uint64_t acks_at;
	struct phase connect, send, acks, join, leave;
	/* REST */
	bool leaving;
	unsigned asked, answered, refused;
	struct hist joined, left;
};

static void
on_message(struct ws_client *c, const char *text, size_t len)
{
	struct big *g = c->pool->arg;
	uint64_t *expect = &g->expect[c - c->pool->client];
	struct ws_text_message m;

	if (!ws_text_message(text, len, &m))
		return;
	g->gaps += *expect != 0 && m.seq != *expect;
	*expect = m.seq + 1;
	g->delivered++;
	if (m.stamp != 0)
		hist_add(&g->delivery, c->pool->now - m.stamp);
	if (++g->got[m.seq % RING] < c->pool->n)
		return;
	g->got[m.seq % RING] = 0;
	g->complete++;
}

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct big *g = c->pool->arg;

	if (ws_text_is(text, len, "message")) {
		on_message(c, text, len);
	} else if (ws_text_is(text, len, "ack.received")) {
		g->acked++;
		hist_add(&g->ack, c->pool->now - g->acks_at);
	} else if (ws_text_is(text, len, "error") && g->errors++ < 3) {
		fprintf(stderr, "%.*s\n", (int)len, text);
	}
}

/* `count` messages by the first member, `outstanding` on their way. */
static int
big_send(struct big *g, struct ws_pool *p)
{
	struct ws_client *c = &p->client[0];
	uint64_t end = stats_now() + TIMEOUT_NS;
	uint8_t *out;

	if (phase_begin(&g->send, g->bench) == -1)
		return -1;
	while (g->complete < g->bench->count && p->closed == 0 &&
	    stats_now() < end) {
		while (g->sent < g->bench->count &&
		    g->sent - g->complete < g->bench->outstanding) {
			out = ws_client_reserve(c,
			    ws_text_frame_size(g->frame.len));
			ws_client_added(c,
			    ws_text_send(&g->frame, out, 0, stats_now(), 0));
			g->sent++;
		}
		ws_client_flush(c);
		ws_pool_turn(p, 10);
	}
	if (phase_end(&g->send, 0) == -1)
		return -1;
	return g->complete < g->bench->count ? -1 : 0;
}

/* Every connection acknowledges the room's first seqs, one after another. */
static int
big_ack(struct big *g, struct ws_pool *p)
{
	uint64_t end = stats_now() + TIMEOUT_NS, due = 0;
	char text[160];
	uint8_t *out;
	int n;

	if (phase_begin(&g->acks, g->bench) == -1)
		return -1;
	for (unsigned seq = 1; seq <= g->bench->repeats; seq++) {
		g->acks_at = stats_now();
		n = snprintf(text, sizeof(text),
		    "{\"type\":\"ack\",\"room_id\":\"%s\",\"seq\":%u}",
		    g->room->id, seq);
		for (unsigned i = 0; i < p->n; i++) {
			out = ws_client_reserve(&p->client[i],
			    ws_text_frame_size((size_t)n));
			ws_client_added(&p->client[i],
			    ws_text_frame(out, 1, text, (size_t)n));
			ws_client_flush(&p->client[i]);
		}
		due += p->n;
		while (g->acked < due && p->closed == 0 && stats_now() < end)
			ws_pool_turn(p, 10);
	}
	if (phase_end(&g->acks, 0) == -1)
		return -1;
	return g->acked == due ? 0 : -1;
}

/* ---- joins and leaves ---- */

static size_t
guest_request(struct http_client *c, char out[HTTP_REQUEST_MAX])
{
	struct big *g = c->pool->arg;
	const struct bench *b = g->bench;
	const char *user;
	char body[256];
	int n;

	if (g->asked == g->guests->nusers)
		return 0;
	user = b->plan->user[g->guests->first + g->asked++];
	if (g->leaving)
		return (size_t)snprintf(out, HTTP_REQUEST_MAX,
		    "DELETE /rooms/%s/members/%s HTTP/1.1\r\n"
		    "Host: 127.0.0.1:%u\r\nX-API-Key: %s\r\n"
		    "X-User-Id: %s\r\n\r\n",
		    g->room->id, user, b->port, b->key, user);
	n = snprintf(body, sizeof(body), "{\"user_id\":\"%s\"}", user);
	return (size_t)snprintf(out, HTTP_REQUEST_MAX,
	    "POST /rooms/%s/members HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "X-API-Key: %s\r\nX-User-Id: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	    g->room->id, b->port, b->key, user, n, body);
}

static void
guest_answer(struct http_client *c, int status, const char *body, size_t len)
{
	struct big *g = c->pool->arg;

	g->answered++;
	hist_add(g->leaving ? &g->left : &g->joined, c->pool->now - c->sent_at);
	if (status != (g->leaving ? 204 : 200) && g->refused++ < 3)
		fprintf(stderr, "%d %.*s\n", status, (int)len, body);
}

static int
big_guests(struct big *g, struct ws_pool *p, bool leaving)
{
	struct phase *ph = leaving ? &g->leave : &g->join;
	uint64_t end = stats_now() + TIMEOUT_NS;
	struct http_pool h;
	int rc = -1;

	g->leaving = leaving;
	g->asked = g->answered = 0;
	if (http_pool_init(&h, g->bench->port, JOIN_CONNECTIONS, guest_request,
		guest_answer, g) == 0 &&
	    phase_begin(ph, g->bench) == 0) {
		http_pool_start(&h);
		while (g->answered < g->guests->nusers && h.broken == 0 &&
		    stats_now() < end) {
			http_pool_turn(&h, 5);
			ws_pool_turn(p, 0);
		}
		if (phase_end(ph, 0) == 0 && g->refused == 0 &&
		    g->answered == g->guests->nusers)
			rc = 0;
	}
	http_pool_free(&h);
	return rc;
}

static void
big_result(struct big *g, struct ws_pool *p)
{
	uint64_t guests = g->guests->nusers;

	result_begin("big");
	result_num("connected", p->n);
	result_num("outstanding", g->bench->outstanding);
	result_num("messages", g->bench->count);
	phase_result(&g->connect, "connect", "connect", p->n);
	result_num("connects_per_s", p->n / phase_seconds(&g->connect));
	phase_result(&g->send, "send", "message", g->bench->count);
	result_num("deliveries_per_s",
	    (double)g->delivered / phase_seconds(&g->send));
	result_num("server_us_per_delivery",
	    phase_server_us(&g->send, g->delivered));
	result_num("own_us_per_delivery",
	    (g->send.own_after - g->send.own_before) * 1e6 /
		(double)g->delivered);
	result_hist("delivery", &g->delivery);
	phase_result(&g->acks, "ack", "ack", g->acked);
	result_hist("ack", &g->ack);
	phase_result(&g->join, "join", "join", guests);
	result_hist("join", &g->joined);
	phase_result(&g->leave, "leave", "leave", guests);
	result_hist("leave", &g->left);
	result_num("gaps", (double)g->gaps);
	result_num("errors", (double)g->errors);
	result_num("refused", g->refused);
	result_num("closed", p->closed);
	result_end();
}

static int
big_run(struct big *g, struct ws_pool *p)
{
	if (phase_begin(&g->connect, g->bench) == -1 ||
	    ws_pool_open(p, 120000) == -1 || phase_end(&g->connect, 0) == -1)
		return -1;
	return big_send(g, p) == -1 || big_ack(g, p) == -1 ||
		big_guests(g, p, false) == -1 || big_guests(g, p, true) == -1 ?
	    -1 :
	    0;
}

int
mode_big(const struct bench *b)
{
	static struct big g;
	struct ws_pool p;
	int rc = 1;

	g.bench = b;
	if (b->plan->nrooms < 2 || b->count == 0) {
		fprintf(stderr, "two rooms and --count are needed\n");
		return 2;
	}
	g.room = &b->plan->room[0];
	g.guests = &b->plan->room[1];
	ws_pool_init(&p, b, g.room->nusers, on_text, &g);
	for (unsigned i = 0; i < p.n; i++)
		p.client[i].user = b->plan->user[g.room->first + i];
	ws_template_init(&g.frame, g.room->id, b->size, false);
	if ((g.expect = calloc(p.n, sizeof(*g.expect))) == NULL)
		abort();
	if (big_run(&g, &p) == 0) {
		big_result(&g, &p);
		rc = p.closed > 0 || g.gaps > 0 || g.errors > 0;
	} else {
		fprintf(stderr,
		    "big: complete %llu of %u, acked %llu, answered %u, "
		    "closed %u\n",
		    (unsigned long long)g.complete, b->count,
		    (unsigned long long)g.acked, g.answered, p.closed);
	}
	free(g.expect);
	ws_template_free(&g.frame);
	ws_pool_free(&p);
	return rc;
}
