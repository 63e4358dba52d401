/* SPDX-License-Identifier: MIT */
/*
 * One HTTP connection beside evhttp's own view of it: its phase and
 * deadline, evhttp's error pages turned into the contract's, the way out to
 * a WebSocket, the lingering close.  Runs in a worker; reads no request.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "http_int.h"
#include "tls_io.h"
#include "worker.h"
#include "ws_out.h"

/* A peer that is still sending when it is answered may go on this long. */
#define LINGER_S 2
#define LINGER_BYTES (64 * 1024 * 1024)
#define LINGER_MAX 256

struct http_linger {
	TAILQ_ENTRY(http_linger) all;
	struct http *h;
	struct event *ev;
	struct ws_socket s;
	size_t left;
	uint64_t until_ms;
};

static void
conn_timed(struct http_conn *c, bool timed)
{
	struct http *h = c->h;
	bool was = c->phase == HTTP_HEADERS || c->phase == HTTP_BODY;

	if (was && !timed)
		TAILQ_REMOVE(&h->timed, c, timed);
	if (!was && timed)
		TAILQ_INSERT_TAIL(&h->timed, c, timed);
	if (timed && !event_pending(h->janitor_ev, EV_TIMEOUT, NULL)) {
		struct timeval second = { 1, 0 };

		event_add(h->janitor_ev, &second);
	}
}

static void
conn_phase(struct http_conn *c, enum http_phase phase)
{
	conn_timed(c, phase == HTTP_HEADERS || phase == HTTP_BODY);
	c->phase = (uint8_t)phase;
	if (phase == HTTP_HEADERS || phase == HTTP_BODY)
		c->since_ms = clock_mono_ms();
}

/* It will be answered at the end of this turn; evhttp has no more say. */
static void
conn_failed(struct http_conn *c, int status)
{
	c->failed_status = status;
	conn_phase(c, HTTP_FAILED);
	TAILQ_INSERT_TAIL(&c->h->failed, c, timed);
	event_active(c->h->fail_ev, EV_TIMEOUT, 0);
}

static void
conn_scan(struct http_conn *c, struct evbuffer *in, size_t from)
{
	struct evbuffer_ptr at;
	struct evbuffer_iovec v[8];

	while (from < evbuffer_get_length(in)) {
		int n;

		if (evbuffer_ptr_set(in, &at, from, EVBUFFER_PTR_SET) == -1)
			return;
		n = evbuffer_peek(in, -1, &at, v, 8);
		for (int i = 0; i < n && i < 8; i++) {
			http_scan_bytes(&c->scan, v[i].iov_base, v[i].iov_len,
			    HTTP_BODY_MAX);
			from += v[i].iov_len;
		}
		if (n <= 0)
			return;
	}
	if (c->phase != HTTP_HEADERS || c->scan.state == HTTP_SCAN_HEADERS)
		return;
	/* evhttp would read, and throw away, all of such a body first. */
	if (c->scan.state == HTTP_SCAN_TOO_LONG)
		conn_failed(c, 413);
	else
		conn_phase(c, HTTP_BODY);
}

static void
conn_begin(struct http_conn *c)
{
	http_scan_begin(&c->scan);
	conn_phase(c, HTTP_HEADERS);
}

static void
conn_input_cb(struct evbuffer *in, const struct evbuffer_cb_info *info,
    void *arg)
{
	struct http_conn *c = arg;

	if (info->n_added == 0)
		return;
	c->fresh = true;
	/* A mark makes each drain cost an event_add(): only large requests
	 * get one.  Without it an endless line would grow the heap. */
	if (!c->marked && evbuffer_get_length(in) > HTTP_MARK_FROM) {
		c->marked = true;
		bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_INPUT_MAX);
	}
	if (c->phase == HTTP_IDLE)
		conn_begin(c);
	if (c->phase == HTTP_HEADERS ||
	    (c->phase == HTTP_BODY && c->scan.chunked))
		conn_scan(c, in, evbuffer_get_length(in) - info->n_added);
}

