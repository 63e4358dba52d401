/* SPDX-License-Identifier: MIT */
/*
 * HTTPS: evhttp's connections over TLS, and the way of a session out of
 * libevent.  Runs in a worker; reads no request.
 */
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "../common/mem.h"
#include "http_int.h"
#include "tls.h"
#include "worker.h"

/* A session that libevent may still look at until the end of the turn. */
struct http_dead {
	SLIST_ENTRY(http_dead) all;
	SSL *ssl;
};

struct bufferevent *
http_tls_bufferevent(struct event_base *base, void *arg)
{
	struct http_gate *gate = arg;
	SSL *ssl = tls_session(gate->h->w->tls);
	struct bufferevent *bev;

	/* Given nothing, evhttp would speak plain HTTP here. */
	if (ssl == NULL)
		abort();
	/* Without an option that would make libevent free the session and
	 * close its socket: both may go on without it. */
	bev = bufferevent_openssl_socket_new(base, -1, ssl,
	    BUFFEREVENT_SSL_ACCEPTING, 0);
	if (bev == NULL)
		abort();
	http_conn_new(gate, bev, ssl);
	return bev;
}

void
http_tls_bury(struct http *h, struct ssl_st *ssl)
{
	struct http_dead *d = mem_alloc(sizeof(*d));

	ERR_clear_error();
	if (!SSL_in_init(ssl))
		(void)SSL_shutdown(ssl);
	ERR_clear_error();
	d->ssl = ssl;
	SLIST_INSERT_HEAD(&h->dead, d, all);
	event_active(h->dead_ev, EV_TIMEOUT, 0);
}

static void
tls_dead_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct http_dead *d;

	(void)fd;
	(void)what;
	while ((d = SLIST_FIRST(&h->dead)) != NULL) {
		SLIST_REMOVE_HEAD(&h->dead, all);
		SSL_free(d->ssl);
		free(d);
	}
}

int
http_tls_init(struct http *h)
{
	SLIST_INIT(&h->dead);
	h->dead_ev = event_new(h->w->base, -1, 0, tls_dead_cb, h);
	return h->dead_ev == NULL ? -1 : 0;
}

void
http_tls_done(struct http *h)
{
	if (h->dead_ev == NULL)
		return;
	tls_dead_cb(-1, 0, h);
	event_free(h->dead_ev);
}
