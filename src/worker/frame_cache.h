/* SPDX-License-Identifier: MIT */
/*
 * Encoded frames of messages that were sent a moment ago, for the next
 * reader of the same stretch of a room.  Bounded; what is not used for some
 * seconds goes.  Knows no database and no connection.
 */
#ifndef WORKER_FRAME_CACHE_H
#define WORKER_FRAME_CACHE_H

#include <stdint.h>

#include "../common/records.h"

struct frame_cache;
struct ws_shared;

/* Bytes of frames, in one worker. */
#define FRAME_CACHE_MAX (2 * 1024 * 1024)

struct cached_frame {
	struct ws_shared *frame; /* without client_msg_id */
	struct str sender;       /* both empty when it has none */
	struct str client_msg_id;
};

struct frame_cache *frame_cache_new(void);
void frame_cache_free(struct frame_cache *fc);
/*
 * The frame of that message as it stands when the room's rev is `rev`; NULL
 * when it is not known to be so.  Valid until the next call.
 */
const struct cached_frame *frame_cache_get(struct frame_cache *fc,
    uint64_t room, uint64_t seq, uint64_t rev);
/* Keeps a reference of its own and copies the strings. */
void frame_cache_put(struct frame_cache *fc, uint64_t room, uint64_t seq,
    uint64_t rev, const struct cached_frame *c);
/* Time passes, in steps of about a second: frees what has not been used for
 * FRAME_CACHE_TICKS of them. */
#define FRAME_CACHE_TICKS 5
void frame_cache_tick(struct frame_cache *fc);
void frame_cache_clear(struct frame_cache *fc);
/* Bytes held. */
size_t frame_cache_bytes(const struct frame_cache *fc);

#endif
