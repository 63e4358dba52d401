/* SPDX-License-Identifier: MIT */
/*
 * Turns signals into calls.  Runs in the master; nothing here runs inside a
 * signal handler.
 */
#include "signals.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../common/config.h"
#include "../common/mem.h"
#include "child.h"
#include "drain.h"
#include "master.h"
#include "reload.h"

#define SIGNALS_N 4

struct signals {
	struct event *events[SIGNALS_N];
};

static struct child *
signals_find(struct master *m, pid_t pid)
{
	struct child *c;

	if (m->writer->pid == pid)
		return m->writer;
	CHILD_FOREACH_WORKER(c, m)
		if (c->pid == pid)
			return c;
	return m->courier->pid == pid ? m->courier : NULL;
}

static void
signals_on_child(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;
	struct child *c;
	int wait_status;
	pid_t pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		if ((c = signals_find(m, pid)) != NULL)
			child_reaped(c, wait_status);
}

static void
signals_on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	drain_begin(arg, sig == SIGINT ? "SIGINT" : "SIGTERM");
}

static void
signals_on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	(void)sig;
	(void)what;
	reload_begin(m->reload);
}

struct signals *
signals_new(struct master *m)
{
	static const struct {
		int sig;
		event_callback_fn fn;
	} table[SIGNALS_N] = {
		{ SIGCHLD, signals_on_child },
		{ SIGTERM, signals_on_stop },
		{ SIGINT, signals_on_stop },
		{ SIGHUP, signals_on_hup },
	};
	struct signals *s = mem_alloc(sizeof(*s));

	for (int i = 0; i < SIGNALS_N; i++) {
		s->events[i] = evsignal_new(m->base, table[i].sig, table[i].fn,
		    m);
		if (s->events[i] == NULL || event_add(s->events[i], NULL) == -1)
			abort();
	}
	return s;
}

void
signals_free(struct signals *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < SIGNALS_N; i++)
		event_free(s->events[i]);
	free(s);
}
