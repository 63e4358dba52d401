/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics: what all processes have counted, for a monitoring system.
 * Runs in a worker, whichever is asked; names no tenant, user or room.
 */
#include "../common/clock.h"
#include "../common/page.h"
#include "accept.h"
#include "api.h"
#include "http.h"
#include "metrics.h"
#include "worker.h"

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void
api_metrics(struct http_request *q)
{
	struct worker *w = http_worker(q);
	struct buf *b = http_body(q);
	struct metrics m = {
		.page = w->page,
		.version = PACKAGE_VERSION,
		.workers = w->config.workers,
		.uptime_ms = clock_mono_ms() - w->page->started_mono_ms,
	};

	page_sums(w->page, &m.sums);
	http_add_header(q, "Vary", "Accept");
	if (accept_json(http_header(q, "Accept"))) {
		metrics_json(b, &m);
	} else {
		http_set_type(q, TEXT_TYPE);
		metrics_text(b, &m);
	}
	http_reply(q, 200, b);
}
