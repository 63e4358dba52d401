/* SPDX-License-Identifier: MIT */
/*
 * What is measured, and how it is called.  Runs in a worker.  Names follow
 * Prometheus' conventions; a value of a single worker has a name of its own,
 * so that sum() over any name counts everything once.
 */
#include "metrics_int.h"

const struct metric metrics_all[] = {
	{ "chatapi_connections", "active_connections", "Open WebSockets.",
	    GAUGE_CONNECTIONS, NULL, { 0 } },
	{ "chatapi_messages_sent_total", "messages_sent", "Messages stored.",
	    COUNTER_MESSAGES_SENT, NULL, { 0 } },
	{ "chatapi_deliveries_total", "delivery_attempts",
	    "Message frames queued for a WebSocket.", COUNTER_DELIVERIES, NULL,
	    { 0 } },
	{ "chatapi_delivery_failures_total", "delivery_failures",
	    "Message frames not yet sent when their WebSocket ended; its user "
	    "gets them at his next connect.",
	    COUNTER_DELIVERIES_LOST, NULL, { 0 } },
	{ "chatapi_notifications_total", "notifications",
	    "Notifications stored.", COUNTER_NOTIFICATIONS, NULL, { 0 } },
	{ "chatapi_notification_deliveries_total", "notification_deliveries",
	    "Notification frames queued for a WebSocket.",
	    COUNTER_NOTIFICATION_FRAMES, NULL, { 0 } },
	{ "chatapi_notification_expansions", "notification_expansions",
	    "Lists of users whom a notification has not reached to the end.",
	    GAUGE_EXPANSIONS, NULL, { 0 } },
	{ "chatapi_bus_drops_total", "broadcast_drops",
	    "Queues of events that overflowed and were replaced by a look at "
	    "the log.",
	    COUNTER_BUS_LOST, NULL, { 0 } },
	{ "chatapi_bus_records_total", "bus_records",
	    "Records that the master passed on to workers.",
	    COUNTER_BUS_RECORDS, NULL, { 0 } },
	{ "chatapi_bus_queue_bytes", "bus_queue_bytes",
	    "Bytes from the master that children have not taken yet.",
	    GAUGE_BUS_QUEUE_BYTES, NULL, { 0 } },
	{ "chatapi_connections_opened_total", "connections_opened",
	    "WebSockets opened.", COUNTER_CONNECTIONS_OPENED, NULL, { 0 } },
	{ "chatapi_connections_denied_total", "connections_denied",
	    "WebSockets over their user's limit.", COUNTER_CONNECTIONS_DENIED,
	    NULL, { 0 } },
	{ "chatapi_accept_pauses_total", "accept_pauses",
	    "Seconds in which a worker took no connection, as it had no file "
	    "descriptor left.",
	    COUNTER_ACCEPT_PAUSES, NULL, { 0 } },
	{ "chatapi_connections_behind", "connections_behind",
	    "WebSockets with at least one room being caught up from the log.",
	    GAUGE_CONNECTIONS_BEHIND, NULL, { 0 } },
	{ "chatapi_feeds_behind", "feeds_behind",
	    "Rooms of WebSockets being caught up from the log.",
	    GAUGE_FEEDS_BEHIND, NULL, { 0 } },
	{ "chatapi_feeds_fell_behind_total", "feeds_fell_behind",
	    "Rooms of WebSockets that were live and had to be caught up.",
	    COUNTER_FELL_BEHIND, NULL, { 0 } },
	{ "chatapi_users_online", "users_online",
	    "Users who count as online, over all tenants.", GAUGE_USERS_ONLINE,
	    NULL, { 0 } },
	{ "chatapi_frames_received_total", "frames_received",
	    "Whole messages that clients sent over WebSockets.",
	    COUNTER_FRAMES_RECEIVED, NULL, { 0 } },
	{ "chatapi_frames_refused_total", "frames_refused",
	    "Error frames in answer to them.", COUNTER_FRAMES_REFUSED, NULL,
	    { 0 } },
	{ "chatapi_http_requests_total", "http_requests",
	    "HTTP requests answered, by class of status.", COUNTER_REQUESTS_2XX,
	    "class", { "2xx", "3xx", "4xx", "5xx" } },
	{ "chatapi_http_requests_abandoned_total", "http_requests_abandoned",
	    "HTTP requests closed without an answer, as their outcome was "
	    "unknown.",
	    COUNTER_REQUESTS_ABANDONED, NULL, { 0 } },
	{ "chatapi_rate_limited_total", "rate_limited",
	    "HTTP requests and frames over their tenant's rate.",
	    COUNTER_RATE_LIMITED, NULL, { 0 } },
	{ "chatapi_operations_total", "operations",
	    "Operations that the writer answered.", COUNTER_OPERATIONS, NULL,
	    { 0 } },
	{ "chatapi_operations_pending", "operations_pending",
	    "Operations whose answer workers wait for.", GAUGE_PENDING, NULL,
	    { 0 } },
	{ "chatapi_writer_up", "writer_up",
	    "1 while there is a writer that takes operations.",
	    GAUGE_WRITER_READY, NULL, { 0 } },
	{ "chatapi_courier_up", "courier_up",
	    "1 while there is a courier: without one there are no webhooks "
	    "and no retention.",
	    GAUGE_COURIER_READY, NULL, { 0 } },
	{ "chatapi_writer_queue_operations", "writer_queue_operations",
	    "Operations in the writer's queue.", GAUGE_WRITER_QUEUE, NULL,
	    { 0 } },
	{ "chatapi_writer_queue_bytes", "writer_queue_bytes",
	    "Bytes of the operations in the writer's queue.",
	    GAUGE_WRITER_QUEUE_BYTES, NULL, { 0 } },
	{ "chatapi_batches_refused_total", "batches_refused",
	    "Batches that the database did not take.", COUNTER_BATCHES_REFUSED,
	    NULL, { 0 } },
	{ "chatapi_checkpoints_total", "checkpoints",
	    "Checkpoints of the write-ahead log, tried.", COUNTER_CHECKPOINTS,
	    NULL, { 0 } },
	{ "chatapi_wal_bytes", "wal_bytes",
	    "Bytes of the write-ahead log in use.", GAUGE_WAL_BYTES, NULL,
	    { 0 } },
	{ "chatapi_frame_cache_bytes", "frame_cache_bytes",
	    "Bytes of encoded frames kept for readers that follow.",
	    GAUGE_FRAME_CACHE_BYTES, NULL, { 0 } },
	{ "chatapi_restarts_total", "restarts",
	    "Child processes started again, by role.", COUNTER_RESTARTS_WORKER,
	    "role", { "worker", "writer", "courier" } },
	{ "chatapi_webhooks_total", "webhooks",
	    "Tries to deliver to a webhook, by what came of them; dead: the "
	    "failed ones that were the last.",
	    COUNTER_WEBHOOKS_DELIVERED, "outcome",
	    { "delivered", "failed", "dead" } },
	{ "chatapi_webhooks_pending", "webhooks_pending",
	    "Deliveries to webhooks that are still to be made.",
	    GAUGE_WEBHOOKS_PENDING, NULL, { 0 } },
	{ "chatapi_dead_letters", "dead_letters",
	    "Deliveries given up, kept for GET /admin/dead-letters.",
	    GAUGE_DEAD_LETTERS, NULL, { 0 } },
	{ "chatapi_retention_trims_total", "retention_trims",
	    "Rooms cut because messages had outlived retention_days.",
	    COUNTER_RETENTION_TRIMS, NULL, { 0 } },
	{ 0 },
};

