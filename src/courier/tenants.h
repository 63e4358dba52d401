/* SPDX-License-Identifier: MIT */
/*
 * The tenants that the courier has something to do for, and whose turn it
 * is.  Two circles, of those with rows in the outbox and of those with
 * deliveries that may be due: each tenant has one turn after the other, so
 * that none waits for another's backlog.  Knows no database, no socket and
 * no clock.
 */
#ifndef COURIER_TENANTS_H
#define COURIER_TENANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Requests under way to one tenant's endpoint: from one, doubled with each
 * that succeeds, and one again after a failure, so that endpoints that hang
 * do not take all the places. */
#define TENANT_SENDING_MAX 8
#define TENANT_STEPS_MAX 16

enum tenant_work { TENANT_OUTBOX, TENANT_SEND, TENANT_WORKS };

struct tenant {
	struct tenant *next; /* hash chain */
	TAILQ_ENTRY(tenant) turn[TENANT_WORKS];
	bool waits[TENANT_WORKS]; /* for its turn */
	uint64_t id;
	uint64_t outbox_last; /* id of the row taken last */
	unsigned steps;       /* rows of the outbox under way */
	unsigned sending;     /* deliveries under way */
	unsigned limit;       /* of them */
	bool dropping;        /* a WEBHOOK_DROP is under way */
	void *owner;          /* whose it is */
	int64_t due_ms;       /* when to look again (Unix); 0 = not known */
};

struct tenants;

struct tenants *tenants_new(void);
void tenants_free(struct tenants *ts);
size_t tenants_count(const struct tenants *ts);

/* The one with that id, made when it is not there. */
struct tenant *tenants_get(struct tenants *ts, uint64_t id);
/* It joins the end of the circle, if it is not in it. */
void tenants_wait(struct tenants *ts, struct tenant *t, enum tenant_work w);
/* Takes the first one out of the circle; NULL when it is empty. */
struct tenant *tenants_turn(struct tenants *ts, enum tenant_work w);
/* A delivery to it has ended: with an answer of success, or not. */
void tenants_learn(struct tenant *t, bool success);
/* Forgets it if nothing of it is under way, waiting or to come. */
void tenants_release(struct tenants *ts, struct tenant *t);
/* Those whose time has come wait for a turn to send; returns the earliest
 * time of the others, 0 = none.  With now_ms 0 it only asks for that time. */
int64_t tenants_due(struct tenants *ts, int64_t now_ms);

#endif
