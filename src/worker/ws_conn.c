/* SPDX-License-Identifier: MIT */
/*
 * The life of one WebSocket connection: attach, read, write, close.  Runs in
 * a worker; understands frames (ws_commands.c) and rooms (feed.c) only
 * through their functions, and never blocks.
 */
#include "ws_conn.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/json_text.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/utf8.h"
#include "bus.h"
#include "feed.h"
#include "inbox.h"
#include "resume.h"
#include "ws_commands.h"
#include "ws_list.h"
#include "ws_presence.h"

/* The kernel doubles it: at most 128 KiB wait in the socket itself. */
#define SOCKET_SEND_BUFFER (64 * 1024)
#define FRAME_OVERHEAD 14

static void conn_readable(evutil_socket_t fd, short what, void *arg);
static void conn_writable(evutil_socket_t fd, short what, void *arg);
static void conn_input(struct ws_conn *c);

static void
conn_socket_options(int fd)
{
	int on = 1, sndbuf = SOCKET_SEND_BUFFER, dead = WS_DEAD_MS;

	/* Each may fail on a socket that has just died; reading tells. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead,
	    sizeof(dead));
}

void
ws_conn_start(struct worker *w, const struct ws_socket *s, struct buf *early,
    const struct caller *who, const char *sec_key, const char *request_id,
    const char *peer, bool resume)
{
	struct ws_conn *c = mem_alloc(sizeof(*c));
	char accept[WS_ACCEPT_SIZE], answer[320];
	struct rec_attach attach = { 0 };
	struct ws_shared *f;
	int len;

	c->w = w;
	c->s = *s;
	c->state = WS_ATTACHING;
	c->key = who->key;
	c->jwt_n = who->jwt_n;
	c->ends_ms = who->ends_ms;
	c->rate_limit = who->rate_limit;
	TAILQ_INIT(&c->feeds);
	TAILQ_INIT(&c->behind);
	LIST_INIT(&c->ops);
	/* What came behind the handshake may be more than one read. */
	c->in = *early;
	c->in.max = early->len + (resume ? RESUME_FRAME_MAX : WS_FRAME_MAX) +
	    FRAME_OVERHEAD + WS_READ_MAX;
	buf_init(early, early->max);
	buf_init(&c->message, resume ? RESUME_FRAME_MAX : WS_FRAME_MAX);
	if (resume)
		resume_wait(c);
	conn_socket_options(s->fd);
	c->user = users_get(w->users, who->tenant, who->user, who->user_len);
	LIST_INSERT_HEAD(&c->user->conns, c, in_user);
	c->last_rx_s = c->last_tx_s = c->last_ping_s = ws_list_now_s();
	event_assign(&c->read_ev, w->base, s->fd, EV_READ | EV_PERSIST,
	    conn_readable, c);
	ws_list_insert(w->ws, c);

	/* The route handler has checked the key; this cannot fail. */
	if (!ws_accept_key(sec_key, accept))
		accept[0] = '\0';
	len = snprintf(answer, sizeof(answer),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	    "X-Request-Id: %s\r\n\r\n",
	    accept, request_id);
	f = ws_shared_raw(answer, (size_t)len);
	ws_out_add(&c->out, f);
	ws_shared_unref(f);

	attach.conn = c->id;
	attach.tenant = who->tenant;
	attach.user.p = c->user->name;
	attach.user.len = c->user->len;
	bus_attach(w->bus, &attach);
	log_debug("websocket accepted", "conn=%llu peer=%s",
	    (unsigned long long)c->id, peer);
}

/* The socket's readiness tells neither of bytes that the backend has read
 * already nor of those that it wants to write. */
static void
conn_waits(struct ws_conn *c)
{
	unsigned waits;

	if (c->s.backend->waits_fn == NULL)
		return;
	waits = c->s.backend->waits_fn(c->s.ctx);
	if ((waits & WS_WAITS_IN) != 0)
		event_active(&c->read_ev, EV_READ, 0);
	if ((waits & WS_WAITS_OUT) != 0 && !c->dirty)
		ws_list_dirty(c);
}

/* Begins to read, or goes on; -1 when the connection is gone by that. */
static int
conn_listen(struct ws_conn *c)
{
	if (event_add(&c->read_ev, NULL) == -1) {
		ws_conn_abort(c);
		return -1;
	}
	conn_waits(c);
	return 0;
}

static void
conn_welcome(struct ws_conn *c)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_addf(&b,
	    "{\"type\":\"welcome\",\"session_id\":\"%u-%llx%llx\","
	    "\"user_id\":",
	    c->w->seat, (unsigned long long)c->w->incarnation,
	    (unsigned long long)c->id);
	json_text_string(&b, c->user->name, c->user->len);
	buf_addf(&b,
	    ",\"epoch\":\"%s\",\"server_time\":", ws_list_epoch(c->w->ws));
	json_text_time(&b, clock_unix_ms());
	buf_addf(&b,
	    ",\"heartbeat_ms\":%d,\"limits\":{\"frame\":%d,"
	    "\"content\":%d,\"meta\":%d,\"rate\":%u}}",
	    WS_PING_MS, WS_FRAME_MAX, WS_CONTENT_MAX, WS_META_MAX,
	    c->rate_limit);
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
}

