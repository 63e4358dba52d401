/* SPDX-License-Identifier: MIT */
/*
 * The courier process: one event loop over the bus, the writer and the
 * tenants' webhook endpoints.  Puts the parts together and takes them apart,
 * and gives each tenant its turn; it never writes to the database.
 */
#include "courier.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
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
#include "bus.h"
#include "deliver.h"
#include "names.h"
#include "outbox.h"
#include "post.h"
#include "retention.h"
#include "tenants.h"
#include "view.h"

/* How often a draining courier looks whether it is done. */
static const struct timeval drain_look = { 0, 20000 };
/* What is being sent when the server stops gets no longer than this; it is
 * sent again after the next start. */
#define DRAIN_POSTS_MS 2000
/* Work of one turn of the loop, in time and in tenants looked up. */
#define WORK_NS (2U * 1000 * 1000)
#define SCAN_TENANTS 32
/* Times are of the wall clock, which may jump. */
#define LOOK_MS 1000
static const struct timeval again_after = { 1, 0 };

/* ---- whose turn it is ---- */

void
courier_work(struct courier *c)
{
	c->changed = true;
	event_active(c->work, EV_TIMEOUT, 0);
}

void
courier_later(struct courier *c)
{
	if (!event_pending(c->again, EV_TIMEOUT, NULL))
		(void)event_add(c->again, &again_after);
}

static void
courier_scan(struct courier *c)
{
	c->scan = true;
	c->scanned = 0;
	courier_work(c);
}

static void
courier_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct courier *c = arg;

	(void)fd;
	(void)what;
	deliver_again(c->deliver);
	courier_scan(c);
}

static void
courier_has_work(struct courier *c, uint64_t tenant)
{
	struct tenant *t = tenants_get(c->tenants, tenant);

	tenants_wait(c->tenants, t, TENANT_OUTBOX);
	tenants_wait(c->tenants, t, TENANT_SEND);
}

void
courier_wake(struct courier *c, uint64_t tenant)
{
	if (!c->configured)
		return;
	if (tenant == 0) {
		courier_scan(c);
		return;
	}
	courier_has_work(c, tenant);
	courier_work(c);
}

/* Some of the tenants that have something in the tables. */
static void
courier_scan_some(struct courier *c)
{
	uint64_t tenant;
	int rc;

	for (int i = 0; i < SCAN_TENANTS && c->scan; i++) {
		rc = view_next_tenant(c->view, c->scanned, &tenant);
		if (rc == 1) {
			c->scanned = tenant;
			courier_has_work(c, tenant);
			continue;
		}
		c->scan = false;
		if (rc == -1)
			courier_later(c);
	}
}

/* One turn for the first tenant of a circle; false when there is none. */
static bool
courier_turn(struct courier *c, enum tenant_work w)
{
	struct tenant *t = tenants_turn(c->tenants, w);

	if (t == NULL)
		return false;
	if (w == TENANT_OUTBOX ? outbox_turn(c->outbox, t) :
				 deliver_turn(c->deliver, t))
		tenants_wait(c->tenants, t, w);
	else
		tenants_release(c->tenants, t);
	return true;
}

static void
courier_arm(struct courier *c, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };

	(void)event_add(c->work, &tv);
}

static void
courier_on_work(evutil_socket_t fd, short what, void *arg)
{
	struct courier *c = arg;
	uint64_t until = clock_mono_ns() + WORK_NS, now = clock_mono_ms();
	uint64_t grace = c->page->started_mono_ms + c->config.presence_grace_ms;
	bool more = true;
	int64_t first;

	(void)fd;
	(void)what;
	if (c->draining)
		return;
	/* Of whom the master has not heard since its own start may be just
	 * connecting again. */
	if (now < grace) {
		courier_arm(c, grace - now);
		return;
	}
	(void)tenants_due(c->tenants, clock_unix_ms());
	while (more && clock_mono_ns() < until) {
		if (c->scan)
			courier_scan_some(c);
		more = c->scan;
		if (outbox_active(c->outbox) < OUTBOX_STEPS_MAX)
			more |= courier_turn(c, TENANT_OUTBOX);
		if (deliver_active(c->deliver) < DELIVER_MAX)
			more |= courier_turn(c, TENANT_SEND);
	}
	/* Who has become due by now waits for the next turn of the loop, which
	 * must come: none is put into a circle that nobody looks at. */
	first = tenants_due(c->tenants, 0);
	if (more)
		courier_arm(c, 0);
	else if (first != 0) {
		first -= clock_unix_ms();
		courier_arm(c,
		    first < 1           ? 1 :
			first < LOOK_MS ? (uint64_t)first :
					  LOOK_MS);
	}
}

