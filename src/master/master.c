/* SPDX-License-Identifier: MIT */
/*
 * The master's order of start and what it does when a child becomes ready or
 * goes.  It never parses a client's byte and never opens the database.
 */
#include "master.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/identity.h"
#include "../common/log.h"
#include "../common/loop.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/proctitle.h"
#include "certificate.h"
#include "child.h"
#include "control.h"
#include "drain.h"
#include "hub.h"
#include "listen.h"
#include "lock.h"
#include "notify.h"
#include "presence.h"
#include "relay.h"
#include "relay_presence.h"
#include "reload.h"
#include "replace.h"
#include "signals.h"
#include "spawn.h"

#define MASTER_TICK_MS 5000

static void
master_raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur == rl.rlim_max)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		log_warn("cannot raise the limit of open files", "error=\"%s\"",
		    strerror(errno));
}

/* By its name, not as the open file: an upgrade replaces the file, and then
 * the version check must see the new one. */
static char *
master_exe(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	return mem_strndup(path, (size_t)n);
}

/* ---- what follows from a child's fate ---- */

static void
master_serving(struct master *m)
{
	struct child *c;

	CHILD_FOREACH_WORKER(c, m)
		if (c->state != CHILD_READY)
			return;
	m->phase = MASTER_SERVING;
	log_info("ready", "listen=%s workers=%u start_ms=%llu",
	    listeners_text(m->listeners), m->config->workers,
	    (unsigned long long)(clock_mono_ms() - m->started_ms));
	notify_ready(m);
	reload_serving(m->reload);
}

static void
master_writer_ready(struct master *m, const struct child *writer)
{
	struct child *c;

	control_writer_ready(m->control);
	CHILD_FOREACH_WORKER(c, m) {
		/* The writer before it may have died with something
		 * committed and not announced. */
		if (writer->lives > 1)
			relay_lost(c);
		if (m->phase == MASTER_STARTING && c->lives == 0)
			child_start(c);
	}
	if (writer->lives > 1)
		relay_lost(m->courier);
	/* Nobody waits for it. */
	if (m->phase == MASTER_STARTING && m->courier->lives == 0)
		child_start(m->courier);
}

void
master_child_ready(struct master *m, struct child *c)
{
	if (c->role == ROLE_WRITER)
		master_writer_ready(m, c);
	else if (c->role == ROLE_WORKER && m->phase == MASTER_STARTING)
		master_serving(m);
	if (m->phase == MASTER_SERVING)
		replace_ready(m->replace, c);
}

void
master_child_gone(struct master *m, struct child *c, int wait_status)
{
	switch (m->phase) {
	case MASTER_STARTING:
		/* It has logged why.  Killed by somebody else, it may just
		 * try again. */
		if (c->role != ROLE_COURIER && c->ready_ms == 0 &&
		    (c->killed || !WIFSIGNALED(wait_status))) {
			log_error("cannot start", "child=%s child_slot=%u",
			    child_role(c), c->seat);
			drain_fail(m);
			return;
		}
		child_start_again(c);
		return;
	case MASTER_SERVING:
		if (!replace_gone(m->replace, c, wait_status))
			child_start_again(c);
		return;
	case MASTER_DRAINING:
		/* Workers still need a writer for what is in flight. */
		if (c->role == ROLE_WRITER && !c->killed)
			child_start_again(c);
		break;
	case MASTER_STOPPING:
	case MASTER_FAILED:
		break;
	}
	drain_step(m);
}

static void
master_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	uint64_t now = clock_mono_ms();
	/* Then it was we who stood still, and heartbeats wait to be read. */
	struct child *c;
	bool late = now > m->tick_ms + 2 * MASTER_TICK_MS;

	(void)fd;
	(void)what;
	m->tick_ms = now;
	relay_measure(m);
	if (late || (m->phase != MASTER_STARTING && m->phase != MASTER_SERVING))
		return;
	child_check(m->writer, now);
	CHILD_FOREACH_WORKER(c, m)
		child_check(c, now);
	child_check(m->courier, now);
}

/* ---- start and end ---- */

static void
master_log_error(const char *what, const char *err)
{
	char quoted[700];

	log_error(what, "error=%s",
	    log_quote(quoted, sizeof(quoted), err, strlen(err)));
}

/* Whom to become; ourselves, unless root has named somebody. */
static int
master_user(const struct config *config, struct identity *id, char *err,
    size_t errsize)
{
	if (config->user == NULL && geteuid() == 0) {
		(void)snprintf(err, errsize,
		    "root must name a user to serve as, with --user NAME; "
		    "--user root if it must be root");
		return -1;
	}
	if (config->user == NULL) {
		identity_self(id);
		return 0;
	}
	if (identity_find(id, config->user, err, errsize) == -1)
		return -1;
	if (geteuid() == 0 || geteuid() == id->uid)
		return 0;
	(void)snprintf(err, errsize, "only root can serve as user %s",
	    id->name);
	return -1;
}

/* On what a service manager has bound, or on what the configuration says. */
static int
master_listen(struct master *m, char *err, size_t errsize)
{
	const struct config *config = m->config;
	int fds[LISTEN_SOCKETS_MAX];
	uint8_t kinds[LISTEN_SOCKETS_MAX];
	int n = notify_sockets(fds, kinds, LISTEN_SOCKETS_MAX, err, errsize);

	if (n == -1)
		return -1;
	for (int i = 0; i < n; i++)
		if (kinds[i] == LISTENER_TLS && config->tls_cert == NULL) {
			(void)snprintf(err, errsize,
			    "the service manager's socket `https' needs "
			    "TLS_CERT and TLS_KEY");
			return -1;
		}
	if (n > 0)
		m->listeners = listeners_adopt(fds, kinds, (unsigned)n, err,
		    errsize);
	else
		m->listeners = listeners_open(config->listen, config->nlisten,
		    config->tls_listen, config->ntls_listen, config->workers,
		    err, errsize);
	return m->listeners != NULL ? 0 : -1;
}

