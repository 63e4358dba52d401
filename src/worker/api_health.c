/* SPDX-License-Identifier: MIT */
/* GET /health: whether this server can do its work.  Runs in a worker. */
#include <stdatomic.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/duration.h"
#include "../common/page.h"
#include "api.h"
#include "http.h"
#include "worker.h"

void
api_health(struct http_request *q)
{
	const struct page *page = http_worker(q)->page;
	struct buf *b = http_body(q);
	uint64_t up = clock_mono_ms() - page->started_mono_ms;
	bool writable = atomic_load(&page->db_writable) != 0;
	char uptime[64];

	duration_format(uptime, sizeof(uptime), up / 1000 * 1000);
	buf_addf(b,
	    "{\"status\":\"%s\",\"service\":\"chatapi\","
	    "\"version\":\"%s\",\"uptime\":\"%s\",\"db_writable\":%s}",
	    writable ? "ok" : "error", PACKAGE_VERSION, uptime,
	    writable ? "true" : "false");
	if (!writable)
		http_add_header(q, "Retry-After", "1");
	http_reply(q, writable ? 200 : 503, b);
}