void
courier_tick(struct courier *c)
{
	uint64_t pending, dead;

	if (c->draining)
		return;
	if ((names_unreachable() & ~c->unreachable) != 0) {
		log_info("the files of the name service were replaced, "
			 "starting anew",
		    NULL);
		courier_drain(c, DRAIN_POSTS_MS);
		return;
	}
	retention_tick(c->retention);
	if (!c->changed)
		return;
	c->changed = false;
	if (view_counts(c->view, &pending, &dead) == 1) {
		page_set(c->page, PAGE_SLOT_COURIER, GAUGE_WEBHOOKS_PENDING,
		    pending);
		page_set(c->page, PAGE_SLOT_COURIER, GAUGE_DEAD_LETTERS, dead);
	}
}

/* ---- start and end ---- */

static void
courier_drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct courier *c = arg;

	(void)fd;
	(void)what;
	if (!c->configured ||
	    (submit_pending(c->submit) == 0 &&
		(poster_active(c->poster) == 0 ||
		    clock_mono_ms() >= c->drain_ms))) {
		event_base_loopbreak(c->base);
		return;
	}
	event_base_once(c->base, -1, EV_TIMEOUT, courier_drain_look, c,
	    &drain_look);
}

void
courier_drain(struct courier *c, uint64_t timeout_ms)
{
	if (c->draining)
		return;
	c->draining = true;
	if (timeout_ms > DRAIN_POSTS_MS)
		timeout_ms = DRAIN_POSTS_MS;
	c->drain_ms = clock_mono_ms() + timeout_ms;
	courier_drain_look(-1, 0, c);
}

/* Settings that a running courier takes. */
static int
courier_reconfigure(struct courier *c, const struct wire_record *rec)
{
	struct config next;
	struct rec_config r = { .config = &next };

	if (rec_config_get(rec, &r) == -1)
		return -1;
	config_take(&c->config, &next);
	config_free(&next);
	log_set_level(c->config.log_level);
	return 0;
}

int
courier_configure(struct courier *c, const struct wire_record *rec)
{
	struct rec_config r = { .config = &c->config };

	if (c->configured)
		return courier_reconfigure(c, rec);
	if (rec_config_get(rec, &r) == -1)
		return -1;
	c->configured = true;
	log_set_level(c->config.log_level);
	c->secrets = secret_new_only(c->config.key_file, c->config.dsn.path,
	    SECRET_WEBHOOK);
	/* Before the database: SQLite would open the log to write, and what
	 * is open stays so. */
	confine(ROLE_COURIER, &c->config, c->secrets);
	c->unreachable = names_unreachable();
	c->view = view_open(c->config.dsn.path, c->config.dsn.busy_timeout_ms);
	if (c->view == NULL)
		return -1;
	c->submit = submit_new(c->base, c->page, PAGE_SLOT_COURIER);
	c->tenants = tenants_new();
	c->outbox = outbox_new(c);
	c->deliver = deliver_new(c);
	c->poster = poster_new(c->base, c->config.webhook_allow_private);
	c->retention = retention_new(c);
	c->work = event_new(c->base, -1, 0, courier_on_work, c);
	c->again = event_new(c->base, -1, 0, courier_on_again, c);
	if (c->work == NULL || c->again == NULL)
		abort();
	page_set(c->page, PAGE_SLOT_COURIER, GAUGE_COURIER_READY, 1);
	bus_ready(c->bus);
	log_info("courier ready", "pid=%d", (int)getpid());
	courier_scan(c);
	courier_tick(c);
	return 0;
}

static void
courier_free(struct courier *c)
{
	if (c->configured) {
		poster_free(c->poster);
		deliver_free(c->deliver);
		outbox_free(c->outbox);
		retention_free(c->retention);
		tenants_free(c->tenants);
		submit_free(c->submit);
		secret_free(c->secrets);
		view_close(c->view);
		event_free(c->work);
		event_free(c->again);
		config_free(&c->config);
	}
	bus_free(c->bus);
	page_detach(c->page);
	event_base_free(c->base);
	libevent_global_shutdown();
}

/* The master alone decides when its children stop. */
static void
courier_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
}

int
courier_main(void)
{
	struct courier c = { 0 };

	log_init("courier", -1);
	proctitle_set("chatapi: courier");
	courier_signals();
	c.page = page_attach(CHILD_FD_PAGE);
	if (c.page == NULL) {
		log_error("shared page unusable", "errno=%d", errno);
		return 1;
	}
	c.base = loop_new();
	c.bus = bus_new(&c);
	(void)event_base_dispatch(c.base);
	if (!c.draining) {
		log_error("exited event loop", NULL);
		return 1;
	}
	bus_drained(c.bus);
	log_info("courier stopped", NULL);
	courier_free(&c);
	return 0;
}
