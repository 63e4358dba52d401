/* SPDX-License-Identifier: MIT */
/*
 * The master process: owns listening sockets, lock, shared page, hub and
 * control socket, starts and watches the others.  It never parses a client's
 * byte and never opens the database.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdint.h>

#include "program.h"

struct child;
struct config;
struct control;
struct event;
struct event_base;
struct hub;
struct listeners;
struct notify;
struct page;
struct presence;
struct reload;
struct replace;
struct signals;

/* Worker processes at once: more than CONFIG_WORKERS_MAX, so that each can
 * be replaced while its successor lives; as many as the hub, presence and the
 * page have places. */
#define MASTER_WORKERS_MAX 72

enum master_phase {
	MASTER_STARTING, /* writer, then workers; the first failure ends it */
	MASTER_SERVING,
	MASTER_DRAINING, /* workers and courier finish */
	MASTER_STOPPING, /* then the writer */
	MASTER_FAILED    /* start failed: all are being killed */
};

/* What the parts of the master share. */
struct master {
	struct event_base *base;
	struct config *config;
	struct page *page;
	int page_fd;
	int lock_fd;
	int certificate_fd;     /* see certificate.c; -1 = no TLS */
	char *exe;              /* absolute path of this program */
	struct program program; /* the file there that is known good */
	const char *libexecdir; /* where the courier's program is installed */
	char **env;             /* of the children */
	struct listeners *listeners;
	struct hub *hub;
	struct presence *presence;
	struct event *presence_timer; /* made when first needed */
	struct control *control;
	struct reload *reload;
	struct replace *replace;
	struct signals *signals;
	struct notify *notify; /* NULL = no service manager */
	struct child *writer;
	/* By process slot, NULL = none; see CHILD_FOREACH_WORKER(). */
	struct child *workers[MASTER_WORKERS_MAX];
	struct child *courier; /* serving does not depend on it */
	struct event *tick;    /* looks for stuck children */
	struct event *limit;   /* of a drain */
	uint64_t tick_ms;
	uint64_t started_ms;
	enum master_phase phase;
	int status; /* of the process at its end */
};

/* Serves until told to stop; takes what config holds, which came of these
 * arguments.  libexecdir: where the courier's program is when it is not beside
 * this one; borrowed.  The result is the exit status. */
int master_main(struct config *config, const char *libexecdir, int argc,
    char **argv);

/* A child has said READY. */
void master_child_ready(struct master *m, struct child *c);
/* A child has been reaped; wait_status is waitpid's. */
void master_child_gone(struct master *m, struct child *c, int wait_status);

#endif
