/* SPDX-License-Identifier: MIT */
/*
 * From a stored message to deliveries: who of the room's members is absent.
 */
#ifndef COURIER_OUTBOX_H
#define COURIER_OUTBOX_H

#include <stdbool.h>

struct courier;
struct outbox;
struct tenant;

/* Rows of the outbox under way at once. */
#define OUTBOX_STEPS_MAX 64

struct outbox *outbox_new(struct courier *c);
void outbox_free(struct outbox *o);
/* Rows under way. */
unsigned outbox_active(const struct outbox *o);
/* Begins the tenant's next row; false when there is none, or enough of its
 * are under way. */
bool outbox_turn(struct outbox *o, struct tenant *t);

#endif
