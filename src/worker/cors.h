/* SPDX-License-Identifier: MIT */
/*
 * Which pages of other origins may read what: ALLOWED_ORIGINS, for CORS (the
 * Fetch standard) and for the opening of a WebSocket.  Pure.
 */
#ifndef WORKER_CORS_H
#define WORKER_CORS_H

#include <stdbool.h>

struct buf;

enum cors_verdict {
	CORS_NONE,   /* no Origin: no browser asks */
	CORS_OTHER,  /* an origin that is not allowed */
	CORS_ANY,    /* allowed because everything is ("*") */
	CORS_LISTED, /* in the list */
	CORS_OWN     /* the server's own; with no list only this one is */
};

/*
 * list as configured (NULL or empty = none), the request's Origin and Host
 * (NULL = absent) and the scheme by which the client came (NULL = not
 * known).
 */
enum cors_verdict cors_check(const char *list, const char *origin,
    const char *scheme, const char *host);

/* Header lines of an answer to that origin; none for NONE. */
void cors_headers(struct buf *b, enum cors_verdict v, const char *origin);
/* The further lines of the answer to a preflight, which names its methods. */
void cors_preflight(struct buf *b, const char *methods);

#endif
