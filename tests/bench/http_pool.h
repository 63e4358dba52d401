/* SPDX-License-Identifier: MIT */
/* Keep-alive HTTP/1.1 connections on one epoll, one request each at a time. */
#ifndef BENCH_HTTP_POOL_H
#define BENCH_HTTP_POOL_H

#include <stddef.h>
#include <stdint.h>

struct http_client {
	struct http_pool *pool;
	int fd;
	unsigned number;
	size_t in_len;
	char *in; /* HTTP_ANSWER_MAX bytes */
	uint64_t sent_at;
};

#define HTTP_ANSWER_MAX (256 * 1024)
#define HTTP_REQUEST_MAX (64 * 1024)

/* Writes the client's next request; returns its size, 0 = no more. */
typedef size_t http_request_cb(struct http_client *c,
    char out[HTTP_REQUEST_MAX]);
/* A whole answer came. */
typedef void http_answer_cb(struct http_client *c, int status, const char *body,
    size_t len);

struct http_pool {
	struct http_client *client;
	unsigned n;
	unsigned waiting; /* requests without an answer */
	unsigned broken;  /* connections that failed */
	int ep;
	http_request_cb *request;
	http_answer_cb *answer;
	void *arg;
	uint64_t now;
	char *scratch;
};

/* Connects all; 0, or -1 after a complaint. */
int http_pool_init(struct http_pool *p, unsigned port, unsigned n,
    http_request_cb *request, http_answer_cb *answer, void *arg);
void http_pool_free(struct http_pool *p);
/* The first request of every connection. */
void http_pool_start(struct http_pool *p);
/* One turn; each answer is followed by the connection's next request. */
void http_pool_turn(struct http_pool *p, int timeout_ms);

#endif
