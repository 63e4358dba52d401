/* SPDX-License-Identifier: MIT */
/* What the resources below /rooms share: finding the room of the path. */
#ifndef WORKER_API_ROOMS_H
#define WORKER_API_ROOMS_H

#include <stdbool.h>

#include "../common/records.h"
#include "reader.h"

struct field_error;
struct http_request;
struct json_object;

/*
 * The token of the room that the path names, inside the path; NULL when it
 * cannot be one.
 */
const char *api_room_token(const struct http_request *q);
/*
 * Finds the path's room and checks that the caller may read it: its member,
 * or the tenant's backend.  Answers 404, 403 or 503 itself and returns
 * false.  To be called within reader_begin() and _end() when more follows.
 */
bool api_room_open(struct http_request *q, struct reader_room *room)
    __attribute__((warn_unused_result));
/* A room's name, absent, null and "" = none; 0, or -1 with *err. */
int api_room_name(struct json_object *o, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
/*
 * Answer with a room, and 200 with a message, that an operation has changed,
 * as they now stand.  What cannot be read is no error then, for it is
 * stored: the connection closes without an answer.
 */
void api_room_stored(struct http_request *q, int status, uint64_t room);
void api_message_stored(struct http_request *q, uint64_t room,
    const char *token, uint64_t seq);

#endif
