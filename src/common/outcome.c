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
	[OUTCOME_ROOM_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such room; check room_id.", NULL, false },
	[OUTCOME_NOT_MEMBER] = { 403, FORBIDDEN,
	    "Only members of the room may do this; join it or ask one of its "
	    "admins to be added.",
	    NULL, false },
	[OUTCOME_NOT_ADMIN] = { 403, FORBIDDEN,
	    "Only an admin of the room or the tenant's backend may do this.",
	    NULL, false },
	[OUTCOME_CLIENT_MSG_CONFLICT] = { 409, CONFLICT,
	    "This client_msg_id was used for a message with another content "
	    "or meta; use a new one.",
	    "client_msg_id", false },
	[OUTCOME_DM_FIXED] = { 409, CONFLICT,
	    "A dm keeps its two members for good; create a group to talk with "
	    "others.",
	    NULL, false },
	[OUTCOME_MEMBER_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such member in this room; GET its members to see who "
	    "there is.",
	    NULL, false },
	[OUTCOME_MESSAGE_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such message in this room; check message_id.", NULL,
	    false },
	[OUTCOME_TENANT_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such tenant; check the tenant's id.", NULL, false },
	[OUTCOME_TENANT_DISABLED] = { 403, FORBIDDEN,
	    "This tenant is disabled; ask the operator to enable it.", NULL,
	    false },
	[OUTCOME_KEY_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such key; list the tenant's keys to see their ids.",
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
	    "The server failed to handle this and stored nothing; its log says "
	    "why.",
	    NULL, false },
	[OUTCOME_INVALID] = { 400, INVALID,
	    "The request is malformed; compare it with the API's description.",
	    NULL, false },
	[OUTCOME_UNAUTHORIZED] = { 401, "unauthorized",
	    "Show a valid API key in the X-API-Key header.", NULL, false },
	[OUTCOME_FORBIDDEN] = { 403, FORBIDDEN,
	    "The caller may not do this; use the identity that may.", NULL,
	    false },
	[OUTCOME_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is nothing at this path; check its spelling.", NULL, false },
	[OUTCOME_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed",
	    "This path does not take this method; see the Allow header.", NULL,
	    false },
	[OUTCOME_PAYLOAD_TOO_LARGE] = { 413, "payload_too_large",
	    "The body or frame is larger than is taken here; send less at once.",
	    NULL, false },
	[OUTCOME_UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported_media_type",
	    "Send the body as application/json.", NULL, false },
	[OUTCOME_RATE_LIMITED] = { 429, "rate_limit_exceeded",
	    "The tenant's requests per second are used up; try again later.",
	    NULL, true },
	[OUTCOME_ADMIN_OFF] = { 403, FORBIDDEN,
	    "The admin API is off; set MASTER_API_KEY to use it.", NULL,
	    false },
	[OUTCOME_NOT_SENDER] = { 403, FORBIDDEN,
	    "Only its sender may change a message.", NULL, false },
	[OUTCOME_MESSAGE_DELETED] = { 409, CONFLICT,
	    "The message has been deleted and cannot be edited.", NULL, false },
	[OUTCOME_DM_BACKEND_ONLY] = { 403, FORBIDDEN,
	    "Only the tenant's backend deletes a dm.", NULL, false },
	[OUTCOME_RESYNC_REQUIRED] = { 409, "resync_required",
	    "The database has been restored since these cursors were made; "
	    "drop what was kept and go on from what is sent now.",
	    NULL, false },
	[OUTCOME_SECRETS] = { 503, UNAVAILABLE,
	    "The file that secrets are sealed under cannot be used; nothing was "
	    "stored. The server's log says why.",
	    NULL, true },
	[OUTCOME_NOTIFICATION_NOT_FOUND] = { 404, NOT_FOUND,
	    "No such notification waits for this user; if he has acknowledged "
	    "it there is nothing left to do.",
	    NULL, false },
	[OUTCOME_SUBSCRIPTION_NOT_FOUND] = { 404, NOT_FOUND,
	    "This user has no such subscription; GET /subscriptions shows "
	    "those that he has.",
	    NULL, false },
	[OUTCOME_SUBSCRIPTIONS_FULL] = { 409, CONFLICT,
	    "A user has at most 100 subscriptions; delete one first.", NULL,
	    false },
	[OUTCOME_DEAD_LETTER_NOT_FOUND] = { 404, NOT_FOUND,
	    "There is no such dead letter; GET /admin/dead-letters lists those "
	    "that there are.",
	    NULL, false },
	[OUTCOME_NO_WEBHOOK] = { 409, CONFLICT,
	    "The tenant has no webhook_url; the operator must set one first.",
	    NULL, false },
};

const struct outcome_info *
outcome_info(enum outcome o)
{
	if ((int)o < 0 || o >= OUTCOME_LAST || outcomes[o].status == 0)
		o = OUTCOME_INTERNAL;
	return &outcomes[o];
}
