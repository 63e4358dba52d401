/* SPDX-License-Identifier: MIT */
/*
 * Serves operator's commands.  Runs in the master, which only wraps and
 * forwards: what an operation means is the writer's business.
 */
#include "control.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/config.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/records.h"
#include "../common/unix_sock.h"
#include "child.h"
#include "lock.h"
#include "master.h"
#include "relay.h"
#include "status.h"

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_OP_MAX (64U * 1024)
#define CONTROL_QUEUE_MAX (4U * 1024 * 1024)
static const struct timeval control_idle = { 30, 0 };
/* After accept() has failed for want of descriptors. */
static const struct timeval control_retry = { 1, 0 };

struct control_client {
	LIST_ENTRY(control_client) entry;
	struct control *control;
	struct link *link;
	struct event *idle;
	uint64_t id;
	uint64_t op;       /* number of the operation it waits for */
	struct buf record; /* the operation, while the writer has not got it */
	bool sent;
};

struct control {
	struct master *m;
	char *path;
	int fd;
	struct event *accept;
	struct event *retry;
	LIST_HEAD(, control_client) clients;
	unsigned n;
	uint64_t next_id;
};

static void
control_close(struct control_client *t)
{
	struct control *c = t->control;

	LIST_REMOVE(t, entry);
	link_free(t->link);
	event_free(t->idle);
	buf_free(&t->record);
	free(t);
	if (c->n-- == CONTROL_CLIENTS_MAX && c->fd != -1)
		(void)event_add(c->accept, NULL);
}

static void
control_on_idle(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	control_close(arg);
}

static void
control_closed(struct link *l, int err, void *arg)
{
	(void)l;
	(void)err;
	control_close(arg);
}

/* Gives the operation to the writer, if there is one. */
static void
control_send(struct control_client *t)
{
	struct child *writer = t->control->m->writer;
	struct wire_record rec;
	struct buf *out;

	if (t->record.len == 0 || writer->state != CHILD_READY)
		return;
	if ((out = relay_out(writer)) == NULL ||
	    wire_next((const uint8_t *)buf_head(&t->record), t->record.len,
		&rec) <= 0)
		return;
	if (rec_control_put(out, REC_CONTROL, t->id, &rec) == -1)
		return;
	relay_push(writer);
	t->sent = true;
	buf_free(&t->record);
}

/* What is the operator's; all else comes from workers. */
static bool
control_takes(uint8_t type)
{
	return (type >= REC_OP_TENANT_CREATE && type <= REC_OP_KEY_LIST) ||
	    type == REC_OP_ROOM_TRIM || type == REC_OP_TENANT_UPDATE ||
	    type == REC_OP_TENANT_DELETE || type == REC_OP_BACKUP ||
	    type == REC_OP_USER_ERASE || type == REC_OP_USER_ERASING;
}

static int
control_status(struct control_client *t)
{
	struct rec_reply r = { .outcome = OUTCOME_OK };
	struct buf b;

	buf_init(&b, STATUS_MAX);
	status_json(t->control->m, &b);
	r.text = (struct str){ buf_head(&b), b.len };
	(void)rec_reply_put(link_out(t->link), &r);
	buf_free(&b);
	(void)event_add(t->idle, &control_idle);
	link_push(t->link);
	return 0;
}

static int
control_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct control_client *t = arg;
	struct op_head h;

	if (rec->type == REC_STATUS)
		return rec_empty_get(rec) == -1 ? -1 : control_status(t);
	if (!control_takes(rec->type) || rec->whole_len > CONTROL_OP_MAX ||
	    rec_op_head_get(rec, &h) == -1)
		return -1;
	t->op = h.op;
	buf_clear(&t->record);
	if (buf_add(&t->record, rec->whole, rec->whole_len) == -1)
		return -1;
	/* One at a time. */
	link_pause(l, true);
	(void)event_add(t->idle, &control_idle);
	control_send(t);
	return 0;
}

static const struct link_ops control_ops = {
	.record = control_record,
	.closed = control_closed,
};

static bool
control_trusts(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1)
		return false;
	if (who.uid == 0 || who.uid == geteuid())
		return true;
	log_warn("command refused", "uid=%u", (unsigned)who.uid);
	return false;
}

