/* SPDX-License-Identifier: MIT */
/*
 * The operator's backups in the running server: the copy goes on in steps
 * between batches, as far as the command that asked for it keeps up.
 */
#ifndef WRITER_BACKUP_H
#define WRITER_BACKUP_H

#include <stdint.h>

struct backup;
struct event_base;
struct link;
struct store;
struct wire_record;

/* Borrows all three. */
struct backup *backup_new(struct event_base *base, struct store *store,
    struct link *bus);
/* Throws away a copy under way. */
void backup_free(struct backup *b);
/* A REC_OP_BACKUP, by the master's number of its sender, answered at once;
 * -1 when it is none. */
int backup_control(struct backup *b, uint64_t client,
    const struct wire_record *rec) __attribute__((warn_unused_result));

#endif
