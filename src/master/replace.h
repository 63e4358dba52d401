/* SPDX-License-Identifier: MIT */
/*
 * Replaces the children one after another by new ones from the program on
 * disk, and starts or retires workers until there are as many as configured.
 *
 * First the workers, each beside its successor until that is ready: so the
 * first of them also tries the program while nothing is at stake.  Then the
 * courier and last the writer, of which there can be only one: it is replaced
 * by a program that is known to start, and operations wait in the workers
 * meanwhile.  Whatever fails ends it, and those who serve serve on.
 */
#ifndef MASTER_REPLACE_H
#define MASTER_REPLACE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct child;
struct master;
struct replace;

/* It has ended: why = NULL when all are replaced. */
typedef void replace_done(struct master *m, const char *why);

struct replace *replace_new(struct master *m, replace_done *done);
void replace_free(struct replace *r);

/* While the server serves and none is under way. */
void replace_begin(struct replace *r);
/* The server stops: whatever is under way is not gone on with. */
void replace_abort(struct replace *r);

/* A child is ready. */
void replace_ready(struct replace *r, struct child *c);
/* A child is gone.  True: it is not to be started again, and may have been
 * freed. */
bool replace_gone(struct replace *r, struct child *c, int wait_status);

/* How far it is: members of a JSON object. */
void replace_status(const struct replace *r, struct buf *b);

#endif
