/* SPDX-License-Identifier: MIT */
/* Messages that have outlived their tenant's retention_days are cut off. */
#ifndef COURIER_RETENTION_H
#define COURIER_RETENTION_H

struct courier;
struct retention;

/* Between the beginnings of two looks through all rooms, by the wall clock. */
#define RETENTION_EVERY_MS (INT64_C(3600) * 1000)

struct retention *retention_new(struct courier *c);
void retention_free(struct retention *r);
/* Begins when it is time to. */
void retention_tick(struct retention *r);

#endif
