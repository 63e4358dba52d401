/* SPDX-License-Identifier: MIT */
/*
 * Every record that travels between processes: bus (child <-> master), link
 * (worker <-> writer) and control socket (tool <-> master <-> writer).  One
 * struct and one symmetric put/get pair each.  All pointers in a struct that
 * was read are borrowed from the record.
 *
 * A put adds one whole record to b and returns 0, or -1 when it did not fit
 * (nothing is added then).  A get returns 0, or -1 when the record is
 * malformed, too long in a field, or has bytes left over.
 */
#ifndef COMMON_RECORDS_H
#define COMMON_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ids.h"
#include "key.h"
#include "outcome.h"
#include "wire.h"

struct buf;
struct config;

/* Numbers are fixed within a WIRE_VERSION: append only. */
enum record_type {
	/* bus, child to master */
	REC_HELLO = 1,
	REC_READY, /* also writer to worker: takes operations */
	REC_HEARTBEAT,
	REC_INTEREST,
	REC_ATTACH,
	REC_DETACH,
	REC_PUBLISH,
	REC_CONTROL_REPLY,
	REC_DRAINED,
	REC_ABSENCE,
	/* bus, master to child */
	REC_CONFIG = 32,
	REC_PEER, /* comes with a descriptor: the other end's link */
	REC_INTEREST_OK,
	REC_ATTACHED,
	REC_LOST,
	REC_DRAIN,
	REC_CONTROL,
	REC_PRESENCE,
	REC_PRESENCE_RESET,
	REC_CERTIFICATE, /* comes with a descriptor: see tls_pair.h */
	REC_ABSENCE_OK,
	REC_REPLACED, /* another one has its sockets; DRAIN follows */
	/* events: inside PUBLISH, then forwarded as they are */
	REC_EVENT_MESSAGE = 64,
	REC_EVENT_JOINED,
	REC_EVENT_LEFT,
	REC_EVENT_ACKED,
	REC_EVENT_TYPING,
	REC_EVENT_TENANT,
	REC_EVENT_CHANGED,
	REC_EVENT_ROOM_UPDATED,
	REC_EVENT_ROOM_DELETED,
	REC_EVENT_NOTIFICATION,
	REC_EVENT_WEBHOOK, /* to the courier, and to nobody else */
	/* operations: worker or tool to writer */
	REC_OP_SEND = 128,
	REC_OP_ACK,
	REC_OP_ROOM_CREATE,
	REC_OP_MEMBERS_ADD,
	REC_OP_MEMBER_REMOVE,
	REC_OP_TENANT_CREATE,
	REC_OP_TENANT_LIST,
	REC_OP_TENANT_SHOW,
	REC_OP_KEY_ADD,
	REC_OP_KEY_REVOKE,
	REC_OP_KEY_LIST,
	REC_OP_KEY_USED,
	REC_OP_MESSAGE_EDIT,
	REC_OP_MESSAGE_DELETE,
	REC_OP_ROOM_UPDATE,
	REC_OP_ROOM_DELETE,
	REC_OP_ROOM_TRIM,
	REC_OP_TENANT_UPDATE,
	REC_OP_TENANT_DELETE,
	REC_OP_WS_TOKEN_ISSUE,
	REC_OP_WS_TOKEN_REDEEM,
	REC_OP_BACKUP,
	REC_OP_NOTIFY,
	REC_OP_NOTIFICATION_ACK,
	REC_OP_SUBSCRIBE,
	REC_OP_UNSUBSCRIBE,
	REC_OP_USER_SEEN,
	REC_OP_OUTBOX_STEP,
	REC_OP_DELIVERY_RESULT,
	REC_OP_WEBHOOK_DROP,
	REC_OP_DEAD_LETTER_RETRY,
	REC_OP_DEAD_LETTER_DROP,
	REC_OP_USER_ERASE,
	REC_OP_USER_ERASING,
	REC_OP_END, /* one more than the last; stays here */
	/* writer to worker or tool */
	REC_REPLY = 192,
	/* tool to master, which answers with REPLY and JSON in its text */
	REC_STATUS
};

/* A borrowed run of bytes. */
struct str {
	const char *p;
	size_t len;
};

/* ---- bus ---- */

