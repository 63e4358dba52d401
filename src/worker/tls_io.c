/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes a WebSocket through TLS.  What OpenSSL has encrypted and
 * the socket does not take is held here, so that OpenSSL itself never waits:
 * a frame that it was given is on its way, and no write must be repeated
 * with the same bytes.  Runs in a worker; never blocks.
 */
#include "tls_io.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/mem.h"
#include "ws_out.h"

/* Plain bytes of one TLS record. */
#define RECORD_MAX 16384
/* A record, and what a peer may make OpenSSL answer by itself. */
#define HELD_MAX ((size_t)64 * 1024)

struct tls_io {
	SSL *ssl;
	int fd;
	bool eof;
	struct buf held; /* encrypted, for the socket */
};

/* ---- the socket, as OpenSSL sees it ---- */

static int
bio_write(BIO *b, const char *p, int len)
{
	struct tls_io *io = BIO_get_data(b);
	ssize_t n = 0;

	if (len <= 0)
		return 0;
	if (io->held.len == 0) {
		n = send(io->fd, p, (size_t)len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return -1;
		n = n == -1 ? 0 : n;
	}
	if (n < len && buf_add(&io->held, p + n, (size_t)(len - n)) == -1) {
		errno = ENOBUFS;
		return -1;
	}
	return len;
}

static int
bio_read(BIO *b, char *p, int len)
{
	struct tls_io *io = BIO_get_data(b);
	ssize_t n = recv(io->fd, p, (size_t)len, 0);

	BIO_clear_retry_flags(b);
	if (n == 0)
		io->eof = true;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)n;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *arg)
{
	struct tls_io *io = BIO_get_data(b);

	(void)num;
	(void)arg;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return io->eof;
	default:
		return 0;
	}
}

/* One a process, made at the first connection and kept. */
static const BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *m;

	if (m != NULL)
		return m;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "chatapi");
	if (m == NULL || !BIO_meth_set_write(m, bio_write) ||
	    !BIO_meth_set_read(m, bio_read) || !BIO_meth_set_ctrl(m, bio_ctrl))
		abort();
	return m;
}

/* ---- the backend ---- */

static long
io_read(int fd, void *ctx, void *p, size_t len)
{
	struct tls_io *io = ctx;
	int n;

	(void)fd;
	ERR_clear_error();
	n = SSL_read(io->ssl, p, (int)len);
	if (n > 0)
		return n;
	switch (SSL_get_error(io->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		errno = EPROTO;
		return -1;
	}
}

/* What comes next of v, up to a record; *copy is where it is put together
 * if it is in pieces. */
static const void *
io_gather(const struct iovec *v, int count, size_t skip, uint8_t *copy,
    size_t *len)
{
	const uint8_t *first = (const uint8_t *)v->iov_base + skip;

	*len = v->iov_len - skip;
	if (count == 1 || *len >= RECORD_MAX) {
		if (*len > RECORD_MAX)
			*len = RECORD_MAX;
		return first;
	}
	memcpy(copy, first, *len);
	for (int i = 1; i < count && *len < RECORD_MAX; i++) {
		size_t n = v[i].iov_len;

		if (n > RECORD_MAX - *len)
			n = RECORD_MAX - *len;
		memcpy(copy + *len, v[i].iov_base, n);
		*len += n;
	}
	return copy;
}

static long
io_writev(int fd, void *ctx, const struct iovec *v, int count)
{
	struct tls_io *io = ctx;
	uint8_t copy[RECORD_MAX];
	size_t skip = 0;
	long done = 0;

	(void)fd;
	while (count > 0 && io->held.len == 0) {
		size_t len;
		const void *p = io_gather(v, count, skip, copy, &len);
		int n;

		ERR_clear_error();
		n = SSL_write(io->ssl, p, (int)len);
		if (n <= 0) {
			errno = EPIPE;
			return -1;
		}
		done += n;
		skip += (size_t)n;
		while (count > 0 && skip >= v->iov_len) {
			skip -= v->iov_len;
			v++;
			count--;
		}
	}
	if (done == 0) {
		errno = EAGAIN;
		return -1;
	}
	return done;
}

static int
io_flush(int fd, void *ctx, size_t *wrote)
{
	struct tls_io *io = ctx;

	while (io->held.len > 0) {
		ssize_t n = send(fd, buf_head(&io->held), io->held.len,
		    MSG_NOSIGNAL);

		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 1 : -1;
		buf_drain(&io->held, (size_t)n);
		*wrote += (size_t)n;
	}
	if (io->held.cap > 0)
		buf_free(&io->held);
	return 0;
}

static unsigned
io_waits(void *ctx)
{
	struct tls_io *io = ctx;

	return (SSL_pending(io->ssl) > 0 ? WS_WAITS_IN : 0) |
	    (io->held.len > 0 ? WS_WAITS_OUT : 0);
}

/* close_notify, once, unless it would have to wait. */
static void
io_goodbye(struct tls_io *io)
{
	if (io->held.len > 0 || SSL_in_init(io->ssl) ||
	    (SSL_get_shutdown(io->ssl) & SSL_SENT_SHUTDOWN) != 0)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(io->ssl);
	ERR_clear_error();
}

static void
io_finish(int fd, void *ctx)
{
	io_goodbye(ctx);
	(void)shutdown(fd, SHUT_WR);
}

static void
io_close(int fd, void *ctx)
{
	struct tls_io *io = ctx;

	io_goodbye(io);
	SSL_free(io->ssl);
	(void)close(fd);
	buf_free(&io->held);
	free(io);
}

static const struct ws_backend backend_tls = {
	.read_fn = io_read,
	.writev_fn = io_writev,
	.flush_fn = io_flush,
	.waits_fn = io_waits,
	.finish_fn = io_finish,
	.close_fn = io_close,
};

void
tls_io_start(struct ws_socket *s, struct ssl_st *ssl, int fd)
{
	struct tls_io *io = mem_alloc(sizeof(*io));
	BIO *bio = BIO_new(bio_method());

	if (bio == NULL)
		abort();
	io->ssl = ssl;
	io->fd = fd;
	buf_init(&io->held, HELD_MAX);
	BIO_set_data(bio, io);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	s->fd = fd;
	s->backend = &backend_tls;
	s->ctx = io;
}
