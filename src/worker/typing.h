/* SPDX-License-Identifier: MIT */
/*
 * Who is typing in the rooms that have sockets here.  Every worker that has
 * a member of the room hears every start and stop, whichever worker they came
 * in on, and decides alike what its own clients are told: repeats are
 * swallowed, and what is never stopped ends.  Nothing of it is stored.
 */
#ifndef WORKER_TYPING_H
#define WORKER_TYPING_H

struct rec_event_typing;
struct typing;
struct worker;

/* A repeated start within this time is not told again. */
#define TYPING_REPEAT_MS 3000
/* A start that is never stopped ends after this. */
#define TYPING_END_MS 10000
/* Rooms with more members than this have no typing. */
#define TYPING_MEMBERS_MAX 100
/* Typing frames that one connection may send in a second; what is more is
 * answered and not told. */
#define TYPING_FRAMES_MAX 10

struct typing *typing_new(struct worker *w);
void typing_free(struct typing *t);
/* An event came over the bus. */
void typing_event(struct typing *t, const struct rec_event_typing *e);

#endif
