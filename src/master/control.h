/* SPDX-License-Identifier: MIT */
/*
 * The control socket beside the database: operator's commands hand in one
 * operation after another, the writer answers.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stddef.h>

struct control;
struct master;
struct wire_record;

/* Listens.  NULL with a sentence in err.  The lock must be held. */
struct control *control_new(struct master *m, char *err, size_t errsize);
/* Takes no more commands; those under way are still answered. */
void control_stop(struct control *c);
/* Closes all and removes the socket's name; NULL is ignored. */
void control_free(struct control *c);

/* REC_CONTROL_REPLY of the writer; -1 when it is bad. */
int control_reply(struct control *c, const struct wire_record *rec);
/* The writer is ready: what waits goes to it. */
void control_writer_ready(struct control *c);
/* The writer is gone: what it had been handed gets OUTCOME_UNKNOWN. */
void control_writer_gone(struct control *c);

#endif