enum role { ROLE_MASTER, ROLE_WRITER, ROLE_WORKER, ROLE_COURIER };

struct rec_hello {
	uint8_t role;
	uint32_t slot;
	uint32_t pid;
	uint32_t page_layout; /* PAGE_LAYOUT */
	uint32_t schema;      /* newest schema version the binary knows */
	struct str build;     /* package version */
};
int rec_hello_put(struct buf *b, const struct rec_hello *r);
int rec_hello_get(const struct wire_record *w, struct rec_hello *r);

/* REC_READY, REC_HEARTBEAT, REC_LOST, REC_DRAINED, REC_PRESENCE_RESET,
 * REC_CERTIFICATE, REC_STATUS, REC_REPLACED: no fields. */
int rec_empty_put(struct buf *b, enum record_type type);
int rec_empty_get(const struct wire_record *w);

#define LISTENERS_MAX 2048
/* What a listening socket is, added up. */
#define LISTENER_TLS 1
#define LISTENER_UNIX 2
/* A service manager's: it is listened on whether we live or not. */
#define LISTENER_KEPT 4
#define LISTENER_MAX 7

/* The first record to a child, but for REC_CERTIFICATE to a worker: its
 * identity and the configuration. */
struct rec_config {
	uint64_t incarnation; /* of this child, unique for the database */
	uint32_t seat;        /* a worker's, as people know it */
	uint32_t nlisteners;  /* descriptors from CHILD_FD_LISTEN on */
	uint8_t kinds[LISTENERS_MAX]; /* of each: LISTENER_… */
	struct config *config;        /* put: borrowed; get: filled in, owned */
};
int rec_config_put(struct buf *b, const struct rec_config *r);
int rec_config_get(const struct wire_record *w, struct rec_config *r);

/* The link to a peer; the socket comes along.  To a worker or the courier:
 * the (new) writer, slot 0.  To the writer: the worker in `slot`, or the
 * courier. */
struct rec_peer {
	uint8_t role; /* of the peer */
	uint32_t slot;
	uint64_t incarnation; /* of the peer */
};
int rec_peer_put(struct buf *b, const struct rec_peer *r);
int rec_peer_get(const struct wire_record *w, struct rec_peer *r);

/* A worker wants (add) or no longer wants (del) records with these keys.
 * The hub answers INTEREST_OK with the serial, in the stream: every record
 * published after the hub had seen the request comes behind it. */
#define INTEREST_KEYS_MAX 4096
struct rec_interest {
	uint64_t serial;
	uint32_t nadd, ndel;
	const uint8_t *keys; /* get: nadd + ndel little-endian u64 */
	const uint64_t *add; /* put only */
	const uint64_t *del; /* put only */
};
int rec_interest_put(struct buf *b, const struct rec_interest *r);
int rec_interest_get(const struct wire_record *w, struct rec_interest *r);
/* The i-th key of a record read (adds first). */
uint64_t rec_interest_key(const struct rec_interest *r, uint32_t i);

int rec_interest_ok_put(struct buf *b, uint64_t serial);
int rec_interest_ok_get(const struct wire_record *w, uint64_t *serial);

/* A user's connection asks to be counted; the hub answers with whether he
 * may have one more.  A granted attach is also the worker's interest in the
 * user's key, until the DETACH. */
struct rec_attach {
	uint64_t conn; /* worker's number of the connection */
	uint64_t tenant;
	struct str user;
};
int rec_attach_put(struct buf *b, const struct rec_attach *r);
int rec_attach_get(const struct wire_record *w, struct rec_attach *r);
/* DETACH has the same fields. */
int rec_detach_put(struct buf *b, const struct rec_attach *r);
int rec_detach_get(const struct wire_record *w, struct rec_attach *r);

struct rec_attached {
	uint64_t conn;
	bool granted;
};
int rec_attached_put(struct buf *b, const struct rec_attached *r);
int rec_attached_get(const struct wire_record *w, struct rec_attached *r);

/*
 * Forward `inner` (one whole event record, or LOST when the publisher had to
 * drop some) to every worker that wants any of the keys; no keys = to every
 * worker.  Written in two steps so that the
 * event is encoded in place:
 *   size_t at = rec_publish_begin(b, keys, n); rec_event_…_put(b, …);
 *   rec_publish_end(b, at);
 */
