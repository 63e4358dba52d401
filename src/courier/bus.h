/* SPDX-License-Identifier: MIT */
/* The courier's end of the bus. */
#ifndef COURIER_BUS_H
#define COURIER_BUS_H

struct bus;
struct courier;

/* Takes CHILD_FD_BUS and says HELLO.  When the master closes it the process
 * exits. */
struct bus *bus_new(struct courier *c);
void bus_free(struct bus *b);
/* At work: from here on a heartbeat every 2.5 s. */
void bus_ready(struct bus *b);
/* Everything is done; the master may stop the process. */
void bus_drained(struct bus *b);

#endif
