/* SPDX-License-Identifier: MIT */
/*
 * A stream of records over a Unix-domain socket: one read and at most one
 * write a turn of the loop, whole records handed over where they were read.
 * Every process uses it.  Never blocks (but for link_wait) and never looks
 * inside a record.
 */
#include "link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "mem.h"
#include "wire.h"

#define LINK_READ_SIZE (128U * 1024)
#define LINK_FDS_MAX 8
/* An idle link keeps no more than this of what a burst made it allocate. */
#define LINK_KEEP_SIZE (256U * 1024)

enum link_result { LINK_MORE, LINK_BLOCKED, LINK_END };

/* A descriptor that leaves with the first byte of its record. */
struct link_fd {
	uint64_t at; /* offset of the record in the stream */
	int fd;
};

struct link {
	struct event_base *base;
	struct event *rd;
	struct event *wr;   /* only while the socket is full */
	struct event *turn; /* end of this turn of the loop */
	const struct link_ops *ops;
	void *arg;
	int fd;
	int err_out;    /* a write failed with this */
	int err_in;     /* why LINK_END; 0 = end of file */
	unsigned depth; /* how many of our frames are on the stack */
	bool paused;
	bool backlog; /* `in` may hold whole records */
	bool pushed;
	bool full;     /* wr is armed */
	bool ended;    /* closed() was called */
	bool dead;     /* link_free() was called */
	struct buf in; /* read and not yet handed over */
	struct buf out;
	uint64_t sent; /* offset of out's first byte in the stream */
	size_t rest;   /* bytes of a partly written record in out */
	struct link_fd *fds_out;
	unsigned nfds_out;
	int fds_in[LINK_FDS_MAX];
	unsigned nfds_in;
};

static void link_on_read(evutil_socket_t fd, short what, void *arg);
static void link_on_write(evutil_socket_t fd, short what, void *arg);
static void link_on_turn(evutil_socket_t fd, short what, void *arg);

struct link *
link_new(struct event_base *base, int fd, size_t max_queue,
    const struct link_ops *ops, void *arg)
{
	struct link *l = mem_alloc(sizeof(*l));

	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	l->base = base;
	l->fd = fd;
	l->ops = ops;
	l->arg = arg;
	buf_init(&l->in, WIRE_RECORD_MAX + WIRE_HEADER + LINK_READ_SIZE);
	buf_init(&l->out, max_queue);
	if (base == NULL)
		return l;
	l->rd = event_new(base, fd, EV_READ | EV_PERSIST, link_on_read, l);
	l->wr = event_new(base, fd, EV_WRITE | EV_PERSIST, link_on_write, l);
	l->turn = event_new(base, -1, 0, link_on_turn, l);
	if (l->rd == NULL || l->wr == NULL || l->turn == NULL ||
	    event_add(l->rd, NULL) == -1)
		abort();
	return l;
}

static void
link_stop(struct link *l)
{
	if (l->base == NULL)
		return;
	event_del(l->rd);
	event_del(l->wr);
	event_del(l->turn);
	l->full = false;
	l->pushed = false;
}

static void
link_clear_out(struct link *l)
{
	for (unsigned i = 0; i < l->nfds_out; i++)
		close(l->fds_out[i].fd);
	l->nfds_out = 0;
	l->sent += l->out.len;
	l->rest = 0;
	buf_free(&l->out);
}

static void
link_destroy(struct link *l)
{
	if (l->base != NULL) {
		event_free(l->rd);
		event_free(l->wr);
		event_free(l->turn);
	}
	buf_free(&l->in);
	free(l->fds_out);
	free(l);
}

void
link_free(struct link *l)
{
	if (l == NULL || l->dead)
		return;
	l->dead = true;
	link_stop(l);
	link_clear_out(l);
	for (unsigned i = 0; i < l->nfds_in; i++)
		close(l->fds_in[i]);
	l->nfds_in = 0;
	close(l->fd);
	l->fd = -1;
	if (l->depth == 0)
		link_destroy(l);
}

static void
link_enter(struct link *l)
{
	l->depth++;
}

static void
link_leave(struct link *l)
{
	if (--l->depth == 0 && l->dead)
		link_destroy(l);
}

