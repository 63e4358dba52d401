/* SPDX-License-Identifier: MIT */
/* Between metrics.c (the tables), metrics_text.c and metrics_json.c: private
 * to the three. */
#ifndef WORKER_METRICS_INT_H
#define WORKER_METRICS_INT_H

#include <stdbool.h>

#include "../common/buf.h"
#include "metrics.h"

#define METRICS_LABELS_MAX 4

/* One name; `first` and those behind it in the page have a label each. */
struct metric {
	const char *name; /* in Prometheus */
	const char *json;
	const char *help;
	enum page_counter first;
	const char *label; /* NULL = a single value without */
	const char *values[METRICS_LABELS_MAX + 1];
};

/* One value of each worker: the sum of n counters of its slot. */
struct metric_worker {
	const char *name;
	const char *json;
	const char *help;
	enum page_counter first;
	unsigned n;
};

struct metric_histogram {
	const char *name;
	const char *json;
	const char *help;
	enum page_histogram h;
	bool seconds; /* observed in nanoseconds */
};

/* Each ends with a NULL name. */
extern const struct metric metrics_all[];
extern const struct metric_worker metrics_workers[];
extern const struct metric_histogram metrics_histograms[];

static inline bool
metric_is_gauge(enum page_counter c)
{
	return c >= PAGE_GAUGE0;
}

uint64_t metric_worker_value(const struct metrics *m,
    const struct metric_worker *w, unsigned slot);
bool metric_writable(const struct metrics *m);
/* Seconds, as a decimal number. */
void metric_add_ms(struct buf *b, uint64_t ms);
/* A bound, or sum, of a histogram in its unit. */
void metric_add_observed(struct buf *b, const struct metric_histogram *h,
    uint64_t v);

#endif
