/* SPDX-License-Identifier: MIT */
/*
 * The framing of records and their little-endian fields.  Pure; every
 * process uses it.
 */
#include "wire.h"

#include "buf.h"

static void
store_le(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
load_le(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
wire_put_le(struct buf *b, uint64_t v, int bytes)
{
	char *to = buf_reserve(b, (size_t)bytes);

	if (to == NULL)
		return;
	store_le((uint8_t *)to, v, bytes);
	buf_added(b, (size_t)bytes);
}

size_t
wire_begin(struct buf *b, uint8_t type)
{
	size_t start = b->len;

	wire_put_le(b, 0, 4);
	wire_put_u8(b, type);
	wire_put_u8(b, WIRE_VERSION);
	return start;
}

void
wire_put_u8(struct buf *b, uint8_t v)
{
	wire_put_le(b, v, 1);
}

void
wire_put_u16(struct buf *b, uint16_t v)
{
	wire_put_le(b, v, 2);
}

void
wire_put_u32(struct buf *b, uint32_t v)
{
	wire_put_le(b, v, 4);
}

void
wire_put_u64(struct buf *b, uint64_t v)
{
	wire_put_le(b, v, 8);
}

void
wire_put_bytes(struct buf *b, const void *p, size_t len)
{
	(void)buf_add(b, p, len);
}

void
wire_put_str(struct buf *b, const char *s, size_t len)
{
	/* One that is too long makes wire_end() take the record out. */
	wire_put_u32(b, (uint32_t)len);
	wire_put_bytes(b, s, len);
}

int
wire_end(struct buf *b, size_t start)
{
	size_t len;

	/* A buf that failed half-way holds a piece of a record. */
	if (b->failed) {
		if (b->len > start)
			b->len = start;
		return -1;
	}
	len = b->len - start - 4;
	if (len > WIRE_RECORD_MAX) {
		b->len = start;
		return -1;
	}
	store_le((uint8_t *)buf_head(b) + start, len, 4);
	return 0;
}

long
wire_next(const uint8_t *p, size_t len, struct wire_record *out)
{
	size_t n;

	if (len < 4)
		return 0;
	n = (size_t)load_le(p, 4);
	if (n < 2 || n > WIRE_RECORD_MAX)
		return -1;
	if (len >= WIRE_HEADER && p[5] != WIRE_VERSION)
		return -1;
	if (len < n + 4)
		return 0;
	out->type = p[4];
	out->payload = p + WIRE_HEADER;
	out->len = n - 2;
	out->whole = p;
	out->whole_len = n + 4;
	return (long)(n + 4);
}

void
wire_reader_init(struct wire_reader *r, const struct wire_record *rec)
{
	r->p = rec->payload;
	r->end = rec->payload + rec->len;
	r->bad = false;
}

const uint8_t *
wire_get_bytes(struct wire_reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < len) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}

static uint64_t
wire_get_le(struct wire_reader *r, int bytes)
{
	const uint8_t *p = wire_get_bytes(r, (size_t)bytes);

	return p == NULL ? 0 : load_le(p, bytes);
}

uint8_t
wire_get_u8(struct wire_reader *r)
{
	return (uint8_t)wire_get_le(r, 1);
}

uint16_t
wire_get_u16(struct wire_reader *r)
{
	return (uint16_t)wire_get_le(r, 2);
}

uint32_t
wire_get_u32(struct wire_reader *r)
{
	return (uint32_t)wire_get_le(r, 4);
}

uint64_t
wire_get_u64(struct wire_reader *r)
{
	return wire_get_le(r, 8);
}

const char *
wire_get_str(struct wire_reader *r, size_t *len)
{
	size_t n = wire_get_u32(r);
	const uint8_t *p = wire_get_bytes(r, n);

	if (p == NULL) {
		*len = 0;
		return "";
	}
	*len = n;
	return (const char *)p;
}

bool
wire_reader_done(const struct wire_reader *r)
{
	return !r->bad && r->p == r->end;
}
