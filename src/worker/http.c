/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server of a worker: evhttp behind a fence, and the way of a
 * request through guard, route, identity, rate, body to its handler.  Runs
 * in a worker; holds no rule of any single resource.
 */
#include <errno.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/records.h"
#include "api_args.h"
#include "cors.h"
#include "http_int.h"
#include "worker.h"

#define REPLY_MAX ((size_t)32 * 1024 * 1024)
/* No byte acknowledged for this long and the peer is taken for dead. */
#define USER_TIMEOUT_MS 60000

static struct http_request *
request_new(struct http *h, struct http_conn *c, struct evhttp_request *req)
{
	struct http_request *q = h->spare;
	struct evkeyval *kv;

	h->spare = NULL;
	if (q == NULL)
		q = mem_alloc(sizeof(*q));
	memset(q, 0, offsetof(struct http_request, extra));
	q->h = h;
	q->c = c;
	q->req = req;
	q->match.route = NULL;
	q->peer[0] = '\0';
	TAILQ_FOREACH(kv, req->input_headers, next) {
		if (q->nheaders < GUARD_HEADERS_MAX) {
			q->headers[q->nheaders].name = kv->key;
			q->headers[q->nheaders].value = kv->value;
		}
		q->nheaders++;
	}
	LIST_INSERT_HEAD(&h->requests, q, all);
	h->in_flight++;
	http_conn_handling(c, q);
	return q;
}

void
http_request_free(struct http_request *q)
{
	struct http *h = q->h;

	if (q->json != NULL)
		json_object_put(q->json);
	/* An orphan's evhttp request has nobody else. */
	if (q->c == NULL && q->req != NULL)
		evhttp_request_free(q->req);
	LIST_REMOVE(q, all);
	h->in_flight--;
	if (h->spare == NULL)
		h->spare = q;
	else
		free(q);
}

void
http_request_orphan(struct http_request *q)
{
	/* evhttp lets go of a request that it handed to us when the socket
	 * fails; in any other case it frees it with the connection. */
	if (q->req != NULL && q->req->evcon != NULL)
		q->req = NULL;
	q->c = NULL;
	q->nheaders = 0;
}

static bool
request_id_sane(const char *s)
{
	size_t len = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._:+/=-");

	return len >= 1 && len <= HTTP_REQUEST_ID_MAX && s[len] == '\0';
}

static void
request_id_set(struct http_request *q)
{
	const char *id = http_header(q, "X-Request-Id");

	if (id != NULL && request_id_sane(id))
		memcpy(q->id, id, strlen(id) + 1);
	else
		http_request_id_new(q->h, q->id);
}

static enum route_method
request_method(const struct evhttp_request *req)
{
	switch (req->type) {
	case EVHTTP_REQ_GET:
		return ROUTE_GET;
	case EVHTTP_REQ_HEAD:
		return ROUTE_HEAD;
	case EVHTTP_REQ_POST:
		return ROUTE_POST;
	case EVHTTP_REQ_PUT:
		return ROUTE_PUT;
	case EVHTTP_REQ_PATCH:
		return ROUTE_PATCH;
	case EVHTTP_REQ_DELETE:
		return ROUTE_DELETE;
	default:
		return ROUTE_OTHER;
	}
}

/* 400 for what evhttp let through; true when the request may go on. */
static bool
request_guard(struct http_request *q)
{
	struct guard_request g = {
		.major = q->req->major,
		.minor = q->req->minor,
		.bodyless = q->method == ROUTE_HEAD ||
		    (q->method == ROUTE_OTHER &&
			q->req->type != EVHTTP_REQ_OPTIONS),
		.nul = q->c->scan.nul,
		.chunks = q->c->scan.lost,
		.nheaders = q->nheaders,
		.headers = q->headers,
	};
	const char *why = guard_check(&g), *field = NULL;

	if (q->nheaders > GUARD_HEADERS_MAX)
		q->nheaders = GUARD_HEADERS_MAX;
	if (why != NULL) {
		q->close = true;
		q->linger = true;
	} else
		why = route_target_parse(&q->target, q->req->uri,
		    strlen(q->req->uri), &field);
	if (why == NULL)
		return true;
	http_error(q, OUTCOME_INVALID, field, why);
	return false;
}

/* OPTIONS by which a browser asks whether a page may send what follows. */
static bool
request_preflight(struct http_request *q)
{
	return q->req->type == EVHTTP_REQ_OPTIONS &&
	    http_header(q, "Origin") != NULL &&
	    http_header(q, "Access-Control-Request-Method") != NULL;
}

bool
http_origin_allowed(const struct http_request *q)
{
	return http_cors(q) != CORS_OTHER;
}

static bool
request_route(struct http_request *q)
{
	route_match(&q->match, &q->target, q->method);
	q->route = q->match.route;
	if (q->route != NULL)
		return true;
	if (q->match.allowed != 0 && request_preflight(q)) {
		q->preflight = http_origin_allowed(q);
		if (q->preflight)
			http_reply(q, 204, NULL);
		else
			http_error(q, OUTCOME_FORBIDDEN, NULL,
			    "This Origin is not in ALLOWED_ORIGINS.");
		return false;
	}
	http_no_route(q);
	return false;
}

