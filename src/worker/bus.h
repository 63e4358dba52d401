/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of the bus: configuration and orders from the master,
 * events from everybody, interest and attach requests to the hub.
 */
#ifndef WORKER_BUS_H
#define WORKER_BUS_H

#include <stdint.h>

#include "../common/records.h"

struct bus;
struct worker;

/* Takes CHILD_FD_BUS.  Says HELLO at once.  When the master closes it the
 * process exits. */
struct bus *bus_new(struct worker *w);
void bus_free(struct bus *b);
/* Serving: from here on a heartbeat every BUS_HEARTBEAT_MS. */
#define BUS_HEARTBEAT_MS 2500
void bus_ready(struct bus *b);
/* Everything is answered; the master may stop the process. */
void bus_drained(struct bus *b);

/*
 * Asks for records with this key, or no more; gathered and sent at the end
 * of the turn.  Returns the serial of the request it will be part of: the
 * key is in force once the hub has confirmed that serial (rooms_confirmed).
 */
uint64_t bus_interest_add(struct bus *b, uint64_t key);
void bus_interest_del(struct bus *b, uint64_t key);

/* Whether the hub grants the connection comes as ws_conn_attached(). */
void bus_attach(struct bus *b, const struct rec_attach *a);
void bus_detach(struct bus *b, const struct rec_attach *a);
/* Tells the members of a room, on every worker, about typing. */
void bus_publish_typing(struct bus *b, const struct rec_event_typing *t);

#endif