#define PUBLISH_KEYS_MAX 1100
size_t rec_publish_begin(struct buf *b, const uint64_t *keys, uint16_t n);
int rec_publish_end(struct buf *b, size_t at);
struct rec_publish {
	uint16_t nkeys;
	const uint8_t *keys; /* little-endian u64s */
	struct wire_record inner;
};
int rec_publish_get(const struct wire_record *w, struct rec_publish *r);
uint64_t rec_publish_key(const struct rec_publish *r, uint16_t i);

/* Stop serving: answer what is in flight, send clients away, then DRAINED. */
int rec_drain_put(struct buf *b, uint64_t timeout_ms);
int rec_drain_get(const struct wire_record *w, uint64_t *timeout_ms);

/* A tool's operation (or its reply) with the master's number of the tool. */
struct rec_control {
	uint64_t client;
	struct wire_record inner;
};
int rec_control_put(struct buf *b, enum record_type type, uint64_t client,
    const struct wire_record *inner);
int rec_control_get(const struct wire_record *w, struct rec_control *r);

/*
 * A user went online, or has been offline for the grace.  The hub sends every
 * change to every worker.  A new worker, and one that has lost records, gets
 * PRESENCE_RESET (nobody is online) and then one record for each user who is.
 */
struct rec_presence {
	uint64_t tenant;
	bool online;
	struct str user;
};
int rec_presence_put(struct buf *b, const struct rec_presence *r);
int rec_presence_get(const struct wire_record *w, struct rec_presence *r);

/* ---- events ---- */

/* A stored message: keys = the room's. */
struct rec_event_message {
	uint64_t n; /* batch that committed it */
	uint64_t tenant;
	uint64_t room;
	uint64_t seq;
	struct str sender;
	struct str client_msg_id; /* empty = none */
	struct str text; /* the finished frame, without client_msg_id */
};
int rec_event_message_put(struct buf *b, const struct rec_event_message *r);
int rec_event_message_get(const struct wire_record *w,
    struct rec_event_message *r);

/* A message was edited or deleted: keys = the room's. */
struct rec_event_change {
	uint64_t n;
	uint64_t tenant;
	uint64_t room;
	uint64_t seq;
	uint64_t rev;    /* the room's, counts its changes */
	struct str text; /* the finished frame */
};
int rec_event_change_put(struct buf *b, const struct rec_event_change *r);
int rec_event_change_get(const struct wire_record *w,
    struct rec_event_change *r);

/* ROOM_UPDATED, ROOM_DELETED: keys = the room's. */
struct rec_event_room {
	uint64_t n;
	uint64_t tenant;
	uint64_t room;
	struct str text; /* the finished frame */
};
int rec_event_room_put(struct buf *b, enum record_type type,
    const struct rec_event_room *r);
int rec_event_room_get(const struct wire_record *w, struct rec_event_room *r);

/*
 * Users became members (a new room, or added).  Each starts at last_ack.
 * LEFT: users were removed at head.  Keys = theirs; and the room's when it
 * has at most 100 members, or had before they joined, for presence.  A list
 * of a request has 1,000 at most; the creator of a room comes on top.
 */
#define EVENT_USERS_MAX 1001
struct rec_event_members {
	uint64_t n;
	uint64_t tenant;
	uint64_t room;
	char token[ID_TOKEN_SIZE];
	uint64_t head;    /* JOINED: their last_ack; LEFT: room's head */
	uint32_t members; /* of the room, afterwards */
	uint32_t nusers;
	const uint8_t *users;   /* get: strings one after another */
	const struct str *list; /* put only */
};
int rec_event_members_put(struct buf *b, enum record_type type,
    const struct rec_event_members *r);
int rec_event_members_get(const struct wire_record *w,
    struct rec_event_members *r);
/* Walks the users of a record read: *at starts at 0; false at the end. */
bool rec_event_members_next(const struct rec_event_members *r, size_t *at,
    struct str *user);

