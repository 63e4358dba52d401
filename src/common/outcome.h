/* SPDX-License-Identifier: MIT */
/*
 * What became of an operation or request, for every process; one table maps
 * each to HTTP status, error code, field and sentence.
 */
#ifndef COMMON_OUTCOME_H
#define COMMON_OUTCOME_H

#include <stdbool.h>

/* Numbers travel on the wire and rest in receipts: append only. */
enum outcome {
	OUTCOME_OK = 0,   /* done, new: 201 or 200 as the route says */
	OUTCOME_REPEATED, /* was there already: 200 */
	OUTCOME_ROOM_NOT_FOUND,
	OUTCOME_NOT_MEMBER,
	OUTCOME_NOT_ADMIN,
	OUTCOME_CLIENT_MSG_CONFLICT,
	OUTCOME_DM_FIXED,
	OUTCOME_MEMBER_NOT_FOUND,
	OUTCOME_MESSAGE_NOT_FOUND,
	OUTCOME_TENANT_NOT_FOUND,
	OUTCOME_TENANT_DISABLED,
	OUTCOME_KEY_NOT_FOUND,
	OUTCOME_LATE,     /* past its deadline before it began */
	OUTCOME_STORAGE,  /* the database cannot be written now */
	OUTCOME_BUSY,     /* too much is waiting already */
	OUTCOME_UNKNOWN,  /* nobody can say: close without an answer */
	OUTCOME_INTERNAL, /* a bug: 500 */
	OUTCOME_INVALID,  /* the caller's detail says what is wrong: 400 */
	OUTCOME_UNAUTHORIZED,
	OUTCOME_FORBIDDEN,
	OUTCOME_NOT_FOUND,
	OUTCOME_METHOD_NOT_ALLOWED,
	OUTCOME_PAYLOAD_TOO_LARGE,
	OUTCOME_UNSUPPORTED_MEDIA_TYPE,
	OUTCOME_RATE_LIMITED,
	OUTCOME_ADMIN_OFF,       /* MASTER_API_KEY is not set */
	OUTCOME_NOT_SENDER,      /* another one's message: 403 */
	OUTCOME_MESSAGE_DELETED, /* a tombstone cannot be edited: 409 */
	OUTCOME_DM_BACKEND_ONLY, /* deleting a dm: 403 */
	OUTCOME_RESYNC_REQUIRED, /* the database is another one than before */
	OUTCOME_SECRETS,         /* the key file cannot be used now: 503 */
	OUTCOME_NOTIFICATION_NOT_FOUND, /* or he has acknowledged it */
	OUTCOME_SUBSCRIPTION_NOT_FOUND,
	OUTCOME_SUBSCRIPTIONS_FULL, /* as many as a user may have: 409 */
	OUTCOME_DEAD_LETTER_NOT_FOUND,
	OUTCOME_NO_WEBHOOK, /* nothing can be queued for it: 409 */
	OUTCOME_LAST
};

struct outcome_info {
	int status;          /* HTTP */
	const char *code;    /* "invalid_request", …; NULL for successes */
	const char *message; /* default sentence, for the client */
	const char *field;   /* or NULL */
	bool temporary;      /* trying again later may help */
};

/* Never NULL; a number out of range maps to OUTCOME_INTERNAL. */
const struct outcome_info *outcome_info(enum outcome o);

#endif
