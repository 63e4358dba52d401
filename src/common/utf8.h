/* SPDX-License-Identifier: MIT */
/* UTF-8 validity (RFC 3629) and the rules for users' ids.  Pure. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* No overlong forms, no surrogates, nothing above U+10FFFF.  NUL is valid. */
bool utf8_valid(const char *s, size_t len);
/* Bytes (1 to 4) of the character that s begins with; 0 when it is none. */
size_t utf8_sequence(const char *s, size_t len);
/* Bytes of the valid characters above U+007F that s begins with. */
size_t utf8_run(const char *s, size_t len);
/*
 * A tenant's own id for a user: 1 to 128 bytes of UTF-8 without control
 * characters (C0, DEL, C1).
 */
bool utf8_user_id_valid(const char *s, size_t len);

#define USER_ID_MAX 128

#endif
