/* SPDX-License-Identifier: MIT */
/*
 * The writer's loop: the bus to the master, links to the workers, heartbeat
 * and drain.  Parses no client's byte; waits for nothing but the disk.  The
 * lock's descriptor stays open until the process ends, that is its point.
 */
#include "writer.h"

#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/config.h"
#include "../common/confine.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/loop.h"
#include "../common/page.h"
#include "../common/proctitle.h"
#include "../common/records.h"
#include "../common/secret.h"
#include "backup.h"
#include "commit.h"
#include "store.h"

#define BUS_QUEUE_MAX (16U * 1024 * 1024)
static const struct timeval heartbeat_every = { 2, 500000 };
/* Longer than any worker keeps an operation: see submit.c. */
static const struct timeval absent_after = { 60, 0 };

struct writer {
	struct event_base *base;
	struct link *bus;
	struct page *page;
	struct event *heartbeat;
	struct event *absent;
	struct config config;
	bool configured;
	struct store *store;
	struct secrets *secrets;
	struct commit *commit;
	struct backup *backup;
	int status;
};

static void
writer_stop(struct writer *w, int status)
{
	w->status = status;
	event_base_loopbreak(w->base);
}

static void
writer_say(struct writer *w, enum record_type type)
{
	(void)rec_empty_put(link_out(w->bus), type);
	link_push(w->bus);
}

static void
writer_on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	writer_say(arg, REC_HEARTBEAT);
}

static void
writer_on_absent(evutil_socket_t fd, short what, void *arg)
{
	struct writer *w = arg;

	(void)fd;
	(void)what;
	store_forget_absent(w->store);
}

/* Settings that a running writer takes. */
static int
writer_reconfigure(struct writer *w, const struct wire_record *rec)
{
	struct config next;
	struct rec_config r = { .config = &next };

	if (rec_config_get(rec, &r) == -1)
		return -1;
	config_take(&w->config, &next);
	config_free(&next);
	log_set_level(w->config.log_level);
	return 0;
}

static int
writer_configure(struct writer *w, const struct wire_record *rec)
{
	struct rec_config r = { .config = &w->config };
	char err[512];

	if (w->configured)
		return writer_reconfigure(w, rec);
	if (rec_config_get(rec, &r) == -1)
		return -1;
	w->configured = true;
	log_set_level(w->config.log_level);
	w->store = store_open(&w->config.dsn, err, sizeof(err));
	if (w->store == NULL) {
		char quoted[600];

		log_error("database not opened", "error=%s",
		    log_quote(quoted, sizeof(quoted), err, strlen(err)));
		writer_stop(w, 1);
		return 0;
	}
	w->secrets = secret_new(w->config.key_file, w->config.dsn.path);
	store_secrets(w->store, w->secrets);
	(void)store_secrets_check(w->store);
	store_secrets_prepare(w->store);
	store_backup_prepare(w->store);
	store_keep_log(w->store);
	w->commit = commit_new(w->base, w->store, w->page, w->bus);
	w->backup = backup_new(w->base, w->store, w->bus);
	/* Usually the writer before this one left it at 1. */
	if (atomic_load(&w->page->db_writable) != 1)
		commit_probe(w->commit);
	confine(ROLE_WRITER, &w->config, w->secrets);
	page_set(w->page, PAGE_SLOT_WRITER, GAUGE_BATCH, store_batch(w->store));
	page_set(w->page, PAGE_SLOT_WRITER, GAUGE_WRITER_READY, 1);
	event_add(w->heartbeat, &heartbeat_every);
	event_add(w->absent, &absent_after);
	log_info("writer ready", "batch=%llu schema=%u",
	    (unsigned long long)store_batch(w->store), store_schema_version());
	writer_say(w, REC_READY);
	return 0;
}

