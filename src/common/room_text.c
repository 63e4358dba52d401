/* SPDX-License-Identifier: MIT */
/* The JSON object of a room and its frames.  Pure; run by the writer and the
 * workers. */
#include "room_text.h"

#include "buf.h"
#include "json_text.h"

const char *
room_text_type(unsigned type)
{
	switch (type) {
	case ROOM_DM:
		return "dm";
	case ROOM_GROUP:
		return "group";
	default:
		return "channel";
	}
}

void
room_text_open(struct buf *b, const struct room_text *r)
{
	buf_addf(b,
	    "{\"room_id\":\"room_%s\",\"type\":\"%s\",\"name\":", r->token,
	    room_text_type(r->type));
	if (r->has_name)
		json_text_string(b, r->name.p, r->name.len);
	else
		buf_adds(b, "null");
	buf_adds(b, ",\"metadata\":");
	if (r->metadata.len > 0)
		buf_add(b, r->metadata.p, r->metadata.len);
	else
		buf_adds(b, "null");
	buf_addf(b, ",\"last_seq\":%llu,\"created_at\":",
	    (unsigned long long)r->last_seq);
	json_text_time(b, r->created_ms);
	if (r->dm_key.len > 0) {
		buf_adds(b, ",\"unique_key\":");
		json_text_string(b, r->dm_key.p, r->dm_key.len);
	}
}

void
room_text(struct buf *b, const struct room_text *r)
{
	room_text_open(b, r);
	buf_adds(b, "}");
}

void
room_text_frame(struct buf *b, const char *type, const struct room_text *r)
{
	buf_addf(b, "{\"type\":\"%s\",\"room_id\":\"room_%s\",\"room\":", type,
	    r->token);
	room_text(b, r);
	buf_adds(b, "}");
}

void
room_text_gone(struct buf *b, const char *type, const char *token)
{
	buf_addf(b, "{\"type\":\"%s\",\"room_id\":\"room_%s\"}", type, token);
}
