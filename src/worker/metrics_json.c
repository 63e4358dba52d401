/* SPDX-License-Identifier: MIT */
/* The same as one JSON object, for dashboards of one's own.  Runs in a
 * worker; pure. */
#include "metrics_int.h"

#include <string.h>

#include "../common/json_text.h"

static void
json_name(struct buf *b, const char *name)
{
	(void)buf_addf(b, ",\"%s\":", name);
}

static void
json_metric(struct buf *b, const struct metrics *m, const struct metric *t)
{
	json_name(b, t->json);
	if (t->label == NULL) {
		(void)buf_add_u64(b, m->sums.c[t->first]);
		return;
	}
	for (unsigned i = 0; t->values[i] != NULL; i++) {
		(void)buf_addf(b, "%s\"%s\":", i == 0 ? "{" : ",",
		    t->values[i]);
		(void)buf_add_u64(b, m->sums.c[t->first + i]);
	}
	(void)buf_adds(b, "}");
}

/* Its buckets are cumulative, as in the text. */
static void
json_histogram(struct buf *b, const struct metrics *m,
    const struct metric_histogram *t)
{
	const struct page_histogram_sums *h = &m->sums.h[t->h];
	uint64_t below = 0;

	json_name(b, t->json);
	(void)buf_adds(b, "{\"count\":");
	(void)buf_add_u64(b, h->count);
	(void)buf_adds(b, ",\"sum\":");
	metric_add_observed(b, t, h->sum);
	(void)buf_adds(b, ",\"buckets\":{");
	for (unsigned i = 0; i < page_bounds(t->h); i++) {
		below += h->bucket[i];
		(void)buf_adds(b, "\"");
		metric_add_observed(b, t, page_bound(t->h, i));
		(void)buf_adds(b, "\":");
		(void)buf_add_u64(b, below);
		(void)buf_adds(b, ",");
	}
	(void)buf_adds(b, "\"+Inf\":");
	(void)buf_add_u64(b, h->count);
	(void)buf_adds(b, "}}");
}

static void
json_workers(struct buf *b, const struct metrics *m)
{
	json_name(b, "workers");
	for (unsigned slot = 0; slot < m->workers; slot++) {
		(void)buf_addf(b, "%s{\"slot\":%u", slot == 0 ? "[" : ",",
		    slot);
		for (const struct metric_worker *t = metrics_workers;
		     t->name != NULL; t++) {
			json_name(b, t->json);
			(void)buf_add_u64(b, metric_worker_value(m, t, slot));
		}
		(void)buf_adds(b, "}");
	}
	(void)buf_adds(b, m->workers == 0 ? "[]}" : "]}");
}

void
metrics_json(struct buf *b, const struct metrics *m)
{
	(void)buf_adds(b, "{\"service\":\"chatapi\",\"version\":");
	json_text_string(b, m->version, strlen(m->version));
	json_name(b, "started_at");
	json_text_time(b, m->page->started_unix_ms);
	json_name(b, "uptime_seconds");
	metric_add_ms(b, m->uptime_ms);
	json_name(b, "db_writable");
	(void)buf_adds(b, metric_writable(m) ? "true" : "false");
	for (const struct metric *t = metrics_all; t->name != NULL; t++)
		json_metric(b, m, t);
	for (const struct metric_histogram *t = metrics_histograms;
	     t->name != NULL; t++)
		json_histogram(b, m, t);
	json_workers(b, m);
}
