/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 validity: what RFC 3629 section 4 allows and nothing else.  Workers
 * ask it of every text that a client sends.  No state, no allocation.
 */
#include "utf8.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool
is_tail(unsigned char ch)
{
	return (ch & 0xc0) == 0x80;
}

/* Bytes (2 to 4) of the character above U+007F at p; 0 when it is none. */
static inline size_t
sequence(const unsigned char *p, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;

	if (p[0] < 0xc2 || p[0] > 0xf4 || len < 2)
		return 0;
	if (p[0] < 0xe0)
		return is_tail(p[1]) ? 2 : 0;
	/* The second byte decides about overlong forms, surrogates and the
	 * end of the code space. */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high || len < 3 || !is_tail(p[2]))
		return 0;
	if (p[0] < 0xf0)
		return 3;
	return len >= 4 && is_tail(p[3]) ? 4 : 0;
}

size_t
utf8_sequence(const char *s, size_t len)
{
	if (len == 0)
		return 0;
	if ((unsigned char)*s < 0x80)
		return 1;
	return sequence((const unsigned char *)s, len);
}

size_t
utf8_run(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t done = 0, n;

	while (done < len && p[done] >= 0x80) {
		n = sequence(p + done, len - done);
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

bool
utf8_valid(const char *s, size_t len)
{
	uint64_t word;
	size_t n;

	while (len > 0) {
		if ((unsigned char)*s >= 0x80) {
			n = utf8_run(s, len);
			if (n == 0)
				return false;
		} else if (len >= sizeof(word)) {
			memcpy(&word, s, sizeof(word));
			word = le64toh(word) & HIGH_BITS;
			n = word == 0 ? sizeof(word) :
					(size_t)__builtin_ctzll(word) / 8;
		} else
			n = 1;
		s += n;
		len -= n;
	}
	return true;
}

bool
utf8_user_id_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i;

	if (len == 0 || len > USER_ID_MAX || !utf8_valid(s, len))
		return false;
	for (i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return false;
		/* U+0080..U+009F; valid text has a byte after 0xc2. */
		if (p[i] == 0xc2 && p[i + 1] < 0xa0)
			return false;
	}
	return true;
}
