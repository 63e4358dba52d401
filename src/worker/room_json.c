/* SPDX-License-Identifier: MIT */
/* The JSON object of a room.  Runs in a worker; pure. */
#include "room_json.h"

#include "../common/buf.h"
#include "../common/json_text.h"
#include "reader.h"

const char *
room_type_name(unsigned type)
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
room_json_open(struct buf *b, const struct reader_room *room)
{
	buf_addf(b,
	    "{\"room_id\":\"room_%s\",\"type\":\"%s\",\"name\":", room->token,
	    room_type_name(room->type));
	if (room->has_name)
		json_text_string(b, room->name.p, room->name.len);
	else
		buf_adds(b, "null");
	buf_adds(b, ",\"metadata\":");
	if (room->metadata.len > 0)
		buf_add(b, room->metadata.p, room->metadata.len);
	else
		buf_adds(b, "null");
	buf_addf(b, ",\"last_seq\":%llu,\"created_at\":",
	    (unsigned long long)room->last_seq);
	json_text_time(b, room->created_ms);
	if (room->dm_key.len > 0) {
		buf_adds(b, ",\"unique_key\":");
		json_text_string(b, room->dm_key.p, room->dm_key.len);
	}
}

void
room_json(struct buf *b, const struct reader_room *room)
{
	room_json_open(b, room);
	buf_adds(b, "}");
}
