/* SPDX-License-Identifier: MIT */
/*
 * Events from the bus to the sockets they concern.  One encoded frame an
 * event, shared by all its recipients.
 */
#ifndef WORKER_FANOUT_H
#define WORKER_FANOUT_H

struct rec_event_typing;
struct wire_record;
struct worker;

/* Runs one event record; -1 when it is malformed (fatal for a child). */
int fanout_event(struct worker *w, const struct wire_record *rec);
/* Tells the room's sockets here, but for the typist's own. */
void fanout_typing(struct worker *w, const struct rec_event_typing *t);

#endif
