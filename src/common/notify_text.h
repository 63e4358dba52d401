/* SPDX-License-Identifier: MIT */
/* The JSON object of a notification and its frame, one formatter for writer
 * and workers. */
#ifndef COMMON_NOTIFY_TEXT_H
#define COMMON_NOTIFY_TEXT_H

#include "records.h"

struct buf;

/* All strings are borrowed. */
struct notify_text {
	struct str token; /* of its public id */
	struct str topic;
	struct str payload; /* JSON */
	int64_t created_ms;
};

/* {"notification_id","topic","payload","created_at"}. */
void notify_text(struct buf *b, const struct notify_text *t);
/* The same with "type":"notification" before it. */
void notify_text_frame(struct buf *b, const struct notify_text *t);

#endif
