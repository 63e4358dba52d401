/* SPDX-License-Identifier: MIT */
/*
 * The writing half of a link: a queue of whole records, at most one write a
 * turn of the loop, descriptors with the record they belong to.  Never calls
 * back: a failure is reported by the reading half.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link_int.h"
#include "mem.h"
#include "wire.h"

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

void
link_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	l->pushed = false;
	link_flush(l);
}

void
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