static bool
request_identity(struct http_request *q)
{
	struct worker *w = q->h->w;
	const char *why = NULL, *field = NULL;
	enum outcome o = OUTCOME_OK;

	switch (q->route->identity) {
	case ROUTE_OPEN:
		return true;
	case ROUTE_ADMIN:
		o = auth_master(w->auth, http_header(q, "X-Master-Key"));
		if (o == OUTCOME_UNAUTHORIZED)
			why = "Send the operator's key, MASTER_API_KEY, in "
			      "the X-Master-Key header.";
		break;
	case ROUTE_TENANT:
	case ROUTE_USER:
	case ROUTE_BACKEND:
		o = http_identify(q, &q->caller, &field, &why);
		if (o != OUTCOME_OK)
			break;
		q->rate = auth_rate(w->auth, &q->caller);
		q->rated = true;
		if (!q->rate.allowed)
			o = OUTCOME_RATE_LIMITED;
		break;
	}
	if (o != OUTCOME_OK)
		http_error(q, o, field, why);
	return o == OUTCOME_OK;
}

static bool
media_type_json(const char *v)
{
	static const char json[] = "application/json";
	const char *charset;

	if (strncasecmp(v, json, sizeof(json) - 1) != 0)
		return false;
	v += sizeof(json) - 1;
	v += strspn(v, " \t");
	if (*v != '\0' && *v != ';')
		return false;
	charset = strcasestr(v, "charset=");
	if (charset == NULL)
		return true;
	charset += strlen("charset=");
	charset += *charset == '"';
	return strncasecmp(charset, "utf-8", 5) == 0 ||
	    strncasecmp(charset, "utf8", 4) == 0;
}

/* 415, 413. */
static bool
request_size(struct http_request *q)
{
	size_t len = evbuffer_get_length(q->req->input_buffer);
	const char *type = http_header(q, "Content-Type");
	const char *coding = http_header(q, "Content-Encoding");

	if (q->route->json != ROUTE_NO_JSON && type != NULL &&
	    !media_type_json(type)) {
		http_error(q, OUTCOME_UNSUPPORTED_MEDIA_TYPE, NULL,
		    "Send the body as application/json in UTF-8.");
		return false;
	}
	if (q->route->json != ROUTE_NO_JSON && coding != NULL &&
	    strcasecmp(coding, "identity") != 0) {
		http_error(q, OUTCOME_UNSUPPORTED_MEDIA_TYPE, NULL,
		    "Send the body without a Content-Encoding.");
		return false;
	}
	if (len > q->route->body_max) {
		http_error(q, OUTCOME_PAYLOAD_TOO_LARGE, NULL, NULL);
		return false;
	}
	return true;
}

static bool
request_body(struct http_request *q)
{
	struct evbuffer *in = q->req->input_buffer;
	size_t len = evbuffer_get_length(in);
	const char *p = len > 0 ? (char *)evbuffer_pullup(in, -1) : "";
	struct field_error err;

	if (len == 0 && q->route->json == ROUTE_JSON_OR_NONE) {
		p = "{}";
		len = 2;
	}
	if (q->route->json == ROUTE_NO_JSON ||
	    api_args_parse(q->h->tokener, p, len, &q->json, &err) == 0)
		return true;
	http_error(q, OUTCOME_INVALID, err.field, err.message);
	return false;
}

static bool
request_user(struct http_request *q)
{
	if (q->route->identity != ROUTE_USER || !q->caller.backend)
		return true;
	http_error(q, OUTCOME_INVALID, "X-User-Id",
	    "This is done by a user: name him in the X-User-Id header.");
	return false;
}

static void
http_on_request(struct evhttp_request *req, void *arg)
{
	struct http *h = arg;
	struct http_conn *c = http_conn_find(h, req);
	struct http_request *q;

	if (c == NULL) {
		evhttp_connection_free(evhttp_request_get_connection(req));
		return;
	}
	/* Refused by its headers already, at the end of this turn. */
	if (c->phase == HTTP_FAILED)
		return;
	q = request_new(h, c, req);
	q->method = request_method(req);
	request_id_set(q);
	if (request_guard(q) && request_route(q) && request_identity(q) &&
	    request_size(q) && request_user(q) && request_body(q))
		q->route->handler(q);
}

/* Accepted sockets inherit these. */
static void
listener_options(int fd)
{
	int on = 1, dead = USER_TIMEOUT_MS;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead,
		sizeof(dead)) == -1)
		log_warn("cannot set socket options", "err=%d", errno);
}

