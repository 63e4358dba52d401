/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket side of the load generator: one thread, one epoll, one
 * shared read buffer.  Checks as much of the protocol as it needs to.
 */
#include "ws_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "ws_text.h"

#define SCRATCH (512 * 1024)
#define FRAME_MAX (128 * 1024)

void
ws_pool_init(struct ws_pool *p, const struct bench *b, unsigned n,
    ws_pool_text_cb *text, void *arg)
{
	memset(p, 0, sizeof(*p));
	p->bench = b;
	p->n = n;
	p->text = text;
	p->arg = arg;
	p->sources = 1 + n / 2000;
	p->client = calloc(n, sizeof(*p->client));
	p->scratch = malloc(SCRATCH);
	p->ep = epoll_create1(EPOLL_CLOEXEC);
	if (p->client == NULL || p->scratch == NULL || p->ep == -1)
		abort();
	for (unsigned i = 0; i < n; i++) {
		p->client[i].pool = p;
		p->client[i].fd = -1;
	}
}

void
ws_pool_free(struct ws_pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->client[i].fd != -1)
			close(p->client[i].fd);
		free(p->client[i].in);
		free(p->client[i].out);
	}
	free(p->client);
	free(p->scratch);
	close(p->ep);
}

static void
client_close(struct ws_client *c, const char *why)
{
	struct ws_pool *p = c->pool;

	if (c->state == WS_CLOSED)
		return;
	if (p->lost == NULL && p->closed++ < 3)
		fprintf(stderr, "connection of %s closed: %s\n", c->user, why);
	if (c->state == WS_OPEN)
		p->up--;
	else
		p->busy--;
	c->state = WS_CLOSED;
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->in_len = c->out_len = 0;
	if (p->lost != NULL)
		p->lost(c);
}

uint8_t *
ws_client_reserve(struct ws_client *c, size_t len)
{
	if (c->out_len + len > c->out_cap) {
		c->out_cap = (uint32_t)(c->out_len + len + 512);
		if ((c->out = realloc(c->out, c->out_cap)) == NULL)
			abort();
	}
	return c->out + c->out_len;
}

void
ws_client_added(struct ws_client *c, size_t len)
{
	c->out_len += (uint32_t)len;
}

static uint32_t
client_events(const struct ws_client *c)
{
	return (c->stalled ? 0 : EPOLLIN) | (c->want_out ? EPOLLOUT : 0);
}

void
ws_client_stall(struct ws_client *c, bool stalled)
{
	c->stalled = stalled;
	if (c->state >= WS_HANDSHAKE && c->state != WS_CLOSED)
		net_epoll(c->pool->ep, EPOLL_CTL_MOD, c->fd, client_events(c),
		    c);
}

void
ws_client_flush(struct ws_client *c)
{
	ssize_t n;
	bool want;

	if (c->state == WS_CLOSED || c->state == WS_CONNECTING)
		return;
	if (c->out_len > 0) {
		n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN) {
			client_close(c, strerror(errno));
			return;
		}
		if (n > 0) {
			c->out_len -= (uint32_t)n;
			memmove(c->out, c->out + n, c->out_len);
		}
	}
	want = c->out_len > 0;
	if (want == c->want_out)
		return;
	c->want_out = want;
	net_epoll(c->pool->ep, EPOLL_CTL_MOD, c->fd, client_events(c), c);
}