/* A cursor moved in a room of at most 100 members: keys = the room's. */
struct rec_event_acked {
	uint64_t n;
	uint64_t tenant;
	uint64_t room;
	uint64_t seq;
	uint64_t incarnation; /* worker and connection that already know */
	uint64_t conn;
	struct str user;
};
int rec_event_acked_put(struct buf *b, const struct rec_event_acked *r);
int rec_event_acked_get(const struct wire_record *w, struct rec_event_acked *r);

/* Not durable; published by workers; keys = the room's. */
struct rec_event_typing {
	uint64_t tenant;
	uint64_t room;
	bool start;
	struct str user;
};
int rec_event_typing_put(struct buf *b, const struct rec_event_typing *r);
int rec_event_typing_get(const struct wire_record *w,
    struct rec_event_typing *r);

/* A tenant or one of its keys changed: forget what is cached of it.  No
 * keys: to every worker. */
struct rec_event_tenant {
	uint64_t n;
	uint64_t tenant;
};
int rec_event_tenant_put(struct buf *b, const struct rec_event_tenant *r);
int rec_event_tenant_get(const struct wire_record *w,
    struct rec_event_tenant *r);

/* ---- operations ---- */

/* First fields of every operation. */
struct op_head {
	uint64_t op;          /* rises within an incarnation, from 1 */
	uint64_t low;         /* every operation below it is answered */
	uint64_t deadline_ms; /* clock_mono_ms(); refused when later */
	uint64_t tenant;      /* internal id; 0 for operator's operations */
};

struct rec_op_send {
	struct op_head h;
	struct str room; /* token */
	struct str sender;
	struct str client_msg_id; /* empty = none */
	struct str content;
	struct str meta;                 /* JSON text; empty = absent */
	uint8_t hash[CONTENT_HASH_SIZE]; /* key_content_hash() */
};
int rec_op_send_put(struct buf *b, const struct rec_op_send *r);
int rec_op_send_get(const struct wire_record *w, struct rec_op_send *r);

struct rec_op_ack {
	struct op_head h;
	uint64_t conn; /* 0 = by REST */
	uint64_t seq;
	struct str room;
	struct str user;
};
int rec_op_ack_put(struct buf *b, const struct rec_op_ack *r);
int rec_op_ack_get(const struct wire_record *w, struct rec_op_ack *r);

enum room_type { ROOM_DM = 1, ROOM_GROUP, ROOM_CHANNEL };
enum member_role {
	MEMBER_PLAIN = 0,
	MEMBER_ADMIN = 1,
	MEMBER_UNCHANGED = 2
}; /* operations only: no role was given */

/* members holds every founding member once, the creator among them; for a
 * dm two distinct ones. */
struct rec_op_room_create {
	struct op_head h;
	uint8_t type;
	struct str creator; /* becomes admin; empty = the backend or dm */
	struct str name;
	struct str metadata; /* JSON text; empty = absent */
	bool has_name;
	uint32_t nusers;
	const uint8_t *users;
	const struct str *list; /* put only */
};
int rec_op_room_create_put(struct buf *b, const struct rec_op_room_create *r);
int rec_op_room_create_get(const struct wire_record *w,
    struct rec_op_room_create *r);
bool rec_op_room_create_next(const struct rec_op_room_create *r, size_t *at,
    struct str *user);

/* actor empty = the backend. */
struct rec_op_members_add {
	struct op_head h;
	uint8_t role; /* enum member_role */
	struct str room;
	struct str actor;
	uint32_t nusers;
	const uint8_t *users;
	const struct str *list; /* put only */
};
int rec_op_members_add_put(struct buf *b, const struct rec_op_members_add *r);
int rec_op_members_add_get(const struct wire_record *w,
    struct rec_op_members_add *r);
bool rec_op_members_add_next(const struct rec_op_members_add *r, size_t *at,
    struct str *user);

struct rec_op_member_remove {
	struct op_head h;
	struct str room;
	struct str actor; /* empty = the backend */
	struct str user;
};
int rec_op_member_remove_put(struct buf *b,
    const struct rec_op_member_remove *r);
int rec_op_member_remove_get(const struct wire_record *w,
    struct rec_op_member_remove *r);

/* EDIT (content, by its sender) and DELETE (content empty; by its sender, or
 * actor empty = the backend) of the message at seq. */