/* Bytes that evhttp adds by itself are "100 Continue" or an error page. */
static void
conn_output_cb(struct evbuffer *out, const struct evbuffer_cb_info *info,
    void *arg)
{
	struct http_conn *c = arg;
	struct evbuffer_ptr at;
	char line[12];

	if (c->phase == HTTP_WRITING) {
		if (info->n_deleted > 0 && evbuffer_get_length(out) == 0)
			http_conn_next(c);
		return;
	}
	if (c->phase == HTTP_FAILED || info->n_added < sizeof(line))
		return;
	if (evbuffer_ptr_set(out, &at, evbuffer_get_length(out) - info->n_added,
		EVBUFFER_PTR_SET) == -1 ||
	    evbuffer_copyout_from(out, &at, line, sizeof(line)) !=
		(ev_ssize_t)sizeof(line) ||
	    memcmp(line, "HTTP/", 5) != 0 || line[9] == '1')
		return;
	conn_failed(c,
	    (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
}

/*
 * evhttp stops and starts reading around each request, two system calls.
 * While a second event is registered for the same descriptor they cost none;
 * it does nothing but leave when bytes wait that nobody wants yet.
 */
static void
conn_anchor(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->fresh || (bufferevent_get_enabled(c->bev) & EV_READ) != 0) {
		c->fresh = false;
		return;
	}
	event_del(c->anchor);
	c->anchored = false;
}

static void
conn_anchor_drop(struct http_conn *c)
{
	if (c->anchor != NULL)
		event_free(c->anchor);
	c->anchor = NULL;
}

static void
conn_anchor_put(struct http_conn *c)
{
	if (c->anchor == NULL)
		c->anchor = event_new(c->h->w->base, c->fd,
		    EV_READ | EV_PERSIST, conn_anchor, c);
	c->anchored = c->anchor != NULL && event_add(c->anchor, NULL) == 0;
}

/* Takes c out of everything; evhttp's connection is its own affair. */
static void
conn_forget(struct http_conn *c)
{
	struct http *h = c->h;

	if (c->request != NULL)
		http_request_orphan(c->request);
	if (c->phase == HTTP_FAILED)
		TAILQ_REMOVE(&h->failed, c, timed);
	else
		conn_timed(c, false);
	if (c->adopted) {
		TAILQ_REMOVE(&h->conns, c, all);
		if (c->fd >= 0 && (size_t)c->fd < h->by_fd_size &&
		    h->by_fd[c->fd] == c)
			h->by_fd[c->fd] = NULL;
	} else
		TAILQ_REMOVE(&h->fresh, c, all);
	conn_anchor_drop(c);
	evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->input_cb);
	evbuffer_remove_cb_entry(bufferevent_get_output(c->bev), c->output_cb);
	if (c->ssl != NULL)
		http_tls_bury(h, c->ssl);
	free(c);
}

static void
conn_closed(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	conn_forget(arg);
}

void
http_conn_new(const struct http_gate *gate, struct bufferevent *bev,
    struct ssl_st *ssl)
{
	struct http_conn *c = mem_alloc(sizeof(*c));
	struct http *h = gate->h;

	http_accepted(h);
	c->h = h;
	c->bev = bev;
	c->ssl = ssl;
	c->unix_socket = (gate->kind & LISTENER_UNIX) != 0;
	c->fd = -1;
	c->phase = HTTP_IDLE;
	c->input_cb = evbuffer_add_cb(bufferevent_get_input(bev), conn_input_cb,
	    c);
	c->output_cb = evbuffer_add_cb(bufferevent_get_output(bev),
	    conn_output_cb, c);
	if (c->input_cb == NULL || c->output_cb == NULL)
		abort();
	/* evhttp's connection is made after this returns: it is looked up
	 * at the end of this turn, before anything can be read from it. */
	bufferevent_incref(bev);
	TAILQ_INSERT_TAIL(&h->fresh, c, all);
	event_active(h->adopt_ev, EV_TIMEOUT, 0);
	/* The handshake counts as part of the first request's headers. */
	if (ssl != NULL)
		conn_begin(c);
}

struct bufferevent *
http_conn_bufferevent(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev != NULL)
		http_conn_new(arg, bev, NULL);
	return bev;
}

static void
by_fd_set(struct http *h, int fd, struct http_conn *c)
{
	if ((size_t)fd >= h->by_fd_size) {
		size_t size = h->by_fd_size == 0 ? 64 : h->by_fd_size;

		while (size <= (size_t)fd)
			size *= 2;
		h->by_fd = mem_realloc(h->by_fd, size * sizeof(*h->by_fd));
		memset(h->by_fd + h->by_fd_size, 0,
		    (size - h->by_fd_size) * sizeof(*h->by_fd));
		h->by_fd_size = size;
	}
	h->by_fd[fd] = c;
}