void
ws_conn_attached(struct worker *w, uint64_t id, bool granted)
{
	struct ws_conn *c = ws_list_attaching(w->ws);

	if (c == NULL || c->id != id) {
		log_error("hub answered out of order", "conn=%llu",
		    (unsigned long long)id);
		abort();
	}
	ws_list_attach_done(w->ws, c, granted);
	page_add(w->page, w->page_slot,
	    granted ? COUNTER_CONNECTIONS_OPENED : COUNTER_CONNECTIONS_DENIED,
	    1);
	c->state = WS_OPEN;
	ws_list_dirty(c);
	if (conn_listen(c) == -1)
		return;
	if (!granted) {
		ws_conn_close(c, WS_CLOSE_POLICY, "too many connections");
		return;
	}
	if (w->draining) {
		ws_conn_close(c, WS_CLOSE_RESTART, "restarting");
		return;
	}
	if (c->refused != 0) {
		ws_conn_close(c, c->refused, ws_list_reason(c->refused));
		return;
	}
	conn_welcome(c);
	inbox_connect(c);
	if (!resume_waiting(c))
		feed_connect(c);
	/* Frames may have come right behind the handshake. */
	if (c->in.len > 0)
		conn_input(c);
}

void
ws_conn_send_shared(struct ws_conn *c, struct ws_shared *f)
{
	if (c->state != WS_OPEN)
		return;
	ws_out_add(&c->out, f);
	if (!c->dirty)
		ws_list_dirty(c);
}

void
ws_conn_send_text(struct ws_conn *c, const char *text, size_t len)
{
	struct ws_shared *f;

	if (c->state != WS_OPEN)
		return;
	f = ws_shared_new(WS_TEXT, text, len);
	ws_conn_send_shared(c, f);
	ws_shared_unref(f);
}

static void
conn_send_control(struct ws_conn *c, enum ws_opcode opcode, const void *p,
    size_t len)
{
	struct ws_shared *f = ws_shared_new(opcode, p, len);

	ws_conn_send_shared(c, f);
	ws_shared_unref(f);
}

void
ws_conn_ping(struct ws_conn *c)
{
	conn_send_control(c, WS_PING, NULL, 0);
}

void
ws_conn_close(struct ws_conn *c, int code, const char *reason)
{
	uint8_t payload[125];
	size_t len = 0, rlen = strlen(reason);

	if (c->state != WS_OPEN)
		return;
	if (code != WS_CLOSE_NO_STATUS) {
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		if (rlen > sizeof(payload) - 2)
			rlen = sizeof(payload) - 2;
		memcpy(payload + 2, reason, rlen);
		len = rlen + 2;
	}
	conn_send_control(c, WS_CLOSE, payload, len);
	c->state = WS_CLOSING;
	c->closing_s = ws_list_now_s();
	ws_list_closing(c->w->ws);
	feed_disconnect(c);
	resume_free(c);
	buf_free(&c->message);
}

void
ws_conn_abort(struct ws_conn *c)
{
	if (c->state == WS_GONE)
		return;
	if (c->state == WS_OPEN)
		feed_disconnect(c);
	resume_free(c);
	c->state = WS_GONE;
	ws_commands_cancel(c);
	event_del(&c->read_ev);
	if (c->write_ev != NULL)
		event_free(c->write_ev);
	c->write_ev = NULL;
	c->s.backend->close_fn(c->s.fd, c->s.ctx);
	c->s.fd = -1;
	page_add(c->w->page, c->w->page_slot, COUNTER_DELIVERIES_LOST,
	    ws_out_messages(&c->out));
	ws_out_free(&c->out);
	buf_free(&c->in);
	buf_free(&c->message);
	ws_list_gone(c);
}

void
ws_conn_drain(struct ws_conn *c)
{
	if (c->state == WS_OPEN && c->w->draining && c->pending == 0)
		ws_conn_close(c, WS_CLOSE_RESTART, "restarting");
}

bool
ws_conn_hungry(const struct ws_conn *c)
{
	return c->state == WS_OPEN && c->out.bytes < WS_OUT_LOW;
}

static bool
conn_too_much(const struct ws_conn *c)
{
	return c->out.bytes > WS_OUT_STOP_READING ||
	    c->pending + c->waiting >= WS_PENDING_MAX ||
	    (c->w->draining && c->state == WS_OPEN);
}

void
ws_conn_throttle(struct ws_conn *c)
{
	if (!c->paused || c->state == WS_GONE || conn_too_much(c))
		return;
	c->paused = false;
	if (conn_listen(c) == -1)
		return;
	if (c->in.len > 0)
		conn_input(c);
}

/* The peer's close frame: answer it, and go once the answer is out. */
static void
conn_peer_close(struct ws_conn *c, const struct ws_frame *f)
{
	int code = ws_close_parse(f->payload, f->len);

	c->peer_closed = true;
	ws_conn_close(c, code, "");
	if (c->out.count == 0)
		ws_conn_abort(c);
	else
		ws_list_dirty(c);
}

