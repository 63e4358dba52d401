/* SPDX-License-Identifier: MIT */
/* Fields that several records share.  Pure; every process uses them. */
#include "records_fields.h"

#include <string.h>

bool
field_open(const struct wire_record *w, enum record_type type,
    struct wire_reader *r)
{
	wire_reader_init(r, w);
	return w->type == type;
}

int
field_close(const struct wire_reader *r)
{
	return wire_reader_done(r) ? 0 : -1;
}

void
field_put(struct buf *b, struct str s)
{
	wire_put_str(b, s.p, s.len);
}

struct str
field_get(struct wire_reader *r, size_t min, size_t max)
{
	struct str s;

	s.p = wire_get_str(r, &s.len);
	if (s.len < min || s.len > max)
		r->bad = true;
	return s;
}

bool
field_get_bool(struct wire_reader *r)
{
	uint8_t v = wire_get_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

void
field_put_token(struct buf *b, const char *token)
{
	wire_put_bytes(b, token, ID_TOKEN_LEN);
}

void
field_get_token(struct wire_reader *r, char token[ID_TOKEN_SIZE])
{
	const uint8_t *p = wire_get_bytes(r, ID_TOKEN_LEN);

	memset(token, 0, ID_TOKEN_SIZE);
	if (p == NULL || !id_token_valid((const char *)p, ID_TOKEN_LEN)) {
		r->bad = true;
		return;
	}
	memcpy(token, p, ID_TOKEN_LEN);
}

struct str
field_get_token_str(struct wire_reader *r)
{
	struct str s = field_get(r, ID_TOKEN_LEN, ID_TOKEN_LEN);

	if (!r->bad && !id_token_valid(s.p, s.len))
		r->bad = true;
	return s;
}

void
field_put_head(struct buf *b, const struct op_head *h)
{
	wire_put_u64(b, h->op);
	wire_put_u64(b, h->low);
	wire_put_u64(b, h->deadline_ms);
	wire_put_u64(b, h->tenant);
}

void
field_get_head(struct wire_reader *rd, struct op_head *h)
{
	h->op = wire_get_u64(rd);
	h->low = wire_get_u64(rd);
	h->deadline_ms = wire_get_u64(rd);
	h->tenant = wire_get_u64(rd);
}

uint32_t
field_get_slot(struct wire_reader *r)
{
	uint32_t slot = wire_get_u32(r);

	if (slot > FIELD_SLOT_MAX)
		r->bad = true;
	return slot;
}

int
field_undo(struct buf *b, size_t at)
{
	if (b->len > at)
		b->len = at;
	return -1;
}

int
field_inner(struct wire_reader *r, enum record_type first,
    enum record_type last, struct wire_record *inner)
{
	size_t left = (size_t)(r->end - r->p);

	if (r->bad || left == 0 || wire_next(r->p, left, inner) != (long)left)
		return -1;
	return inner->type >= first && inner->type <= last ? 0 : -1;
}

uint64_t
field_key(const uint8_t *keys, uint32_t i)
{
	const uint8_t *p = keys + 8 * (size_t)i;
	uint64_t v = 0;

	for (int k = 7; k >= 0; k--)
		v = v << 8 | p[k];
	return v;
}

void
field_put_users(struct buf *b, const struct str *list, uint32_t n)
{
	wire_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		field_put(b, list[i]);
}

const uint8_t *
field_get_users(struct wire_reader *r, uint32_t *n)
{
	const uint8_t *start;

	*n = wire_get_u32(r);
	if (*n > EVENT_USERS_MAX)
		r->bad = true;
	start = r->p;
	for (uint32_t i = 0; i < *n && !r->bad; i++)
		(void)field_get(r, 1, FIELD_USER_MAX);
	return start;
}

bool
field_next_user(const uint8_t *users, uint32_t n, size_t *at, struct str *user)
{
	/* *at holds the number in its low bits and the place above: a walk
	 * needs both, and a caller keeps one word. */
	uint32_t i = (uint32_t)(*at & 0xffff);
	size_t place = *at >> 16;
	const uint8_t *p = users + place;
	uint32_t len;

	if (i >= n)
		return false;
	len = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
	user->p = (const char *)p + 4;
	user->len = len;
	*at = (place + 4 + len) << 16 | (i + 1);
	return true;
}

void
field_get_fixed(struct wire_reader *rd, uint8_t *out, size_t len)
{
	const uint8_t *p = wire_get_bytes(rd, len);

	if (p != NULL)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}
