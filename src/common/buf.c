/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes with a hard maximum.  Every process uses it; pure
 * but for the allocator.
 */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

#define BUF_FIRST 256

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->off = b->len = 0;
	b->failed = false;
}

/* Makes len more bytes fit behind what is held; their sum is within max. */
static void
buf_grow(struct buf *b, size_t len)
{
	size_t need = b->len + len, cap;
	char *data;

	/* Moving pays when at least as much is drained as is held: each byte
	 * then moves at most once more than it was added. */
	if (b->data != NULL && need <= b->cap &&
	    (b->off >= b->len || b->cap == b->max)) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
		return;
	}
	cap = b->cap == 0 ? BUF_FIRST : b->cap;
	while (cap < need || cap == b->cap)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	if (cap > b->max)
		cap = b->max;
	data = mem_realloc(NULL, cap);
	if (b->len > 0)
		memcpy(data, b->data + b->off, b->len);
	free(b->data);
	b->data = data;
	b->cap = cap;
	b->off = 0;
}

char *
buf_reserve(struct buf *b, size_t len)
{
	if (b->failed || len > b->max || b->len > b->max - len) {
		b->failed = true;
		return NULL;
	}
	if (b->data == NULL || b->off + b->len + len > b->cap)
		buf_grow(b, len);
	return b->data + b->off + b->len;
}

void
buf_added(struct buf *b, size_t len)
{
	b->len += len;
}

int
buf_add_grown(struct buf *b, const void *p, size_t len)
{
	char *to;

	if (len == 0)
		return b->failed ? -1 : 0;
	to = buf_reserve(b, len);
	if (to == NULL)
		return -1;
	memcpy(to, p, len);
	b->len += len;
	return 0;
}

int
buf_addf(struct buf *b, const char *fmt, ...)
{
	char small[512], *large;
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return -1;
	}
	if ((size_t)n < sizeof(small))
		return buf_add(b, small, (size_t)n);
	if (buf_reserve(b, (size_t)n) == NULL)
		return -1;
	/* Not in place: the NUL might be one byte over the maximum. */
	large = mem_alloc((size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(large, (size_t)n + 1, fmt, ap);
	va_end(ap);
	rc = buf_add(b, large, (size_t)n);
	free(large);
	return rc;
}

int
buf_add_u64(struct buf *b, uint64_t v)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return buf_add(b, text + at, sizeof(text) - at);
}

void
buf_drain(struct buf *b, size_t len)
{
	b->off += len;
	b->len -= len;
	if (b->len == 0)
		b->off = 0;
}
