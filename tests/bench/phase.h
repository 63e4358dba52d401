/* SPDX-License-Identifier: MIT */
/*
 * One stretch of a benchmark that has several: how long it took and what the
 * server's processes used, also when some were replaced meanwhile.
 */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include <stdint.h>

#include "proc.h"

struct bench;

struct phase {
	pid_t master;
	uint64_t start, end;
	struct proc_set before, after;
	double own_before, own_after;
};

/* 0, or -1 after a complaint when the server is gone. */
int phase_begin(struct phase *p, const struct bench *b);
/* master = another than at the beginning, or 0 for the same. */
int phase_end(struct phase *p, pid_t master);
double phase_seconds(const struct phase *p);
/* Of the server, in microseconds for each of n. */
double phase_server_us(const struct phase *p, uint64_t n);
/* Of the processes whose name holds this. */
double phase_role_us(const struct phase *p, const char *role, uint64_t n);
/*
 * Adds to the result, each with the prefix: _s, server_us_per_<unit>, and the
 * same of writer, workers, master and the generator itself.
 */
void phase_result(const struct phase *p, const char *prefix, const char *unit,
    uint64_t n);

#endif
