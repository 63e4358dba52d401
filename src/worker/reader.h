/* SPDX-License-Identifier: MIT */
/*
 * The worker's read-only view of the database.  No SQLite type shows here:
 * another engine can stand behind this header.  Every call outside
 * reader_begin/_end is its own short transaction.  Strings handed to
 * callbacks and left in results are valid until the next call on the reader
 * unless a fixed array holds them.
 *
 * Return values: 1 found, 0 not found, -1 the database failed (logged).
 */
#ifndef WORKER_READER_H
#define WORKER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/ids.h"
#include "../common/key.h"
#include "../common/message.h"
#include "../common/records_tenant.h"
#include "../common/secret.h"
#include "../common/tenant_text.h"

struct reader;

/* Opens the file read-only with query_only; NULL on failure (logged). */
struct reader *reader_open(const char *path, uint32_t busy_timeout_ms);
void reader_close(struct reader *r);

/*
 * One snapshot for several calls.  *n becomes the newest batch it shows; all
 * records with a higher n describe what comes after it.  Keep it short
 * (2 ms).  -1 on failure, then reader_end() is not called.
 */
int reader_begin(struct reader *r, uint64_t *n)
    __attribute__((warn_unused_result));
void reader_end(struct reader *r);

/* The database's epoch; out has 33 bytes. */
int reader_epoch(struct reader *r, char out[33]);

/* ---- tenants and keys ---- */
struct reader_tenant {
	uint64_t id;
	char public_id[ID_TOKEN_SIZE];
	bool disabled;
	bool has_rate_limit;
	uint32_t rate_limit;
};
/* By the hash of an unrevoked key. */
int reader_key(struct reader *r, const uint8_t hash[KEY_HASH_SIZE],
    uint64_t *key_id, struct reader_tenant *t);
int reader_tenant(struct reader *r, uint64_t id, struct reader_tenant *t);
/* That key exists and is not revoked. */
int reader_key_alive(struct reader *r, uint64_t key_id);

/* By the token of its public id: what its users' JWTs are checked with. */
struct reader_jwt {
	uint64_t tenant;
	bool disabled;
	bool has_rate_limit;
	uint32_t rate_limit;
	uint8_t alg;    /* enum tenant_jwt */
	uint64_t jwt_n; /* batch that last changed the key */
	size_t key_len;
	uint8_t key[SECRET_MAX + SECRET_OVERHEAD]; /* as it rests */
};
int reader_jwt(struct reader *r, const char *token, struct reader_jwt *out);
int reader_jwt_n(struct reader *r, uint64_t tenant, uint64_t *n);
/* A token that opens a WebSocket is there, used up or expired or not. */
int reader_ws_token(struct reader *r, const uint8_t hash[KEY_HASH_SIZE],
    uint64_t *tenant);

/* In order of creation, after the tenant with that internal id (0 = from the
 * start).  fn returns false to stop.  *last = internal id of the last row
 * that fn returned true for. */
typedef bool reader_tenant_fn(const struct tenant_text *t, void *arg);
int reader_tenants(struct reader *r, uint64_t after, unsigned limit,
    reader_tenant_fn *fn, void *arg, uint64_t *last);
/* By the token of its public id; *id = its internal id. */
int reader_tenant_text(struct reader *r, const char *token,
    struct tenant_text *t, uint64_t *id);
/* The tenant's unrevoked keys in order of creation; the rest as above. */
typedef bool reader_key_fn(const struct key_text *k, void *arg);
int reader_keys(struct reader *r, uint64_t tenant, uint64_t after,
    unsigned limit, reader_key_fn *fn, void *arg, uint64_t *last);

/* ---- rooms and members ---- */
struct reader_room {
	uint64_t id;
	uint64_t tenant;
	char token[ID_TOKEN_SIZE];
	uint8_t type; /* enum room_type */
	bool has_name;
	struct str name;
	struct str metadata; /* JSON; empty = absent */
	struct str dm_key;   /* empty = none */
	int64_t created_ms;
	uint64_t last_seq;
	uint64_t first_seq;
	uint64_t rev;
	uint64_t activity;
	uint32_t members;
};
/* By the token of its public id; another tenant's room is not found.  Its
 * strings are good until the next room is read. */
int reader_room(struct reader *r, uint64_t tenant, const char *token,
    struct reader_room *room);
int reader_room_by_id(struct reader *r, uint64_t id, struct reader_room *room);
/* *n = the batch that last changed its name or metadata. */
int reader_room_changed(struct reader *r, uint64_t id, uint64_t *n);

struct reader_member {
	uint8_t role;
	int64_t joined_ms;
	uint64_t last_ack;
};
int reader_member(struct reader *r, uint64_t room, const char *user,
    size_t user_len, struct reader_member *m);

