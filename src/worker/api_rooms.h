/* SPDX-License-Identifier: MIT */
/* What the resources below /rooms share: finding the room of the path. */
#ifndef WORKER_API_ROOMS_H
#define WORKER_API_ROOMS_H

#include <stdbool.h>

#include "../common/records.h"
#include "reader.h"

struct http_request;

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

#endif
