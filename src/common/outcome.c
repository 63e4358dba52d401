/* SPDX-License-Identifier: MIT */
/* The table of outcomes: what each means to a client.  Pure. */
#include "outcome.h"

#include <stddef.h>

#define INVALID "invalid_request"
#define NOT_FOUND "not_found"
#define FORBIDDEN "forbidden"
#define CONFLICT "conflict"
#define UNAVAILABLE "unavailable"

static const struct outcome_info outcomes[OUTCOME_LAST] = {
	[OUTCOME_OK] = { 200, NULL, "", NULL, false },
	[OUTCOME_REPEATED] = { 200, NULL, "", NULL, false },
	[OUTCOME_ROOM_NOT_FOUND] = { 404, NOT_FOUND, "There is no such room.",
	    NULL, false },
	[OUTCOME_NOT_MEMBER] = { 403, FORBIDDEN,
	    "Only members of the room may do this.", NULL, false },
	[OUTCOME_NOT_ADMIN] = { 403, FORBIDDEN,
	    "Only an admin of the room or the tenant's backend may do this.",
	    NULL, false },
	[OUTCOME_CLIENT_MSG_CONFLICT] = { 409, CONFLICT,
	    "This client_msg_id was used for a message with another content "
	    "or meta; use a new one.",
	    "client_msg_id", false },
	[OUTCOME_DM_FIXED] = { 409, CONFLICT,
	    "A dm keeps its two members for good.", NULL, false },
	[OUTCOME_MEMBER_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such member in this room.", NULL, false },
	[OUTCOME_MESSAGE_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such message in this room.", NULL, false },
	[OUTCOME_TENANT_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such tenant.", NULL, false },
	[OUTCOME_TENANT_DISABLED] = { 403, FORBIDDEN,
	    "This tenant is disabled.", NULL, false },
	[OUTCOME_KEY_NOT_FOUND] = { 404, NOT_FOUND, "There is no such key.",
	    NULL, false },
	[OUTCOME_LATE] = { 503, UNAVAILABLE,
	    "The server could not begin this in time and did nothing; try "
	    "again.",
	    NULL, true },
	[OUTCOME_STORAGE] = { 503, UNAVAILABLE,
	    "The database cannot be used at the moment; nothing was stored. "
	    "Try again later.",
	    NULL, true },
	[OUTCOME_BUSY] = { 503, UNAVAILABLE,
	    "Too much is waiting already; nothing was stored. Try again "
	    "later.",
	    NULL, true },
	[OUTCOME_UNKNOWN] = { 500, "internal_error",
	    "It is not known whether this was stored; ask again with the same "
	    "client_msg_id.",
	    NULL, true },
	[OUTCOME_INTERNAL] = { 500, "internal_error",
	    "The server failed to handle this.", NULL, false },
	[OUTCOME_INVALID] = { 400, INVALID, "The request is malformed.", NULL,
	    false },
	[OUTCOME_UNAUTHORIZED] = { 401, "unauthorized",
	    "Show a valid API key in the X-API-Key header.", NULL, false },
	[OUTCOME_FORBIDDEN] = { 403, FORBIDDEN, "The caller may not do this.",
	    NULL, false },
	[OUTCOME_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is nothing at this path.", NULL, false },
	[OUTCOME_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed",
	    "This path does not take this method; see the Allow header.", NULL,
	    false },
	[OUTCOME_PAYLOAD_TOO_LARGE] = { 413, "payload_too_large",
	    "The body is larger than this path takes.", NULL, false },
	[OUTCOME_UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported_media_type",
	    "Send the body as application/json.", NULL, false },
	[OUTCOME_RATE_LIMITED] = { 429, "rate_limit_exceeded",
	    "The tenant's requests per second are used up; try again later.",
	    NULL, true },
	[OUTCOME_ADMIN_OFF] = { 403, FORBIDDEN,
	    "The admin API is off; set MASTER_API_KEY to use it.", NULL,
	    false },
};

const struct outcome_info *
outcome_info(enum outcome o)
{
	if ((int)o < 0 || o >= OUTCOME_LAST || outcomes[o].status == 0)
		o = OUTCOME_INTERNAL;
	return &outcomes[o];
}
