/* SPDX-License-Identifier: MIT */
/* The order in which the master takes the server down. */
#include "drain.h"

#include <event2/event.h>
#include <stdbool.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/log.h"
#include "child.h"
#include "control.h"
#include "listen.h"
#include "master.h"
#include "notify.h"
#include "replace.h"

/* What the writer gets for its last commit and checkpoint, however little
 * the workers have left of the time. */
#define DRAIN_WRITER_MIN_MS 2000

static bool
drain_clients_gone(const struct master *m)
{
	struct child *c;

	if (m->courier->pid != 0)
		return false;
	CHILD_FOREACH_WORKER(c, m)
		if (c->pid != 0)
			return false;
	return true;
}

static void
drain_kill(struct master *m, bool writer, const char *why)
{
	struct child *c;

	CHILD_FOREACH_WORKER(c, m)
		child_kill(c, why);
	child_kill(m->courier, why);
	if (writer)
		child_kill(m->writer, why);
}

static void
drain_set_limit(struct master *m, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };

	(void)event_add(m->limit, &tv);
}

/* Those who need the writer are told a little less, so that they end by themselves. */
static void
drain_workers(struct master *m)
{
	uint64_t all = m->config->drain_timeout_ms;
	uint64_t spare = all / 10 < 500 ? all / 10 : 500;
	struct child *c;

	m->phase = MASTER_DRAINING;
	drain_set_limit(m, all);
	CHILD_FOREACH_WORKER(c, m)
		child_drain(c, all - spare);
	child_drain(m->courier, all - spare);
	drain_step(m);
}

static void
drain_writer(struct master *m)
{
	uint64_t ms = DRAIN_WRITER_MIN_MS;
	struct timeval left, now;

	m->phase = MASTER_STOPPING;
	if (event_pending(m->limit, EV_TIMEOUT, &left)) {
		(void)event_base_gettimeofday_cached(m->base, &now);
		evutil_timersub(&left, &now, &left);
		if (left.tv_sec >= DRAIN_WRITER_MIN_MS / 1000)
			ms = (uint64_t)left.tv_sec * 1000;
	}
	drain_set_limit(m, ms);
	child_drain(m->writer, ms);
}

void
drain_begin(struct master *m, const char *why)
{
	if (m->phase != MASTER_STARTING && m->phase != MASTER_SERVING) {
		log_warn("stopping at once", "signal=%s", why);
		drain_kill(m, true, "told to stop at once");
		return;
	}
	log_info("draining", "signal=%s timeout_ms=%llu", why,
	    (unsigned long long)m->config->drain_timeout_ms);
	notify_stopping(m->config->drain_timeout_ms + DRAIN_WRITER_MIN_MS);
	control_stop(m->control);
	replace_abort(m->replace);
	/* New clients are refused rather than left in a queue that nobody
	 * will serve; the workers have their own descriptors. */
	listeners_close(m->listeners);
	drain_workers(m);
}

void
drain_fail(struct master *m)
{
	if (m->phase != MASTER_FAILED) {
		m->phase = MASTER_FAILED;
		m->status = 1;
		drain_kill(m, true, "the server cannot start");
	}
	drain_step(m);
}

void
drain_step(struct master *m)
{
	if (m->phase == MASTER_STARTING || m->phase == MASTER_SERVING ||
	    !drain_clients_gone(m))
		return;
	if (m->phase == MASTER_DRAINING)
		drain_writer(m);
	if (m->writer->pid == 0)
		(void)event_base_loopbreak(m->base);
}

void
drain_on_limit(int fd, short what, void *arg)
{
	struct master *m = arg;

	(void)fd;
	(void)what;
	drain_kill(m, m->phase == MASTER_STOPPING, "not done in time");
}
