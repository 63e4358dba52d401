/* SPDX-License-Identifier: MIT */
/*
 * One replacement at a time.  Runs in the master; closes no listening socket,
 * since those are handed from worker to worker with all who wait in them.
 */
#include "replace.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../common/buf.h"
#include "../common/config.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../writer/store.h"
#include "child.h"
#include "hub.h"
#include "master.h"
#include "presence.h"

/* What the writer gets at least: for its last commit and a checkpoint. */
#define REPLACE_WRITER_MIN_MS 10000
#define REPLACE_WHY_MAX 200
/* There is always a slot for the one that comes. */
_Static_assert(MASTER_WORKERS_MAX > CONFIG_WORKERS_MAX, "slots");
_Static_assert(MASTER_WORKERS_MAX == HUB_WORKERS_MAX, "hub");
_Static_assert(MASTER_WORKERS_MAX == PRESENCE_WORKERS_MAX, "presence");
_Static_assert(MASTER_WORKERS_MAX == PAGE_WORKERS_MAX, "page");

enum replace_step {
	REPLACE_IDLE,
	REPLACE_WORKERS, /* seat by seat, new seats too */
	REPLACE_RETIRE,  /* seats beyond the configured ones */
	REPLACE_COURIER,
	REPLACE_WRITER
};

struct replace {
	struct master *m;
	replace_done *done;
	enum replace_step step;
	unsigned seat;         /* the next one */
	struct child *fresh;   /* started, not ready yet */
	struct child *leaving; /* told to finish */
	bool told;             /* courier or writer: its old self was */
	struct event *limit;
	struct program program; /* that is being tried */
	unsigned replaced;
};

static void replace_next(struct replace *r);

static void
replace_on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct replace *r = arg;

	(void)fd;
	(void)what;
	if (r->leaving != NULL)
		child_kill(r->leaving, "not done in time");
}

struct replace *
replace_new(struct master *m, replace_done *done)
{
	struct replace *r = mem_alloc(sizeof(*r));

	r->m = m;
	r->done = done;
	r->limit = event_new(m->base, -1, 0, replace_on_limit, r);
	if (r->limit == NULL)
		abort();
	return r;
}

void
replace_free(struct replace *r)
{
	if (r == NULL)
		return;
	event_free(r->limit);
	free(r);
}

void
replace_abort(struct replace *r)
{
	(void)event_del(r->limit);
	r->step = REPLACE_IDLE;
	r->fresh = r->leaving = NULL;
}

static void
replace_end(struct replace *r, const char *why)
{
	replace_abort(r);
	r->done(r->m, why);
}

/* ---- places ---- */

/* Who serves that seat now; a trial does not count. */
static struct child *
replace_holder(const struct replace *r, unsigned seat)
{
	struct child *c;

	CHILD_FOREACH_WORKER(c, r->m)
		if (c->seat == seat && !c->leaving && c != r->fresh)
			return c;
	return NULL;
}

static void
replace_drop(struct child *c)
{
	c->m->workers[c->slot] = NULL;
	child_free(c);
}

/* ---- going ---- */

static void
replace_leave(struct replace *r, struct child *c)
{
	uint64_t ms = r->m->config->drain_timeout_ms;
	uint64_t spare = ms / 10 < 500 ? ms / 10 : 500;
	struct timeval tv;

	if (c->role == ROLE_WORKER) {
		c->leaving = true;
		page_set(r->m->page, c->page_slot, GAUGE_WORKER_SEAT, 0);
	} else {
		r->told = true;
		if (ms < REPLACE_WRITER_MIN_MS)
			ms = REPLACE_WRITER_MIN_MS;
	}
	r->leaving = c;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	(void)event_add(r->limit, &tv);
	child_leave(c, ms - spare);
}

/* Its successor is ready, or it is one too many. */
static void
replace_retire(struct replace *r, struct child *c)
{
	if (c->pid != 0) {
		replace_leave(r, c);
		return;
	}
	replace_drop(c);
	replace_next(r);
}

/* ---- coming ---- */

static void
replace_try(struct replace *r)
{
	struct master *m = r->m;
	struct child *c;
	unsigned slot = 0;

	while (slot < MASTER_WORKERS_MAX && m->workers[slot] != NULL)
		slot++;
	if (slot == MASTER_WORKERS_MAX) {
		replace_end(r, "no place is left for a new worker");
		return;
	}
	c = child_new(m, ROLE_WORKER, slot, r->seat);
	c->fresh = true;
	m->workers[slot] = c;
	r->fresh = c;
	child_start(c);
	if (c->pid != 0)
		return;
	r->fresh = NULL;
	replace_drop(c);
	replace_end(r, "no process could be started");
}

