/* SPDX-License-Identifier: MIT */
/*
 * What http.c, http_conn.c and http_reply.c share behind http.h.  No other
 * file includes this one.
 */
#ifndef WORKER_HTTP_INT_H
#define WORKER_HTTP_INT_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <sys/queue.h>

#include "../common/addr_nets.h"
#include "../common/records.h"
#include "cors.h"
#include "guard.h"
#include "http.h"
#include "http_scan.h"
#include "route.h"

struct evconnlistener;
struct json_tokener;
struct ssl_st;
struct ws_socket;

#define HTTP_HEADERS_MAX (8 * 1024)
#define HTTP_BODY_MAX (1024 * 1024)
/* Most bytes of one request that wait unparsed. */
#define HTTP_INPUT_MAX (HTTP_BODY_MAX + 2 * HTTP_HEADERS_MAX)
#define HTTP_MARK_FROM (64 * 1024)
#define HTTP_HEADERS_MS 15000
#define HTTP_BODY_MS 60000
#define HTTP_IDLE_S 75
#define HTTP_REQUEST_ID_MAX 128
#define HTTP_LISTENERS_MAX LISTENERS_MAX

/* What a connection is doing, for its deadline. */
enum http_phase {
	HTTP_IDLE,     /* between requests */
	HTTP_HEADERS,  /* some bytes of a request came */
	HTTP_BODY,     /* its blank line came */
	HTTP_HANDLING, /* the handler has it */
	HTTP_WRITING,  /* the answer waits for the socket */
	HTTP_FAILED    /* evhttp refused it: our answer is due */
};

TAILQ_HEAD(http_conns, http_conn);

/* A kind of listener; its evhttp tells us from which it accepted. */
struct http_gate {
	struct http *h;
	struct evhttp *evhttp; /* NULL = none is of this kind */
	uint8_t kind;          /* LISTENER_… */
};

struct http_conn {
	TAILQ_ENTRY(http_conn) all;   /* or in h->fresh until adopted */
	TAILQ_ENTRY(http_conn) timed; /* in h->timed or h->failed */
	struct http *h;
	struct bufferevent *bev;
	struct ssl_st *ssl;              /* NULL = plain */
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct http_request *request;    /* not answered yet; or NULL */
	struct evbuffer_cb_entry *input_cb, *output_cb;
	uint64_t since_ms; /* when the phase began */
	int fd;
	int failed_status;    /* of the page evhttp wrote */
	struct event *anchor; /* see conn_anchor() */
	struct http_scan scan;
	uint8_t phase; /* enum http_phase */
	bool adopted;
	bool unix_socket;
	bool marked;   /* has a read watermark */
	bool anchored; /* the anchor is in place */
	bool fresh;    /* bytes were read since the anchor looked */
};

TAILQ_HEAD(http_lingers, http_linger);
SLIST_HEAD(http_deads, http_dead);

struct http {
	struct worker *w;
	struct http_gate gates[LISTENER_MAX + 1];
	struct addr_nets proxies; /* TRUSTED_PROXIES */
	struct evconnlistener *listeners[HTTP_LISTENERS_MAX];
	unsigned nlisteners;
	unsigned accepted; /* in this turn of the loop */
	int fd_max;        /* from it on descriptors are not for clients */
	bool full;         /* there are none below it */
	struct event *accept_ev;
	struct http_conns conns;
	struct http_conns fresh;  /* accepted in this turn of the loop */
	struct http_conns timed;  /* within headers or body */
	struct http_conns failed; /* whose answer is due */
	struct http_conn **by_fd;
	size_t by_fd_size;
	struct event *adopt_ev;
	struct event *fail_ev;
	struct event *janitor_ev;
	struct http_lingers lingers;
	unsigned nlingers;
	struct http_deads dead;
	struct event *dead_ev;
	int devnull;
	bool stopping;
	bool kept; /* others will take from our sockets, or we anew */
	uint64_t idle_until_ms; /* of a gentle stop, see http_stop.c */
	uint64_t busy_until_ms;
	unsigned in_flight;
	struct json_tokener *tokener;
	struct buf body; /* see http_body() */
	struct buf head; /* of the answer under construction */
	LIST_HEAD(, http_request) requests; /* not answered yet */
	struct http_request *spare;         /* one kept for the next request */
	uint64_t id_prefix;
	uint64_t id_next;
	int64_t date_s; /* second that `date` shows */
	char date[40];
};

#define HTTP_SCRATCH 512
#define HTTP_EXTRA 256

