/* SPDX-License-Identifier: MIT */
/*
 * GET /channels: what a tenant's users may find and join.  Runs in a worker;
 * reads only.
 */
#include <stdbool.h>

#include "../common/buf.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "reader.h"
#include "room_json.h"
#include "worker.h"

#define CHANNELS_MOST 100

struct channels_page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
	uint64_t at; /* where the page ended */
};

static bool
channels_row(const struct reader_room *room, void *arg)
{
	struct channels_page *p = arg;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	room_json(p->b, room);
	p->at = room->id;
	return true;
}

void
api_channels_list(struct http_request *q)
{
	struct channels_page p = { 0 };
	uint64_t before = INT64_MAX;
	size_t len;

	if (!api_args_limit(q, CHANNELS_MOST, CHANNELS_MOST, &p.left) ||
	    !api_args_cursor(q, 'c', &before, sizeof(before), &len))
		return;
	if (len != 0 && (len != sizeof(before) || before > INT64_MAX)) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	p.b = http_body(q);
	buf_adds(p.b, "{\"channels\":[");
	if (reader_channels(http_worker(q)->reader, http_caller(q)->tenant,
		before, p.left + 1, channels_row, &p) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'c', &p.at, sizeof(p.at));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}