/* Tells the owner, once, that nothing more will come. */
static void
link_end(struct link *l, int err)
{
	if (l->ended || l->dead)
		return;
	l->ended = true;
	link_stop(l);
	link_clear_out(l);
	if (l->ops->closed != NULL)
		l->ops->closed(l, err, l->arg);
}

/* ---- writing ---- */

struct buf *
link_out(struct link *l)
{
	return &l->out;
}

size_t
link_queued(const struct link *l)
{
	return l->out.len;
}

void
link_push(struct link *l)
{
	if (l->ended || l->dead || l->base == NULL || l->pushed || l->full)
		return;
	l->pushed = true;
	event_active(l->turn, EV_TIMEOUT, 0);
}

/* Bytes of the record at p with its header; all of len when it is none. */
static size_t
link_record_size(const char *p, size_t len)
{
	const uint8_t *u = (const uint8_t *)p;
	size_t n;

	if (len < 4)
		return len;
	n = 4 +
	    ((size_t)u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 |
		(size_t)u[3] << 24);
	return n < len ? n : len;
}

/* n bytes went out: finds how much of the last record is left. */
static void
link_advance(struct link *l, size_t n)
{
	const char *p = buf_head(&l->out);
	size_t pos = l->rest;

	if (n == l->out.len)
		pos = n;
	while (pos < n)
		pos += link_record_size(p + pos, l->out.len - pos);
	l->rest = pos - n;
	l->sent += n;
	buf_drain(&l->out, n);
	if (l->out.len == 0 && l->out.cap > LINK_KEEP_SIZE && !l->out.failed)
		buf_free(&l->out);
}

/* One sendmsg, of at most len bytes, with fd unless that is -1. */
static ssize_t
link_send(struct link *l, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec iov = { buf_head(&l->out), len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd != -1) {
		struct cmsghdr *h;

		memset(&c, 0, sizeof(c));
		m.msg_control = c.space;
		m.msg_controllen = sizeof(c.space);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	do
		n = sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n;
}

/* Writes up to the next record that has a descriptor of its own. */
static ssize_t
link_write(struct link *l, size_t *want)
{
	size_t len = l->out.len;
	unsigned next = 0;
	int fd = -1;
	ssize_t n;

	if (l->nfds_out > 0 && l->fds_out[0].at == l->sent) {
		fd = l->fds_out[0].fd;
		next = 1;
	}
	if (l->nfds_out > next && l->fds_out[next].at - l->sent < len)
		len = l->fds_out[next].at - l->sent;
	*want = len;
	n = link_send(l, len, fd);
	if (n > 0 && fd != -1) {
		close(fd);
		l->nfds_out--;
		memmove(l->fds_out, l->fds_out + 1,
		    l->nfds_out * sizeof(*l->fds_out));
	}
	return n;
}

static void
link_set_full(struct link *l, bool full)
{
	if (l->base == NULL || l->full == full)
		return;
	l->full = full;
	if (full)
		event_add(l->wr, NULL);
	else
		event_del(l->wr);
}

int
link_flush(struct link *l)
{
	if (l->ended || l->dead || l->err_out != 0)
		return -1;
	while (l->out.len > 0) {
		size_t want;
		ssize_t n = link_write(l, &want);

		if (n == -1 && errno != EAGAIN) {
			/* What the peer sent before it went is still to be
			 * read; the reading side then reports the end. */
			l->err_out = errno;
			link_set_full(l, false);
			link_clear_out(l);
			if (l->base != NULL)
				event_active(l->rd, EV_READ, 0);
			return -1;
		}
		if (n > 0)
			link_advance(l, (size_t)n);
		if (n < (ssize_t)want) {
			link_set_full(l, true);
			return 0;
		}
	}
	link_set_full(l, false);
	return 0;
}

static void
link_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	l->pushed = false;
	link_flush(l);
}

static void
link_on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	link_flush(arg);
}

