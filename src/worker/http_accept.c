/* SPDX-License-Identifier: MIT */
/*
 * When a worker takes new connections and when it leaves them in the queue.
 * Keeps some file descriptors for what the master sends: without one for the
 * link to a new writer, or for a new certificate, the worker could not go on.
 */
#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/page.h"
#include "http_int.h"
#include "worker.h"

#define ACCEPT_PAUSE_S 1
/* At one wake-up: the others get theirs, from a queue that all workers share
 * as well as from the loop. */
#define ACCEPT_AT_ONCE 8
/* Of these ACCEPT_AT_ONCE may be taken, and one for each handshake. */
#define ACCEPT_RESERVE 32

static const struct timeval accept_pause = { ACCEPT_PAUSE_S, 0 };

/* The first descriptor of the reserve.  The limit may be raised from outside
 * while we run. */
static int
accept_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur > INT_MAX)
		return INT_MAX;
	if (rl.rlim_cur < 2 * ACCEPT_RESERVE)
		return (int)rl.rlim_cur;
	return (int)rl.rlim_cur - ACCEPT_RESERVE;
}

static void
accept_enable(struct http *h, bool on)
{
	for (unsigned i = 0; i < h->nlisteners; i++)
		if (on)
			evconnlistener_enable(h->listeners[i]);
		else
			evconnlistener_disable(h->listeners[i]);
}

/* The next one that would be given out is of the reserve. */
static bool
accept_full(const struct http *h)
{
	int fd = fcntl(h->devnull, F_DUPFD_CLOEXEC, 3);

	if (fd == -1)
		return true;
	(void)close(fd);
	return fd >= h->fd_max;
}

static void
accept_wait(struct http *h)
{
	page_add(h->w->page, h->w->page_slot, COUNTER_ACCEPT_PAUSES, 1);
	(void)event_add(h->accept_ev, &accept_pause);
}

void
http_accept_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;

	(void)fd;
	(void)what;
	if (h->stopping)
		return;
	h->fd_max = accept_limit();
	if (accept_full(h)) {
		accept_wait(h);
		return;
	}
	h->full = false;
	log_info("accepting again", NULL);
	accept_enable(h, true);
}

void
http_accept_limit(struct http *h)
{
	h->fd_max = accept_limit();
}

void
http_accept_took(struct http *h, int fd)
{
	if (fd < h->fd_max || h->full || h->stopping)
		return;
	h->fd_max = accept_limit();
	if (!accept_full(h))
		return;
	log_warn("file descriptors used up, accepting no more", "limit=%d",
	    h->fd_max);
	h->full = true;
	accept_enable(h, false);
	accept_wait(h);
}

static void
accept_failed_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(arg);
}

/* The system has none left, or no memory. */
void
http_accept_failed(struct evconnlistener *l, void *arg)
{
	(void)arg;
	log_warn("cannot accept, pausing", "err=%d", errno);
	evconnlistener_disable(l);
	event_base_once(evconnlistener_get_base(l), -1, EV_TIMEOUT,
	    accept_failed_resume, l, &accept_pause);
}

void
http_accepted(struct http *h)
{
	if (++h->accepted == ACCEPT_AT_ONCE)
		accept_enable(h, false);
}

void
http_accepted_all(struct http *h)
{
	bool held = h->accepted >= ACCEPT_AT_ONCE;

	h->accepted = 0;
	if (held && !h->stopping && !h->full)
		accept_enable(h, true);
}
