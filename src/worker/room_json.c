/* SPDX-License-Identifier: MIT */
/* The JSON object of a room as the reader hands it out.  Runs in a worker;
 * pure. */
#include "room_json.h"

#include "../common/buf.h"
#include "../common/room_text.h"
#include "reader.h"

static struct room_text
room_json_text(const struct reader_room *room)
{
	return (struct room_text){ .token = room->token,
		.type = room->type,
		.has_name = room->has_name,
		.name = room->name,
		.metadata = room->metadata,
		.dm_key = room->dm_key,
		.created_ms = room->created_ms,
		.last_seq = room->last_seq };
}

const char *
room_type_name(unsigned type)
{
	return room_text_type(type);
}

void
room_json_open(struct buf *b, const struct reader_room *room)
{
	struct room_text t = room_json_text(room);

	room_text_open(b, &t);
}

void
room_json(struct buf *b, const struct reader_room *room)
{
	struct room_text t = room_json_text(room);

	room_text(b, &t);
}
