/* SPDX-License-Identifier: MIT */
/*
 * How far a JSON string goes on without anything to look at; what reading
 * and writing JSON text share.  Eight bytes at a time, pure.
 */
#ifndef COMMON_JSON_SCAN_H
#define COMMON_JSON_SCAN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_SCAN_ONES UINT64_C(0x0101010101010101)
#define JSON_SCAN_HIGHS UINT64_C(0x8080808080808080)

/*
 * Bytes before the first control character, quote or backslash; with
 * ascii_only also before the first byte above 0x7f.
 */
static inline size_t
json_scan_plain(const char *s, size_t len, bool ascii_only)
{
	uint64_t word, quote, slash, found;
	unsigned char ch;
	size_t i = 0;

	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		word = le64toh(word);
		quote = word ^ (JSON_SCAN_ONES * '"');
		slash = word ^ (JSON_SCAN_ONES * '\\');
		/* A borrow may mark a byte too many, but only above one that
		 * is marked rightly. */
		found = ((word - JSON_SCAN_ONES * 0x20) |
			    (quote - JSON_SCAN_ONES) |
			    (slash - JSON_SCAN_ONES)) &
		    ~word;
		if (ascii_only)
			found |= word;
		found &= JSON_SCAN_HIGHS;
		if (found != 0)
			return i + (size_t)__builtin_ctzll(found) / 8;
	}
	for (; i < len; i++) {
		ch = (unsigned char)s[i];
		if (ch < 0x20 || ch == '"' || ch == '\\' ||
		    (ascii_only && ch >= 0x80))
			break;
	}
	return i;
}

#endif
