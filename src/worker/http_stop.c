/* SPDX-License-Identifier: MIT */
/*
 * How the HTTP server of a worker comes to its end.  Runs in a worker that
 * drains.  When another worker or a service manager has the sockets there is no
 * hurry: who has just connected, or is between two requests, gets the time to
 * send one.  To hang up on him would be the only sign of a restart.
 */
#include <event2/listener.h>

#include "../common/clock.h"
#include "http_int.h"

/* A client that sends nothing for this long is not about to. */
#define STOP_IDLE_MS 1000
/* Nor is one worth waiting for whose request is not whole by then. */
#define STOP_BUSY_MS 4000

/* What is left of the time is for those who wait for the writer. */
static uint64_t
stop_within(uint64_t ms, uint64_t timeout_ms)
{
	return ms < timeout_ms / 2 ? ms : timeout_ms / 2;
}

void
http_stop_accepting(struct http *h, bool gently, uint64_t timeout_ms)
{
	uint64_t now = clock_mono_ms();

	h->stopping = true;
	for (unsigned i = 0; i < h->nlisteners; i++) {
		evconnlistener_disable(h->listeners[i]);
		/* Without a callback a late accept_resume() does nothing. */
		evconnlistener_set_cb(h->listeners[i], NULL, NULL);
	}
	if (gently || h->kept) {
		h->idle_until_ms = now + stop_within(STOP_IDLE_MS, timeout_ms);
		h->busy_until_ms = now + stop_within(STOP_BUSY_MS, timeout_ms);
	} else
		http_conn_close_idle(h);
}

bool
http_lingers(const struct http *h)
{
	uint64_t now = clock_mono_ms();
	unsigned idle, busy;

	if (now >= h->busy_until_ms)
		return false;
	http_conn_count(h, &idle, &busy);
	return busy > 0 || (idle > 0 && now < h->idle_until_ms);
}
