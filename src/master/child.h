/* SPDX-License-Identifier: MIT */
/*
 * One child process in its slot, over all its lives: started, greeted,
 * ready, stuck, dead, started again.
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../common/records.h"
#include "program.h"

struct event;
struct link;
struct master;

#define CHILD_BUILD_MAX 64
/* Three heartbeats; one that has become ready and then shows no life for
 * longer is silent. */
#define CHILD_FRESH_MS 7500

enum child_state {
	CHILD_GONE,
	CHILD_STARTED, /* executed, has not spoken */
	CHILD_LIVE,    /* HELLO was good: it has its links */
	CHILD_READY,
	CHILD_DRAINED
};

struct child {
	struct master *m;
	enum role role;
	unsigned slot; /* a worker's at hub, presence and page; else 0 */
	unsigned seat; /* whose listening sockets it serves; this is what
			* people know as its slot */
	int page_slot;
	enum child_state state;
	pid_t pid;                   /* 0 = no process */
	uint64_t incarnation;        /* never 0, another in each life */
	char build[CHILD_BUILD_MAX]; /* version it said it is; "" = nothing */
	uint32_t schema;             /* and the database's that it knows */
	struct link *link;           /* NULL once the bus has closed */
	uint64_t started_ms;
	uint64_t ready_ms; /* 0 = not in this life */
	uint64_t beat_ms;  /* last sign of life */
	unsigned lives;
	unsigned failures;      /* early deaths in a row */
	bool killed;            /* by us, the reason was logged */
	bool fresh;             /* from the program on disk, as a trial */
	bool other;             /* it is another version */
	bool leaving;           /* will not be started again */
	bool planned;           /* its end is no fault */
	uint64_t forwarded;     /* records, not yet counted in the page */
	struct program program; /* the courier's, as it was started */
	struct event *again;    /* delayed start */
};

/* seat counts for workers only. */
struct child *child_new(struct master *m, enum role role, unsigned slot,
    unsigned seat);
/* Forgets it; a process is not waited for. */
void child_free(struct child *c);
/* "writer", "worker" or "courier". */
const char *child_role(const struct child *c);

/* Starts the process and hands it its configuration; when that fails, tries
 * again later. */
void child_start(struct child *c);
/* Starts it again: at once if it had served for a while, else after a delay
 * that doubles with each early death. */
void child_start_again(struct child *c);
/* Its process was reaped. */
void child_reaped(struct child *c, int wait_status);
/* SIGKILL, with a line that says why; a second call does nothing.  A start
 * that was put off is off. */
void child_kill(struct child *c, const char *why);
/* Kills it when it has shown no life for too long. */
void child_check(struct child *c, uint64_t now);
/* Would it be started from another file than the one it runs?  The courier
 * only. */
bool child_outdated(struct child *c);
/* Hands it the configuration as it now stands. */
void child_configure(struct child *c);
/* Its sockets are served by another one: first it is told that. */
void child_leave(struct child *c, uint64_t timeout_ms);
/* Tells it to finish within that time. */
void child_drain(struct child *c, uint64_t timeout_ms);

/* All workers that there are. */
#define CHILD_FOREACH_WORKER(c, m) \
	for (unsigned c##_i = 0; c##_i < MASTER_WORKERS_MAX; c##_i++) \
		if (((c) = (m)->workers[c##_i]) != NULL)

#endif
