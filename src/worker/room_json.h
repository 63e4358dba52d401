/* SPDX-License-Identifier: MIT */
/* The JSON object of a room, the same in REST answers and frames. */
#ifndef WORKER_ROOM_JSON_H
#define WORKER_ROOM_JSON_H

struct buf;
struct reader_room;

/* {"room_id","type","name","metadata","last_seq","created_at",
 * "unique_key"?}; name and metadata are null when not set. */
void room_json(struct buf *b, const struct reader_room *room);
/* The same without the closing brace, for those who add members. */
void room_json_open(struct buf *b, const struct reader_room *room);
/* "dm", "group" or "channel". */
const char *room_type_name(unsigned type);

#endif
