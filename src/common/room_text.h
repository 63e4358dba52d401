/* SPDX-License-Identifier: MIT */
/* The JSON object of a room and the frames that carry it, one formatter for
 * writer and workers. */
#ifndef COMMON_ROOM_TEXT_H
#define COMMON_ROOM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "records.h"

struct buf;

/* All strings are borrowed. */
struct room_text {
	const char *token; /* ID_TOKEN_LEN bytes and NUL */
	uint8_t type;      /* enum room_type */
	bool has_name;
	struct str name;
	struct str metadata; /* JSON; empty = absent */
	struct str dm_key;   /* empty = none */
	int64_t created_ms;
	uint64_t last_seq;
};

/* {"room_id","type","name","metadata","last_seq","created_at",
 * "unique_key"?}; name and metadata are null when not set. */
void room_text(struct buf *b, const struct room_text *r);
/* The same without the closing brace, for those who add members. */
void room_text_open(struct buf *b, const struct room_text *r);
/* {"type","room_id","room"}: room.joined or room.updated. */
void room_text_frame(struct buf *b, const char *type,
    const struct room_text *r);
/* {"type","room_id"}: room.left or room.deleted. */
void room_text_gone(struct buf *b, const char *type, const char *token);
/* "dm", "group" or "channel". */
const char *room_text_type(unsigned type);

#endif