void
ws_client_open(struct ws_client *c)
{
	struct ws_pool *p = c->pool;
	unsigned number = (unsigned)(c - p->client);

	c->began = stats_now();
	c->fd = net_connect(p->bench->port, number % p->sources, p->rcvbuf);
	c->want_out = c->stalled = false;
	c->state = WS_CONNECTING;
	p->busy++;
	if (c->fd == -1) {
		client_close(c, strerror(errno));
		return;
	}
	net_epoll(p->ep, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void
client_handshake(struct ws_client *c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char key[25];
	int err, n;

	if ((err = net_connect_error(c->fd)) != 0) {
		client_close(c, strerror(err));
		return;
	}
	/* 16 random bytes in base 64: the last digit holds two bits. */
	for (int i = 0; i < 21; i++)
		key[i] = digits[stats_random() >> 58];
	key[21] = "AQgw"[stats_random() >> 62];
	memcpy(key + 22, "==", 3);
	n = snprintf((char *)ws_client_reserve(c, 1024), 1024,
	    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
	    "X-API-Key: %s\r\nX-User-Id: %s\r\n\r\n",
	    c->pool->bench->port, key, c->pool->bench->key, c->user);
	ws_client_added(c, (size_t)n);
	c->state = WS_HANDSHAKE;
	c->want_out = true;
	ws_client_flush(c);
}

static void
client_text(struct ws_client *c, const char *text, size_t len)
{
	struct ws_pool *p = c->pool;

	if (c->state == WS_OPEN) {
		p->text(c, text, len);
	} else if (ws_text_is(text, len, "sync.complete")) {
		c->state = WS_OPEN;
		p->open++;
		p->up++;
		p->busy--;
		hist_add(&p->setup, stats_now() - c->began);
		if (c->out_len == 0) {
			free(c->out);
			c->out = NULL;
			c->out_cap = 0;
		}
	} else if (ws_text_is(text, len, "welcome")) {
		c->slot = (uint8_t)ws_text_slot(text, len);
	} else {
		p->text(c, text, len);
	}
}

/* One frame; the bytes it takes, 0 when more must come, -1 = closed. */
static long
client_frame(struct ws_client *c, uint8_t *p, size_t len)
{
	size_t head = 2, n;
	uint8_t *out;

	if (len < 2)
		return 0;
	n = p[1] & 0x7f;
	if (n >= 126) {
		head = n == 126 ? 4 : 10;
		if (len < head)
			return 0;
		n = 0;
		for (size_t i = 2; i < head; i++)
			n = n << 8 | p[i];
	}
	if (n > FRAME_MAX || (p[0] & 0xf0) != 0x80 || (p[1] & 0x80) != 0) {
		client_close(c, "a frame that makes no sense");
		return -1;
	}
	if (len < head + n)
		return 0;
	if ((p[0] & 0xf) == 1) {
		c->pool->frames++;
		client_text(c, (char *)p + head, n);
	} else if ((p[0] & 0xf) == 9) {
		out = ws_client_reserve(c, ws_text_frame_size(n));
		ws_client_added(c, ws_text_frame(out, 10, p + head, n));
		c->pool->pongs++;
	} else if ((p[0] & 0xf) == 8) {
		client_close(c, "close frame");
		return -1;
	}
	return c->state == WS_CLOSED ? -1 : (long)(head + n);
}

/* The answer to the handshake; the bytes it takes or 0 or -1. */
static long
client_answer(struct ws_client *c, const uint8_t *p, size_t len)
{
	const uint8_t *end = memmem(p, len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (len < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "%.*s\n", (int)(len < 300 ? len : 300), p);
		client_close(c, "no 101");
		return -1;
	}
	c->state = WS_SYNCING;
	return end + 4 - p;
}

static void
client_read(struct ws_client *c)
{
	uint8_t *buf = c->pool->scratch;
	size_t len = c->in_len, off = 0;
	ssize_t n;
	long took;

	memcpy(buf, c->in == NULL ? "" : c->in, len);
	n = recv(c->fd, buf + len, SCRATCH - len, 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			client_close(c, n == 0 ? "eof" : strerror(errno));
		return;
	}
	c->pool->now = stats_now();
	c->pool->bytes += (size_t)n;
	len += (size_t)n;
	do {
		took = c->state == WS_HANDSHAKE ?
		    client_answer(c, buf + off, len - off) :
		    client_frame(c, buf + off, len - off);
		if (took == -1)
			return;
		off += (size_t)took;
	} while (took > 0 && off < len);
	if (len == off && c->in_len > 0) {
		free(c->in);
		c->in = NULL;
	} else if (len > off) {
		if ((c->in = realloc(c->in, len - off)) == NULL)
			abort();
		memcpy(c->in, buf + off, len - off);
	}
	c->in_len = (uint32_t)(len - off);
}

void
ws_pool_turn(struct ws_pool *p, int timeout_ms)
{
	struct epoll_event ev[256];
	struct ws_client *c;
	int n;

	n = epoll_wait(p->ep, ev, 256, timeout_ms);
	p->now = stats_now();
	for (int i = 0; i < n; i++) {
		c = ev[i].data.ptr;
		if (c->state == WS_CONNECTING)
			client_handshake(c);
		else if (c->state != WS_CLOSED &&
		    (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			client_read(c);
		if (c->state != WS_CLOSED && (c->out_len > 0 || c->want_out))
			ws_client_flush(c);
	}
}

int
ws_pool_open(struct ws_pool *p, unsigned timeout_ms)
{
	uint64_t end = stats_now() + timeout_ms * UINT64_C(1000000);

	while (p->open < p->n && p->closed == 0) {
		while (p->started < p->n && p->busy < p->bench->pending) {
			ws_client_open(&p->client[p->started++]);
			if (p->closed > 0)
				return -1;
		}
		ws_pool_turn(p, 100);
		if (stats_now() > end) {
			fprintf(stderr, "only %u of %u connections synced\n",
			    p->open, p->n);
			return -1;
		}
	}
	return p->closed == 0 ? 0 : -1;
}