struct rec_op_change {
	struct op_head h;
	uint64_t seq;
	uint64_t created_ms; /* part of the message's id; must agree */
	struct str room;
	struct str actor;
	struct str content;
};
int rec_op_change_put(struct buf *b, enum record_type type,
    const struct rec_op_change *r);
int rec_op_change_get(const struct wire_record *w, struct rec_op_change *r);

/* What is not `has` stays as it is; empty = none from now on. */
struct rec_op_room_update {
	struct op_head h;
	bool has_name;
	bool has_metadata;
	struct str room;
	struct str actor; /* empty = the backend */
	struct str name;
	struct str metadata; /* JSON text */
};
int rec_op_room_update_put(struct buf *b, const struct rec_op_room_update *r);
int rec_op_room_update_get(const struct wire_record *w,
    struct rec_op_room_update *r);

/* Hides the room at once; its rows go in pieces afterwards. */
struct rec_op_room_delete {
	struct op_head h;
	struct str room;
	struct str actor; /* empty = the backend */
};
int rec_op_room_delete_put(struct buf *b, const struct rec_op_room_delete *r);
int rec_op_room_delete_get(const struct wire_record *w,
    struct rec_op_room_delete *r);

/* Retention: messages below first_seq are gone at once, their rows in pieces
 * afterwards.  head + 1 at most, then none is left; no more than the room's
 * own first_seq changes nothing.  h.tenant 0 = a room of any tenant. */
struct rec_op_room_trim {
	struct op_head h;
	uint64_t first_seq;
	struct str room;
};
int rec_op_room_trim_put(struct buf *b, const struct rec_op_room_trim *r);
int rec_op_room_trim_get(const struct wire_record *w,
    struct rec_op_room_trim *r);

/* The head of any operation; -1 when it is none. */
int rec_op_head_get(const struct wire_record *w, struct op_head *h);

/*
 * The answer to an operation, and what a receipt keeps of it.
 *   SEND          room, seq, ms (created_at); REPEATED = was stored already
 *   ACK           room, seq as the cursor now stands
 *   ROOM_CREATE   room, text = token; REPEATED = the dm that was there
 *   MEMBERS_ADD, MEMBER_REMOVE, ROOM_UPDATE, ROOM_DELETE   room
 *   MESSAGE_EDIT, MESSAGE_DELETE room, seq; REPEATED = it was so already
 *   ROOM_TRIM     room, seq = first_seq as it now stands; REPEATED = it was
 *                 so already
 *   TENANT_CREATE room = tenant's internal id, ms, text = public id
 *   TENANT_UPDATE room = tenant's internal id, text = JSON as TENANT_SHOW,
 *                 seq = 1 when new_secret was taken
 *   TENANT_DELETE room = tenant's internal id
 *   KEY_ADD       text = JSON {"key_id"}
 *   WS_TOKEN_ISSUE  ms = when the token ends (Unix)
 *   WS_TOKEN_REDEEM room = tenant's internal id, text = 'k' or 'j' and the
 *                 user; seq = the API key (k) or jwt_n (j); ms = ends_ms
 *   BACKUP        text = name of the copy beside the database, or what went
 *                 wrong; seq = pages done of `room`; ms = 1 when complete;
 *                 BUSY = another is under way, NOT_FOUND = it is no more
 *   NOTIFY        ms (created_at), text = token
 *   SUBSCRIBE     ms (created_at), text = token; REPEATED = was there already
 *   the courier's: see records_courier.h
 *   USER_ERASE, USER_ERASING  seq = the room under way, room = the highest
 *                 there is; ms = 1 none is under way
 *   admin reads   text = JSON
 */
struct rec_reply {
	uint64_t op;
	uint8_t outcome; /* enum outcome */
	uint64_t room;
	uint64_t seq;
	uint64_t ms;
	struct str text;
};
int rec_reply_put(struct buf *b, const struct rec_reply *r);
int rec_reply_get(const struct wire_record *w, struct rec_reply *r);

/* ---- descriptors of a child ---- */
#define CHILD_FD_BUS 3
#define CHILD_FD_PAGE 4
#define CHILD_FD_LOCK 5   /* writer */
#define CHILD_FD_LISTEN 5 /* worker: the first of nlisteners */

#endif
