/* SPDX-License-Identifier: MIT */
/* Any record read and written again: for tests and the fuzz target. */
#ifndef UNIT_RECORDS_COPY_H
#define UNIT_RECORDS_COPY_H

struct buf;
struct wire_record;

/*
 * Reads the record by the function of its type and adds what that found to
 * b.  -1 when no function takes it, and nothing is added; -2 when what was
 * read could not be written.
 */
int records_copy(struct buf *b, const struct wire_record *w);

#endif
