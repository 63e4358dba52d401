/* SPDX-License-Identifier: MIT */
/*
 * The process that chats beside a benchmark: its own loop, so that latencies
 * don't hold what the other one is busy with.
 */
#include "live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "plan.h"
#include "ws_pool.h"
#include "ws_text.h"

#define READY_MS 30000
/* What a reconnect brings again. */
#define ACK_EVERY 50
#define REOPEN_NS (5 * 1000000)

struct talker {
	unsigned room; /* in the plan */
	bool sends;
	struct ws_template frame; /* of senders */
	uint64_t expect;          /* next seq */
	uint64_t next_at;
	unsigned broken; /* phase of the last disconnection; 0 = none */
};

struct chat {
	const struct bench *bench;
	struct live *live;
	unsigned first;
	struct talker *talker;
};

static void
talker_ack(struct ws_client *c, const struct talker *t, uint64_t seq)
{
	struct chat *chat = c->pool->arg;
	char text[160];
	uint8_t *out;
	int n;

	n = snprintf(text, sizeof(text),
	    "{\"type\":\"ack\",\"room_id\":\"%s\",\"seq\":%llu}",
	    chat->bench->plan->room[t->room].id, (unsigned long long)seq);
	out = ws_client_reserve(c, ws_text_frame_size((size_t)n));
	ws_client_added(c, ws_text_frame(out, 1, text, (size_t)n));
}

/* The first room's progress: the least of its members'. */
static void
chat_progress(struct chat *chat, const struct ws_pool *p)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < p->n; i++)
		if (chat->talker[i].room == chat->first &&
		    chat->talker[i].expect < least)
			least = chat->talker[i].expect;
	atomic_store(&chat->live->complete, least - 1);
}

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	struct chat *chat = c->pool->arg;
	struct talker *t = c->arg;
	struct live *l = chat->live;
	unsigned phase = atomic_load(&l->phase);
	struct ws_text_message m;

	if (ws_text_is(text, len, "error")) {
		/* Its writer has been away for too long: that is allowed. */
		if (memmem(text, len, "\"temporary\":true", 16) != NULL)
			atomic_fetch_add(&l->refused, 1);
		else if (atomic_fetch_add(&l->faults, 1) < 3)
			fprintf(stderr, "%.*s\n", (int)len, text);
		return;
	}
	if (!ws_text_is(text, len, "message") ||
	    !ws_text_message(text, len, &m))
		return;
	/* A reconnect brings again what was not acknowledged. */
	if (m.seq < t->expect)
		return;
	if (m.seq > t->expect)
		atomic_fetch_add(&l->faults, 1);
	t->expect = m.seq + 1;
	if (m.stamp != 0)
		hist_add(phase > 0 && t->broken == phase ? &l->broken[phase] :
							   &l->delivery[phase],
		    c->pool->now - m.stamp);
	atomic_fetch_add(&l->delivered[phase], 1);
	if (m.seq % ACK_EVERY == 0)
		talker_ack(c, t, m.seq);
	if (t->sends && t->room == chat->first)
		atomic_store(&l->head, m.seq);
}

static void
on_lost(struct ws_client *c)
{
	struct chat *chat = c->pool->arg;
	struct talker *t = c->arg;

	atomic_fetch_add(&chat->live->lost, 1);
	t->next_at = stats_now() + REOPEN_NS;
	t->broken = atomic_load(&chat->live->phase);
}

/* Sends what is due, opens what was lost; until when to wait, ms. */
static int
chat_due(struct chat *chat, struct ws_pool *p)
{
	uint64_t now = stats_now(), next = now + 20 * UINT64_C(1000000);
	uint64_t pause = chat->bench->pause_us * UINT64_C(1000);
	bool sending = atomic_load(&chat->live->sending);

	for (unsigned i = 0; i < p->n; i++) {
		struct ws_client *c = &p->client[i];
		struct talker *t = c->arg;
		uint8_t *out;

		if (c->state == WS_CLOSED && t->next_at <= now)
			ws_client_open(c);
		if (c->state != WS_OPEN || !t->sends || !sending)
			continue;
		if (t->next_at <= now) {
			out = ws_client_reserve(c,
			    ws_text_frame_size(t->frame.len));
			ws_client_added(c,
			    ws_text_send(&t->frame, out, 0, now, 0));
			ws_client_flush(c);
			t->next_at += pause;
			if (t->next_at < now)
				t->next_at = now + pause;
		}
		if (t->next_at < next)
			next = t->next_at;
	}
	return next <= now ? 0 : (int)((next - now) / 1000000);
}

static void
chat_setup(struct chat *chat, struct ws_pool *p)
{
	const struct plan *plan = chat->bench->plan;
	unsigned n = 0;

	for (unsigned r = chat->first; r < plan->nrooms; r++)
		n += plan->room[r].nusers;
	ws_pool_init(p, chat->bench, n, on_text, chat);
	p->lost = on_lost;
	if ((chat->talker = calloc(n, sizeof(*chat->talker))) == NULL)
		abort();
	n = 0;
	for (unsigned r = chat->first; r < plan->nrooms; r++)
		for (unsigned i = 0; i < plan->room[r].nusers; i++, n++) {
			struct talker *t = &chat->talker[n];

			p->client[n].user = plan->user[plan->room[r].first + i];
			p->client[n].arg = t;
			t->room = r;
			t->sends = i == 0;
			t->expect = 1;
			if (t->sends)
				ws_template_init(&t->frame, plan->room[r].id,
				    chat->bench->size, false);
		}
}

static void
chat_process(const struct bench *b, unsigned first, struct live *l)
{
	struct chat chat = { .bench = b, .live = l, .first = first };
	struct ws_pool p;

	chat_setup(&chat, &p);
	if (ws_pool_open(&p, READY_MS) == -1)
		_exit(1);
	for (unsigned i = 0; i < p.n; i++)
		/* Not all in the same moment. */
		chat.talker[i].next_at = stats_now() +
		    stats_random() % (b->pause_us * UINT64_C(1000) + 1);
	atomic_store(&l->ready, 1);
	while (!atomic_load(&l->stop)) {
		ws_pool_turn(&p, chat_due(&chat, &p));
		chat_progress(&chat, &p);
	}
	_exit(0);
}

struct live *
live_start(const struct bench *b, unsigned first)
{
	const struct timespec pause = { 0, 5 * 1000000 };
	struct live *l;
	int status = 0;
	pid_t pid;

	l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l == MAP_FAILED)
		abort();
	fflush(NULL);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		chat_process(b, first, l);
	}
	/* The child sees this, too: only we write it. */
	l->pid = pid;
	while (l->pid > 0 && !atomic_load(&l->ready) &&
	    waitpid(l->pid, &status, WNOHANG) == 0)
		nanosleep(&pause, NULL);
	if (l->pid > 0 && atomic_load(&l->ready))
		return l;
	fprintf(stderr, "the live clients did not connect: status %d\n",
	    status);
	live_free(l);
	return NULL;
}

void
live_send(struct live *l)
{
	atomic_store(&l->sending, 1);
}

void
live_phase(struct live *l, unsigned phase)
{
	atomic_store(&l->phase, phase);
}

int
live_stop(struct live *l)
{
	int status = 0;

	atomic_store(&l->stop, 1);
	if (l->pid > 0 && waitpid(l->pid, &status, 0) == -1)
		status = -1;
	l->pid = 0;
	return status == 0 ? 0 : -1;
}

void
live_free(struct live *l)
{
	if (l != NULL)
		munmap(l, sizeof(*l));
}
