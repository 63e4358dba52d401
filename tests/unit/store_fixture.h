/* SPDX-License-Identifier: MIT */
/*
 * A store in a directory of its own, and operations in one line each, for
 * the tests of the writer.  Every helper asserts what it does not return.
 */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/records_tenant.h"
#include "writer/store.h"

struct fixture {
	char dir[64];
	struct dsn dsn;
	struct store *store;
	uint64_t tenant;
	uint64_t op; /* number of the last operation */
	struct buf rec;
	struct buf replies;
	struct buf events;
	struct rec_reply reply; /* of the last operation */
	char text[4096];        /* its text */
};

/* Setup and teardown of a cmocka test: with one tenant. */
int fixture_up(void **state);
int fixture_down(void **state);
void fixture_reopen(struct fixture *f);

struct str str(const char *s);
struct op_head fixture_head(struct fixture *f);
/* Applies the record in f->rec for worker 7; its outcome. */
enum outcome fixture_apply(struct fixture *f);
enum outcome fixture_apply_as(struct fixture *f, uint64_t incarnation);
void fixture_begin(struct fixture *f);
void fixture_commit(struct fixture *f);

/* These put one operation into a batch that has begun. */
enum outcome fixture_send(struct fixture *f, const char *room, const char *user,
    const char *client_id, const char *content);
enum outcome fixture_ack(struct fixture *f, const char *room, const char *user,
    uint64_t seq);
/* users: "alice,bob"; the room's token goes to `token`. */
enum outcome fixture_room(struct fixture *f, enum room_type type,
    const char *creator, const char *users, char token[ID_TOKEN_SIZE]);
enum outcome fixture_add(struct fixture *f, const char *room, const char *actor,
    const char *users, enum member_role role);
enum outcome fixture_remove(struct fixture *f, const char *room,
    const char *actor, const char *user);

/* Changes of the message at seq; ms is its created_at. */
enum outcome fixture_edit(struct fixture *f, const char *room, const char *user,
    uint64_t seq, uint64_t ms, const char *content);
enum outcome fixture_delete(struct fixture *f, const char *room,
    const char *user, uint64_t seq, uint64_t ms);
/* name and metadata: NULL = as it was. */
enum outcome fixture_update(struct fixture *f, const char *room,
    const char *user, const char *name, const char *metadata);
enum outcome fixture_drop(struct fixture *f, const char *room,
    const char *user);
enum outcome fixture_trim(struct fixture *f, const char *room, uint64_t first);

/* One number out of the database, by another connection. */
int64_t fixture_query(struct fixture *f, const char *sql);
/* How many events of that type (0 = any) the operations published since the
 * last call of fixture_begin. */
unsigned fixture_events(struct fixture *f, enum record_type type);
/* The n-th of them, from 0; asserts that it is there. */
void fixture_event(struct fixture *f, unsigned n, struct rec_publish *p);

#endif
