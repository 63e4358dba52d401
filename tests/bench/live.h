/* SPDX-License-Identifier: MIT */
/*
 * A process of its own with clients that chat steadily, and reconnect when
 * they must, while something else is done to the server: what the others
 * notice of it.  In each room the first member sends, every pause_us.
 */
#ifndef BENCH_LIVE_H
#define BENCH_LIVE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "stats.h"

struct bench;

#define LIVE_PHASES 3

/* Shared by both processes. */
struct live {
	pid_t pid;
	_Atomic unsigned phase; /* where delivery latencies are counted */
	_Atomic unsigned ready; /* all connected */
	_Atomic unsigned sending, stop;
	_Atomic uint64_t head;     /* of the first room: its sender's last */
	_Atomic uint64_t complete; /* of the first room: every member's */
	_Atomic uint64_t faults;   /* gaps and final errors */
	_Atomic uint64_t refused;  /* temporary errors */
	_Atomic uint64_t lost;     /* connections that ended */
	_Atomic uint64_t delivered[LIVE_PHASES];
	/* To those whose connection has lasted through the phase so far, and
	 * to those who were disconnected in it. */
	struct hist delivery[LIVE_PHASES];
	struct hist broken[LIVE_PHASES];
};

/* Starts it with the plan's rooms from `first` on, and waits until all its
 * clients are connected; NULL after a complaint. */
struct live *live_start(const struct bench *b, unsigned first);
/* Begins to send. */
void live_send(struct live *l);
/* Latencies go to this phase from now on. */
void live_phase(struct live *l, unsigned phase);
/* Ends the process; 0, or -1 when it had failed.  What was measured stays
 * until live_free(). */
int live_stop(struct live *l);
void live_free(struct live *l);

#endif
