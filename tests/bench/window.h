/* SPDX-License-Identifier: MIT */
/*
 * The measured window: warm-up, then a stretch between two samples of the
 * server's processes and of our own, then the end.
 */
#ifndef BENCH_WINDOW_H
#define BENCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "proc.h"

struct bench;

enum window_state { WINDOW_WARM, WINDOW_OPEN, WINDOW_DONE };

struct window {
	enum window_state state;
	unsigned master;
	uint64_t warm_end;
	uint64_t length;
	uint64_t start, end; /* as they came to be */
	struct proc_set before, after;
	double own_before, own_after;
};

/* The warm-up begins now. */
void window_begin(struct window *w, const struct bench *b);
/* To be called at least every few milliseconds. */
void window_tick_slow(struct window *w, uint64_t now);
static inline enum window_state
window_tick(struct window *w, uint64_t now)
{
	if (now >= w->warm_end)
		window_tick_slow(w, now);
	return w->state;
}
/* Ends it now, however far it is. */
void window_close(struct window *w);
/* Seconds between the samples. */
double window_seconds(const struct window *w);
/*
 * Adds to the result: seconds, server CPU a unit (named
 * server_us_per_<unit>) in all and per process, whether a process died
 * meanwhile, own CPU a unit.
 */
void window_result(const struct window *w, const char *unit, uint64_t units);

#endif
