/* SPDX-License-Identifier: MIT */
/*
 * Public ids: lower-case Crockford base 32 (0-9 a-z without i l o u), so
 * that they sort by time as text.
 *
 *   tenant_ key_ ntf_ sub_ dlv_  + token
 *   room_  + token
 *   msg_   + 10 digits of milliseconds + the room's token + 9 digits of seq
 *
 * A token is 10 digits (50 bits) of Unix milliseconds and 12 digits (60
 * bits) of randomness.  Internal integer ids never appear in a public id.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_TOKEN_LEN 22
#define ID_TOKEN_SIZE (ID_TOKEN_LEN + 1) /* with NUL */
#define ID_MESSAGE_SIZE (4 + 10 + ID_TOKEN_LEN + 9 + 1)
#define ID_SEQ_MAX ((UINT64_C(1) << 45) - 1)
/* "tenant_" is the longest prefix. */
#define ID_PUBLIC_SIZE (7 + ID_TOKEN_SIZE)

/* Makes a new token from the time and libsodium's randomness. */
void id_token_new(char out[ID_TOKEN_SIZE], int64_t unix_ms);
/* True when s is exactly one token. */
bool id_token_valid(const char *s, size_t len);
/*
 * Takes "room_…" (or another prefix with its underscore) apart: returns a
 * pointer to the token inside s, or NULL when s is no such id.
 */
const char *id_token_of(const char *s, size_t len, const char *prefix);

/* The id of message seq of the room with that token. */
void id_message(char out[ID_MESSAGE_SIZE], const char *room_token,
    int64_t created_ms, uint64_t seq);
/* The reverse; -1 when s is no message id. */
int id_message_parse(const char *s, size_t len, char room_token[ID_TOKEN_SIZE],
    int64_t *created_ms, uint64_t *seq) __attribute__((warn_unused_result));

/*
 * A dm's unique key: both user ids in byte order, joined by ':', with '%'
 * and ':' inside them percent-encoded.  out holds ID_DM_KEY_SIZE bytes.
 */
#define ID_DM_KEY_SIZE (2 * 3 * 128 + 2)
void id_dm_key(char out[ID_DM_KEY_SIZE], const char *a, size_t alen,
    const char *b, size_t blen);

/*
 * Keys by which the hub routes records: a room's from its internal id, a
 * user's from his tenant's internal id and his name (64-bit hash; two users
 * with one key only cost a needless record).  Never 0.
 */
uint64_t id_room_key(uint64_t room);
uint64_t id_user_key(uint64_t tenant, const char *user, size_t len);

#endif
