/* SPDX-License-Identifier: MIT */
/*
 * Notifications on their way to connections.  A connection keeps the inbox id
 * that it was sent last and is live or behind, as feeds of rooms are: behind,
 * it is given pages of its user's inbox when its output is low; live, it
 * takes events as they come.
 */
#ifndef WORKER_INBOX_H
#define WORKER_INBOX_H

#include <stdbool.h>

struct rec_event_notification;
struct worker;
struct ws_conn;

enum inbox_state {
	INBOX_NONE = 0, /* not granted yet, or on its way out */
	INBOX_BEHIND,
	INBOX_LIVE
};

/* A granted connection: everything that waits for its user comes. */
void inbox_connect(struct ws_conn *c);
/* It is about to go. */
void inbox_disconnect(struct ws_conn *c);
/* Events may have been missed. */
void inbox_lost(struct ws_conn *c);
/* The feeder's turn: is there something to read, and the next page of it.
 * -1 when the database failed. */
bool inbox_due(const struct ws_conn *c);
int inbox_page(struct ws_conn *c);
/* Some users have a new one. */
void inbox_event(struct worker *w, const struct rec_event_notification *e);

#endif
