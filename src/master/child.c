/* SPDX-License-Identifier: MIT */
/*
 * Starts a child, listens to its bus, and ends it when it is stuck.  Runs in
 * the master.  What follows from a child's being ready or gone is decided in
 * master.c.
 */
#include "child.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../writer/store.h"
#include "certificate.h"
#include "control.h"
#include "listen.h"
#include "master.h"
#include "relay.h"
#include "relay_presence.h"
#include "spawn.h"

#define CHILD_SETTLED_MS 500
#define CHILD_DELAY_MS 100
#define CHILD_DELAY_MAX_MS 10000
/* Without a sign of life. */
#define CHILD_WORKER_SILENT_MS 10000
#define CHILD_WRITER_SILENT_MS 60000
/* Until READY; the writer may have a migration to run. */
#define CHILD_WORKER_START_MS 60000
#define CHILD_WRITER_START_MS (10 * 60 * 1000)
#define CHILD_BUS_BUFFER (1024 * 1024)
#define COURIER_PROGRAM "chatapi-courier"

static void child_on_again(evutil_socket_t fd, short what, void *arg);

struct child *
child_new(struct master *m, enum role role, unsigned slot, unsigned seat)
{
	struct child *c = mem_alloc(sizeof(*c));

	c->m = m;
	c->role = role;
	c->slot = slot;
	c->seat = seat;
	c->page_slot = role == ROLE_WRITER ? PAGE_SLOT_WRITER :
	    role == ROLE_COURIER           ? PAGE_SLOT_COURIER :
					     PAGE_SLOT_WORKER0 + (int)slot;
	c->again = event_new(m->base, -1, 0, child_on_again, c);
	if (c->again == NULL)
		abort();
	return c;
}

void
child_free(struct child *c)
{
	if (c == NULL)
		return;
	link_free(c->link);
	event_free(c->again);
	free(c);
}

const char *
child_role(const struct child *c)
{
	return c->role == ROLE_WRITER ? "writer" :
	    c->role == ROLE_COURIER   ? "courier" :
					"worker";
}

void
child_kill(struct child *c, const char *why)
{
	(void)event_del(c->again);
	if (c->pid == 0 || c->killed)
		return;
	log_error("killing child", "child=%s child_slot=%u pid=%d why=\"%s\"",
	    child_role(c), c->seat, (int)c->pid, why);
	c->killed = true;
	(void)kill(c->pid, SIGKILL);
}

/* Its own sockets, and those of seats that nobody has any more. */
static unsigned
child_listeners(const struct child *c, int fds[LISTENERS_MAX])
{
	return listeners_of(c->m->listeners, c->seat, c->m->config->workers,
	    fds);
}

void
child_configure(struct child *c)
{
	struct rec_config r = { .incarnation = c->incarnation,
		.seat = c->seat,
		.config = c->m->config };

	if (c->link == NULL)
		return;
	if (c->role == ROLE_WORKER) {
		int fds[LISTENERS_MAX];

		certificate_send(c);
		r.nlisteners = child_listeners(c, fds);
		for (uint32_t i = 0; i < r.nlisteners; i++)
			r.kinds[i] = listeners_kind(c->m->listeners, i);
	}
	if (rec_config_put(link_out(c->link), &r) == -1)
		child_kill(c, "configuration too large");
	link_push(c->link);
}

/* ---- what it says ---- */

