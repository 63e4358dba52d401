/* SPDX-License-Identifier: MIT */
/*
 * The output queue of one WebSocket connection and the shared frames in it.
 * Runs in a worker; never blocks and never looks into a payload.
 */
#include "ws_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../common/mem.h"

/* Frames handed to the kernel in one call; more rarely fit its buffer. */
#define FLUSH_IOV 64

struct ws_shared *
ws_shared_new(enum ws_opcode opcode, const void *payload, size_t len)
{
	uint8_t header[WS_HEADER_MAX];
	struct ws_shared *f;
	size_t hlen;

	hlen = ws_frame_header(header, opcode, len);
	f = mem_realloc(NULL, sizeof(*f) + hlen + len);
	f->refs = 1;
	f->len = (uint32_t)(hlen + len);
	f->message = false;
	memcpy(f->data, header, hlen);
	if (len > 0)
		memcpy(f->data + hlen, payload, len);
	return f;
}

struct ws_shared *
ws_shared_raw(const void *bytes, size_t len)
{
	struct ws_shared *f;

	f = mem_realloc(NULL, sizeof(*f) + len);
	f->refs = 1;
	f->len = (uint32_t)len;
	f->message = false;
	memcpy(f->data, bytes, len);
	return f;
}

void
ws_shared_unref(struct ws_shared *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}

static void
out_grow(struct ws_out *o)
{
	struct ws_shared **ring;
	uint32_t cap = o->cap == 0 ? 4 : o->cap * 2;

	ring = mem_alloc(cap * sizeof(struct ws_shared *));
	for (uint32_t i = 0; i < o->count; i++)
		ring[i] = o->ring[(o->head + i) & (o->cap - 1)];
	free(o->ring);
	o->ring = ring;
	o->cap = cap;
	o->head = 0;
}

void
ws_out_add(struct ws_out *o, struct ws_shared *f)
{
	if (o->count == o->cap)
		out_grow(o);
	o->ring[(o->head + o->count) & (o->cap - 1)] = f;
	o->count++;
	o->bytes += f->len;
	f->refs++;
}

static void
out_pop(struct ws_out *o)
{
	ws_shared_unref(o->ring[o->head]);
	o->head = (o->head + 1) & (o->cap - 1);
	o->count--;
	o->offset = 0;
}

/* Forgets n bytes that the socket took. */
static void
out_consume(struct ws_out *o, size_t n)
{
	o->bytes -= (uint32_t)n;
	while (n > 0) {
		size_t left = o->ring[o->head]->len - o->offset;

		if (n < left) {
			o->offset += (uint32_t)n;
			return;
		}
		n -= left;
		out_pop(o);
	}
}

int
ws_out_flush(struct ws_out *o, const struct ws_backend *backend, int fd,
    void *ctx, size_t *wrote)
{
	int rc;

	*wrote = 0;
	if (backend->flush_fn != NULL &&
	    (rc = backend->flush_fn(fd, ctx, wrote)) != 0)
		return rc;
	while (o->count > 0) {
		struct iovec v[FLUSH_IOV];
		size_t asked = 0;
		int n = 0;
		long got;

		while (n < FLUSH_IOV && (uint32_t)n < o->count) {
			struct ws_shared *f;

			f = o->ring[(o->head + n) & (o->cap - 1)];
			v[n].iov_base = f->data;
			v[n].iov_len = f->len;
			if (n == 0) {
				v[n].iov_base = f->data + o->offset;
				v[n].iov_len -= o->offset;
			}
			asked += v[n].iov_len;
			n++;
		}
		got = backend->writev_fn(fd, ctx, v, n);
		if (got < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return 1;
			if (errno == EINTR)
				continue;
			return -1;
		}
		out_consume(o, (size_t)got);
		*wrote += (size_t)got;
		if ((size_t)got < asked)
			return 1;
	}
	/* An idle connection should cost no ring. */
	if (o->cap > 4) {
		free(o->ring);
		o->ring = NULL;
		o->cap = o->head = 0;
	}
	if (backend->flush_fn != NULL)
		return backend->flush_fn(fd, ctx, wrote);
	return 0;
}

uint32_t
ws_out_messages(const struct ws_out *o)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->count; i++)
		n += o->ring[(o->head + i) & (o->cap - 1)]->message;
	return n;
}

void
ws_out_free(struct ws_out *o)
{
	while (o->count > 0)
		out_pop(o);
	free(o->ring);
	memset(o, 0, sizeof(*o));
}

void
ws_out_drop(struct ws_out *o)
{
	struct ws_shared *first = NULL;
	uint32_t offset = o->offset;

	if (o->count > 0 && offset > 0) {
		first = o->ring[o->head];
		first->refs++;
	}
	ws_out_free(o);
	if (first == NULL)
		return;
	ws_out_add(o, first);
	o->offset = offset;
	o->bytes -= offset;
	ws_shared_unref(first);
}

static long
plain_read(int fd, void *ctx, void *p, size_t len)
{
	(void)ctx;
	return recv(fd, p, len, 0);
}

static long
plain_writev(int fd, void *ctx, const struct iovec *v, int count)
{
	struct msghdr m;

	(void)ctx;
	/* send() is cheaper than sendmsg() for the common single frame. */
	if (count == 1)
		return send(fd, v->iov_base, v->iov_len, MSG_NOSIGNAL);
	memset(&m, 0, sizeof(m));
	m.msg_iov = (struct iovec *)(uintptr_t)v;
	m.msg_iovlen = (size_t)count;
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void
plain_finish(int fd, void *ctx)
{
	(void)ctx;
	(void)shutdown(fd, SHUT_WR);
}

static void
plain_close(int fd, void *ctx)
{
	(void)ctx;
	close(fd);
}

const struct ws_backend ws_backend_plain = {
	.read_fn = plain_read,
	.writev_fn = plain_writev,
	.finish_fn = plain_finish,
	.close_fn = plain_close,
};