void
http_conn_adopt(struct http *h)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&h->fresh)) != NULL) {
		struct bufferevent *bev = c->bev;
		bufferevent_event_cb error_cb;
		void *evcon;

		bufferevent_getcb(bev, NULL, NULL, &error_cb, &evcon);
		if (error_cb == NULL || evcon == NULL ||
		    evhttp_connection_get_bufferevent(evcon) != bev) {
			conn_forget(c);
			bufferevent_decref(bev);
			continue;
		}
		TAILQ_REMOVE(&h->fresh, c, all);
		TAILQ_INSERT_TAIL(&h->conns, c, all);
		c->adopted = true;
		c->evcon = evcon;
		c->fd = bufferevent_getfd(bev);
		by_fd_set(h, c->fd, c);
		evhttp_connection_set_closecb(evcon, conn_closed, c);
		bufferevent_decref(bev);
		http_accept_took(h, c->fd);
	}
}

static void
conn_adopt_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	http_conn_adopt(arg);
	http_accepted_all(arg);
}

struct http_conn *
http_conn_find(struct http *h, struct evhttp_request *req)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);
	int fd = bufferevent_getfd(bev);

	if (fd < 0 || (size_t)fd >= h->by_fd_size)
		return NULL;
	return h->by_fd[fd];
}

void
http_conn_handling(struct http_conn *c, struct http_request *q)
{
	c->request = q;
	conn_phase(c, HTTP_HANDLING);
}

void
http_conn_writing(struct http_conn *c)
{
	c->request = NULL;
	conn_phase(c, HTTP_WRITING);
}

void
http_conn_next(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->request = NULL;
	conn_phase(c, HTTP_IDLE);
	if (!c->anchored)
		conn_anchor_put(c);
	if (c->marked && evbuffer_get_length(in) <= HTTP_MARK_FROM) {
		c->marked = false;
		bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	}
	if (evbuffer_get_length(in) > 0) {
		conn_begin(c);
		conn_scan(c, in, 0);
	}
}

void
http_conn_close(struct http_conn *c)
{
	evhttp_connection_free(c->evcon);
}

int
http_conn_release(struct http_conn *c, struct ws_socket *s)
{
	struct http *h = c->h;
	struct ssl_st *ssl = c->ssl;
	int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);

	/* The kernel would go on watching the socket under its old number. */
	conn_anchor_drop(c);
	/* Off the epoll set while its number still names the socket: the set
	 * would keep reporting it for as long as the copy lives. */
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	/* With TLS that keeps one on which the other direction waits. */
	event_del(&c->bev->ev_read);
	event_del(&c->bev->ev_write);
	/* evhttp shuts down whatever socket its number names when it frees
	 * the connection: let that be /dev/null. */
	if (fd != -1 && dup3(h->devnull, c->fd, O_CLOEXEC) == -1) {
		close(fd);
		fd = -1;
	}
	if (fd == -1)
		log_warn("cannot take a socket over", "err=%d", errno);
	else
		c->ssl = NULL;
	http_conn_close(c);
	if (fd == -1)
		return -1;
	s->fd = fd;
	s->backend = &ws_backend_plain;
	s->ctx = NULL;
	if (ssl != NULL)
		tls_io_start(s, ssl, fd);
	return 0;
}

static void
linger_free(struct http_linger *l)
{
	TAILQ_REMOVE(&l->h->lingers, l, all);
	l->h->nlingers--;
	event_free(l->ev);
	l->s.backend->close_fn(l->s.fd, l->s.ctx);
	free(l);
}

static void
linger_read(evutil_socket_t fd, short what, void *arg)
{
	struct http_linger *l = arg;
	char waste[16384];

	if ((what & EV_TIMEOUT) == 0) {
		ssize_t n = read(fd, waste, sizeof(waste));

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0 && (size_t)n < l->left &&
		    clock_mono_ms() < l->until_ms) {
			l->left -= (size_t)n;
			return;
		}
	}
	linger_free(l);
}

