/* SPDX-License-Identifier: MIT */
/* What the parts of the courier process share. */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/config.h"

struct bus;
struct deliver;
struct event;
struct event_base;
struct outbox;
struct page;
struct poster;
struct retention;
struct secrets;
struct submit;
struct tenants;
struct view;
struct wire_record;

struct courier {
	struct event_base *base;
	struct config config;
	bool configured;
	struct page *page;
	bool draining;
	uint64_t drain_ms;     /* what is sent may take until then */
	struct bus *bus;       /* the master and, behind it, the hub */
	struct submit *submit; /* operations at the writer */
	struct view *view;     /* read-only database */
	struct secrets *secrets;
	struct tenants *tenants; /* who has something to do */
	struct outbox *outbox;
	struct deliver *deliver;
	struct poster *poster; /* libcurl */
	struct retention *retention;
	struct event *work;   /* a turn of it, now or when something is due */
	struct event *again;  /* after something failed */
	bool scan;            /* the tables are to be looked through */
	uint64_t scanned;     /* up to this tenant */
	bool changed;         /* the gauges may be wrong */
	unsigned unreachable; /* at the start, see names.h */
};

/* The program's main function; the result is the exit status. */
int courier_main(void);

/* There may be something to do: at the end of this turn of the loop. */
void courier_work(struct courier *c);
/* Something failed: everything is looked at again in a second. */
void courier_later(struct courier *c);

/* ---- the master's orders, from bus.c ---- */

/* The first record: opens the database, starts to work.  -1 = bad. */
int courier_configure(struct courier *c, const struct wire_record *rec);
/* Begin nothing more, finish what is under way, then leave the loop. */
void courier_drain(struct courier *c, uint64_t timeout_ms);
/* There is something to do for a tenant; 0 = look through the tables. */
void courier_wake(struct courier *c, uint64_t tenant);
/* From time to time; may drain. */
void courier_tick(struct courier *c);

#endif
