/* SPDX-License-Identifier: MIT */
/* Prometheus' text format, version 0.0.4.  Runs in a worker; pure. */
#include "metrics_int.h"

/* No help text or label value holds what would need escaping. */
static void
text_head(struct buf *b, const char *name, const char *type, const char *help)
{
	(void)buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    type);
}

static const char *
text_type(enum page_counter c)
{
	return metric_is_gauge(c) ? "gauge" : "counter";
}

static void
text_value(struct buf *b, uint64_t v)
{
	(void)buf_add_u64(b, v);
	(void)buf_adds(b, "\n");
}

static void
text_metric(struct buf *b, const struct metrics *m, const struct metric *t)
{
	text_head(b, t->name, text_type(t->first), t->help);
	if (t->label == NULL) {
		(void)buf_addf(b, "%s ", t->name);
		text_value(b, m->sums.c[t->first]);
		return;
	}
	for (unsigned i = 0; t->values[i] != NULL; i++) {
		(void)buf_addf(b, "%s{%s=\"%s\"} ", t->name, t->label,
		    t->values[i]);
		text_value(b, m->sums.c[t->first + i]);
	}
}

static void
text_worker(struct buf *b, const struct metrics *m,
    const struct metric_worker *t)
{
	text_head(b, t->name, text_type(t->first), t->help);
	for (unsigned slot = 0; slot < m->workers; slot++) {
		(void)buf_addf(b, "%s{slot=\"%u\"} ", t->name, slot);
		text_value(b, metric_worker_value(m, t, slot));
	}
}

static void
text_histogram(struct buf *b, const struct metrics *m,
    const struct metric_histogram *t)
{
	const struct page_histogram_sums *h = &m->sums.h[t->h];
	uint64_t below = 0;

	text_head(b, t->name, "histogram", t->help);
	for (unsigned i = 0; i < page_bounds(t->h); i++) {
		below += h->bucket[i];
		(void)buf_addf(b, "%s_bucket{le=\"", t->name);
		metric_add_observed(b, t, page_bound(t->h, i));
		(void)buf_adds(b, "\"} ");
		text_value(b, below);
	}
	(void)buf_addf(b, "%s_bucket{le=\"+Inf\"} ", t->name);
	text_value(b, h->count);
	(void)buf_addf(b, "%s_sum ", t->name);
	metric_add_observed(b, t, h->sum);
	(void)buf_addf(b, "\n%s_count ", t->name);
	text_value(b, h->count);
}

static void
text_server(struct buf *b, const struct metrics *m)
{
	text_head(b, "chatapi_build_info", "gauge",
	    "1; the label tells the version.");
	(void)buf_addf(b, "chatapi_build_info{version=\"%s\"} 1\n", m->version);
	text_head(b, "chatapi_start_time_seconds", "gauge",
	    "When the server was started, in Unix time.");
	(void)buf_adds(b, "chatapi_start_time_seconds ");
	metric_add_ms(b, (uint64_t)m->page->started_unix_ms);
	(void)buf_adds(b, "\n");
	text_head(b, "chatapi_uptime_seconds", "gauge",
	    "How long ago that was.");
	(void)buf_adds(b, "chatapi_uptime_seconds ");
	metric_add_ms(b, m->uptime_ms);
	(void)buf_adds(b, "\n");
	text_head(b, "chatapi_db_writable", "gauge",
	    "1 while the database takes writes.");
	(void)buf_adds(b, "chatapi_db_writable ");
	text_value(b, metric_writable(m));
	text_head(b, "chatapi_workers", "gauge", "Workers configured.");
	(void)buf_adds(b, "chatapi_workers ");
	text_value(b, m->workers);
}

void
metrics_text(struct buf *b, const struct metrics *m)
{
	text_server(b, m);
	for (const struct metric *t = metrics_all; t->name != NULL; t++)
		text_metric(b, m, t);
	for (const struct metric_histogram *t = metrics_histograms;
	     t->name != NULL; t++)
		text_histogram(b, m, t);
	for (const struct metric_worker *t = metrics_workers; t->name != NULL;
	     t++)
		text_worker(b, m, t);
}
