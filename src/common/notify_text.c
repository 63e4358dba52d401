/* SPDX-License-Identifier: MIT */
/* The JSON object of a notification and its frame.  Pure; run by the writer
 * and the workers. */
#include "notify_text.h"

#include "buf.h"
#include "json_text.h"

static void
text_members(struct buf *b, const struct notify_text *t)
{
	buf_adds(b, "\"notification_id\":\"ntf_");
	buf_add(b, t->token.p, t->token.len);
	buf_adds(b, "\",\"topic\":");
	json_text_string(b, t->topic.p, t->topic.len);
	buf_adds(b, ",\"payload\":");
	buf_add(b, t->payload.p, t->payload.len);
	buf_adds(b, ",\"created_at\":");
	json_text_time(b, t->created_ms);
	buf_adds(b, "}");
}

void
notify_text(struct buf *b, const struct notify_text *t)
{
	buf_adds(b, "{");
	text_members(b, t);
}

void
notify_text_frame(struct buf *b, const struct notify_text *t)
{
	buf_adds(b, "{\"type\":\"notification\",");
	text_members(b, t);
}