static void
control_on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	(void)event_add(c->accept, NULL);
}

static void
control_on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	struct control_client *t;
	int peer;

	(void)what;
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer == -1) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
		    errno != ENOMEM)
			return;
		log_warn("cannot take a command", "error=\"%s\"",
		    strerror(errno));
		(void)event_del(c->accept);
		(void)event_add(c->retry, &control_retry);
		return;
	}
	if (!control_trusts(peer)) {
		(void)close(peer);
		return;
	}
	t = mem_alloc(sizeof(*t));
	t->control = c;
	t->id = ++c->next_id;
	buf_init(&t->record, CONTROL_OP_MAX);
	t->link = link_new(c->m->base, peer, CONTROL_QUEUE_MAX, &control_ops,
	    t);
	t->idle = event_new(c->m->base, -1, 0, control_on_idle, t);
	if (t->idle == NULL || event_add(t->idle, &control_idle) == -1)
		abort();
	LIST_INSERT_HEAD(&c->clients, t, entry);
	if (++c->n == CONTROL_CLIENTS_MAX)
		(void)event_del(c->accept);
}

struct control *
control_new(struct master *m, char *err, size_t errsize)
{
	struct control *c = mem_alloc(sizeof(*c));

	c->m = m;
	LIST_INIT(&c->clients);
	c->path = lock_beside(m->config->dsn.path, LOCK_CONTROL_SUFFIX);
	c->fd = unix_listen(c->path);
	if (c->fd == -1) {
		(void)snprintf(err, errsize,
		    "cannot make the control socket %s: %s", c->path,
		    strerror(errno));
		free(c->path);
		free(c);
		return NULL;
	}
	c->accept = event_new(m->base, c->fd, EV_READ | EV_PERSIST,
	    control_on_accept, c);
	c->retry = event_new(m->base, -1, 0, control_on_retry, c);
	if (c->accept == NULL || c->retry == NULL ||
	    event_add(c->accept, NULL) == -1)
		abort();
	return c;
}

void
control_stop(struct control *c)
{
	struct control_client *t, *next;

	if (c->fd == -1)
		return;
	(void)event_del(c->accept);
	(void)event_del(c->retry);
	(void)unlink(c->path);
	(void)close(c->fd);
	c->fd = -1;
	for (t = LIST_FIRST(&c->clients); t != NULL; t = next) {
		next = LIST_NEXT(t, entry);
		if (!t->sent)
			control_close(t);
	}
}

void
control_free(struct control *c)
{
	if (c == NULL)
		return;
	control_stop(c);
	while (!LIST_EMPTY(&c->clients))
		control_close(LIST_FIRST(&c->clients));
	event_free(c->accept);
	event_free(c->retry);
	free(c->path);
	free(c);
}

/* Passes the answer on and listens for the next operation. */
static void
control_answer(struct control_client *t)
{
	t->sent = false;
	(void)event_add(t->idle, &control_idle);
	/* Now: at a drain there may be no other turn. */
	(void)link_flush(t->link);
	link_pause(t->link, false);
}

int
control_reply(struct control *c, const struct wire_record *rec)
{
	struct control_client *t;
	struct rec_control r;

	if (rec_control_get(rec, &r) == -1 || r.inner.type != REC_REPLY)
		return -1;
	LIST_FOREACH(t, &c->clients, entry) {
		if (t->id != r.client || !t->sent)
			continue;
		(void)buf_add(link_out(t->link), r.inner.whole,
		    r.inner.whole_len);
		control_answer(t);
		break;
	}
	return 0;
}

void
control_writer_ready(struct control *c)
{
	struct control_client *t;

	LIST_FOREACH(t, &c->clients, entry)
		control_send(t);
}

void
control_writer_gone(struct control *c)
{
	struct control_client *t;

	LIST_FOREACH(t, &c->clients, entry) {
		struct rec_reply r = { .op = t->op,
			.outcome = OUTCOME_UNKNOWN };

		if (!t->sent)
			continue;
		(void)rec_reply_put(link_out(t->link), &r);
		control_answer(t);
	}
}
