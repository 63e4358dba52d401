/* SPDX-License-Identifier: MIT */
/*
 * recover: kills one process of the server with SIGKILL, again and again, and
 * takes the time until clients are served: until each of a number of sends
 * begun at that moment is answered, and until every WebSocket that was open
 * is open and synced again.  After the master's death somebody else has to
 * start the server.  With rooms behind the first, pairs chat meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "live.h"
#include "net.h"
#include "plan.h"
#include "stats.h"
#include "victim.h"
#include "ws_pool.h"

#define PROBES 16
#define TIMEOUT_NS (20 * NS_PER_S)
#define AGAIN_NS (1 * 1000000)

/* One send, tried until it is answered with 201 or 200. */
struct probe {
	int fd;
	bool sent, done;
	unsigned name; /* client_msg_id */
	uint64_t again_at;
	size_t len;
	char answer[4096];
};

struct recover {
	const struct bench *bench;
	enum victim victim;
	struct probe probe[PROBES];
	unsigned left;  /* probes */
	unsigned names; /* client_msg_ids used */
	int ep;
	uint64_t *again_at; /* of WebSockets */
	uint64_t tries;
	struct hist sends, sockets, both;
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	(void)c;
	(void)text;
	(void)len;
}

static void
on_lost(struct ws_client *c)
{
	struct recover *r = c->pool->arg;

	r->again_at[c - c->pool->client] = stats_now() + AGAIN_NS;
}

/* ---- one send ---- */

static void
probe_drop(struct probe *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	p->sent = false;
	p->len = 0;
	p->again_at = stats_now() + AGAIN_NS;
}

static void
probe_open(struct recover *r, struct probe *p)
{
	r->tries++;
	p->fd = net_connect(r->bench->port, 0, 0);
	if (p->fd == -1)
		probe_drop(p);
	else
		net_epoll(r->ep, EPOLL_CTL_ADD, p->fd, EPOLLOUT, p);
}

