/* SPDX-License-Identifier: MIT */
/*
 * Reads flags, environment and file again, as at the start, and lets the
 * running processes have what they can take.  Runs in the master.  What is
 * not sound in any part changes nothing.
 */
#include "reload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/config.h"
#include "../common/json_text.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "certificate.h"
#include "child.h"
#include "listen.h"
#include "master.h"
#include "notify.h"
#include "relay_presence.h"
#include "replace.h"

/* Names of settings that wait for a restart. */
#define RELOAD_NAMES_MAX 1024
#define RELOAD_WHY_MAX 1200

struct reload {
	struct master *m;
	int argc;
	char **argv;
	bool running;
	bool again;        /* a signal came meanwhile */
	unsigned taken;    /* settings that running processes took */
	bool needs_new;    /* one that only new processes take */
	const char *state; /* how the last one ended */
	unsigned begun;
	unsigned done;                  /* reloads that went through */
	int64_t at_ms;                  /* Unix: when it was; 0 = never */
	char why[RELOAD_WHY_MAX];       /* it was refused */
	char waiting[RELOAD_NAMES_MAX]; /* for a restart: "A B" */
};

struct reload *
reload_new(struct master *m, int argc, char **argv)
{
	struct reload *r = mem_alloc(sizeof(*r));

	r->m = m;
	r->argc = argc;
	r->argv = argv;
	r->state = "idle";
	return r;
}

void
reload_free(struct reload *r)
{
	free(r);
}

static void
reload_note_waiting(struct reload *r, const char *name)
{
	size_t len = strlen(r->waiting);

	(void)snprintf(r->waiting + len, sizeof(r->waiting) - len, "%s%s",
	    len > 0 ? " " : "", name);
}

/* Says in the log which settings differ. */
static void
reload_compare(struct reload *r, const struct config *next)
{
	enum config_change change;
	const char *name;
	unsigned id = 0, n = 0;

	r->waiting[0] = '\0';
	r->taken = 0;
	r->needs_new = false;
	while ((change = config_diff(r->m->config, next, &id, &name)) !=
	    CONFIG_SAME) {
		n++;
		if (change != CONFIG_RESTART) {
			log_info("setting changed", "name=%s", name);
			r->taken++;
			r->needs_new |= change == CONFIG_REPLACE;
			continue;
		}
		log_warn("setting changed: restart needed", "name=%s", name);
		reload_note_waiting(r, name);
	}
	if (n == 0)
		log_info("no setting changed", NULL);
}

/* Here is what has to be done when a value of the master's own changes. */
static void
reload_apply(struct reload *r)
{
	struct master *m = r->m;
	struct child *c;

	log_set_level(m->config->log_level);
	/* One that is refused is no reason to send everybody away, either. */
	r->taken += certificate_reload(m, r->why, sizeof(r->why)) != 0;
	relay_presence_grace(m);
	/* The others are told when they have said HELLO. */
	if (m->writer->state >= CHILD_LIVE)
		child_configure(m->writer);
	if (m->courier->state >= CHILD_LIVE)
		child_configure(m->courier);
	CHILD_FOREACH_WORKER(c, m)
		if (c->state >= CHILD_LIVE)
			child_configure(c);
}

/* Other files must hold a good pair; when the same ones have become bad or
 * cannot be read any more, the pair that is in use stays, that is all. */
static int
reload_certificate(struct reload *r, const struct config *next)
{
	const struct config *now = r->m->config;

	if (next->tls_cert == NULL || now->tls_cert == NULL ||
	    (strcmp(next->tls_cert, now->tls_cert) == 0 &&
		strcmp(next->tls_key, now->tls_key) == 0))
		return 0;
	return certificate_check(next, r->why, sizeof(r->why));
}

/* More workers need more sockets; privileged ports may be out of reach. */
static void
reload_grow(struct reload *r, struct config *next)
{
	char err[300], quoted[400];

	if (listeners_grow(r->m->listeners, next->workers, err, sizeof(err)) ==
	    0)
		return;
	log_warn("no more workers without a restart", "error=%s",
	    log_quote(quoted, sizeof(quoted), err, strlen(err)));
	next->workers = r->m->config->workers;
}

