/* SPDX-License-Identifier: MIT */
/*
 * How the server is, from the shared page and from what the master knows of
 * its children.  Runs in the master; asks nobody and waits for nobody.
 */
#include "status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/config.h"
#include "../common/json_text.h"
#include "../common/page.h"
#include "child.h"
#include "listen.h"
#include "master.h"
#include "reload.h"

static const char *
status_phase(const struct master *m)
{
	switch (m->phase) {
	case MASTER_STARTING:
		return "starting";
	case MASTER_SERVING:
		return "serving";
	default:
		return "stopping";
	}
}

static const char *
status_state(const struct child *c)
{
	if (c->pid == 0)
		return "down";
	if (c->leaving)
		return "leaving";
	switch (c->state) {
	case CHILD_READY:
		return clock_mono_ms() > c->beat_ms + CHILD_FRESH_MS ?
		    "silent" :
		    "ready";
	case CHILD_DRAINED:
		return "leaving";
	default:
		return "starting";
	}
}

/* As /health sees it: somebody answers, and the database takes writes. */
static bool
status_serving(const struct master *m)
{
	struct child *c;

	if (m->phase != MASTER_SERVING ||
	    atomic_load(&m->page->db_writable) == 0)
		return false;
	CHILD_FOREACH_WORKER(c, m)
		if (c->state == CHILD_READY)
			return true;
	return false;
}

static void
status_text(struct buf *b, const char *name, const char *value)
{
	(void)buf_addf(b, "\"%s\":", name);
	json_text_string(b, value, strlen(value));
}

static void
status_number(struct buf *b, const char *name, uint64_t value)
{
	(void)buf_addf(b, ",\"%s\":", name);
	(void)buf_add_u64(b, value);
}

static uint64_t
status_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == -1 ? 0 : (uint64_t)st.st_size;
}

static void
status_database(const struct master *m, struct buf *b)
{
	const struct page *p = m->page;
	uint64_t at = page_get(p, PAGE_SLOT_WRITER, GAUGE_COMMIT_MS);

	(void)buf_adds(b, ",\"database\":{");
	status_text(b, "path", m->config->dsn.path);
	status_number(b, "bytes", status_size(m->config->dsn.path));
	status_number(b, "wal_bytes",
	    page_get(p, PAGE_SLOT_WRITER, GAUGE_WAL_BYTES));
	(void)buf_addf(b, ",\"writable\":%s",
	    atomic_load(&p->db_writable) != 0 ? "true" : "false");
	status_number(b, "batch", page_get(p, PAGE_SLOT_WRITER, GAUGE_BATCH));
	if (at == 0) {
		/* None since this writer was started. */
		(void)buf_adds(b,
		    ",\"last_commit_ms_ago\":null,"
		    "\"last_commit_us\":null}");
		return;
	}
	status_number(b, "last_commit_ms_ago", clock_mono_ms() - at);
	status_number(b, "last_commit_us",
	    page_get(p, PAGE_SLOT_WRITER, GAUGE_COMMIT_NS) / 1000);
	(void)buf_adds(b, "}");
}

static void
status_queues(const struct master *m, struct buf *b)
{
	const struct page *p = m->page;

	(void)buf_adds(b, ",\"queues\":{\"operations_pending\":");
	(void)buf_add_u64(b, page_sum(p, GAUGE_PENDING));
	status_number(b, "writer_operations",
	    page_get(p, PAGE_SLOT_WRITER, GAUGE_WRITER_QUEUE));
	status_number(b, "writer_bytes",
	    page_get(p, PAGE_SLOT_WRITER, GAUGE_WRITER_QUEUE_BYTES));
	status_number(b, "bus_bytes", page_sum(p, GAUGE_BUS_QUEUE_BYTES));
	(void)buf_adds(b, "}");
}

static void
status_child(const struct child *c, struct buf *b)
{
	const struct page *p = c->m->page;

	(void)buf_addf(b, ",{\"role\":\"%s\"", child_role(c));
	if (c->role == ROLE_WORKER)
		status_number(b, "slot", c->seat);
	status_number(b, "pid", (uint64_t)c->pid);
	(void)buf_adds(b, ",");
	status_text(b, "state", status_state(c));
	(void)buf_adds(b, ",");
	status_text(b, "version", c->build);
	status_number(b, "uptime_ms",
	    c->pid == 0 ? 0 : clock_mono_ms() - c->started_ms);
	status_number(b, "starts", c->lives);
	if (c->role == ROLE_WORKER) {
		status_number(b, "connections",
		    page_get(p, c->page_slot, GAUGE_CONNECTIONS));
		status_number(b, "operations_pending",
		    page_get(p, c->page_slot, GAUGE_PENDING));
	}
	(void)buf_adds(b, "}");
}

static void
status_processes(const struct master *m, struct buf *b)
{
	struct child *c;

	(void)buf_adds(b, ",\"processes\":[{\"role\":\"master\"");
	status_number(b, "pid", (uint64_t)getpid());
	(void)buf_adds(b,
	    ",\"state\":\"ready\",\"version\":\"" PACKAGE_VERSION "\"");
	status_number(b, "uptime_ms", clock_mono_ms() - m->started_ms);
	(void)buf_adds(b, "}");
	status_child(m->writer, b);
	status_child(m->courier, b);
	for (unsigned seat = 0; seat < MASTER_WORKERS_MAX; seat++)
		CHILD_FOREACH_WORKER(c, m)
			if (c->seat == seat)
				status_child(c, b);
	(void)buf_adds(b, "]");
}

static void
status_listeners(const struct master *m, struct buf *b)
{
	const char *p = listeners_text(m->listeners);

	(void)buf_adds(b, ",\"listen\":[");
	while (*p != '\0') {
		size_t len = strcspn(p, ",");

		json_text_string(b, p, len);
		p += len;
		if (*p == ',') {
			(void)buf_adds(b, ",");
			p++;
		}
	}
	(void)buf_adds(b, "]");
}

void
status_json(const struct master *m, struct buf *b)
{
	(void)buf_addf(b, "{\"serving\":%s,",
	    status_serving(m) ? "true" : "false");
	status_text(b, "phase", status_phase(m));
	(void)buf_adds(b, ",\"version\":\"" PACKAGE_VERSION "\"");
	(void)buf_adds(b, ",\"started_at\":");
	json_text_time(b, m->page->started_unix_ms);
	status_number(b, "uptime_ms", clock_mono_ms() - m->started_ms);
	status_listeners(m, b);
	status_number(b, "workers", m->config->workers);
	status_number(b, "connections", page_sum(m->page, GAUGE_CONNECTIONS));
	status_number(b, "users_online",
	    page_get(m->page, PAGE_SLOT_MASTER, GAUGE_USERS_ONLINE));
	status_queues(m, b);
	status_database(m, b);
	(void)buf_adds(b, ",\"reload\":");
	reload_status(m->reload, b);
	status_processes(m, b);
	(void)buf_adds(b, "}");
}
