/* SPDX-License-Identifier: MIT */
/*
 * rest-send: POST …/messages on keep-alive connections, one request in
 * flight each.  rest-read: GET pages of history from places all over a room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "http_pool.h"
#include "plan.h"
#include "stats.h"
#include "window.h"

struct rest {
	const struct bench *bench;
	struct window window;
	bool stopping;
	uint64_t sent, good, bad, window_good, wrong;
	uint64_t *after; /* rest-read: what each asked for */
	struct hist latency;
};

static const char *
rest_user(const struct rest *r, unsigned number, const struct plan_room **room)
{
	const struct plan *p = r->bench->plan;

	*room = &p->room[number % p->nrooms];
	return p->user[(*room)->first + number / p->nrooms % (*room)->nusers];
}

static size_t
send_request(struct http_client *c, char out[HTTP_REQUEST_MAX])
{
	struct rest *r = c->pool->arg;
	const struct bench *b = r->bench;
	const struct plan_room *room;
	const char *user = rest_user(r, c->number, &room);
	unsigned body = b->size + 14 + (b->client_ids != 0 ? 35 : 0);
	int n;

	if (r->stopping || (b->count != 0 && r->sent == b->count))
		return 0;
	n = snprintf(out, HTTP_REQUEST_MAX,
	    "POST /rooms/%s/messages HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "X-API-Key: %s\r\nX-User-Id: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n"
	    "{\"content\":\"",
	    room->id, b->port, b->key, user, body);
	memset(out + n, 'x', b->size);
	n += (int)b->size;
	if (b->client_ids != 0)
		n += sprintf(out + n, "\",\"client_msg_id\":\"%016llx",
		    (unsigned long long)r->sent);
	n += sprintf(out + n, "\"}");
	r->sent++;
	return (size_t)n;
}

static size_t
read_request(struct http_client *c, char out[HTTP_REQUEST_MAX])
{
	struct rest *r = c->pool->arg;
	const struct bench *b = r->bench;
	const struct plan_room *room;
	const char *user = rest_user(r, c->number, &room);
	uint64_t after = 0;

	if (r->stopping || (b->count != 0 && r->sent == b->count))
		return 0;
	if (b->history > b->limit)
		after = stats_random() % (b->history - b->limit);
	r->after[c->number] = after;
	r->sent++;
	return (size_t)snprintf(out, HTTP_REQUEST_MAX,
	    "GET /rooms/%s/messages?limit=%u&after_seq=%llu HTTP/1.1\r\n"
	    "Host: 127.0.0.1:%u\r\nX-API-Key: %s\r\nX-User-Id: %s\r\n\r\n",
	    room->id, b->limit, (unsigned long long)after, b->port, b->key,
	    user);
}

static void
rest_answer(struct http_client *c, bool good, const char *body, size_t len)
{
	struct rest *r = c->pool->arg;

	if (!good) {
		if (r->bad++ < 3)
			fprintf(stderr, "%.*s\n", (int)len, body);
		return;
	}
	r->good++;
	if (r->window.state != WINDOW_OPEN)
		return;
	r->window_good++;
	hist_add(&r->latency, c->pool->now - c->sent_at);
}

static void
send_answer(struct http_client *c, int status, const char *body, size_t len)
{
	rest_answer(c, status == 201, body, len);
}

/* The first and the last seq of a page must be those asked for. */
static void
read_answer(struct http_client *c, int status, const char *body, size_t len)
{
	struct rest *r = c->pool->arg;
	uint64_t after = r->after[c->number];
	char want[32];
	const char *p;
	size_t n;

	if (status == 200 && r->bench->history > 0) {
		n = (size_t)snprintf(want, sizeof(want), "\"seq\":%llu,",
		    (unsigned long long)(after + 1));
		p = memmem(body, len, want, n);
		if (p != NULL) {
			n = (size_t)snprintf(want, sizeof(want),
			    "\"seq\":%llu,",
			    (unsigned long long)(after + r->bench->limit));
			p = memmem(p, (size_t)(body + len - p), want, n);
		}
		if (p == NULL)
			r->wrong++;
	}
	rest_answer(c, status == 200, body, len);
}

static void
rest_run(struct rest *r, struct http_pool *p)
{
	uint64_t end;

	window_begin(&r->window, r->bench);
	http_pool_start(p);
	while (p->broken == 0 && r->bad < 1000 &&
	    window_tick(&r->window, p->now) != WINDOW_DONE &&
	    (r->bench->count == 0 || r->good + r->bad < r->bench->count))
		http_pool_turn(p, 5);
	window_close(&r->window);
	r->stopping = true;
	end = stats_now() + 10 * NS_PER_S;
	while (p->broken == 0 && p->waiting > 0 && stats_now() < end)
		http_pool_turn(p, 50);
}

static int
rest_mode(const struct bench *b, const char *mode, http_request_cb *request,
    http_answer_cb *answer)
{
	static struct rest r;
	struct http_pool p;
	int rc = 1;

	r.bench = b;
	if ((r.after = calloc(b->connections, sizeof(*r.after))) == NULL)
		abort();
	if (http_pool_init(&p, b->port, b->connections, request, answer, &r) ==
	    0) {
		rest_run(&r, &p);
		result_begin(mode);
		result_num("connections", p.n);
		result_num("requests", (double)r.window_good);
		result_num("requests_per_s",
		    (double)r.window_good / window_seconds(&r.window));
		result_hist("latency", &r.latency);
		window_result(&r.window, "request", r.window_good);
		result_num("errors", (double)r.bad);
		result_num("wrong", (double)r.wrong);
		result_num("unanswered", p.waiting);
		result_num("closed", p.broken);
		result_end();
		rc = r.bad > 0 || r.wrong > 0 || p.broken > 0 || p.waiting > 0;
	}
	free(r.after);
	http_pool_free(&p);
	return rc;
}

int
mode_rest_send(const struct bench *b)
{
	return rest_mode(b, "rest-send", send_request, send_answer);
}

int
mode_rest_read(const struct bench *b)
{
	return rest_mode(b, "rest-read", read_request, read_answer);
}
