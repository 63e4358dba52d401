/* SPDX-License-Identifier: MIT */
/*
 * The shared page's counters as text for Prometheus and as JSON.  Does no
 * I/O and asks no clock.  What there is stands in the tables of metrics.c,
 * and for readers in doc/metrics.md; a test compares the two.
 */
#ifndef WORKER_METRICS_H
#define WORKER_METRICS_H

#include <stdint.h>

#include "../common/page.h"

struct buf;

struct metrics {
	const struct page *page; /* borrowed */
	struct page_sums sums;   /* of the page */
	const char *version;     /* borrowed; without quotes */
	unsigned workers;        /* how many there should be */
	uint64_t uptime_ms;      /* of the master */
};

/* Prometheus' text format, version 0.0.4. */
void metrics_text(struct buf *b, const struct metrics *m);
/* One JSON object. */
void metrics_json(struct buf *b, const struct metrics *m);

#endif
