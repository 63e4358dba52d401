/* SPDX-License-Identifier: MIT */
/*
 * Answers: status line, headers and body in one write, past evhttp, which is
 * only told that the answer is complete.  Runs in a worker.
 */
#include <errno.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "../common/clock.h"
#include "../common/json_text.h"
#include "../common/log.h"
#include "../common/page.h"
#include "cors.h"
#include "http_int.h"
#include "worker.h"

#define RETRY_AFTER "1"
/* A body with more memory than this gives it back after the answer. */
#define BODY_KEEP ((size_t)64 * 1024)
/* Plain bytes of one TLS record. */
#define TLS_RECORD ((size_t)16384)

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
};

static const char *
reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

static void
hex_put(char *out, uint64_t v, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		out[i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

void
http_request_id_new(struct http *h, char out[HTTP_REQUEST_ID_MAX + 1])
{
	if (h->id_prefix == 0)
		randombytes_buf(&h->id_prefix, sizeof(h->id_prefix));
	memcpy(out, "req_", 4);
	hex_put(out + 4, h->id_prefix, 16);
	hex_put(out + 20, ++h->id_next, 8);
	out[28] = '\0';
}

/* RFC 9110 section 5.6.7; made anew once a second. */
static const char *
date_now(struct http *h)
{
	int64_t now = clock_unix_ms() / 1000;

	if (now != h->date_s) {
		time_t t = (time_t)now;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(h->date, sizeof(h->date), "%a, %d %b %Y %H:%M:%S GMT",
		    &tm);
		h->date_s = now;
	}
	return h->date;
}

static void
head_start(struct http *h, int status, const char *type, size_t body_len,
    const char *lines, const char *id)
{
	struct buf *b = &h->head;

	buf_clear(b);
	buf_adds(b, "HTTP/1.1 ");
	buf_add_u64(b, (uint64_t)status);
	buf_adds(b, " ");
	buf_adds(b, reason_of(status));
	buf_adds(b, "\r\nDate: ");
	buf_adds(b, date_now(h));
	if (status != 204 && status != 304) {
		if (status != 308) {
			buf_adds(b, "\r\nContent-Type: ");
			buf_adds(b, type != NULL ? type : "application/json");
		}
		buf_adds(b, "\r\nContent-Length: ");
		buf_add_u64(b, body_len);
	}
	buf_adds(b, "\r\n");
	buf_adds(b, lines != NULL ? lines : "Cache-Control: no-store\r\n");
	buf_adds(b,
	    "X-Content-Type-Options: nosniff"
	    "\r\nX-Request-Id: ");
	buf_adds(b, id);
	buf_adds(b, "\r\n");
}

static void
head_rate(struct http *h, const struct rate_result *r)
{
	struct buf *b = &h->head;
	uint64_t full_ms = (r->full_in_ns + 999999) / 1000000;

	if (r->limit == 0)
		return;
	buf_adds(b, "X-RateLimit-Limit: ");
	buf_add_u64(b, r->limit);
	buf_adds(b, "\r\nX-RateLimit-Remaining: ");
	buf_add_u64(b, r->remaining);
	buf_adds(b, "\r\nX-RateLimit-Reset: ");
	buf_add_u64(b, ((uint64_t)clock_unix_ms() + full_ms + 999) / 1000);
	buf_adds(b, "\r\n");
	if (!r->allowed) {
		uint64_t s = (r->retry_in_ns + 999999999) / 1000000000;

		buf_adds(b, "Retry-After: ");
		buf_add_u64(b, s > 0 ? s : 1);
		buf_adds(b, "\r\n");
	}
}

static void
head_cors(struct http_request *q)
{
	const char *origin = http_header(q, "Origin");
	struct buf *b = &q->h->head;
	char methods[ROUTE_ALLOW_SIZE];
	enum cors_verdict v;

	if (origin == NULL)
		return;
	v = http_cors(q);
	cors_headers(b, v, origin);
	if (!q->preflight)
		return;
	route_allow(methods, q->match.allowed);
	cors_preflight(b, methods);
}

/* Whether this answer ends the connection, as evhttp will see it too. */
static bool
reply_closes(struct http_request *q)
{
	struct evhttp_request *req = q->req;
	const char *v = http_header(q, "Connection");

	if (q->close || q->h->stopping ||
	    (req->flags & EVHTTP_PROXY_REQUEST) != 0)
		return true;
	if (v != NULL && guard_has_token(v, "close"))
		return true;
	/* evhttp's own rule for HTTP/1.0 */
	return req->minor == 0 &&
	    (v == NULL || strncasecmp(v, "keep-alive", 10) != 0);
}

static void
body_cleanup(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

/* What the socket did not take waits in evhttp's buffer. */
static void
reply_queue(struct http_request *q, size_t sent, struct buf *body)
{
	struct evbuffer *out = bufferevent_get_output(q->c->bev);
	struct buf *head = &q->h->head;

	http_conn_writing(q->c);
	/* In one piece it is one record. */
	if (q->c->ssl != NULL && body != NULL &&
	    head->len + body->len <= TLS_RECORD &&
	    evbuffer_expand(out, head->len + body->len) == 0) {
		evbuffer_add(out, buf_head(head), head->len);
		evbuffer_add(out, buf_head(body), body->len);
		bufferevent_enable(q->c->bev, EV_WRITE);
		return;
	}
	if (sent < head->len) {
		evbuffer_add(out, buf_head(head) + sent, head->len - sent);
		sent = 0;
	} else
		sent -= head->len;
	if (body != NULL && body->len > sent) {
		if (evbuffer_add_reference(out, buf_head(body) + sent,
			body->len - sent, body_cleanup, body->data) == -1)
			abort();
		buf_init(body, body->max);
	}
	bufferevent_enable(q->c->bev, EV_WRITE);
}

/*
 * Writes the answer in h->head and body.  The socket nearly always takes it
 * at once: no event, no copy.  q is gone afterwards.
 */
static void
reply_send(struct http_request *q, struct buf *body)
{
	struct http_conn *c = q->c;
	struct buf *head = &q->h->head;
	struct evhttp_request *req = q->req;
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t body_len = body != NULL ? body->len : 0;
	ssize_t n = 0;

	if (q->linger) {
		http_conn_linger(c, buf_head(head), head->len,
		    body_len > 0 ? buf_head(body) : NULL, body_len);
		http_request_free(q);
		return;
	}
	if (c->ssl == NULL && evbuffer_get_length(out) == 0) {
		struct iovec v[2] = { { buf_head(head), head->len },
			{ body_len > 0 ? buf_head(body) : NULL, body_len } };
		struct msghdr m = { .msg_iov = v,
			.msg_iovlen = body_len > 0 ? 2 : 1 };

		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			http_conn_close(c);
			http_request_free(q);
			return;
		}
		n = n == -1 ? 0 : n;
	}
	/* A chunked request would make evhttp end the answer as chunked. */
	req->chunked = 0;
	if ((size_t)n == head->len + body_len)
		http_conn_next(c);
	else
		reply_queue(q, (size_t)n, body);
	http_request_free(q);
	evhttp_send_reply_end(req);
}

static void
reply_count(const struct http *h, int status)
{
	page_add(h->w->page, h->w->page_slot,
	    (enum page_counter)(COUNTER_REQUESTS_2XX + status / 100 - 2), 1);
}

/* Finishes the head and sends; body NULL or empty = none. */
static void
reply_finish(struct http_request *q, int status, struct buf *body)
{
	struct http *h = q->h;
	bool closes;

	reply_count(h, status);
	if (q->c == NULL) {
		http_request_free(q);
		return;
	}
	closes = reply_closes(q);
	head_start(h, status, q->type, body != NULL ? body->len : 0, q->head,
	    q->id);
	if (q->rated)
		head_rate(h, &q->rate);
	head_cors(q);
	buf_add(&h->head, q->extra, q->extra_len);
	if (closes) {
		buf_adds(&h->head, "Connection: close\r\n");
		evhttp_add_header(q->req->output_headers, "Connection",
		    "close");
	} else if (q->req->minor == 0)
		buf_adds(&h->head, "Connection: keep-alive\r\n");
	buf_adds(&h->head, "\r\n");
	if (q->method == ROUTE_HEAD)
		body = NULL;
	if (status >= 500)
		log_warn("request failed", "status=%d route=%s req=%s peer=%s",
		    status, q->route != NULL ? q->route->pattern : "-", q->id,
		    http_peer(q));
	else if (status >= 400)
		log_debug("request refused",
		    "status=%d route=%s req=%s peer=%s", status,
		    q->route != NULL ? q->route->pattern : "-", q->id,
		    http_peer(q));
	reply_send(q, body);
}

void
http_reply(struct http_request *q, int status, struct buf *body)
{
	if (body != NULL && body->failed) {
		buf_free(body);
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	reply_finish(q, status, body);
	if (body == NULL)
		return;
	if (body->cap > BODY_KEEP)
		buf_free(body);
	else
		buf_clear(body);
}

static void
error_json(struct buf *b, const char *code, const char *field,
    const char *message, const char *id)
{
	buf_adds(b, "{\"error\":\"");
	buf_adds(b, code);
	buf_adds(b, "\",\"message\":");
	json_text_string(b, message, strlen(message));
	if (field != NULL) {
		buf_adds(b, ",\"field\":");
		json_text_string(b, field, strlen(field));
	}
	buf_adds(b, ",\"request_id\":\"");
	buf_adds(b, id);
	buf_adds(b, "\"}");
}

void
http_refuse(struct http_request *q, int status, const char *code,
    const char *field, const char *message)
{
	struct buf *b = http_body(q);

	q->type = NULL;
	q->head = NULL;
	error_json(b, code, field, message, q->id);
	http_reply(q, status, b);
}

void
http_error(struct http_request *q, enum outcome o, const char *field,
    const char *message)
{
	const struct outcome_info *i = outcome_info(o);

	if (i->code == NULL)
		i = outcome_info(OUTCOME_INTERNAL);
	if (i->status == 503)
		http_add_header(q, "Retry-After", RETRY_AFTER);
	if (i->status == 401)
		http_add_header(q, "WWW-Authenticate",
		    "ApiKey realm=\"chatapi\", Bearer realm=\"chatapi\"");
	http_refuse(q, i->status, i->code,
	    field != NULL || message != NULL ? field : i->field,
	    message != NULL ? message : i->message);
}

/* For who looks at the server's root to see what it is. */
static const char *
nothing_at_root(const struct http_request *q)
{
	if (q->h->w->console != NULL)
		return "There is nothing at this path; the web console is at "
		       "/console/, the API's description at /openapi.json.";
	return "There is nothing at this path; the API's description is at "
	       "/openapi.json.";
}

void
http_no_route(struct http_request *q)
{
	char allow[ROUTE_ALLOW_SIZE], text[ROUTE_ALLOW_SIZE + 64];

	if (q->match.allowed == 0) {
		http_error(q, OUTCOME_NOT_FOUND, NULL,
		    q->target.nsegments == 0 ? nothing_at_root(q) : NULL);
		return;
	}
	route_allow(allow, q->match.allowed);
	http_add_header(q, "Allow", allow);
	(void)snprintf(text, sizeof(text),
	    "This path does not take this method; it takes %s.", allow);
	http_error(q, OUTCOME_METHOD_NOT_ALLOWED, NULL, text);
}

void
http_abandon(struct http_request *q)
{
	struct http_conn *c = q->c;

	page_add(q->h->w->page, q->h->w->page_slot, COUNTER_REQUESTS_ABANDONED,
	    1);
	log_warn("request abandoned", "route=%s req=%s",
	    q->route != NULL ? q->route->pattern : "-", q->id);
	if (c != NULL)
		http_conn_close(c);
	http_request_free(q);
}

void
http_set_type(struct http_request *q, const char *type)
{
	q->type = type;
}

void
http_set_head(struct http_request *q, const char *lines)
{
	q->head = lines;
}

void
http_add_header(struct http_request *q, const char *name, const char *value)
{
	int n = snprintf(q->extra + q->extra_len,
	    sizeof(q->extra) - q->extra_len, "%s: %s\r\n", name, value);

	if (n > 0 && (size_t)n < sizeof(q->extra) - q->extra_len)
		q->extra_len += (size_t)n;
}

void
http_reply_failed(struct http *h, bool too_long, const char *origin)
{
	char id[HTTP_REQUEST_ID_MAX + 1];
	int status = too_long ? 413 : 400;
	struct buf body;

	http_request_id_new(h, id);
	buf_init(&body, 1024);
	if (too_long)
		error_json(&body, "payload_too_large", NULL,
		    "The body is longer than 1 MiB.", id);
	else
		error_json(&body, "invalid_request", NULL,
		    "The request is malformed, or its headers are longer "
		    "than 8 KiB.",
		    id);
	reply_count(h, status);
	head_start(h, status, NULL, body.len, NULL, id);
	/* The server's own pages may read it anyway. */
	if (*origin != '\0')
		cors_headers(&h->head,
		    cors_check(h->w->config.allowed_origins, origin, NULL,
			NULL),
		    origin);
	buf_adds(&h->head, "Connection: close\r\n\r\n");
	buf_add(&h->head, buf_head(&body), body.len);
	buf_free(&body);
	log_debug("request refused", "status=%d req=%s", status, id);
}
