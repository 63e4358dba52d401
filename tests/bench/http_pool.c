/* SPDX-License-Identifier: MIT */
/*
 * The REST side of the load generator.  Understands answers with a
 * Content-Length only, which is what the server sends.
 */
#include "http_pool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "stats.h"

int
http_pool_init(struct http_pool *p, unsigned port, unsigned n,
    http_request_cb *request, http_answer_cb *answer, void *arg)
{
	struct http_client *c;
	struct pollfd pfd;

	memset(p, 0, sizeof(*p));
	p->request = request;
	p->answer = answer;
	p->arg = arg;
	p->client = calloc(n, sizeof(*p->client));
	p->scratch = malloc(HTTP_REQUEST_MAX);
	p->ep = epoll_create1(EPOLL_CLOEXEC);
	if (p->client == NULL || p->scratch == NULL || p->ep == -1)
		abort();
	for (; p->n < n; p->n++) {
		c = &p->client[p->n];
		c->pool = p;
		c->number = p->n;
		c->in = malloc(HTTP_ANSWER_MAX);
		c->fd = net_connect(port, 0, 0);
		pfd = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
		if (c->in == NULL || c->fd == -1 || poll(&pfd, 1, 5000) != 1 ||
		    (errno = net_connect_error(c->fd)) != 0) {
			perror("connect");
			p->n++;
			return -1;
		}
		net_epoll(p->ep, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
	}
	return 0;
}

void
http_pool_free(struct http_pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->client[i].fd != -1)
			close(p->client[i].fd);
		free(p->client[i].in);
	}
	free(p->client);
	free(p->scratch);
	close(p->ep);
}

static void
http_fail(struct http_client *c, const char *why)
{
	if (c->pool->broken++ < 3)
		fprintf(stderr, "connection %u: %s\n", c->number, why);
	close(c->fd);
	c->fd = -1;
}

static void
http_send(struct http_client *c)
{
	struct http_pool *p = c->pool;
	size_t len = p->request(c, p->scratch);

	if (len == 0)
		return;
	c->sent_at = stats_now();
	p->waiting++;
	/* A request of at most 64 KiB fits into an empty socket's buffer. */
	if (send(c->fd, p->scratch, len, MSG_NOSIGNAL) != (ssize_t)len)
		http_fail(c, "could not send a request");
}

void
http_pool_start(struct http_pool *p)
{
	for (unsigned i = 0; i < p->n; i++)
		http_send(&p->client[i]);
}

/* Value of Content-Length; -1 when there is none. */
static long
http_length(const char *head, const char *end)
{
	const char *p = head;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p > 15 && strncasecmp(p, "Content-Length:", 15) == 0)
			return strtol(p + 15, NULL, 10);
	}
	return -1;
}

static void
http_parse(struct http_client *c)
{
	const char *end;
	size_t head;
	long body;

	if ((end = memmem(c->in, c->in_len, "\r\n\r\n", 4)) == NULL) {
		if (c->in_len == HTTP_ANSWER_MAX)
			http_fail(c, "endless header");
		return;
	}
	head = (size_t)(end - c->in) + 4;
	body = http_length(c->in, end + 1);
	if (body < 0 && c->in_len > 12 && memcmp(c->in + 9, "204", 3) == 0)
		body = 0;
	if (body < 0 || head + (size_t)body > HTTP_ANSWER_MAX ||
	    strncmp(c->in, "HTTP/1.1 ", 9) != 0) {
		http_fail(c, "an answer that makes no sense");
		return;
	}
	if (c->in_len < head + (size_t)body)
		return;
	c->pool->waiting--;
	c->pool->answer(c, (int)strtol(c->in + 9, NULL, 10), c->in + head,
	    (size_t)body);
	c->in_len = 0;
	http_send(c);
}

void
http_pool_turn(struct http_pool *p, int timeout_ms)
{
	struct epoll_event ev[128];
	struct http_client *c;
	ssize_t got;
	int n;

	n = epoll_wait(p->ep, ev, 128, timeout_ms);
	p->now = stats_now();
	for (int i = 0; i < n; i++) {
		c = ev[i].data.ptr;
		if (c->fd == -1)
			continue;
		got = recv(c->fd, c->in + c->in_len,
		    HTTP_ANSWER_MAX - c->in_len, 0);
		if (got <= 0) {
			http_fail(c, got == 0 ? "closed" : strerror(errno));
			continue;
		}
		p->now = stats_now();
		c->in_len += (size_t)got;
		http_parse(c);
	}
}
