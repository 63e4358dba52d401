/* SPDX-License-Identifier: MIT */
/*
 * Records between processes.  On the wire, all little-endian:
 *
 *   u32 length of what follows (2 .. WIRE_RECORD_MAX)
 *   u8  type (enum record_type)
 *   u8  WIRE_VERSION
 *   fields, as records.c writes and reads them
 *
 * A string is u32 length + bytes.  Pure.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define WIRE_VERSION 2
#define WIRE_HEADER 6
/* A room with 1,000 members of 128 bytes and its metadata fits well. */
#define WIRE_RECORD_MAX (1024 * 1024)

/* Writing: begin, fields, end.  A buf over its maximum stays `failed`. */
size_t wire_begin(struct buf *b, uint8_t type);
void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_bytes(struct buf *b, const void *p, size_t len); /* raw */
void wire_put_str(struct buf *b, const char *s, size_t len);
/* Fills in the length; `start` is what wire_begin() returned.  -1 when the
 * buf failed or the record is too long (it is then taken back out). */
int wire_end(struct buf *b, size_t start);

/* A record in a stream; payload points into the stream's memory. */
struct wire_record {
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	const uint8_t *whole; /* with its header */
	size_t whole_len;
};

/*
 * Looks for one record at the front of len bytes.  Returns how many bytes it
 * takes, 0 when more must come, -1 when no record can begin like this.
 */
long wire_next(const uint8_t *p, size_t len, struct wire_record *out);

/* Reading fields.  After the first read beyond the end everything is zero
 * and `bad` stays set. */
struct wire_reader {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

void wire_reader_init(struct wire_reader *r, const struct wire_record *rec);
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
/* Borrowed from the record; NULL when bad. */
const uint8_t *wire_get_bytes(struct wire_reader *r, size_t len);
/* Borrowed; "" and length 0 when bad. */
const char *wire_get_str(struct wire_reader *r, size_t *len);
/* True when everything was read and nothing was missing. */
bool wire_reader_done(const struct wire_reader *r);

#endif
