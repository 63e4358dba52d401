/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes with a hard maximum: what is being read from or
 * written to a stream, and JSON under construction.  Every process uses it.
 * The fields may be read; only these functions change them.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data;  /* len bytes are valid from data + off */
	size_t off;  /* bytes already drained from the front */
	size_t len;  /* bytes held, without the drained ones */
	size_t cap;  /* bytes allocated */
	size_t max;  /* most bytes it will ever hold */
	bool failed; /* an add went over max; nothing is added after that */
};

/* No allocation happens before the first add.  max is in bytes. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory and leaves an empty buffer with the same maximum. */
void buf_free(struct buf *b);
/* Empties it and clears `failed`, keeps the memory. */
void buf_clear(struct buf *b);
/*
 * Makes room for len more bytes and returns where they go; NULL (and
 * `failed` set) beyond the maximum.  buf_added() then says how many came.
 */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);
/* buf_add() when the memory must grow first. */
int buf_add_grown(struct buf *b, const void *p, size_t len);
int buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds a decimal number. */
int buf_add_u64(struct buf *b, uint64_t v);
/* Drops len bytes from the front (len <= b->len). */
void buf_drain(struct buf *b, size_t len);

/* First valid byte; not NUL-terminated.  Never NULL, also before the first
 * add. */
static inline char *
buf_head(const struct buf *b)
{
	return b->data != NULL ? b->data + b->off : (char *)"";
}

/* 0, or -1 with `failed` set and nothing added. */
static inline int
buf_add(struct buf *b, const void *p, size_t len)
{
	/* Nothing (len 0) goes the long way too. */
	if (len - 1 >= b->cap - b->off - b->len || b->failed)
		return buf_add_grown(b, p, len);
	memcpy(b->data + b->off + b->len, p, len);
	b->len += len;
	return 0;
}

/* Adds a string literal or other NUL-terminated text. */
static inline int
buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

#endif
