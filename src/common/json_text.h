/* SPDX-License-Identifier: MIT */
/* Writing JSON text into a buf, without a tree.  Pure. */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Adds s (valid UTF-8, may hold NULs) as a quoted JSON string: escapes only
 * what RFC 8259 section 7 demands (quote, backslash, U+0000..U+001F) and
 * U+2028/2029 not at all.
 */
void json_text_string(struct buf *b, const char *s, size_t len);
/* Adds a quoted RFC 3339 UTC time with milliseconds. */
void json_text_time(struct buf *b, int64_t unix_ms);

#endif
