/* SPDX-License-Identifier: MIT */
/*
 * A device that comes back: on /ws?resume=1 the server waits for its
 * `resume` and takes the cursors in it as the positions from which the rooms
 * are fed, in place of last_ack.
 */
#ifndef WORKER_RESUME_H
#define WORKER_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/ids.h"
#include "../common/records.h"

struct command;
struct ws_conn;

/* Bytes of the frame, which is larger than others may be. */
#define RESUME_FRAME_MAX (1024 * 1024)

/* Where a device stood in a room. */
struct resume_cursor {
	char token[ID_TOKEN_LEN];
	bool has_rev;
	uint64_t seq;
	uint64_t rev;
};

/* Waits for the frame, then feeds the rooms; after RESUME_WAIT without it they
 * are fed from last_ack. */
void resume_wait(struct ws_conn *c);
bool resume_waiting(const struct ws_conn *c);
/* The device's cursor in that room; NULL when it named none. */
const struct resume_cursor *resume_find(const struct ws_conn *c,
    const char *token);
/* The request_id that sync.complete echoes, JSON text or empty. */
struct str resume_request_id(const struct ws_conn *c);
/* Every room has its position: the cursors may go. */
void resume_listed(struct ws_conn *c);
void resume_free(struct ws_conn *c);

/* The frame. */
void command_resume(struct command *m);

#endif