struct reader_member_row {
	struct str user;
	uint8_t role;
	int64_t joined_ms;
};
/* Members in order of their ids, after `after` (empty = from the start). */
typedef bool reader_member_fn(const struct reader_member_row *m, void *arg);
int reader_members(struct reader *r, uint64_t room, struct str after,
    unsigned limit, reader_member_fn *fn, void *arg);

/* All rooms of a user with what a feed needs, after room id `after`, in
 * order of room id; at most limit. */
struct reader_user_room {
	uint64_t room;
	char token[ID_TOKEN_SIZE];
	uint8_t type;
	uint64_t last_ack;
	uint64_t last_seq;
	uint64_t first_seq;
	uint64_t rev;
	uint64_t changed_n; /* batch that last changed name or metadata */
	uint32_t members;
};
typedef bool reader_user_room_fn(const struct reader_user_room *u, void *arg);
int reader_user_rooms(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_user_room_fn *fn,
    void *arg);

/* The same with nothing but how many members each room has. */
typedef bool reader_peer_room_fn(uint64_t room, uint32_t members, void *arg);
int reader_peer_rooms(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_peer_room_fn *fn,
    void *arg);

/* Where a room and one of its members stand, for a page of a feed.  0 when
 * there is no such room. */
struct reader_feed {
	bool member;
	uint64_t head;  /* last_seq */
	uint64_t first; /* first_seq: lower ones were trimmed */
	uint64_t rev;
	uint64_t last_ack;
	uint32_t members;
};
int reader_feed(struct reader *r, uint64_t room, const char *user,
    size_t user_len, struct reader_feed *out);

/*
 * For GET /rooms: the user's rooms by activity, newest first; only those
 * with activity below `before` (0 = from the top), or equal to it and room
 * id below before_room.  user empty = all rooms of the tenant, by id, newest
 * first (before_room alone is the cursor), without last_ack.  `last` is NULL
 * when the room has no message.
 */
struct reader_room_row {
	struct reader_room room;
	uint64_t last_ack;
	const struct message *last;
};
typedef bool reader_room_fn(const struct reader_room_row *row, void *arg);
int reader_rooms(struct reader *r, uint64_t tenant, struct str user,
    uint64_t before, uint64_t before_room, unsigned limit, reader_room_fn *fn,
    void *arg);

/* The user's rooms with an activity above `after` (or equal to it and a room
 * id above after_room), the one that has rested longest first. */
int reader_rooms_moved(struct reader *r, uint64_t tenant, struct str user,
    uint64_t after, uint64_t after_room, unsigned limit, reader_room_fn *fn,
    void *arg);

/* The tenant's channels, newest first, with an internal id below `before`. */
typedef bool reader_channel_fn(const struct reader_room *room, void *arg);
int reader_channels(struct reader *r, uint64_t tenant, uint64_t before,
    unsigned limit, reader_channel_fn *fn, void *arg);

/* ---- messages ---- */
/* room_token of the messages is the caller's `token`. */
typedef bool reader_message_fn(const struct message *m, void *arg);
/* Ascending from after + 1; stops after limit rows or when fn says so. */
int reader_messages_after(struct reader *r, uint64_t room, const char *token,
    uint64_t after, unsigned limit, reader_message_fn *fn, void *arg);
/* The limit newest ones below `before`, ascending. */
int reader_messages_before(struct reader *r, uint64_t room, const char *token,
    uint64_t before, unsigned limit, reader_message_fn *fn, void *arg);
/* Messages at or above first_seq that were edited or deleted after the room's
 * `rev`, each as it now stands, in the order of its last change. */
int reader_changes(struct reader *r, uint64_t room, const char *token,
    uint64_t rev, uint64_t first_seq, unsigned limit, reader_message_fn *fn,
    void *arg);
/* One message, handed to fn. */
int reader_message(struct reader *r, uint64_t room, const char *token,
    uint64_t seq, reader_message_fn *fn, void *arg);

/* ---- dead letters ---- */
struct reader_dead_letter {
	uint64_t id;
	char token[ID_TOKEN_SIZE];
	uint32_t attempts;
	int64_t last_ms;
	struct str error;
	struct str recipient;
	char notification[ID_TOKEN_SIZE]; /* "" = of a message */
	char room_token[ID_TOKEN_SIZE];
	uint64_t seq;
	int64_t created_ms; /* of the message */
};
/* The tenant's, in the order in which they were queued first, above the
 * internal id `after`. */
typedef bool reader_dead_letter_fn(const struct reader_dead_letter *d,
    void *arg);
int reader_dead_letters(struct reader *r, uint64_t tenant, uint64_t after,
    unsigned limit, reader_dead_letter_fn *fn, void *arg);

#endif
