/* SPDX-License-Identifier: MIT */
/*
 * Where a request stands, told from its bytes as they arrive, beside the
 * HTTP library's own parser: for deadlines, and for telling a body that is
 * too long from one that is malformed.  Pure.
 */
#ifndef WORKER_HTTP_SCAN_H
#define WORKER_HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "Content-Length:", blanks and 20 digits; "Origin:" and most origins. */
#define HTTP_SCAN_ORIGIN 120
#define HTTP_SCAN_HEAD (8 + HTTP_SCAN_ORIGIN)

enum http_scan_state {
	HTTP_SCAN_HEADERS,
	HTTP_SCAN_BODY,    /* the blank line came */
	HTTP_SCAN_TOO_LONG /* it says, or its chunks add up to, too much */
};

struct http_scan {
	uint8_t state; /* enum http_scan_state */
	bool chunked;
	bool nul;                  /* a NUL byte among the headers */
	bool lost;                 /* the chunks' framing is malformed */
	bool last;                 /* the chunk of size 0 came */
	bool in_size;              /* within the digits of a chunk's size */
	bool in_line;              /* before the end of a size's line */
	size_t line_len;           /* of the header line so far */
	uint64_t length;           /* largest Content-Length said */
	uint64_t chunk;            /* size under construction, or bytes left */
	uint64_t body;             /* of all chunks so far */
	char head[HTTP_SCAN_HEAD]; /* of the header line */
	/* "" = none, two, or a long one. */
	char origin[HTTP_SCAN_ORIGIN + 1];
	bool origins; /* a line of that name came */
};

/* A new request begins. */
void http_scan_begin(struct http_scan *s);
/* More bytes of it; body_max = most bytes of a body, or of all its chunks. */
void http_scan_bytes(struct http_scan *s, const char *p, size_t len,
    uint64_t body_max);

#endif
