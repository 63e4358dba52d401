/* SPDX-License-Identifier: MIT */
/* Between ws_commands.c and ws_operations.c: one client frame while it is
 * run.  No other file includes it. */
#ifndef WORKER_WS_COMMAND_H
#define WORKER_WS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "../common/outcome.h"
#include "../common/records.h"

struct field_error;
struct json_object;
struct ws_conn;

#define REQUEST_ID_MAX 128 /* bytes of a string; JSON text below */
#define REQUEST_ID_TEXT (6 * REQUEST_ID_MAX + 3)

/* One frame being run. */
struct command {
	struct ws_conn *c;
	struct json_object *o; /* where its fields are */
	size_t len;            /* of the whole frame */
	size_t id_len;
	char id[REQUEST_ID_TEXT]; /* request_id as JSON text */
};

/* An error frame; field and message NULL = the outcome's own, retry_ms 0 =
 * not said. */
void command_error(struct command *m, enum outcome o, const char *field,
    const char *message, uint64_t retry_ms);
/* `ok` for a frame that has no other answer, when it asked for one. */
void command_ok(struct command *m);
void command_field_error(struct command *m, const struct field_error *e);
/* The frame's room_id as text; -1 when answered with an error. */
int command_room_id(struct command *m, struct str *id);
/* Its token, once the other fields are known to be good; NULL when answered
 * with an error: no room can have such an id. */
const char *command_room(struct command *m, struct str id);

/* The frames that the writer answers. */
void command_send_message(struct command *m);
void command_ack(struct command *m);
void command_notification_ack(struct command *m);

#endif
