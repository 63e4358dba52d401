/* SPDX-License-Identifier: MIT */
/*
 * POST requests to endpoints that tenants have named: libcurl is fenced in
 * here.  No redirect is followed, no proxy used, no cookie kept; what an
 * endpoint answers is read to a bound and thrown away.
 */
#ifndef COURIER_POST_H
#define COURIER_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct event_base;
struct post;
struct poster;

#define POST_ERROR_SIZE 201
#define POST_CONNECT_MS 5000
#define POST_WHOLE_MS 15000
#define POST_BODY_MAX 8192  /* of the answer; it is cut there */
#define POST_HEAD_MAX 16384 /* of the answer; more is a failure */
#define POST_ADDRESS_SIZE 64

struct post_result {
	bool success;                /* status 2xx */
	uint64_t retry_after_s;      /* 0 = not said; no bound */
	char error[POST_ERROR_SIZE]; /* when it was none: what went wrong */
	/* For the operator alone: the address that was refused, or "".  The
	 * tenant must not learn where a name leads inside. */
	char address[POST_ADDRESS_SIZE];
};
/* The post is gone when it returns. */
typedef void post_cb(const struct post_result *r, void *arg);

/* allow_private: also to addresses that are not public. */
struct poster *poster_new(struct event_base *base, bool allow_private);
/* Ends what is under way; no callback is called. */
void poster_free(struct poster *p);
/* Requests under way. */
unsigned poster_active(const struct poster *p);

/*
 * Sends what `body` holds (taken, left empty) with `n` header lines (copied).
 * NULL when it could not be begun; the callback is then not called.
 */
struct post *post_start(struct poster *p, const char *url,
    const char *const *headers, unsigned n, struct buf *body, post_cb *cb,
    void *arg);

#endif
