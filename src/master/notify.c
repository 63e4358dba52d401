/* SPDX-License-Identifier: MIT */
/*
 * Talks with systemd, in the master.  Never waits for an answer: there is
 * none.
 */
#include "notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <event2/event.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/records.h"
#include "child.h"
#include "master.h"

#define NOTIFY_STATUS_MS 10000
#define NOTIFY_TEXT 128

struct notify {
	struct master *m;
	struct event *timer;
	bool watchdog;
	bool starving; /* so that it is logged once */
	char told[NOTIFY_TEXT];
};

static void
notify_text(const struct master *m, char text[NOTIFY_TEXT])
{
	(void)snprintf(text, NOTIFY_TEXT,
	    "serving with %u workers, %llu connections, %llu messages",
	    m->config->workers,
	    (unsigned long long)page_sum(m->page, GAUGE_CONNECTIONS),
	    (unsigned long long)page_sum(m->page, COUNTER_MESSAGES_SENT));
}

/* One that is being started again is the master's care. */
static bool
notify_stuck(const struct child *c, uint64_t now)
{
	return c->pid != 0 && c->state == CHILD_READY &&
	    now > c->beat_ms + CHILD_FRESH_MS;
}

static const struct child *
notify_find_stuck(const struct master *m)
{
	struct child *c;
	uint64_t now = clock_mono_ms();

	if (notify_stuck(m->writer, now))
		return m->writer;
	CHILD_FOREACH_WORKER(c, m)
		if (notify_stuck(c, now))
			return c;
	return NULL;
}

static void
notify_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct notify *n = arg;
	const struct child *stuck = notify_find_stuck(n->m);
	char text[NOTIFY_TEXT];

	(void)fd;
	(void)what;
	if (stuck != NULL && !n->starving)
		log_error("not feeding the watchdog: no heartbeat",
		    "child=%s child_slot=%u pid=%d", child_role(stuck),
		    stuck->seat, (int)stuck->pid);
	n->starving = stuck != NULL;
	if (n->watchdog && stuck == NULL)
		sd_notify(0, "WATCHDOG=1");
	if (n->m->phase != MASTER_SERVING)
		return;
	notify_text(n->m, text);
	if (strcmp(text, n->told) == 0)
		return;
	(void)snprintf(n->told, sizeof(n->told), "%s", text);
	sd_notifyf(0, "STATUS=%s", text);
}

struct notify *
notify_new(struct master *m)
{
	uint64_t every_us = NOTIFY_STATUS_MS * UINT64_C(1000), usec = 0;
	bool watchdog = sd_watchdog_enabled(0, &usec) > 0;
	struct timeval tv;
	struct notify *n;

	if (!watchdog && getenv("NOTIFY_SOCKET") == NULL)
		return NULL;
	/* One message may come late, and another be lost. */
	if (watchdog && usec / 3 < every_us)
		every_us = usec / 3 > 0 ? usec / 3 : 1;
	tv.tv_sec = (time_t)(every_us / 1000000);
	tv.tv_usec = (suseconds_t)(every_us % 1000000);
	n = mem_alloc(sizeof(*n));
	n->m = m;
	n->watchdog = watchdog;
	n->timer = event_new(m->base, -1, EV_PERSIST, notify_on_timer, n);
	if (n->timer == NULL || event_add(n->timer, &tv) == -1)
		abort();
	return n;
}

void
notify_free(struct notify *n)
{
	if (n == NULL)
		return;
	event_free(n->timer);
	free(n);
}

void
notify_ready(struct master *m)
{
	char text[NOTIFY_TEXT];

	notify_text(m, text);
	sd_notifyf(0, "READY=1\nSTATUS=%s", text);
}

void
notify_reloading(void)
{
	/* Newer managers tell by the time that this is the answer to their
	 * own signal. */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
	    (unsigned long long)(clock_mono_ns() / 1000));
}

void
notify_stopping(uint64_t timeout_ms)
{
	sd_notifyf(0, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%llu",
	    (unsigned long long)timeout_ms * 1000);
}

int
notify_sockets(int *fds, uint8_t *kinds, unsigned max, char *err,
    size_t errsize)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names);

	if (n < 0 || (unsigned)n > max) {
		(void)snprintf(err, errsize,
		    "cannot take the sockets of the service manager: %s",
		    n < 0 ? strerror(-n) : "too many");
		n = -1;
	}
	for (int i = 0; i < n; i++) {
		fds[i] = SD_LISTEN_FDS_START + i;
		kinds[i] = strcmp(names[i], "https") == 0 ? LISTENER_TLS : 0;
	}
	for (char **p = names; p != NULL && *p != NULL; p++)
		free(*p);
	free(names);
	if (n > 0)
		log_info("sockets of the service manager, in place of "
			 "LISTEN_ADDR",
		    "sockets=%d", n);
	return n;
}

#else

struct notify *
notify_new(struct master *m)
{
	(void)m;
	return NULL;
}

void
notify_free(struct notify *n)
{
	(void)n;
}

void
notify_ready(struct master *m)
{
	(void)m;
}

void
notify_reloading(void)
{
}

void
notify_stopping(uint64_t timeout_ms)
{
	(void)timeout_ms;
}

int
notify_sockets(int *fds, uint8_t *kinds, unsigned max, char *err,
    size_t errsize)
{
	const char *pid = getenv("LISTEN_PID");

	(void)fds;
	(void)kinds;
	(void)max;
	if (pid == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	(void)snprintf(err, errsize,
	    "sockets of a service manager need a build with libsystemd");
	return -1;
}

#endif