static int
child_hello(struct child *c, const struct wire_record *rec)
{
	struct master *m = c->m;
	struct rec_hello h;

	if (c->state != CHILD_STARTED || rec_hello_get(rec, &h) == -1 ||
	    h.role != c->role || h.slot != c->slot)
		return -1;
	(void)snprintf(c->build, sizeof(c->build), "%.*s", (int)h.build.len,
	    h.build.p);
	c->schema = h.schema;
	if (h.page_layout != PAGE_LAYOUT ||
	    h.schema != store_schema_version() ||
	    h.build.len != strlen(PACKAGE_VERSION) ||
	    memcmp(h.build.p, PACKAGE_VERSION, h.build.len) != 0) {
		log_error("the program on disk is another version: restart "
			  "needed",
		    "child=%s child_slot=%u", child_role(c), c->seat);
		c->other = true;
		child_kill(c, "another version");
		return 0;
	}
	c->state = CHILD_LIVE;
	/* Only now: another version must not touch the database. */
	child_configure(c);
	if (c->role != ROLE_WRITER && m->writer->state >= CHILD_LIVE)
		relay_peers(m->writer, c);
	if (c->role == ROLE_WRITER) {
		struct child *w;

		CHILD_FOREACH_WORKER(w, m)
			if (w->state >= CHILD_LIVE)
				relay_peers(c, w);
		if (m->courier->state >= CHILD_LIVE)
			relay_peers(c, m->courier);
	}
	if (c->role == ROLE_WORKER)
		relay_greet(c);
	return 0;
}

static int
child_ready(struct child *c)
{
	if (c->state != CHILD_LIVE)
		return -1;
	c->state = CHILD_READY;
	c->ready_ms = clock_mono_ms();
	if (c->role == ROLE_WORKER)
		page_set(c->m->page, c->page_slot, GAUGE_WORKER_SEAT,
		    c->seat + 1);
	master_child_ready(c->m, c);
	return 0;
}

static int
child_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct child *c = arg;

	(void)l;
	/* Hot first. */
	if (rec->type >= REC_INTEREST && rec->type <= REC_PUBLISH)
		return c->state < CHILD_LIVE ? -1 : relay_record(c, rec);
	c->beat_ms = clock_mono_ms();
	switch (rec->type) {
	case REC_HELLO:
		return child_hello(c, rec);
	case REC_READY:
		return rec_empty_get(rec) == -1 ? -1 : child_ready(c);
	case REC_HEARTBEAT:
		return rec_empty_get(rec);
	case REC_CONTROL_REPLY:
		if (c->role != ROLE_WRITER)
			return -1;
		return control_reply(c->m->control, rec);
	case REC_ABSENCE:
		return c->state < CHILD_LIVE ? -1 : relay_absence(c, rec);
	case REC_DRAINED:
		c->state = CHILD_DRAINED;
		return rec_empty_get(rec);
	default:
		return -1;
	}
}

static void
child_idle(struct link *l, void *arg)
{
	(void)l;
	relay_idle(arg);
}

/* Nothing more can pass between it and us. */
static void
child_disconnect(struct child *c)
{
	link_free(c->link);
	c->link = NULL;
	if (c->role == ROLE_WORKER)
		relay_forget(c);
	else if (c->role == ROLE_WRITER)
		control_writer_gone(c->m->control);
}

static void
child_closed(struct link *l, int err, void *arg)
{
	struct child *c = arg;

	(void)l;
	c->beat_ms = clock_mono_ms();
	child_disconnect(c);
	if (err == EPROTO)
		child_kill(c, "malformed record");
}

static const struct link_ops child_ops = {
	.record = child_record,
	.idle = child_idle,
	.closed = child_closed,
};

/* ---- its life ---- */

static unsigned
child_descriptors(const struct child *c, int bus, int *fds)
{
	struct master *m = c->m;
	unsigned n = 0;

	fds[n++] = bus;
	fds[n++] = m->page_fd;
	if (c->role == ROLE_WRITER) {
		fds[n++] = m->lock_fd;
		return n;
	}
	return c->role == ROLE_WORKER ? n + child_listeners(c, fds + n) : n;
}

/* The program that it runs: in the build tree the courier's is beside ours.
 * Looked for each time, as an upgrade may bring it. */
