/* SPDX-License-Identifier: MIT */
/* Records about notifications and subscriptions; see records.h. */
#ifndef COMMON_RECORDS_NOTIFY_H
#define COMMON_RECORDS_NOTIFY_H

#include "records.h"

#define NOTIFY_TOPIC_MAX 128 /* bytes */

/*
 * Users have a notification in their inboxes: keys = theirs.  To each open
 * connection of each of them the same frame; his inbox id tells what it has
 * been sent already.
 */
struct rec_event_notification {
	uint64_t tenant;
	struct str text;        /* the finished frame */
	uint32_t nusers;        /* at most EVENT_USERS_MAX */
	const uint8_t *ids;     /* get: little-endian u64s */
	const uint8_t *users;   /* get: strings one after another */
	const uint64_t *idlist; /* put only: each one's inbox id */
	const struct str *list; /* put only */
};
int rec_event_notification_put(struct buf *b,
    const struct rec_event_notification *r);
int rec_event_notification_get(const struct wire_record *w,
    struct rec_event_notification *r);
/* Walks the users of a record read: *at starts at 0; false at the end. */
bool rec_event_notification_next(const struct rec_event_notification *r,
    size_t *at, struct str *user, uint64_t *id);

/* Whom a notification is for; or-ed, but NOTIFY_ALL stands alone. */
enum notify_target {
	NOTIFY_USERS = 1, /* the list, which may be empty */
	NOTIFY_ROOM = 2,  /* members of the room */
	NOTIFY_TOPIC = 4, /* subscribers of its topic */
	NOTIFY_ALL = 8    /* everybody the tenant knows */
};

struct rec_op_notify {
	struct op_head h;
	uint8_t targets; /* enum notify_target; at least one */
	struct str topic;
	struct str payload; /* JSON text */
	struct str room;    /* token; empty unless NOTIFY_ROOM */
	uint32_t nusers;    /* 0 unless NOTIFY_USERS */
	const uint8_t *users;
	const struct str *list; /* put only */
};
int rec_op_notify_put(struct buf *b, const struct rec_op_notify *r);
int rec_op_notify_get(const struct wire_record *w, struct rec_op_notify *r);
bool rec_op_notify_next(const struct rec_op_notify *r, size_t *at,
    struct str *user);

/* NOTIFICATION_ACK: subject = the notification's token.  SUBSCRIBE: a topic.
 * UNSUBSCRIBE: the subscription's token.  USER_SEEN: empty. */
struct rec_op_of_user {
	struct op_head h;
	struct str user;
	struct str subject;
};
int rec_op_of_user_put(struct buf *b, enum record_type type,
    const struct rec_op_of_user *r);
int rec_op_of_user_get(const struct wire_record *w, struct rec_op_of_user *r);

#endif