static struct child *
replace_surplus(const struct master *m)
{
	struct child *c;

	CHILD_FOREACH_WORKER(c, m)
		if (c->seat >= m->config->workers && !c->leaving)
			return c;
	return NULL;
}

/* The workers run the program: from now on all others may. */
static void
replace_trust(struct replace *r)
{
	r->m->program = r->program;
	r->step = REPLACE_COURIER;
	r->told = false;
}

static void
replace_next(struct replace *r)
{
	struct master *m = r->m;
	struct child *c;

	if (r->step == REPLACE_WORKERS) {
		if (r->seat < m->config->workers) {
			replace_try(r);
			return;
		}
		r->step = REPLACE_RETIRE;
	}
	if (r->step == REPLACE_RETIRE) {
		if ((c = replace_surplus(m)) != NULL) {
			replace_retire(r, c);
			return;
		}
		replace_trust(r);
	}
	if (r->step == REPLACE_COURIER) {
		if (!r->told && m->courier->state == CHILD_READY) {
			replace_leave(r, m->courier);
			return;
		}
		/* One that is starting may be the old program, or have the old
		 * configuration; one that is down is started from the new. */
		if (!r->told && m->courier->pid != 0)
			return;
		r->step = REPLACE_WRITER;
		r->told = false;
	}
	if (r->step == REPLACE_WRITER && m->writer->state == CHILD_READY)
		replace_leave(r, m->writer);
}

void
replace_begin(struct replace *r)
{
	program_look(&r->program, r->m->exe);
	r->step = REPLACE_WORKERS;
	r->seat = 0;
	r->replaced = 0;
	replace_next(r);
}

void
replace_ready(struct replace *r, struct child *c)
{
	struct child *old;

	if (r->step == REPLACE_IDLE)
		return;
	if (c == r->fresh) {
		old = replace_holder(r, c->seat);
		r->fresh = NULL;
		c->fresh = false;
		r->replaced++;
		r->seat++;
		if (old != NULL)
			replace_retire(r, old);
		else
			replace_next(r);
	} else if (c == r->m->courier && r->step == REPLACE_COURIER) {
		r->replaced += r->told;
		replace_next(r);
	} else if (c == r->m->writer && r->step == REPLACE_WRITER) {
		if (!r->told) {
			replace_next(r);
			return;
		}
		r->replaced++;
		replace_end(r, NULL);
	}
}

/* ---- what goes wrong ---- */

/* The trial is over; whoever served the seat serves on. */
static void
replace_failed(struct replace *r, struct child *c, int wait_status)
{
	char why[REPLACE_WHY_MAX];
	struct child *old;

	if (c->other)
		(void)snprintf(why, sizeof(why),
		    "the program on disk is version %.40s (schema %u), "
		    "not " PACKAGE_VERSION " (schema %u): restart needed",
		    c->build, (unsigned)c->schema, store_schema_version());
	else if (c->killed)
		(void)snprintf(why, sizeof(why),
		    "a new worker did not become ready: see the log");
	else if (WIFSIGNALED(wait_status))
		(void)snprintf(why, sizeof(why),
		    "a new worker died of signal %d before it was ready",
		    WTERMSIG(wait_status));
	else
		(void)snprintf(why, sizeof(why),
		    "a new worker ended with status %d before it was ready",
		    WEXITSTATUS(wait_status));
	r->fresh = NULL;
	old = replace_holder(r, c->seat);
	if (old == c) {
		/* A seat that is new: its sockets have a queue. */
		c->fresh = false;
		child_start_again(c);
	} else {
		if (old->pid == 0)
			child_start_again(old);
		replace_drop(c);
	}
	replace_end(r, why);
}

bool
replace_gone(struct replace *r, struct child *c, int wait_status)
{
	bool told = c == r->leaving;

	if (told) {
		(void)event_del(r->limit);
		r->leaving = NULL;
	}
	if (c->leaving) {
		replace_drop(c);
		if (told)
			replace_next(r);
		return true;
	}
	if (c == r->fresh) {
		replace_failed(r, c, wait_status);
		return true;
	}
	/* Its successor is on the way. */
	if (r->fresh != NULL && c->role == ROLE_WORKER &&
	    c->seat == r->fresh->seat)
		return true;
	if (c == r->m->courier && r->step == REPLACE_COURIER) {
		if (!r->told)
			replace_next(r);
		else if (!told && c->ready_ms == 0)
			replace_end(r, "the courier does not start again");
	} else if (c == r->m->writer && r->step == REPLACE_WRITER) {
		if (r->told && !told && c->ready_ms == 0)
			replace_end(r, "the writer does not start again");
	}
	return false;
}

void
replace_status(const struct replace *r, struct buf *b)
{
	(void)buf_addf(b, "\"replaced\":%u,\"of\":%u", r->replaced,
	    r->m->config->workers + 2);
}