static const char *
child_program(const struct child *c, char *path, size_t size)
{
	const char *exe = c->m->exe;

	if (c->role != ROLE_COURIER)
		return c->fresh ? exe : program_known(&c->m->program, exe);
	(void)snprintf(path, size, "%.*s/" COURIER_PROGRAM,
	    (int)(strrchr(exe, '/') - exe), exe);
	if (access(path, X_OK) == -1)
		(void)snprintf(path, size, "%s/" COURIER_PROGRAM,
		    c->m->libexecdir);
	return access(path, X_OK) == -1 ? NULL : path;
}

bool
child_outdated(struct child *c)
{
	char path[PATH_MAX];
	struct program now;

	program_look(&now, child_program(c, path, sizeof(path)));
	return c->pid != 0 && !program_same(&c->program, &now);
}

static pid_t
child_spawn(struct child *c, int bus)
{
	char slot[16];
	char *worker[] = { "chatapi", "--role", "worker", "--slot", slot,
		NULL };
	char *writer[] = { "chatapi", "--role", "writer", NULL };
	char *courier[] = { COURIER_PROGRAM, NULL };
	char **argv = c->role == ROLE_WRITER ? writer :
	    c->role == ROLE_COURIER          ? courier :
					       worker;
	char path[PATH_MAX];
	const char *program = child_program(c, path, sizeof(path));
	int fds[3 + LISTENERS_MAX];
	unsigned n = child_descriptors(c, bus, fds);

	if (c->role == ROLE_COURIER)
		program_look(&c->program, program);
	(void)snprintf(slot, sizeof(slot), "%u", c->slot);
	return program == NULL ? -1 : spawn(program, argv, c->m->env, fds, n);
}

static void
child_later(struct child *c)
{
	uint64_t delay = CHILD_DELAY_MS;
	struct timeval tv;

	for (unsigned i = 1; i < c->failures && delay < CHILD_DELAY_MAX_MS; i++)
		delay *= 2;
	if (delay > CHILD_DELAY_MAX_MS)
		delay = CHILD_DELAY_MAX_MS;
	tv.tv_sec = (time_t)(delay / 1000);
	tv.tv_usec = (suseconds_t)(delay % 1000 * 1000);
	log_warn("child will be started again",
	    "child=%s child_slot=%u delay_ms=%llu", child_role(c), c->seat,
	    (unsigned long long)delay);
	(void)event_add(c->again, &tv);
}

void
child_start(struct child *c)
{
	int size = CHILD_BUS_BUFFER, bus[2] = { -1, -1 };

	if (c->role == ROLE_WORKER &&
	    listeners_start(c->m->listeners, c->seat) == -1)
		log_error("cannot listen", "child_slot=%u error=\"%s\"",
		    c->seat, strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bus) == -1)
		goto fail;
	for (int i = 0; i < 2; i++)
		if (setsockopt(bus[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			sizeof(size)) == -1)
			(void)setsockopt(bus[i], SOL_SOCKET, SO_SNDBUF, &size,
			    sizeof(size));
	if ((c->pid = child_spawn(c, bus[1])) == -1)
		goto fail;
	(void)close(bus[1]);
	randombytes_buf(&c->incarnation, sizeof(c->incarnation));
	c->incarnation = c->incarnation >> 1 | 1;
	c->state = CHILD_STARTED;
	c->started_ms = c->beat_ms = clock_mono_ms();
	c->ready_ms = 0;
	c->build[0] = '\0';
	c->killed = c->other = false;
	c->link = link_new(c->m->base, bus[0], RELAY_QUEUE_MAX, &child_ops, c);
	if (c->lives++ > 0 && !c->planned)
		page_add(c->m->page, PAGE_SLOT_MASTER,
		    c->role == ROLE_WRITER      ? COUNTER_RESTARTS_WRITER :
			c->role == ROLE_COURIER ? COUNTER_RESTARTS_COURIER :
						  COUNTER_RESTARTS_WORKER,
		    1);
	c->planned = false;
	log_info(c->lives > 1 ? "child respawned" : "child started",
	    "child=%s child_slot=%u pid=%d", child_role(c), c->seat,
	    (int)c->pid);
	return;
fail:
	log_error("cannot start child", "child=%s child_slot=%u error=\"%s\"",
	    child_role(c), c->seat, strerror(errno));
	if (c->role == ROLE_COURIER)
		log_error("no webhooks and no retention without the courier",
		    "program=%s/" COURIER_PROGRAM, c->m->libexecdir);
	c->pid = 0;
	if (bus[0] != -1) {
		(void)close(bus[0]);
		(void)close(bus[1]);
	}
	c->failures++;
	child_later(c);
}

