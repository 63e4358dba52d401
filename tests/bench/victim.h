/* SPDX-License-Identifier: MIT */
/*
 * Kills a process of the server that is measured, and finds its successor.
 * Only ever the master named by --server-pid, its children and its group.
 */
#ifndef BENCH_VICTIM_H
#define BENCH_VICTIM_H

#include <sys/types.h>

struct bench;

enum victim { VICTIM_WORKER, VICTIM_WRITER, VICTIM_MASTER, VICTIM_GROUP };

/* By name, as --kill has it; -1 after a complaint. */
int victim_parse(const char *name, enum victim *v);
/* SIGKILL; slot is for a worker.  0, or -1 after a complaint. */
int victim_kill(pid_t master, enum victim v, unsigned slot);
/*
 * The master as of now: --pid-file, which whoever started the server writes
 * anew after a restart, or --server-pid.
 */
pid_t victim_master(const struct bench *b);
/* Workers of that master. */
unsigned victim_workers(pid_t master);

#endif