void
link_drop_records(struct link *l, bool (*drop)(const struct wire_record *))
{
	struct buf old = l->out;
	const char *p = old.len > 0 ? buf_head(&old) : "";
	size_t pos = l->rest;
	unsigned next = 0, kept = 0;

	buf_init(&l->out, old.max);
	buf_add(&l->out, p, pos);
	while (pos < old.len) {
		struct wire_record rec;
		long n = wire_next((const uint8_t *)p + pos, old.len - pos,
		    &rec);
		bool keep = n > 0 && drop != NULL && !drop(&rec);
		bool has_fd = next < l->nfds_out &&
		    l->fds_out[next].at == l->sent + pos;

		if (n <= 0)
			break;
		if (has_fd && keep) {
			l->fds_out[kept].fd = l->fds_out[next].fd;
			l->fds_out[kept++].at = l->sent + l->out.len;
		} else if (has_fd)
			close(l->fds_out[next].fd);
		next += has_fd;
		if (keep)
			buf_add(&l->out, p + pos, (size_t)n);
		pos += (size_t)n;
	}
	l->nfds_out = kept;
	buf_free(&old);
}

void
link_drop_queue(struct link *l)
{
	link_drop_records(l, NULL);
}

void
link_send_fd(struct link *l, int fd)
{
	const char *p;
	size_t pos = l->rest, last;
	int copy;

	if (l->ended || l->dead || l->out.len <= pos)
		return;
	p = buf_head(&l->out);
	do {
		last = pos;
		pos += link_record_size(p + pos, l->out.len - pos);
	} while (pos < l->out.len);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy == -1)
		return;
	l->fds_out = mem_realloc(l->fds_out,
	    (l->nfds_out + 1) * sizeof(*l->fds_out));
	l->fds_out[l->nfds_out].at = l->sent + last;
	l->fds_out[l->nfds_out++].fd = copy;
}

/* ---- reading ---- */

static void
link_take_rights(struct link *l, struct msghdr *m)
{
	struct cmsghdr *h;

	for (h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int),
			    sizeof(int));
			if (l->nfds_in < LINK_FDS_MAX)
				l->fds_in[l->nfds_in++] = fd;
			else
				close(fd);
		}
	}
}

static ssize_t
link_recv(struct link *l, char *p, size_t len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(LINK_FDS_MAX * sizeof(int))];
	} c;
	struct iovec iov = { p, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do {
		m.msg_control = c.space;
		m.msg_controllen = sizeof(c.space);
		n = recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n >= 0)
		link_take_rights(l, &m);
	return n;
}

int
link_take_fd(struct link *l)
{
	int fd;

	if (l->nfds_in == 0)
		return -1;
	fd = l->fds_in[0];
	l->nfds_in--;
	memmove(l->fds_in, l->fds_in + 1, l->nfds_in * sizeof(int));
	return fd;
}

/*
 * Hands over at most max records of len bytes, adds their number to *count
 * and returns how many bytes they were; -1 after a bad one.
 */
static ssize_t
link_hand_over(struct link *l, const char *p, size_t len, unsigned max,
    unsigned *count)
{
	size_t pos = 0;
	unsigned done = 0;

	l->backlog = false;
	while (pos < len) {
		struct wire_record rec;
		long n;

		if (l->paused || done == max) {
			l->backlog = true;
			break;
		}
		n = wire_next((const uint8_t *)p + pos, len - pos, &rec);
		if (n == 0)
			break;
		if (n < 0)
			return -1;
		pos += (size_t)n;
		done++;
		++*count;
		if (l->ops->record(l, &rec, l->arg) == -1)
			return -1;
		if (l->dead || l->ended)
			break;
	}
	return (ssize_t)pos;
}

/* What the stack buffer holds beyond the records that were handed over. */
static void
link_keep(struct link *l, const char *p, size_t len)
{
	if (len == 0 && l->in.cap > LINK_KEEP_SIZE) {
		buf_free(&l->in);
		return;
	}
	buf_clear(&l->in);
	if (len > 0)
		buf_add(&l->in, p, len);
}

/* One read, usually into the stack behind the start of a record that came
 * before, and the records that it completes. */
