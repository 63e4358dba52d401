/* SPDX-License-Identifier: MIT */
/* The courier's end of the bus. */
#ifndef COURIER_BUS_H
#define COURIER_BUS_H

#include <stdint.h>

#include "../common/records.h"

struct bus;
struct courier;

/* The numbers of rec_absence_ok, in the order asked. */
typedef void bus_answer_cb(const uint32_t *states, void *arg);

/* Takes CHILD_FD_BUS and says HELLO.  When the master closes it the process
 * exits. */
struct bus *bus_new(struct courier *c);
void bus_free(struct bus *b);
/* At work: from here on a heartbeat every 2.5 s. */
void bus_ready(struct bus *b);
/* Everything is done; the master may stop the process. */
void bus_drained(struct bus *b);

/* Asks the hub about up to ABSENCE_USERS_MAX users of a tenant, n > 0; the
 * answer comes from the loop. */
void bus_ask(struct bus *b, uint64_t tenant, const struct str *users,
    uint32_t n, bus_answer_cb *cb, void *arg);

#endif
