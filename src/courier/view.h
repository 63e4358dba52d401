/* SPDX-License-Identifier: MIT */
/*
 * The courier's read-only view of the database.  No SQLite type shows here:
 * another engine can stand behind this header.  Each call is a short
 * transaction of its own.  Strings handed to callbacks and left in results
 * are good until the next call unless a fixed array holds them.
 *
 * Return values: 1 found, 0 not found, -1 the database failed (logged).
 */
#ifndef COURIER_VIEW_H
#define COURIER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/ids.h"
#include "../common/message.h"
#include "../common/notify_text.h"
#include "../common/records_tenant.h"
#include "../common/secret.h"

#define VIEW_USER_SIZE 129

struct view;

/* NULL on failure (logged). */
struct view *view_open(const char *path, uint32_t busy_timeout_ms);
void view_close(struct view *v);

/* ---- tenants ---- */
struct view_tenant {
	char token[ID_TOKEN_SIZE];
	bool disabled;
	char url[TENANT_URL_MAX + 1]; /* "" = none */
	size_t sealed_len;
	uint8_t sealed[SECRET_MAX + SECRET_OVERHEAD];
};
int view_tenant(struct view *v, uint64_t id, struct view_tenant *t);
/* The first one above `after` with a row in the outbox or a delivery that is
 * pending. */
int view_next_tenant(struct view *v, uint64_t after, uint64_t *id);
/* The first one above `after` whose messages do not live for ever. */
int view_next_retention(struct view *v, uint64_t after, uint64_t *id,
    uint32_t *days);

/* ---- the outbox ---- */
struct view_outbox {
	uint64_t id;
	int kind;      /* enum webhook_kind */
	uint64_t room; /* or the notification */
	uint64_t seq;  /* or the last row of its inbox */
	size_t after_len;
	char after[VIEW_USER_SIZE];
};
/* The tenant's first row above the id `last`. */
int view_outbox(struct view *v, uint64_t tenant, uint64_t last,
    struct view_outbox *row);
/* Up to limit members above `after`, in order, without those who joined
 * behind the message `seq`; fn returns false to stop. */
typedef bool view_user_fn(struct str user, void *arg);
int view_members(struct view *v, uint64_t room, uint64_t seq, struct str after,
    unsigned limit, view_user_fn *fn, void *arg);
/* Up to limit users for whom the notification waits, of the rows of inboxes
 * above `after` up to `last`. */
typedef bool view_inbox_fn(uint64_t id, struct str user, void *arg);
int view_inbox(struct view *v, uint64_t notification, uint64_t after,
    uint64_t last, unsigned limit, view_inbox_fn *fn, void *arg);

/* ---- deliveries ---- */
struct view_delivery {
	uint64_t id;
	int kind;
	char token[ID_TOKEN_SIZE];
	uint64_t room; /* or the notification */
	uint64_t seq;
	bool decided;
	uint32_t attempts;
	size_t recipient_len;
	char recipient[VIEW_USER_SIZE];
};
/* The tenant's pending deliveries up to that time, the longest due first; fn
 * returns false to stop. */
typedef bool view_delivery_fn(const struct view_delivery *d, void *arg);
int view_due(struct view *v, uint64_t tenant, int64_t until_ms, unsigned limit,
    view_delivery_fn *fn, void *arg);
/* When the tenant's first one after that time will be due. */
int view_next_due(struct view *v, uint64_t tenant, int64_t after_ms,
    int64_t *due_ms);

/* A message and what its webhook needs of its room.  0: there is none any
 * more, or only its tombstone, or it is not for that user: he has left the
 * room, and may have come back behind it. */
struct view_message {
	char room_token[ID_TOKEN_SIZE];
	struct str metadata; /* JSON; empty = none */
	struct message message;
};
/* When it is 1, view_release() ends it, and its strings. */
int view_message(struct view *v, uint64_t tenant, uint64_t room, uint64_t seq,
    struct str recipient, struct view_message *m);
void view_release(struct view *v);
/* A notification that its recipient has not acknowledged; as above. */
int view_notification(struct view *v, uint64_t tenant, uint64_t notification,
    struct str recipient, struct notify_text *t);
/* Who sent it; the same 0. */
int view_sender(struct view *v, uint64_t tenant, uint64_t room, uint64_t seq,
    char sender[VIEW_USER_SIZE], size_t *len);

/* Pending deliveries and dead letters; counted as far as VIEW_COUNT_MAX. */
#define VIEW_COUNT_MAX 10000
int view_counts(struct view *v, uint64_t *pending, uint64_t *dead);

/* ---- retention ---- */
struct view_room {
	uint64_t id;
	char token[ID_TOKEN_SIZE];
	uint64_t first_seq;
	uint64_t last_seq;
};
/* The tenant's first room above `after`. */
int view_next_room(struct view *v, uint64_t tenant, uint64_t after,
    struct view_room *room);
/* When that message was stored (Unix). */
int view_created(struct view *v, uint64_t room, uint64_t seq, int64_t *ms);

#endif