static void
child_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->pid == 0)
		child_start(c);
}

void
child_start_again(struct child *c)
{
	if (c->ready_ms != 0 &&
	    (c->planned || clock_mono_ms() >= c->ready_ms + CHILD_SETTLED_MS)) {
		c->failures = 0;
		child_start(c);
		return;
	}
	c->failures++;
	child_later(c);
}

static void
child_log_death(const struct child *c, int wait_status)
{
	bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	enum log_level level = clean ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;

	if (WIFSIGNALED(wait_status))
		log_write(level, "child died",
		    "child=%s child_slot=%u pid=%d signal=%d", child_role(c),
		    c->seat, (int)c->pid, WTERMSIG(wait_status));
	else
		log_write(level, clean ? "child stopped" : "child died",
		    "child=%s child_slot=%u pid=%d status=%d", child_role(c),
		    c->seat, (int)c->pid, WEXITSTATUS(wait_status));
}

void
child_reaped(struct child *c, int wait_status)
{
	child_log_death(c, wait_status);
	/* No signal from here on: the number may be another's already. */
	c->pid = 0;
	if (c->link != NULL) {
		/* What it had still sent counts. */
		link_drain(c->link);
		child_disconnect(c);
	}
	c->state = CHILD_GONE;
	/* One that gives up before it is ready has a reason that stays. */
	if (c->role == ROLE_WRITER && c->ready_ms == 0 &&
	    WIFEXITED(wait_status))
		atomic_store(&c->m->page->db_writable, 0);
	page_retire(c->m->page, c->page_slot);
	master_child_gone(c->m, c, wait_status);
}

void
child_check(struct child *c, uint64_t now)
{
	bool writer = c->role == ROLE_WRITER;
	uint64_t silent = writer ? CHILD_WRITER_SILENT_MS :
				   CHILD_WORKER_SILENT_MS;
	uint64_t start = writer ? CHILD_WRITER_START_MS : CHILD_WORKER_START_MS;

	if (c->pid == 0)
		return;
	if (c->link == NULL && now > c->beat_ms + CHILD_WORKER_SILENT_MS)
		child_kill(c, "left the bus and lives on");
	else if (c->state < CHILD_READY && now > c->started_ms + start)
		child_kill(c, "does not become ready");
	else if (c->state >= CHILD_READY && now > c->beat_ms + silent)
		child_kill(c, "no heartbeat");
}

void
child_leave(struct child *c, uint64_t timeout_ms)
{
	struct buf *out;

	c->planned = true;
	if (c->role == ROLE_WORKER && c->state >= CHILD_READY &&
	    (out = relay_out(c)) != NULL)
		(void)rec_empty_put(out, REC_REPLACED);
	child_drain(c, timeout_ms);
}

void
child_drain(struct child *c, uint64_t timeout_ms)
{
	struct buf *out;

	(void)event_del(c->again);
	if (c->pid == 0)
		return;
	if (c->state < CHILD_READY) {
		/* Nobody's request is there, and a database survives it. */
		c->killed = true;
		(void)kill(c->pid, SIGKILL);
		return;
	}
	if ((out = relay_out(c)) != NULL) {
		(void)rec_drain_put(out, timeout_ms);
		relay_push(c);
	}
}
