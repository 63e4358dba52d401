/* SPDX-License-Identifier: MIT */
/* Between feed.c (positions and states) and feed_tell.c (frames): private to
 * the two. */
#ifndef WORKER_FEEDER_H
#define WORKER_FEEDER_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/buf.h"
#include "../common/message.h"
#include "feed.h"

/* A sync.complete with heads of very many rooms. */
#define FEEDER_TEXT_MAX (8 * 1024 * 1024)

void feed_set_state(struct feed *f, enum feed_state state);

/* One message of a backlog, with client_msg_id when it is the user's own. */
void feed_tell_message(struct ws_conn *c, const struct message *m,
    struct buf *text);
/* Retention removed what lies between the position and `to`. */
void feed_tell_gap(struct ws_conn *c, const struct feed *f, uint64_t to);
/* room.joined with the room; false when it is gone again. */
bool feed_tell_joined(struct ws_conn *c, uint64_t room);
void feed_tell_left(struct ws_conn *c, const char *token);
/* Sends sync.complete once when its time has come. */
void feed_sync_complete(struct ws_conn *c);

/* Answers to subscribe that wait for the feed. */
void feed_subscribes_target(struct feed *f, uint64_t head);
void feed_subscribes_answer(struct feed *f);
/* Answers them with an error. */
void feed_subscribes_refuse(struct feed *f);
void feed_subscribes_drop(struct feed *f);

#endif