struct http_request {
	LIST_ENTRY(http_request) all;
	struct http *h;
	struct http_conn *c; /* NULL: the connection broke meanwhile */
	struct evhttp_request *req;
	const struct route *route;
	const char *type; /* of the answer's body; NULL = JSON */
	const char *head; /* see http_set_head(); or NULL */
	enum route_method method;
	bool close;     /* the connection ends with the answer */
	bool linger;    /* and what still comes is thrown away */
	bool rated;     /* `rate` is set */
	bool preflight; /* answer what a page may send */
	struct rate_result rate;
	struct caller caller;
	struct json_object *json;
	size_t nheaders;
	size_t extra_len;
	char id[HTTP_REQUEST_ID_MAX + 1];
	char peer[ADDR_TEXT];   /* see http_peer() */
	char extra[HTTP_EXTRA]; /* header lines of the answer */
	struct route_match match;
	struct guard_header headers[GUARD_HEADERS_MAX];
	struct route_target target;
	_Alignas(16) unsigned char scratch[HTTP_SCRATCH];
};

/* ---- http_conn.c ---- */
int http_conn_init(struct http *h);
void http_conn_done(struct http *h);
/* evhttp's evhttp_set_bevcb(); the argument is the gate. */
struct bufferevent *http_conn_bufferevent(struct event_base *base, void *arg);
/* Takes note of a connection for which evhttp is just being given bev; ssl
 * as in the struct, taken. */
void http_conn_new(const struct http_gate *gate, struct bufferevent *bev,
    struct ssl_st *ssl);
struct http_conn *http_conn_find(struct http *h, struct evhttp_request *req);
/* The handler has the request from here on. */
void http_conn_handling(struct http_conn *c, struct http_request *q);
/* The answer is being written by evhttp; what follows is done by itself. */
void http_conn_writing(struct http_conn *c);
/* The answer is out: ready for the next request. */
void http_conn_next(struct http_conn *c);
/* Closes it, with the evhttp connection. */
void http_conn_close(struct http_conn *c);
/* Gives it up; the socket, renumbered, is the caller's; -1 when there is none
 * left (the connection is closed then). */
int http_conn_release(struct http_conn *c, struct ws_socket *s)
    __attribute__((warn_unused_result));
/*
 * Answers with the bytes given and closes for sending, but goes on reading
 * for a moment so that the peer gets the answer and no reset.  Frees c.
 */
void http_conn_linger(struct http_conn *c, const void *head, size_t head_len,
    const void *body, size_t body_len);
/* Ties the connections accepted in this turn to evhttp's. */
void http_conn_adopt(struct http *h);
/* Drain: closes those that are idle. */
void http_conn_close_idle(struct http *h);
/* Connections on which nothing is under way, or something is. */
void http_conn_count(const struct http *h, unsigned *idle, unsigned *busy);

/* ---- http_tls.c ---- */
int http_tls_init(struct http *h);
void http_tls_done(struct http *h);
/* evhttp's evhttp_set_bevcb() for HTTPS. */
struct bufferevent *http_tls_bufferevent(struct event_base *base, void *arg);
/* Ends a session, before its socket is closed; frees it later. */
void http_tls_bury(struct http *h, struct ssl_st *ssl);

/* ---- http_reply.c ---- */
/* The answer to a request that evhttp refused, as bytes in h->head; origin
 * as it was sent, "" = none. */
void http_reply_failed(struct http *h, bool too_long, const char *origin);
/* 404 or 405 for a request that no route takes. */
void http_no_route(struct http_request *q);
/* An id for a request that came without a sane one. */
void http_request_id_new(struct http *h, char out[HTTP_REQUEST_ID_MAX + 1]);

/* ---- http_forwarded.c ---- */
/* What ALLOWED_ORIGINS says to the request's Origin. */
enum cors_verdict http_cors(const struct http_request *q);

/* ---- http_accept.c ---- */
/* Reads how many descriptors there may be; before the first is accepted. */
void http_accept_limit(struct http *h);
/* One more was accepted in this turn; which descriptor it has; the turn is
 * over. */
void http_accepted(struct http *h);
void http_accept_took(struct http *h, int fd);
void http_accepted_all(struct http *h);
/* Callbacks of a listener's failure, and of h->accept_ev. */
void http_accept_failed(struct evconnlistener *l, void *arg);
void http_accept_resume(evutil_socket_t fd, short what, void *arg);

/* ---- http.c ---- */
void http_request_free(struct http_request *q);
/* Its connection is going away before the answer. */
void http_request_orphan(struct http_request *q);

#endif
