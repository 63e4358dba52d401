/* SPDX-License-Identifier: MIT */
/*
 * The reading half of a link: one read a wake-up, whole records handed over
 * where they were read.  Also the only place that waits: link_wait(), for
 * commands without a loop.
 */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "link_int.h"
#include "wire.h"

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

void
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
