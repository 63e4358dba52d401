/* SPDX-License-Identifier: MIT */
/*
 * The courier process: one event loop over the bus, the writer and the
 * tenants' webhook endpoints.  Puts the parts together and takes them apart;
 * it never writes to the database.
 */
#include "courier.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../common/page.h"
#include "../common/proctitle.h"
#include "../common/records.h"
#include "../common/submit.h"
#include "bus.h"

/* How often a draining courier looks whether it is done. */
static const struct timeval drain_look = { 0, 20000 };

static void
courier_drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct courier *c = arg;

	(void)fd;
	(void)what;
	if (c->submit == NULL || submit_pending(c->submit) == 0) {
		event_base_loopbreak(c->base);
		return;
	}
	event_base_once(c->base, -1, EV_TIMEOUT, courier_drain_look, c,
	    &drain_look);
}

void
courier_drain(struct courier *c, uint64_t timeout_ms)
{
	(void)timeout_ms;
	if (c->draining)
		return;
	c->draining = true;
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
	c->submit = submit_new(c->base, c->page, PAGE_SLOT_COURIER);
	bus_ready(c->bus);
	log_info("courier ready", "pid=%d", (int)getpid());
	return 0;
}

static void
courier_free(struct courier *c)
{
	submit_free(c->submit);
	bus_free(c->bus);
	if (c->configured)
		config_free(&c->config);
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