/* A data frame: hands a whole message on, gathers a fragmented one. */
static void
conn_data(struct ws_conn *c, const struct ws_frame *f)
{
	const char *text = (const char *)f->payload;
	size_t len = f->len;
	bool gathered = false;

	if (f->opcode == WS_CONTINUATION || !f->fin) {
		if (buf_add(&c->message, f->payload, f->len) == -1) {
			ws_conn_close(c, WS_CLOSE_TOO_BIG, "message too big");
			return;
		}
		if (!f->fin)
			return;
		text = buf_head(&c->message);
		len = c->message.len;
		gathered = true;
	}
	if (!utf8_valid(text, len))
		ws_conn_close(c, WS_CLOSE_BAD_DATA, "text is not UTF-8");
	else
		ws_commands_run(c, text, len);
	if (gathered)
		buf_free(&c->message);
	/* A resume that is too late is still read, and then refused. */
	if (!resume_waiting(c))
		c->message.max = WS_FRAME_MAX;
}

static const char *
conn_fail_reason(int code)
{
	switch (code) {
	case WS_CLOSE_UNSUPPORTED:
		return "text frames only";
	case WS_CLOSE_TOO_BIG:
		return "message too big";
	default:
		return "protocol error";
	}
}

/* Runs the frames in p; returns how many bytes are done with. */
static size_t
conn_frames(struct ws_conn *c, uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len && c->state != WS_GONE) {
		struct ws_frame f;
		size_t need;
		long n;

		if (conn_too_much(c) && c->state == WS_OPEN) {
			c->paused = true;
			event_del(&c->read_ev);
			break;
		}
		n = ws_frame_parse(&c->codec, p + done, len - done,
		    c->message.max, &f, &need);
		if (n == 0)
			break;
		if (n < 0) {
			ws_conn_close(c, (int)-n, conn_fail_reason((int)-n));
			c->failed = true;
			return len;
		}
		done += (size_t)n;
		if (f.opcode == WS_CLOSE)
			conn_peer_close(c, &f);
		else if (c->state != WS_OPEN)
			continue;
		else if (f.opcode == WS_PING)
			conn_send_control(c, WS_PONG, f.payload, f.len);
		else if (f.opcode != WS_PONG)
			conn_data(c, &f);
	}
	return done;
}

/* Runs what waits in c->in. */
static void
conn_input(struct ws_conn *c)
{
	size_t done = conn_frames(c, (uint8_t *)buf_head(&c->in), c->in.len);

	if (c->state == WS_GONE)
		return;
	buf_drain(&c->in, done);
	if (c->in.len == 0)
		buf_free(&c->in);
}

static void
conn_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ws_conn *c = arg;
	uint8_t *scratch = ws_list_scratch(c->w->ws);
	bool own = c->in.len > 0;
	char *to = own ? buf_reserve(&c->in, WS_READ_MAX) : (char *)scratch;
	long n;

	(void)what;
	if (to == NULL) {
		ws_conn_abort(c);
		return;
	}
	(void)fd;
	n = c->s.backend->read_fn(c->s.fd, c->s.ctx, to, WS_READ_MAX);
	conn_waits(c);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ws_conn_abort(c);
		return;
	}
	c->last_rx_s = ws_list_now_s();
	if (own) {
		buf_added(&c->in, (size_t)n);
		conn_input(c);
		return;
	}
	/* Only waited out, so that our close frame is not overtaken by the
	 * reset that unread bytes would cause. */
	if (c->failed)
		return;
	size_t done = conn_frames(c, scratch, (size_t)n);

	if (c->state != WS_GONE && done < (size_t)n)
		(void)buf_add(&c->in, scratch + done, (size_t)n - done);
}

static void
conn_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ws_conn *c = arg;

	(void)fd;
	(void)what;
	c->want_write = false;
	ws_conn_flush(c);
}

void
ws_conn_flush(struct ws_conn *c)
{
	size_t wrote;
	int rc;

	if (c->want_write || c->state == WS_GONE)
		return;
	rc = ws_out_flush(&c->out, c->s.backend, c->s.fd, c->s.ctx, &wrote);
	if (rc == -1) {
		ws_conn_abort(c);
		return;
	}
	if (wrote > 0 || rc == 0)
		c->last_tx_s = ws_list_now_s();
	if (rc == 1) {
		if (c->write_ev == NULL)
			c->write_ev = event_new(c->w->base, c->s.fd, EV_WRITE,
			    conn_writable, c);
		if (c->write_ev == NULL || event_add(c->write_ev, NULL) == -1) {
			ws_conn_abort(c);
			return;
		}
		c->want_write = true;
	} else if (c->state == WS_CLOSING && c->peer_closed) {
		ws_conn_abort(c);
		return;
	} else if (c->failed) {
		c->s.backend->finish_fn(c->s.fd, c->s.ctx);
	}
	if (c->out.bytes < WS_OUT_LOW) {
		feed_wake(c);
		ws_presence_wake(c);
	}
	ws_conn_throttle(c);
}