/* evhttp with our limits, of a kind of listener. */
static struct evhttp *
http_server(struct http *h, uint8_t kind)
{
	struct http_gate *gate = &h->gates[kind];
	bool tls = (kind & LISTENER_TLS) != 0;
	struct evhttp *e;

	if (gate->evhttp != NULL || (tls && h->w->tls == NULL))
		return gate->evhttp;
	e = evhttp_new(h->w->base);
	if (e == NULL)
		return NULL;
	gate->h = h;
	gate->kind = kind;
	gate->evhttp = e;
	evhttp_set_bevcb(e, tls ? http_tls_bufferevent : http_conn_bufferevent,
	    gate);
	evhttp_set_gencb(e, http_on_request, h);
	evhttp_set_max_headers_size(e, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(e, HTTP_BODY_MAX);
	evhttp_set_timeout(e, HTTP_IDLE_S);
	/* Our router answers to all methods, unknown ones too. */
	evhttp_set_allowed_methods(e, UINT16_MAX);
	evhttp_set_flags(e, EVHTTP_SERVER_LINGERING_CLOSE);
	return e;
}

static int
http_listen(struct http *h, int fd, uint8_t kind)
{
	struct evhttp *e = http_server(h, kind);
	struct evconnlistener *l;

	if (e == NULL)
		return -1;

	if ((kind & LISTENER_KEPT) != 0)
		h->kept = true;
	if ((kind & LISTENER_UNIX) == 0)
		listener_options(fd);
	l = evconnlistener_new(h->w->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0,
	    fd);
	if (l == NULL)
		return -1;
	if (evhttp_bind_listener(e, l) == NULL) {
		evconnlistener_free(l);
		return -1;
	}
	evconnlistener_set_error_cb(l, http_accept_failed);
	h->listeners[h->nlisteners++] = l;
	return 0;
}

struct http *
http_new(struct worker *w, const int *fds, const uint8_t *kinds, unsigned nfds)
{
	struct http *h = mem_alloc(sizeof(*h));

	h->w = w;
	h->devnull = -1;
	LIST_INIT(&h->requests);
	buf_init(&h->body, REPLY_MAX);
	buf_init(&h->head, 8192);
	h->tokener = api_args_tokener();
	http_trust(h);
	if (http_conn_init(h) == -1 || h->tokener == NULL)
		goto fail;
	for (unsigned i = 0; i < nfds && i < HTTP_LISTENERS_MAX; i++)
		if (http_listen(h, fds[i], kinds[i]) == -1)
			goto fail;
	return h;
fail:
	log_error("cannot start the HTTP server", "err=%d", errno);
	http_free(h);
	return NULL;
}

void
http_free(struct http *h)
{
	struct http_request *q;

	if (h == NULL)
		return;
	http_conn_adopt(h);
	for (unsigned i = 0; i <= LISTENER_MAX; i++)
		if (h->gates[i].evhttp != NULL)
			evhttp_free(h->gates[i].evhttp);
	while ((q = LIST_FIRST(&h->requests)) != NULL)
		http_request_free(q);
	http_conn_done(h);
	if (h->tokener != NULL)
		json_tokener_free(h->tokener);
	buf_free(&h->body);
	buf_free(&h->head);
	free(h->spare);
	free(h);
}

unsigned
http_in_flight(const struct http *h)
{
	return h->in_flight;
}

struct worker *
http_worker(const struct http_request *q)
{
	return q->h->w;
}

const struct caller *
http_caller(const struct http_request *q)
{
	return &q->caller;
}

const char *
http_request_id(const struct http_request *q)
{
	return q->id;
}

struct str
http_param(const struct http_request *q, unsigned i)
{
	struct str none = { "", 0 };

	return i < q->match.nparams ? q->match.params[i] : none;
}

const char *
http_query(const struct http_request *q, const char *name)
{
	return route_target_query(&q->target, name);
}

const char *
http_header(const struct http_request *q, const char *name)
{
	size_t n = q->nheaders < GUARD_HEADERS_MAX ? q->nheaders :
						     GUARD_HEADERS_MAX;

	return guard_header(q->headers, n, name);
}

struct json_object *
http_json(const struct http_request *q)
{
	return q->json;
}

void *
http_scratch(struct http_request *q, size_t size)
{
	if (size > sizeof(q->scratch))
		abort();
	return memset(q->scratch, 0, size);
}

void *
http_scratch_get(struct http_request *q)
{
	return q->scratch;
}

struct buf *
http_body(struct http_request *q)
{
	buf_clear(&q->h->body);
	return &q->h->body;
}

bool
http_is_upgradable(const struct http_request *q)
{
	return q->method == ROUTE_GET && q->req->minor >= 1;
}

int
http_take_over(struct http_request *q, struct ws_socket *s, struct buf *early)
{
	struct http_conn *c = q->c;
	struct evbuffer *in;
	size_t len;
	int rc = -1;

	if (c != NULL) {
		in = bufferevent_get_input(c->bev);
		len = evbuffer_get_length(in);
		if (len > 0) {
			char *p = buf_reserve(early, len);

			if (p != NULL) {
				evbuffer_remove(in, p, len);
				buf_added(early, len);
			}
		}
		rc = http_conn_release(c, s);
	}
	http_request_free(q);
	return rc;
}
