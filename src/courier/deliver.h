/* SPDX-License-Identifier: MIT */
/*
 * Deliveries: sent when they are due, and what became of each reported to
 * the writer.
 */
#ifndef COURIER_DELIVER_H
#define COURIER_DELIVER_H

#include <stdbool.h>

struct courier;
struct deliver;
struct tenant;

/* Deliveries under way at once, to all endpoints. */
#define DELIVER_MAX 128

struct deliver *deliver_new(struct courier *c);
void deliver_free(struct deliver *d);
/* Deliveries under way. */
unsigned deliver_active(const struct deliver *d);
/* Begins the tenant's next delivery; false when there is none now, or enough
 * of its are under way. */
bool deliver_turn(struct deliver *d, struct tenant *t);
/* What could not be reported is reported again. */
void deliver_again(struct deliver *d);

#endif