/* The files are the user's from the first on, the sockets are bound by
 * whoever started us; after that there is no way back. */
static int
master_claim_as(struct master *m, const struct identity *id, char *err,
    size_t errsize)
{
	const struct config *config = m->config;
	bool change = id->uid != geteuid();

	if (change && identity_become(id) == -1)
		goto fail;
	if (identity_check_files(id, config->dsn.path, config->key_file, err,
		errsize) == -1)
		return -1;
	m->lock_fd = lock_take(config->dsn.path, LOCK_WAIT_MS, err, errsize);
	if (m->lock_fd == -1)
		return -1;
	if (change)
		identity_back();
	if (certificate_load(m, err, errsize) == -1 ||
	    master_listen(m, err, errsize) == -1)
		return -1;
	if (change &&
	    (listeners_give(m->listeners, id->uid, id->gid) == -1 ||
		identity_drop(id) == -1))
		goto fail;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		goto fail;
	if (access(m->exe, X_OK) == 0)
		return 0;
	(void)snprintf(err, errsize, "user %s cannot execute %s: %s", id->name,
	    m->exe, strerror(errno));
	return -1;
fail:
	(void)snprintf(err, errsize, "cannot become user %s: %s", id->name,
	    strerror(errno));
	return -1;
}

/* What can be refused is refused before any process is started. */
static int
master_claim(struct master *m)
{
	struct identity id;
	char err[600];

	if (master_user(m->config, &id, err, sizeof(err)) == -1 ||
	    master_claim_as(m, &id, err, sizeof(err)) == -1)
		goto fail;
	m->page = page_create(&m->page_fd);
	if (m->page == NULL) {
		(void)snprintf(err, sizeof(err),
		    "cannot make the shared page: %s", strerror(errno));
		goto fail;
	}
	m->control = control_new(m, err, sizeof(err));
	if (m->control == NULL)
		goto fail;
	return 0;
fail:
	master_log_error("cannot start", err);
	return -1;
}

static void
master_setup(struct master *m)
{
	const struct timeval tick = { MASTER_TICK_MS / 1000, 0 };

	m->hub = hub_new();
	m->presence = presence_new(relay_presence, m,
	    m->config->presence_grace_ms);
	m->writer = child_new(m, ROLE_WRITER, 0, 0);
	for (unsigned i = 0; i < m->config->workers; i++)
		m->workers[i] = child_new(m, ROLE_WORKER, i, i);
	m->courier = child_new(m, ROLE_COURIER, 0, 0);
	m->signals = signals_new(m);
	m->notify = notify_new(m);
	m->limit = event_new(m->base, -1, 0, drain_on_limit, m);
	m->tick = event_new(m->base, -1, EV_PERSIST, master_on_tick, m);
	if (m->limit == NULL || m->tick == NULL ||
	    event_add(m->tick, &tick) == -1)
		abort();
	m->tick_ms = clock_mono_ms();
}

static void
master_free(struct master *m)
{
	control_free(m->control);
	for (unsigned i = 0; i < MASTER_WORKERS_MAX; i++)
		child_free(m->workers[i]);
	child_free(m->writer);
	child_free(m->courier);
	signals_free(m->signals);
	notify_free(m->notify);
	reload_free(m->reload);
	replace_free(m->replace);
	if (m->tick != NULL)
		event_free(m->tick);
	if (m->limit != NULL)
		event_free(m->limit);
	if (m->presence_timer != NULL)
		event_free(m->presence_timer);
	presence_free(m->presence);
	hub_free(m->hub);
	listeners_free(m->listeners);
	if (m->page != NULL) {
		page_detach(m->page);
		(void)close(m->page_fd);
	}
	if (m->lock_fd != -1)
		(void)close(m->lock_fd);
	if (m->certificate_fd != -1)
		(void)close(m->certificate_fd);
	event_base_free(m->base);
	libevent_global_shutdown();
	free(m->exe);
	free(m->env);
	config_free(m->config);
}

int
master_main(struct config *config, const char *libexecdir, int argc,
    char **argv)
{
	struct master m = { .config = config,
		.libexecdir = libexecdir,
		.lock_fd = -1,
		.certificate_fd = -1,
		.status = 1 };
	char quoted[700];

	log_init("master", -1);
	log_set_level(config->log_level);
	proctitle_set("chatapi: master");
	log_info("start",
	    "version=" PACKAGE_VERSION " pid=%d workers=%u database=%s",
	    (int)getpid(), config->workers,
	    log_quote(quoted, sizeof(quoted), config->dsn.path,
		strlen(config->dsn.path)));
	m.started_ms = clock_mono_ms();
	master_raise_limits();
	m.base = loop_new();
	m.env = spawn_environment();
	m.exe = master_exe();
	program_look(&m.program, "/proc/self/exe");
	if (m.exe == NULL)
		master_log_error("cannot start", "/proc is not mounted");
	else if (master_claim(&m) == 0) {
		master_setup(&m);
		m.reload = reload_new(&m, argc, argv);
		m.replace = replace_new(&m, reload_done);
		m.status = 0;
		child_start(m.writer);
		(void)event_base_dispatch(m.base);
		log_info("stopped", "status=%d", m.status);
	}
	master_free(&m);
	return m.status;
}
