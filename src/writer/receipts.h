/* SPDX-License-Identifier: MIT */
/*
 * Receipts: what a later writer must know of operations whose answer may
 * not have arrived.  Pure memory and bytes; the rows are written and read
 * by store.c.
 *
 * The blob of one batch, version byte first, then per operation:
 *   varint index of the worker among those named so far in this blob; when
 *   it is a new one, 8 bytes of its incarnation, little-endian
 *   varint op, u8 outcome, varint room, seq, ms, text length; text
 */
#ifndef WRITER_RECEIPTS_H
#define WRITER_RECEIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rec_reply;
struct receipts;

struct receipts *receipts_new(void);
void receipts_free(struct receipts *r);

/* At start: a row that was there.  -1 when the blob is malformed (the row
 * is then taken as one without receipts). */
int receipts_load(struct receipts *r, uint64_t n, const void *blob, size_t len);

/* False: this operation surely has none.  True: look into the rows. */
bool receipts_maybe(const struct receipts *r, uint64_t incarnation,
    uint64_t op);
/* The next committed row above `after` that may hold it; 0 = none. */
uint64_t receipts_row(const struct receipts *r, uint64_t incarnation,
    uint64_t op, uint64_t after);
/* Looks into a blob; reply's text is borrowed from it. */
bool receipts_search(const void *blob, size_t len, uint64_t incarnation,
    uint64_t op, struct rec_reply *reply);

/* The batch under way: adds one, shows the blob, and how it ended. */
void receipts_add(struct receipts *r, uint64_t incarnation,
    const struct rec_reply *reply);
const void *receipts_blob(const struct receipts *r, size_t *len);
void receipts_committed(struct receipts *r, uint64_t n);
void receipts_abort(struct receipts *r);

/* See store_confirm(). */
void receipts_confirm(struct receipts *r, uint64_t incarnation, uint64_t low);
/* Drops those of every incarnation that has not been heard of since the
 * start. */
void receipts_forget_absent(struct receipts *r);

/*
 * Rows that nobody needs any more, as runs: fills in first and last of run
 * `i`, false when there is none.  After the commit that deleted them all,
 * receipts_deleted().
 */
size_t receipts_settled(const struct receipts *r);
bool receipts_run(const struct receipts *r, size_t *at, uint64_t *first,
    uint64_t *last);
void receipts_deleted(struct receipts *r);

#endif
