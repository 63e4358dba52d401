/* SPDX-License-Identifier: MIT */
/* Fields that several records share, each with its bounds.  Private to the
 * records_*.c files. */
#ifndef COMMON_RECORDS_FIELDS_H
#define COMMON_RECORDS_FIELDS_H

#include "buf.h"
#include "records.h"
#include "wire.h"

#define FIELD_USER_MAX 128
#define FIELD_NAME_MAX 1024
#define FIELD_TEXT_MAX (256 * 1024)

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

/* A counted list of user ids. */
void field_put_users(struct buf *b, const struct str *list, uint32_t n);
const uint8_t *field_get_users(struct wire_reader *r, uint32_t *n);
/* Walks a checked list. */
bool field_next_user(const uint8_t *users, uint32_t n, size_t *at,
    struct str *user);

#endif
