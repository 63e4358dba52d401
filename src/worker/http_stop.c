/* SPDX-License-Identifier: MIT */
/*
 * How the HTTP server of a worker comes to its end.  Runs in a worker that
 * drains.  When another worker has the sockets there is no hurry: who has
 * just connected, or is between two requests, gets the time to send one.
 */
#include <event2/listener.h>

#include "../common/clock.h"
#include "http_int.h"

/* A client that sends nothing for this long is not about to. */
#define STOP_IDLE_MS 1000
/* Nor is one worth waiting for whose request is not whole by then. */
#define STOP_BUSY_MS 4000

void
http_stop_accepting(struct http *h, bool gently)
{
	uint64_t now = clock_mono_ms();

	h->stopping = true;
	for (unsigned i = 0; i < h->nlisteners; i++) {
		evconnlistener_disable(h->listeners[i]);
		/* Without a callback a late accept_resume() does nothing. */
		evconnlistener_set_cb(h->listeners[i], NULL, NULL);
	}
	if (gently) {
		h->idle_until_ms = now + STOP_IDLE_MS;
		h->busy_until_ms = now + STOP_BUSY_MS;
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
