/* SPDX-License-Identifier: MIT */
/*
 * The HTTP side of a worker.  evhttp is fenced in here: no other file of the
 * worker includes event2/http.h.
 */
#ifndef WORKER_HTTP_H
#define WORKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/buf.h"
#include "../common/outcome.h"
#include "auth.h"

struct http;
struct http_request;
struct json_object;
struct worker;
struct ws_socket;

/* Takes the listening sockets, non-blocking, of the given kinds
 * (LISTENER_… of records.h), and starts to accept. */
struct http *http_new(struct worker *w, const int *fds, const uint8_t *kinds,
    unsigned nfds);
void http_free(struct http *h);
/* Reads TRUSTED_PROXIES out of the configuration again. */
void http_trust(struct http *h);
/*
 * Drain within timeout_ms: accept nothing more; close kept-alive connections
 * as they finish.  Those that are idle are closed at once, or, `gently` and
 * on sockets of a service manager, only when no request has come for a while:
 * a client that is just sending one is then answered, and told to close.
 */
void http_stop_accepting(struct http *h, bool gently, uint64_t timeout_ms);
/* After a gentle one: it is still worth waiting for clients. */
bool http_lingers(const struct http *h);
/* Requests that have not been answered yet. */
unsigned http_in_flight(const struct http *h);

/* ---- one request, valid until it is answered ---- */
struct worker *http_worker(const struct http_request *q);
const struct caller *http_caller(const struct http_request *q);
/* The id echoed in X-Request-Id. */
const char *http_request_id(const struct http_request *q);
/* A path parameter, percent-decoded: 0 is the first {…} of the route. */
struct str http_param(const struct http_request *q, unsigned i);
/* A query parameter, decoded; NULL when absent; the last one counts. */
const char *http_query(const struct http_request *q, const char *name);
/* A request header; NULL when absent. */
const char *http_header(const struct http_request *q, const char *name);
/* The parsed JSON body, an object; borrowed. */
struct json_object *http_json(const struct http_request *q);
/*
 * Who is calling, by X-API-Key and X-User-Id or by Authorization; for the
 * route that looks itself.  OUTCOME_OK, or a refusal for http_error() with its field and
 * sentence.
 */
enum outcome http_identify(struct http_request *q, struct caller *who,
    const char **field, const char **why);
/* The same by a JWT that came elsewhere. */
enum outcome http_identify_token(struct http_request *q, const char *token,
    struct caller *who, const char **field, const char **why);
/* What Authorization: Bearer shows; NULL when it is absent or another. */
const char *http_bearer(const struct http_request *q);
/* May a page of the request's Origin, if it names one, ask for this? */
bool http_origin_allowed(const struct http_request *q);
/* GET of HTTP/1.1. */
bool http_is_upgradable(const struct http_request *q);
/* Memory for the handler while the answer is awaited: size <= 512 bytes,
 * zeroed, gone with the request; and the same memory again. */
void *http_scratch(struct http_request *q, size_t size);
void *http_scratch_get(struct http_request *q);
/*
 * An empty buffer for the answer's JSON text; it keeps its memory between
 * requests.  Good until the handler returns or answers.
 */
struct buf *http_body(struct http_request *q);

/* ---- its answer: exactly one of these, at once or later ---- */
/* body is a whole JSON text, moved out of b (left empty); NULL for 204. */
void http_reply(struct http_request *q, int status, struct buf *body);
/* The error of the contract; message and field NULL = the outcome's own. */
void http_error(struct http_request *q, enum outcome o, const char *field,
    const char *message);
/* The same with a status and code of its own. */
void http_refuse(struct http_request *q, int status, const char *code,
    const char *field, const char *message);
/* Nobody can say what became of it: close without an answer. */
void http_abandon(struct http_request *q);
/* The body of http_reply() is no JSON but this media type; borrowed. */
void http_set_type(struct http_request *q, const char *type);
/* Whole header lines of the answer, each with its CRLF, in the place of
 * "Cache-Control: no-store"; borrowed.  Not those of an error. */
void http_set_head(struct http_request *q, const char *lines);
/* Adds a header to the answer that follows. */
void http_add_header(struct http_request *q, const char *name,
    const char *value);

/*
 * The WebSocket handshake has been accepted (route GET /ws): gives up the
 * connection.  Its socket is the caller's then, its descriptor moved to a new
 * number, and bytes that came behind the handshake are in `early`; the
 * request is gone.  The caller writes the 101 himself.  -1 when the peer is
 * gone already.
 */
int http_take_over(struct http_request *q, struct ws_socket *s,
    struct buf *early) __attribute__((warn_unused_result));
/* The client's address as text, for the log: what a trusted proxy says that
 * it is, else the peer's; "unix" for one on this machine. */
const char *http_peer(struct http_request *q);

#endif