const struct metric_worker metrics_workers[] = {
	{ "chatapi_worker_up", "up", "1 while the worker serves.",
	    GAUGE_WORKER_READY, 1 },
	{ "chatapi_worker_connections", "connections",
	    "Open WebSockets of one worker.", GAUGE_CONNECTIONS, 1 },
	{ "chatapi_worker_feeds_behind", "feeds_behind",
	    "Rooms of WebSockets being caught up by one worker.",
	    GAUGE_FEEDS_BEHIND, 1 },
	{ "chatapi_worker_operations_pending", "operations_pending",
	    "Operations whose answer one worker waits for.", GAUGE_PENDING, 1 },
	{ "chatapi_worker_bus_queue_bytes", "bus_queue_bytes",
	    "Bytes from the master that one worker has not taken yet.",
	    GAUGE_BUS_QUEUE_BYTES, 1 },
	{ "chatapi_worker_deliveries_total", "deliveries",
	    "Message frames queued by one worker since it was started.",
	    COUNTER_DELIVERIES, 1 },
	{ "chatapi_worker_http_requests_total", "http_requests",
	    "HTTP requests answered by one worker since it was started.",
	    COUNTER_REQUESTS_2XX, 4 },
	{ 0 },
};

const struct metric_histogram metrics_histograms[] = {
	{ "chatapi_batch_operations", "batch_operations",
	    "Operations that shared one commit.", HISTOGRAM_BATCH, false },
	{ "chatapi_commit_duration_seconds", "commit_duration_seconds",
	    "How long COMMIT took, the disk's sync included.", HISTOGRAM_COMMIT,
	    true },
	{ 0 },
};

uint64_t
metric_worker_value(const struct metrics *m, const struct metric_worker *w,
    unsigned slot)
{
	uint64_t sum = 0;
	int at = PAGE_SLOT_WORKER0;

	/* Which process has the seat changes with each replacement. */
	while (at < PAGE_SLOTS &&
	    page_get(m->page, at, GAUGE_WORKER_SEAT) != slot + 1)
		at++;
	for (unsigned i = 0; i < w->n; i++)
		sum += page_get(m->page, at, (enum page_counter)(w->first + i));
	return sum;
}

bool
metric_writable(const struct metrics *m)
{
	return atomic_load(&m->page->db_writable) != 0;
}

void
metric_add_ms(struct buf *b, uint64_t ms)
{
	(void)buf_addf(b, "%llu.%03u", (unsigned long long)(ms / 1000),
	    (unsigned)(ms % 1000));
}

/* Without the zeros at its end. */
static void
metric_add_ns(struct buf *b, uint64_t ns)
{
	unsigned part = (unsigned)(ns % 1000000000), digits = 9;

	(void)buf_add_u64(b, ns / 1000000000);
	if (part == 0)
		return;
	for (; part % 10 == 0; part /= 10)
		digits--;
	(void)buf_addf(b, ".%0*u", (int)digits, part);
}

void
metric_add_observed(struct buf *b, const struct metric_histogram *h, uint64_t v)
{
	if (h->seconds)
		metric_add_ns(b, v);
	else
		(void)buf_add_u64(b, v);
}
