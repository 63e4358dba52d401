/* SPDX-License-Identifier: MIT */
/*
 * Finds a request's blank line and follows the sizes of its chunks.  Runs in
 * a worker; refuses nothing by itself.
 */
#include "http_scan.h"

#include <string.h>
#include <strings.h>

void
http_scan_begin(struct http_scan *s)
{
	memset(s, 0, sizeof(*s));
}

static bool
line_is(const struct http_scan *s, const char *name)
{
	size_t n = strlen(name);

	return s->line_len >= n && strncasecmp(s->head, name, n) == 0;
}

/* The digits behind "Content-Length:", as far as the line was kept. */
static uint64_t
line_length(const struct http_scan *s, const char *name)
{
	size_t end = s->line_len < HTTP_SCAN_HEAD ? s->line_len :
						    HTTP_SCAN_HEAD;
	size_t at = strlen(name);
	uint64_t v = 0;

	while (at < end && (s->head[at] == ' ' || s->head[at] == '\t'))
		at++;
	for (; at < end && s->head[at] >= '0' && s->head[at] <= '9'; at++) {
		if (v > UINT64_MAX / 10 - 1)
			return UINT64_MAX;
		v = v * 10 + (uint64_t)(s->head[at] - '0');
	}
	return v;
}

/* For an answer to what the HTTP library refuses before we see it. */
static void
line_origin(struct http_scan *s, size_t at)
{
	size_t end = s->line_len;

	s->origin[0] = '\0';
	if (s->origins || end > HTTP_SCAN_HEAD)
		return;
	s->origins = true;
	while (at < end && (s->head[at] == ' ' || s->head[at] == '\t'))
		at++;
	while (end > at && strchr(" \t\r", s->head[end - 1]) != NULL)
		end--;
	if (end - at > HTTP_SCAN_ORIGIN)
		return;
	memcpy(s->origin, s->head + at, end - at);
	s->origin[end - at] = '\0';
}

/* The end of a header line. */
static void
line_end(struct http_scan *s, uint64_t body_max)
{
	static const char length[] = "Content-Length:", origin[] = "Origin:";
	uint64_t v;

	if (s->line_len == 0 || (s->line_len == 1 && s->head[0] == '\r')) {
		s->state = !s->chunked && s->length > body_max ?
		    HTTP_SCAN_TOO_LONG :
		    HTTP_SCAN_BODY;
		s->in_size = true;
		s->in_line = true;
	} else if (line_is(s, "Transfer-Encoding:")) {
		s->chunked = true;
	} else if (line_is(s, length)) {
		v = line_length(s, length);
		s->length = v > s->length ? v : s->length;
	} else if (line_is(s, origin)) {
		line_origin(s, strlen(origin));
	}
	s->line_len = 0;
}

/* Returns how many of the bytes it took. */
static size_t
scan_header(struct http_scan *s, const char *p, size_t len, uint64_t body_max)
{
	const char *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) : len;

	if (s->line_len < HTTP_SCAN_HEAD) {
		size_t room = HTTP_SCAN_HEAD - s->line_len;

		memcpy(s->head + s->line_len, p, n < room ? n : room);
	}
	if (memchr(p, '\0', n) != NULL)
		s->nul = true;
	s->line_len += n;
	if (nl == NULL)
		return n;
	line_end(s, body_max);
	return n + 1;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* One byte of a chunk's size or of the line behind it. */
static void
scan_size(struct http_scan *s, char c, uint64_t body_max)
{
	int digit = hex_value(c);

	if (s->in_size && digit >= 0) {
		s->line_len++;
		if (s->chunk <= body_max)
			s->chunk = s->chunk * 16 + (uint64_t)digit;
		return;
	}
	/* An empty line ends the chunk before. */
	if (c == '\n' && s->line_len == 0)
		return;
	if (s->in_size && c != '\r' && c != '\n' && c != ' ') {
		s->lost = true;
		return;
	}
	if (s->line_len > 0)
		s->in_size = false;
	if (c != '\n')
		return;
	s->body += s->chunk;
	s->in_line = false;
	if (s->body > body_max)
		s->state = HTTP_SCAN_TOO_LONG;
	else if (s->chunk == 0)
		s->last = true;
}

static size_t
scan_chunks(struct http_scan *s, const char *p, size_t len, uint64_t body_max)
{
	if (s->in_line) {
		scan_size(s, *p, body_max);
		return 1;
	}
	if (s->chunk > len) {
		s->chunk -= len;
		return len;
	}
	len = (size_t)s->chunk;
	s->chunk = 0;
	s->line_len = 0;
	s->in_size = true;
	s->in_line = true;
	return len;
}

void
http_scan_bytes(struct http_scan *s, const char *p, size_t len,
    uint64_t body_max)
{
	while (len > 0) {
		size_t n;

		if (s->state == HTTP_SCAN_HEADERS)
			n = scan_header(s, p, len, body_max);
		else if (s->state == HTTP_SCAN_BODY && s->chunked && !s->lost &&
		    !s->last)
			n = scan_chunks(s, p, len, body_max);
		else
			return;
		p += n;
		len -= n;
	}
}