static int
writer_peer(struct writer *w, const struct wire_record *rec)
{
	struct rec_peer r;
	int fd = link_take_fd(w->bus);

	if (rec_peer_get(rec, &r) == -1 || fd == -1) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	commit_peer(w->commit, &r, fd);
	return 0;
}

static int
writer_drain(struct writer *w, const struct wire_record *rec)
{
	uint64_t timeout_ms;

	if (rec_drain_get(rec, &timeout_ms) == -1)
		return -1;
	commit_drain(w->commit);
	log_info("writer drained", "batch=%llu",
	    (unsigned long long)store_batch(w->store));
	writer_say(w, REC_DRAINED);
	(void)link_flush(w->bus);
	writer_stop(w, 0);
	return 0;
}

static int
writer_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct writer *w = arg;
	struct rec_control control;

	(void)l;
	if (rec->type == REC_CONFIG)
		return writer_configure(w, rec);
	if (w->commit == NULL)
		/* Stopping already, or the master speaks out of turn. */
		return w->configured ? 0 : -1;
	switch (rec->type) {
	case REC_PEER:
		return writer_peer(w, rec);
	case REC_CONTROL:
		if (rec_control_get(rec, &control) == -1)
			return -1;
		if (control.inner.type == REC_OP_BACKUP)
			return backup_control(w->backup, control.client,
			    &control.inner);
		return commit_control(w->commit, control.client,
		    &control.inner);
	case REC_DRAIN:
		return writer_drain(w, rec);
	case REC_LOST:
		return 0;
	default:
		return -1;
	}
}

static void
writer_bus_closed(struct link *l, int err, void *arg)
{
	struct writer *w = arg;

	(void)l;
	log_warn("bus closed, exiting", "err=%d", err);
	writer_stop(w, 1);
}

static const struct link_ops writer_bus_ops = {
	.record = writer_record,
	.closed = writer_bus_closed,
};

static void
writer_hello(struct writer *w)
{
	struct rec_hello hello = {
		.role = ROLE_WRITER,
		.pid = (uint32_t)getpid(),
		.page_layout = PAGE_LAYOUT,
		.schema = store_schema_version(),
		.build = { PACKAGE_VERSION, strlen(PACKAGE_VERSION) },
	};

	(void)rec_hello_put(link_out(w->bus), &hello);
	(void)link_flush(w->bus);
}

/* The master alone decides when its children stop. */
static void
writer_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
}

static void
writer_free(struct writer *w)
{
	backup_free(w->backup);
	commit_free(w->commit);
	store_close(w->store);
	secret_free(w->secrets);
	link_free(w->bus);
	if (w->heartbeat != NULL)
		event_free(w->heartbeat);
	if (w->absent != NULL)
		event_free(w->absent);
	if (w->configured)
		config_free(&w->config);
	page_detach(w->page);
	event_base_free(w->base);
	libevent_global_shutdown();
}

int
writer_main(void)
{
	struct writer w = { 0 };

	log_init("writer", -1);
	proctitle_set("chatapi: writer");
	writer_signals();
	/* A batch's memory comes back with the next batch: keep it. */
	(void)mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
	(void)mallopt(M_MMAP_THRESHOLD, 8 * 1024 * 1024);
	if (sodium_init() == -1 ||
	    (w.page = page_attach(CHILD_FD_PAGE)) == NULL) {
		log_error("writer cannot start", NULL);
		return 1;
	}
	w.base = loop_new();
	w.bus = link_new(w.base, CHILD_FD_BUS, BUS_QUEUE_MAX, &writer_bus_ops,
	    &w);
	w.heartbeat = event_new(w.base, -1, EV_PERSIST, writer_on_heartbeat,
	    &w);
	w.absent = event_new(w.base, -1, 0, writer_on_absent, &w);
	if (w.bus == NULL || w.heartbeat == NULL || w.absent == NULL)
		abort();
	writer_hello(&w);
	(void)event_base_dispatch(w.base);
	writer_free(&w);
	return w.status;
}
