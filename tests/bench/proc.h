/* SPDX-License-Identifier: MIT */
/* What the server's processes cost, read from /proc. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_MAX 80 /* a master, a writer and 64 workers fit */
#define PROC_NAME_SIZE 40

struct proc_one {
	pid_t pid;
	char name[PROC_NAME_SIZE]; /* as ps shows it */
	double cpu;                /* seconds, user and system */
	uint64_t switches;         /* voluntary, all threads */
	uint64_t pss_kb;           /* only after proc_memory() */
};

struct proc_set {
	unsigned n;
	struct proc_one p[PROC_MAX];
};

/*
 * Samples the master and its children.  0, or -1 when the master is gone.
 * master 0 = no server is measured: an empty set.
 */
int proc_sample(pid_t master, struct proc_set *s);
/* Adds the proportional set size of each; walks page tables, so it is kept
 * out of measured windows. */
int proc_memory(struct proc_set *s);

double proc_cpu(const struct proc_set *s);
/* Of those in `after`; who is not in `before` began at nothing, and who died
 * in between does not count. */
double proc_cpu_since(const struct proc_set *before,
    const struct proc_set *after);
/* Of the worker that grew most; both with proc_memory(). */
uint64_t proc_worker_growth_kb(const struct proc_set *before,
    const struct proc_set *after);
/* What those whose name holds `role` have read() so far, the page cache
 * included and sockets not: for a worker that is SQLite. */
uint64_t proc_read_bytes(const struct proc_set *s, const char *role);
/* "chatapi: worker 0"; 0 = there is none. */
pid_t proc_named(const struct proc_set *s, const char *name);
uint64_t proc_switches(const struct proc_set *s);
uint64_t proc_pss_kb(const struct proc_set *s);
/* True when both name the same processes: none died in between. */
bool proc_same(const struct proc_set *a, const struct proc_set *b);

#endif
