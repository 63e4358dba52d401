/* SPDX-License-Identifier: MIT */
/*
 * A stream of records over a Unix-domain socket: making, ending and freeing
 * it.  Every process uses it.  Never blocks and never looks inside a record.
 */
#include "link.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "link_int.h"
#include "mem.h"
#include "wire.h"

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

void
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

void
link_enter(struct link *l)
{
	l->depth++;
}

void
link_leave(struct link *l)
{
	if (--l->depth == 0 && l->dead)
		link_destroy(l);
}

void
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
