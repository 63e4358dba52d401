/* SPDX-License-Identifier: MIT */
/*
 * Makes the event loop of a process.  Used by master, writer and workers
 * after log_init().
 */
#include "loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static void
loop_log(int severity, const char *msg)
{
	char quoted[512];
	enum log_level level = severity == EVENT_LOG_ERR ? LOG_LEVEL_ERROR :
	    severity == EVENT_LOG_WARN                   ? LOG_LEVEL_WARN :
							   LOG_LEVEL_DEBUG;

	log_write(level, "libevent", "detail=%s",
	    log_quote(quoted, sizeof(quoted), msg, strlen(msg)));
}

static void
loop_fatal(int err)
{
	log_error("libevent gave up", "err=%d", err);
	abort();
}

struct event_base *
loop_new(void)
{
	struct event_config *cfg;
	struct event_base *base;

	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(loop_log);
	event_set_fatal_callback(loop_fatal);
	cfg = event_config_new();
	if (cfg == NULL)
		abort();
	/* One thread: no locks.  Not the epoll changelist: it goes wrong
	 * when a descriptor number is closed and used again in one turn by
	 * way of dup(), which WebSocket takeover does. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	event_config_avoid_method(cfg, "select");
	event_config_avoid_method(cfg, "poll");
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (base == NULL)
		abort();
	return base;
}
