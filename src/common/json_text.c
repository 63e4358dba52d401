/* SPDX-License-Identifier: MIT */
/*
 * JSON text straight into a buf: what the writer puts into finished frames
 * and workers into answers.  A buf over its maximum stays `failed`; nothing
 * here reports it a second time.
 */
#include "json_text.h"

#include <string.h>

#include "buf.h"
#include "clock.h"
#include "json_scan.h"

/* Escape letters of U+0000..U+001F; 'u' = by number. */
static const char control_escape[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";

static const char hex[] = "0123456789abcdef";

static size_t
escape(char out[6], unsigned char ch)
{
	out[0] = '\\';
	out[1] = ch < 0x20 ? control_escape[ch] : (char)ch;
	if (out[1] != 'u')
		return 2;
	memcpy(out + 2, "00", 2);
	out[4] = hex[ch >> 4];
	out[5] = hex[ch & 15];
	return 6;
}

void
json_text_string(struct buf *b, const char *s, size_t len)
{
	char text[6];
	size_t n;

	buf_add(b, "\"", 1);
	while (len > 0 && !b->failed) {
		n = json_scan_plain(s, len, false);
		buf_add(b, s, n);
		s += n;
		len -= n;
		if (len > 0) {
			buf_add(b, text, escape(text, (unsigned char)*s));
			s++;
			len--;
		}
	}
	buf_add(b, "\"", 1);
}

void
json_text_time(struct buf *b, int64_t unix_ms)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(text, unix_ms);
	buf_add(b, "\"", 1);
	buf_adds(b, text);
	buf_add(b, "\"", 1);
}
