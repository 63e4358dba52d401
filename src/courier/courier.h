/* SPDX-License-Identifier: MIT */
/* What the parts of the courier process share. */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/config.h"

struct bus;
struct event_base;
struct page;
struct submit;
struct wire_record;

struct courier {
	struct event_base *base;
	struct config config;
	bool configured;
	struct page *page;
	bool draining;
	struct bus *bus;       /* the master and, behind it, the hub */
	struct submit *submit; /* operations at the writer */
};

/* The program's main function; the result is the exit status. */
int courier_main(void);

/* ---- the master's orders, from bus.c ---- */

/* The first record: opens the database, starts to work.  -1 = bad. */
int courier_configure(struct courier *c, const struct wire_record *rec);
/* Begin nothing more, finish what is under way, then leave the loop. */
void courier_drain(struct courier *c, uint64_t timeout_ms);

#endif
