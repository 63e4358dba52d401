/* SPDX-License-Identifier: MIT */
/* What the parts of one worker process share. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/config.h"

struct event_base;
struct page;
struct reader;
struct submit;
struct auth;
struct http;
struct tls;
struct bus;
struct console;
struct rooms;
struct users;
struct feeder;
struct typing;
struct ws_list;
struct ws_presence;

struct worker {
	struct event_base *base;
	struct config config;
	struct page *page;
	unsigned slot; /* at the hub */
	unsigned seat; /* which sockets: what people know as its slot */
	int page_slot;
	uint64_t incarnation;
	bool draining;
	bool replaced;                /* another one has its sockets */
	struct secrets *secrets;      /* those of JWTs; auth_jwt.c */
	struct reader *reader;        /* read-only database */
	struct submit *submit;        /* operations at the writer */
	struct auth *auth;            /* keys and tenants, cached */
	struct http *http;            /* evhttp and the REST API */
	struct tls *tls;              /* certificate; NULL = no TLS */
	struct bus *bus;              /* the hub: interest, attach, events */
	struct console *console;      /* its files; NULL = there is none */
	struct rooms *rooms;          /* rooms with sockets here */
	struct users *users;          /* users with sockets here */
	struct feeder *feeder;        /* who is behind and gets pages */
	struct typing *typing;        /* who types */
	struct ws_list *ws;           /* all WebSocket connections */
	struct ws_presence *presence; /* who is online, who was told */
};

/* The role's main function: never returns before the process ends; the
 * result is the exit status. */
int worker_main(unsigned slot);

#endif
