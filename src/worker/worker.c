/* SPDX-License-Identifier: MIT */
/*
 * A worker process: one event loop over its listening sockets, its clients,
 * the bus and the writer.  Puts the parts together and takes them apart; it
 * never writes to the database.
 */
#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/confine.h"
#include "../common/log.h"
#include "../common/loop.h"
#include "../common/page.h"
#include "../common/proctitle.h"
#include "../common/records.h"
#include "../common/secret.h"
#include "../common/submit.h"
#include "../writer/store.h"
#include "auth.h"
#include "bus.h"
#include "console.h"
#include "feed.h"
#include "http.h"
#include "reader.h"
#include "rooms.h"
#include "tls.h"
#include "typing.h"
#include "users.h"
#include "worker_start.h"
#include "ws_conn.h"
#include "ws_presence.h"

/* How often a draining worker looks whether it is done. */
#define DRAIN_LOOK_MS 20

static void
worker_title(const struct worker *w, const char *what)
{
	char title[48];

	snprintf(title, sizeof(title), "chatapi: worker %u%s", w->seat, what);
	proctitle_set(title);
}

static void
worker_drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct timeval tv = { 0, DRAIN_LOOK_MS * 1000 };

	(void)fd;
	(void)what;
	if (http_in_flight(w->http) == 0 && !http_lingers(w->http) &&
	    ws_list_count(w->ws) == 0 && submit_pending(w->submit) == 0) {
		event_base_loopbreak(w->base);
		return;
	}
	event_base_once(w->base, -1, EV_TIMEOUT, worker_drain_look, w, &tv);
}

void
worker_drain(struct worker *w, uint64_t timeout_ms)
{
	if (w->draining)
		return;
	w->draining = true;
	log_info("draining", "requests=%u connections=%u",
	    http_in_flight(w->http), ws_list_count(w->ws));
	if (w->replaced)
		worker_title(w, ", leaving");
	http_stop_accepting(w->http, w->replaced, timeout_ms);
	ws_list_drain(w->ws, timeout_ms);
	worker_drain_look(-1, 0, w);
}

void
worker_hello(const struct worker *w, struct rec_hello *h)
{
	h->role = ROLE_WORKER;
	h->slot = w->slot;
	h->pid = (uint32_t)getpid();
	h->page_layout = PAGE_LAYOUT;
	h->schema = store_schema_version();
	h->build.p = PACKAGE_VERSION;
	h->build.len = strlen(PACKAGE_VERSION);
}

/* Without its files the server serves on; one of the workers says so. */
static void
worker_console(struct worker *w)
{
	const char *dir = w->config.console_dir;

	if (!w->config.console || dir == NULL)
		return;
	w->console = console_load(dir);
	if (w->console == NULL && w->seat == 0)
		log_warn("no web console: its files are not there",
		    "dir=%s errno=%d", dir, errno);
}

/* Settings that a running worker takes. */
static int
worker_reconfigure(struct worker *w, const struct wire_record *rec)
{
	struct config next;
	struct rec_config r = { .config = &next };

	if (rec_config_get(rec, &r) == -1)
		return -1;
	config_take(&w->config, &next);
	http_trust(w->http);
	config_free(&next);
	log_set_level(w->config.log_level);
	/* Both keep the tenants' rates. */
	auth_forget(w->auth, 0);
	ws_list_recheck(w->ws, 0);
	log_debug("settings taken", NULL);
	return 0;
}

int
worker_configure(struct worker *w, const struct wire_record *rec)
{
	int fds[LISTENERS_MAX];
	struct rec_config r = { 0 };

	if (w->reader != NULL)
		return worker_reconfigure(w, rec);
	r.config = &w->config;
	if (rec_config_get(rec, &r) == -1)
		return -1;
	w->incarnation = r.incarnation;
	w->seat = r.seat;
	log_init("worker", (int)w->seat);
	worker_title(w, "");
	log_set_level(w->config.log_level);
	worker_console(w);
	w->secrets = secret_new_only(w->config.key_file, w->config.dsn.path,
	    SECRET_JWT_HS256);
	/* Before the database: SQLite would open the log to write, and what
	 * is open stays so. */
	confine(ROLE_WORKER, &w->config, w->secrets);
	w->reader = reader_open(w->config.dsn.path,
	    w->config.dsn.busy_timeout_ms);
	if (w->reader == NULL)
		return -1;
	w->submit = submit_new(w->base, w->page, w->page_slot);
	w->auth = auth_new(w);
	w->presence = ws_presence_new(w);
	w->rooms = rooms_new(w);
	w->users = users_new();
	w->feeder = feeder_new(w);
	w->typing = typing_new(w);
	w->ws = ws_list_new(w);
	for (uint32_t i = 0; i < r.nlisteners; i++)
		fds[i] = CHILD_FD_LISTEN + (int)i;
	w->http = http_new(w, fds, r.kinds, r.nlisteners);
	if (w->http == NULL)
		return -1;
	page_set(w->page, w->page_slot, GAUGE_WORKER_READY, 1);
	bus_ready(w->bus);
	log_info("worker ready", "pid=%d", (int)getpid());
	return 0;
}

/* In an order that leaves no part without what it needs. */
static void
worker_free(struct worker *w)
{
	ws_list_free(w->ws);
	http_free(w->http);
	console_free(w->console);
	typing_free(w->typing);
	feeder_free(w->feeder);
	rooms_free(w->rooms);
	ws_presence_free(w->presence);
	users_free(w->users);
	auth_free(w->auth);
	secret_free(w->secrets);
	submit_free(w->submit);
	reader_close(w->reader);
	tls_free(w->tls);
	bus_free(w->bus);
	config_free(&w->config);
	page_detach(w->page);
	event_base_free(w->base);
	libevent_global_shutdown();
}

/* The master alone decides when its children stop. */
static void
worker_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
}

int
worker_main(unsigned slot)
{
	struct worker w = { 0 };

	log_init("worker", -1);
	proctitle_set("chatapi: worker");
	worker_signals();
	w.slot = slot;
	w.page_slot = PAGE_SLOT_WORKER0 + (int)slot;
	w.page = page_attach(CHILD_FD_PAGE);
	if (w.page == NULL) {
		log_error("shared page unusable", "errno=%d", errno);
		return 1;
	}
	w.base = loop_new();
	w.bus = bus_new(&w);
	event_base_dispatch(w.base);
	if (!w.draining) {
		log_error("exited event loop", NULL);
		return 1;
	}
	bus_drained(w.bus);
	log_info("worker stopped", NULL);
	worker_free(&w);
	return 0;
}