void
http_conn_linger(struct http_conn *c, const void *head, size_t head_len,
    const void *body, size_t body_len)
{
	struct http *h = c->h;
	struct timeval patience = { LINGER_S, 0 };
	struct iovec v[2] = { { (void *)(uintptr_t)head, head_len },
		{ (void *)(uintptr_t)body, body_len } };
	struct http_linger *l;
	struct ws_socket s;

	if (http_conn_release(c, &s) == -1)
		return;
	/* A few hundred bytes: they fit, or the peer does not read. */
	if (s.backend->writev_fn(s.fd, s.ctx, v, body_len > 0 ? 2 : 1) == -1 ||
	    h->nlingers >= LINGER_MAX) {
		s.backend->close_fn(s.fd, s.ctx);
		return;
	}
	s.backend->finish_fn(s.fd, s.ctx);
	l = mem_alloc(sizeof(*l));
	l->h = h;
	l->s = s;
	l->left = LINGER_BYTES;
	l->until_ms = clock_mono_ms() + LINGER_S * 1000;
	l->ev = event_new(h->w->base, s.fd, EV_READ | EV_PERSIST, linger_read,
	    l);
	if (l->ev == NULL)
		abort();
	TAILQ_INSERT_TAIL(&h->lingers, l, all);
	h->nlingers++;
	event_add(l->ev, &patience);
}

/* evhttp has begun to answer with a page of its own. */
static void
conn_fail(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct http_conn *c;

	(void)fd;
	(void)what;
	while ((c = TAILQ_FIRST(&h->failed)) != NULL) {
		http_reply_failed(h,
		    c->failed_status == 413 &&
			(!c->scan.chunked ||
			    c->scan.state == HTTP_SCAN_TOO_LONG),
		    c->scan.origin);
		http_conn_linger(c, buf_head(&h->head), h->head.len, NULL, 0);
	}
}

/* Runs each second while a request is coming in. */
static void
conn_janitor(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct timeval second = { 1, 0 };
	uint64_t now = clock_mono_ms();
	struct http_conn *c, *next;

	(void)fd;
	(void)what;
	for (c = TAILQ_FIRST(&h->timed); c != NULL; c = next) {
		uint64_t most = c->phase == HTTP_HEADERS ? HTTP_HEADERS_MS :
							   HTTP_BODY_MS;

		next = TAILQ_NEXT(c, timed);
		if (now - c->since_ms >= most && c->adopted)
			http_conn_close(c);
	}
	if (!TAILQ_EMPTY(&h->timed))
		event_add(h->janitor_ev, &second);
}

void
http_conn_count(const struct http *h, unsigned *idle, unsigned *busy)
{
	const struct http_conn *c;

	*idle = *busy = 0;
	TAILQ_FOREACH(c, &h->fresh, all)
		(*idle)++;
	TAILQ_FOREACH(c, &h->conns, all) {
		if (c->phase == HTTP_IDLE)
			(*idle)++;
		else
			(*busy)++;
	}
}

void
http_conn_close_idle(struct http *h)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&h->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->phase == HTTP_IDLE)
			http_conn_close(c);
	}
}

int
http_conn_init(struct http *h)
{
	struct event_base *base = h->w->base;

	TAILQ_INIT(&h->conns);
	TAILQ_INIT(&h->fresh);
	TAILQ_INIT(&h->timed);
	TAILQ_INIT(&h->failed);
	TAILQ_INIT(&h->lingers);
	if (http_tls_init(h) == -1)
		return -1;
	h->devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
	h->adopt_ev = event_new(base, -1, 0, conn_adopt_cb, h);
	h->fail_ev = event_new(base, -1, 0, conn_fail, h);
	h->accept_ev = event_new(base, -1, 0, http_accept_resume, h);
	http_accept_limit(h);
	h->janitor_ev = event_new(base, -1, 0, conn_janitor, h);
	if (h->devnull == -1 || h->adopt_ev == NULL || h->fail_ev == NULL ||
	    h->janitor_ev == NULL || h->accept_ev == NULL)
		return -1;
	return 0;
}

/* evhttp and its connections are gone already. */
void
http_conn_done(struct http *h)
{
	struct http_linger *l;

	while ((l = TAILQ_FIRST(&h->lingers)) != NULL)
		linger_free(l);
	http_tls_done(h);
	if (h->adopt_ev != NULL)
		event_free(h->adopt_ev);
	if (h->fail_ev != NULL)
		event_free(h->fail_ev);
	if (h->accept_ev != NULL)
		event_free(h->accept_ev);
	if (h->janitor_ev != NULL)
		event_free(h->janitor_ev);
	if (h->devnull != -1)
		close(h->devnull);
	free(h->by_fd);
}
