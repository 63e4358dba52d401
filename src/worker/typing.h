/* SPDX-License-Identifier: MIT */
/*
 * Who is typing, as far as this worker's clients say: swallows repeats and
 * ends what is never stopped.  Nothing of it is stored.
 */
#ifndef WORKER_TYPING_H
#define WORKER_TYPING_H

#include "rooms.h"

struct typing;
struct user;
struct worker;

/* A repeated start within this time is not told again. */
#define TYPING_REPEAT_MS 3000
/* A start that is never stopped ends after this. */
#define TYPING_END_MS 10000
/* Rooms with more members than this have no typing. */
#define TYPING_MEMBERS_MAX 100

struct typing *typing_new(struct worker *w);
void typing_free(struct typing *t);
void typing_start(struct typing *t, const struct room *room,
    const struct user *user);
void typing_stop(struct typing *t, const struct room *room,
    const struct user *user);

#endif
