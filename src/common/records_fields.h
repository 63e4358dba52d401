/* SPDX-License-Identifier: MIT */
/* Fields that several records share, each with its bounds.  Private to the
 * records_*.c files. */
#ifndef COMMON_RECORDS_FIELDS_H
#define COMMON_RECORDS_FIELDS_H

#include "buf.h"
#include "config.h"
#include "page.h"
#include "records.h"
#include "wire.h"

#define FIELD_USER_MAX 128
#define FIELD_NAME_MAX 1024
/* 64 KiB of content, each byte escaped as six, and as much of meta. */
#define FIELD_TEXT_MAX (512 * 1024)
#define FIELD_SLOT_MAX (PAGE_WORKERS_MAX - 1)

/* Begin of every get: false when the record is of another type. */
bool field_open(const struct wire_record *w, enum record_type type,
    struct wire_reader *r);
/* End of every get. */
int field_close(const struct wire_reader *r);
void field_put(struct buf *b, struct str s);
/* A string of min to max bytes; marks the reader bad otherwise. */
struct str field_get(struct wire_reader *r, size_t min, size_t max);
bool field_get_bool(struct wire_reader *r);
void field_put_token(struct buf *b, const char *token);
void field_get_token(struct wire_reader *r, char token[ID_TOKEN_SIZE]);
/* A token as a string field. */
struct str field_get_token_str(struct wire_reader *r);

/* The first fields of every operation. */
void field_put_head(struct buf *b, const struct op_head *h);
void field_get_head(struct wire_reader *r, struct op_head *h);

uint32_t field_get_slot(struct wire_reader *r);

/* Takes the record begun at `at` back out; returns -1 for the caller. */
int field_undo(struct buf *b, size_t at);
/* The record nested at the end of another: -1 unless it is whole and of a
 * type between first and last. */
int field_inner(struct wire_reader *r, enum record_type first,
    enum record_type last, struct wire_record *inner);
/* The i-th of a run of little-endian u64s. */
uint64_t field_key(const uint8_t *keys, uint32_t i);

/* A counted list of at most EVENT_USERS_MAX user ids. */
void field_put_users(struct buf *b, const struct str *list, uint32_t n);
const uint8_t *field_get_users(struct wire_reader *r, uint32_t *n);
/* Walks a checked list. */
bool field_next_user(const uint8_t *users, uint32_t n, size_t *at,
    struct str *user);

/* Exactly len bytes into out, which are 0 when there are not as many. */
void field_get_fixed(struct wire_reader *rd, uint8_t *out, size_t len);

#endif