static void
probe_send(struct recover *r, struct probe *p)
{
	const struct bench *b = r->bench;
	const struct plan_room *room = &b->plan->room[0];
	char body[80], text[1024];
	int n, len;

	if (net_connect_error(p->fd) != 0) {
		probe_drop(p);
		return;
	}
	len = snprintf(body, sizeof(body),
	    "{\"content\":\"probe\",\"client_msg_id\":\"p%d-%u\"}",
	    (int)getpid(), p->name);
	n = snprintf(text, sizeof(text),
	    "POST /rooms/%s/messages HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "X-API-Key: %s\r\nX-User-Id: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	    room->id, b->port, b->key, b->plan->user[room->first], len, body);
	if (send(p->fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		probe_drop(p);
		return;
	}
	p->sent = true;
	net_epoll(r->ep, EPOLL_CTL_MOD, p->fd, EPOLLIN, p);
}

static void
probe_read(struct recover *r, struct probe *p)
{
	ssize_t n;

	n = recv(p->fd, p->answer + p->len, sizeof(p->answer) - p->len, 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		probe_drop(p);
		return;
	}
	p->len += (size_t)n;
	if (p->len < 12)
		return;
	/* 201, or 200 when the first answer was lost. */
	if (memcmp(p->answer, "HTTP/1.1 20", 11) == 0) {
		p->done = true;
		r->left--;
	}
	probe_drop(p);
}

static void
probes_turn(struct recover *r)
{
	struct epoll_event ev[PROBES];
	uint64_t now = stats_now();
	int n;

	for (unsigned i = 0; i < PROBES; i++) {
		struct probe *p = &r->probe[i];

		if (!p->done && p->fd == -1 && p->again_at <= now)
			probe_open(r, p);
	}
	n = epoll_wait(r->ep, ev, PROBES, 0);
	for (int i = 0; i < n; i++) {
		struct probe *p = ev[i].data.ptr;

		if (!p->sent)
			probe_send(r, p);
		else
			probe_read(r, p);
	}
}

/* ---- one kill ---- */

static void
recover_reopen(struct recover *r, struct ws_pool *p)
{
	uint64_t now = stats_now();

	for (unsigned i = 0; i < p->n; i++)
		if (p->client[i].state == WS_CLOSED && r->again_at[i] <= now)
			ws_client_open(&p->client[i]);
}

/* Everything is as it was: all processes, all sockets. */
static int
recover_settle(struct recover *r, struct ws_pool *p)
{
	uint64_t start = stats_now(), end = start + TIMEOUT_NS;
	uint64_t rest = start + r->bench->pause_ms * UINT64_C(1000000);

	while (stats_now() < end) {
		ws_pool_turn(p, 5);
		recover_reopen(r, p);
		if (p->up == p->n && stats_now() > rest &&
		    victim_workers(victim_master(r->bench)) ==
			r->bench->workers)
			return 0;
	}
	fprintf(stderr, "the server did not come back\n");
	return -1;
}

static int
recover_once(struct recover *r, struct ws_pool *p, unsigned turn)
{
	pid_t master = victim_master(r->bench);
	unsigned slot = turn % r->bench->workers, hit = 0;
	uint64_t start, sends = 0, sockets = 0;
	bool all = r->victim == VICTIM_MASTER || r->victim == VICTIM_GROUP;

	for (unsigned i = 0; i < p->n; i++)
		hit += all ||
		    (r->victim == VICTIM_WORKER && p->client[i].slot == slot);
	for (unsigned i = 0; i < PROBES; i++) {
		memset(&r->probe[i], 0, sizeof(r->probe[i]));
		r->probe[i].fd = -1;
		r->probe[i].name = r->names++;
	}
	r->left = PROBES;
	p->open = 0;
	start = stats_now();
	if (victim_kill(master, r->victim, slot) == -1)
		return -1;
	while (sends == 0 || sockets == 0) {
		probes_turn(r);
		ws_pool_turn(p, 1);
		recover_reopen(r, p);
		if (sends == 0 && r->left == 0)
			sends = stats_now() - start;
		/* open counts every sync since the kill. */
		if (sockets == 0 && p->up == p->n && p->open >= hit)
			sockets = stats_now() - start;
		if (stats_now() > start + TIMEOUT_NS) {
			fprintf(stderr, "no service after kill %u\n", turn);
			return -1;
		}
	}
	hist_add(&r->sends, sends);
	if (hit > 0)
		hist_add(&r->sockets, sockets);
	hist_add(&r->both, hit > 0 && sockets > sends ? sockets : sends);
	return 0;
}

static int
recover_run(struct recover *r, struct ws_pool *p, struct live **l)
{
	if (ws_pool_open(p, 30000) == -1)
		return -1;
	p->lost = on_lost;
	if (r->bench->plan->nrooms > 1) {
		if ((*l = live_start(r->bench, 1)) == NULL)
			return -1;
		live_send(*l);
	}
	for (unsigned i = 0; i < r->bench->kills; i++)
		if (recover_settle(r, p) == -1 || recover_once(r, p, i) == -1)
			return -1;
	return recover_settle(r, p);
}

int
mode_recover(const struct bench *b)
{
	static struct recover r;
	const struct plan_room *room = &b->plan->room[0];
	struct live *l = NULL;
	struct ws_pool p;
	uint64_t faults = 0;
	int rc = 1;

	r.bench = b;
	r.ep = epoll_create1(EPOLL_CLOEXEC);
	r.again_at = calloc(room->nusers, sizeof(*r.again_at));
	if (r.ep == -1 || r.again_at == NULL)
		abort();
	ws_pool_init(&p, b, room->nusers, on_text, &r);
	for (unsigned i = 0; i < p.n; i++)
		p.client[i].user = b->plan->user[room->first + i];
	if (victim_parse(b->kill, &r.victim) == 0 &&
	    recover_run(&r, &p, &l) == 0) {
		rc = l != NULL && live_stop(l) == -1;
		result_begin("recover");
		result_str("kill", b->kill);
		result_num("kills", b->kills);
		result_num("connections", p.n);
		result_hist("sends", &r.sends);
		result_hist("sockets", &r.sockets);
		result_hist("recover", &r.both);
		result_num("tries", (double)r.tries);
		if (l != NULL) {
			faults = atomic_load(&l->faults);
			result_num("live_delivered",
			    (double)atomic_load(&l->delivered[0]));
			result_hist("live", &l->delivery[0]);
			result_num("live_refused",
			    (double)atomic_load(&l->refused));
			result_num("live_faults", (double)faults);
		}
		result_end();
		rc |= faults > 0;
	}
	live_free(l);
	ws_pool_free(&p);
	free(r.again_at);
	return rc;
}
