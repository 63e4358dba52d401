/* SPDX-License-Identifier: MIT */
/*
 * Who is at the other end of a request, and as what server he sees us: with
 * a trusted proxy in between as that says, else as the connection shows.
 * Runs in a worker; answers nothing.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "forwarded.h"
#include "http_int.h"
#include "worker.h"

void
http_trust(struct http *h)
{
	/* config_load() has let it through. */
	if (addr_nets_parse(&h->proxies, h->w->config.trusted_proxies) == -1)
		memset(&h->proxies, 0, sizeof(h->proxies));
}

/* The peer of the connection itself. */
static const char *
direct_peer(const struct http_request *q)
{
	if (q->c != NULL && q->c->unix_socket)
		return "unix";
	return q->req != NULL && q->req->remote_host != NULL ?
	    q->req->remote_host :
	    "-";
}

static bool
by_proxy(const struct http_request *q)
{
	return q->c != NULL &&
	    forwarded_trusted(&q->h->proxies, direct_peer(q),
		q->c->unix_socket);
}

static size_t
header_count(const struct http_request *q)
{
	return q->nheaders < GUARD_HEADERS_MAX ? q->nheaders :
						 GUARD_HEADERS_MAX;
}

const char *
http_peer(struct http_request *q)
{
	if (q->peer[0] != '\0')
		return q->peer;
	if (by_proxy(q))
		forwarded_for(&q->h->proxies, q->headers, header_count(q),
		    direct_peer(q), q->peer);
	else
		(void)snprintf(q->peer, sizeof(q->peer), "%s", direct_peer(q));
	return q->peer;
}

/* "https" or "http"; NULL when a proxy may have changed it. */
static const char *
request_scheme(const struct http_request *q)
{
	const char *said;

	if (q->c != NULL && q->c->ssl != NULL)
		said = "https";
	else
		said = NULL;
	if (by_proxy(q)) {
		const char *v = forwarded_one(q->headers, header_count(q),
		    "X-Forwarded-Proto");

		if (v != NULL && strcasecmp(v, "https") == 0)
			said = "https";
		else if (v != NULL && strcasecmp(v, "http") == 0)
			said = "http";
	}
	return said;
}

static const char *
request_host(const struct http_request *q)
{
	const char *said = NULL;

	if (by_proxy(q))
		said = forwarded_one(q->headers, header_count(q),
		    "X-Forwarded-Host");
	return said != NULL ? said : http_header(q, "Host");
}

enum cors_verdict
http_cors(const struct http_request *q)
{
	const char *origin = http_header(q, "Origin");

	/* Most requests are no browser's. */
	if (origin == NULL)
		return CORS_NONE;
	return cors_check(q->h->w->config.allowed_origins, origin,
	    request_scheme(q), request_host(q));
}