static int
reload_settings(struct reload *r)
{
	enum log_level level = log_get_level();
	char quoted[RELOAD_WHY_MAX + 100];
	enum config_action action;
	struct config next;
	int first, rc;

	r->why[0] = '\0';
	rc = config_load(&next, r->argc, r->argv, &action, &first, r->why,
	    sizeof(r->why));
	if (rc == 0 && reload_certificate(r, &next) == -1) {
		config_free(&next);
		rc = -1;
	}
	if (rc == -1) {
		log_set_level(level);
		log_error("reload refused, nothing was changed", "error=%s",
		    log_quote(quoted, sizeof(quoted), r->why, strlen(r->why)));
		return -1;
	}
	log_set_level(level);
	reload_grow(r, &next);
	reload_compare(r, &next);
	config_take(r->m->config, &next);
	config_free(&next);
	reload_apply(r);
	return 0;
}

/* Nobody is disturbed for settings that running processes take. */
static bool
reload_must_replace(const struct reload *r)
{
	struct program now;

	program_look(&now, r->m->exe);
	return r->taken == 0 || r->needs_new ||
	    !program_same(&now, &r->m->program) ||
	    child_outdated(r->m->courier);
}

static void
reload_end(struct reload *r)
{
	r->running = false;
	notify_ready(r->m);
	reload_serving(r);
}

void
reload_done(struct master *m, const char *why)
{
	struct reload *r = m->reload;
	char quoted[RELOAD_WHY_MAX + 100];

	if (why == NULL) {
		r->done++;
		/* The rest of it went through, but not the certificate. */
		if (r->why[0] != '\0')
			r->state = "refused";
		log_info("reloaded", NULL);
	} else {
		r->state = "stopped";
		(void)snprintf(r->why, sizeof(r->why), "%s", why);
		log_error("reload stopped, the old processes serve on",
		    "why=%s",
		    log_quote(quoted, sizeof(quoted), why, strlen(why)));
	}
	reload_end(r);
}

void
reload_begin(struct reload *r)
{
	if (r->m->phase != MASTER_SERVING || r->running) {
		r->again = r->m->phase == MASTER_STARTING || r->running;
		if (r->running)
			log_info("reload again when this one has ended", NULL);
		return;
	}
	log_info("reloading", "signal=SIGHUP");
	notify_reloading();
	r->running = true;
	r->at_ms = clock_unix_ms();
	r->begun++;
	r->state = "idle";
	if (reload_settings(r) == -1) {
		r->state = "refused";
		reload_end(r);
	} else if (reload_must_replace(r))
		replace_begin(r->m->replace);
	else
		reload_done(r->m, NULL);
}

void
reload_serving(struct reload *r)
{
	if (!r->again || r->running)
		return;
	r->again = false;
	reload_begin(r);
}

/* ["A","B"] */
static void
reload_status_names(const char *names, struct buf *b)
{
	const char *p = names;

	(void)buf_adds(b, "[");
	while (*p != '\0') {
		size_t len = strcspn(p, " ");

		if (p != names)
			(void)buf_adds(b, ",");
		json_text_string(b, p, len);
		p += len + (p[len] != '\0');
	}
	(void)buf_adds(b, "]");
}

void
reload_status(const struct reload *r, struct buf *b)
{
	(void)buf_addf(b,
	    "{\"state\":\"%s\",\"begun\":%u,\"done\":%u,\"last_at\":",
	    r->running ? "running" : r->state, r->begun, r->done);
	if (r->at_ms != 0)
		json_text_time(b, r->at_ms);
	else
		(void)buf_adds(b, "null");
	(void)buf_adds(b, ",");
	replace_status(r->m->replace, b);
	(void)buf_adds(b, ",\"why\":");
	if (r->why[0] != '\0')
		json_text_string(b, r->why, strlen(r->why));
	else
		(void)buf_adds(b, "null");
	(void)buf_adds(b, ",\"restart_needed\":");
	reload_status_names(r->waiting, b);
	(void)buf_adds(b, "}");
}