static enum link_result
link_read_socket(struct link *l, unsigned max, unsigned *count)
{
	char space[LINK_READ_SIZE];
	bool on_stack = l->in.len <= sizeof(space) / 2;
	size_t have = l->in.len;
	char *to = space + have;
	ssize_t n, used;

	if (on_stack && have > 0)
		memcpy(space, buf_head(&l->in), have);
	else if (!on_stack)
		to = buf_reserve(&l->in, sizeof(space) / 2);
	n = link_recv(l, to,
	    on_stack ? sizeof(space) - have : sizeof(space) / 2);
	if (n == -1 && errno == EAGAIN)
		return LINK_BLOCKED;
	if (n <= 0) {
		l->err_in = n == 0 ? 0 : errno;
		return LINK_END;
	}
	if (!on_stack)
		buf_added(&l->in, (size_t)n);
	have += (size_t)n;
	used = link_hand_over(l, on_stack ? space : buf_head(&l->in), have, max,
	    count);
	if (l->dead || l->ended)
		return LINK_BLOCKED;
	if (used == -1) {
		l->err_in = EPROTO;
		return LINK_END;
	}
	if (on_stack)
		link_keep(l, space + used, have - (size_t)used);
	else {
		buf_drain(&l->in, (size_t)used);
		if (l->in.len == 0)
			link_keep(l, NULL, 0);
	}
	return LINK_MORE;
}

static enum link_result
link_read(struct link *l, unsigned max, unsigned *count)
{
	ssize_t used;

	if (!l->backlog)
		return link_read_socket(l, max, count);
	used = link_hand_over(l, buf_head(&l->in), l->in.len, max, count);
	if (l->dead || l->ended)
		return LINK_BLOCKED;
	if (used == -1) {
		l->err_in = EPROTO;
		return LINK_END;
	}
	buf_drain(&l->in, (size_t)used);
	return LINK_MORE;
}

static void
link_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	enum link_result r = LINK_BLOCKED;
	unsigned count = 0;

	(void)fd;
	(void)what;
	link_enter(l);
	if (!l->paused)
		r = link_read(l, UINT_MAX, &count);
	if (count > 0 && l->ops->idle != NULL && !l->dead && !l->ended)
		l->ops->idle(l, l->arg);
	if (r == LINK_END)
		link_end(l, l->err_in);
	else if (l->err_out != 0 && r == LINK_BLOCKED)
		link_end(l, l->err_out);
	else if (l->err_out != 0 && !l->dead && !l->ended)
		event_active(l->rd, EV_READ, 0);
	link_leave(l);
}

void
link_pause(struct link *l, bool paused)
{
	if (l->paused == paused)
		return;
	l->paused = paused;
	if (l->ended || l->dead || l->base == NULL)
		return;
	if (paused)
		event_del(l->rd);
	else {
		event_add(l->rd, NULL);
		if (l->backlog)
			event_active(l->rd, EV_READ, 0);
	}
}

void
link_drain(struct link *l)
{
	unsigned count = 0;

	link_enter(l);
	while (!l->dead && !l->ended && !l->paused)
		if (link_read(l, UINT_MAX, &count) != LINK_MORE)
			break;
	if (count > 0 && l->ops->idle != NULL && !l->dead && !l->ended)
		l->ops->idle(l, l->arg);
	link_leave(l);
}

/* Waits until the socket can be read, writing meanwhile; -1 with errno. */
static int
link_poll(struct link *l, uint64_t deadline)
{
	struct pollfd p = { .fd = l->fd };
	uint64_t now = clock_mono_ms();
	int n;

	link_flush(l);
	p.events = l->out.len > 0 ? POLLIN | POLLOUT : POLLIN;
	n = poll(&p, 1, now < deadline ? (int)(deadline - now) : 0);
	if (n == -1 && errno != EINTR)
		return -1;
	if (n == 0 && clock_mono_ms() >= deadline) {
		errno = ETIMEDOUT;
		return -1;
	}
	return n > 0 && (p.revents & ~POLLOUT) != 0;
}

int
link_wait(struct link *l, int timeout_ms)
{
	uint64_t deadline = clock_mono_ms() + (unsigned)timeout_ms;
	enum link_result r = LINK_MORE;
	unsigned count = 0;
	int ready = 0, err = 0;

	link_enter(l);
	while (count == 0 && r != LINK_END && !l->dead && !l->ended) {
		ready = l->backlog ? 1 : link_poll(l, deadline);
		if (ready == -1)
			break;
		if (ready)
			r = link_read(l, 1, &count);
	}
	if (r == LINK_END) {
		err = l->err_in != 0 ? l->err_in : ECONNRESET;
		link_end(l, l->err_in);
	} else if (ready == -1)
		err = errno;
	link_leave(l);
	errno = err;
	return count > 0 && err == 0 ? 0 : -1;
}
