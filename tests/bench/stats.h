/* SPDX-License-Identifier: MIT */
/* Clock, latency histogram, random numbers and the JSON result line. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t stats_now(void);
/* User and system time of this process in seconds. */
double stats_own_cpu(void);
/*
 * What an empty system call costs here and now, in microseconds: between 0.1
 * and 1.5 on virtual machines, and most of what a small send() costs.
 * Figures of two runs compare only where this does.
 */
double stats_syscall_us(void);
/* xorshift64*; good for masks and offsets, not for secrets. */
uint64_t stats_random(void);

/* Log-linear: 128 steps per power of two, so within 0.8 %. */
#define HIST_BUCKETS 7424
struct hist {
	uint64_t count;
	uint64_t max;
	uint32_t bucket[HIST_BUCKETS];
};
void hist_clear(struct hist *h);
void hist_add(struct hist *h, uint64_t ns);
/* q in 0..1; 0 when nothing was added. */
uint64_t hist_quantile(const struct hist *h, double q);

/* One JSON object on one line of stdout, member by member. */
void result_begin(const char *mode);
void result_num(const char *name, double v);
void result_str(const char *name, const char *v);
/* name_p50_us, name_p99_us, name_max_us. */
void result_hist(const char *name, const struct hist *h);
void result_list_begin(const char *name);
void result_item_begin(void);
void result_item_end(void);
void result_list_end(void);
void result_end(void);

#endif
