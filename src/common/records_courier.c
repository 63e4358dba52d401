/* SPDX-License-Identifier: MIT */
/* Records of the courier: what it asks the hub, and its operations.  Pure. */
#include "records_courier.h"
#include "records_fields.h"

static uint32_t
u32_at(const uint8_t *p, uint32_t i)
{
	p += 4 * (size_t)i;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

/* A counted list of at most ABSENCE_USERS_MAX users. */
static const uint8_t *
users_get(struct wire_reader *rd, uint32_t *n)
{
	const uint8_t *users = field_get_users(rd, n);

	if (*n > ABSENCE_USERS_MAX)
		rd->bad = true;
	return users;
}

int
rec_absence_put(struct buf *b, const struct rec_absence *r)
{
	size_t at = wire_begin(b, REC_ABSENCE);

	wire_put_u64(b, r->serial);
	wire_put_u64(b, r->tenant);
	field_put_users(b, r->list, r->nusers);
	return wire_end(b, at);
}

int
rec_absence_get(const struct wire_record *w, struct rec_absence *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_ABSENCE, &rd))
		return -1;
	r->serial = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->users = users_get(&rd, &r->nusers);
	r->list = NULL;
	return field_close(&rd);
}

bool
rec_absence_next(const struct rec_absence *r, size_t *at, struct str *user)
{
	return field_next_user(r->users, r->nusers, at, user);
}

int
rec_absence_ok_put(struct buf *b, const struct rec_absence_ok *r)
{
	size_t at = wire_begin(b, REC_ABSENCE_OK);

	wire_put_u64(b, r->serial);
	wire_put_u32(b, r->n);
	for (uint32_t i = 0; i < r->n; i++)
		wire_put_u32(b, r->list[i]);
	return wire_end(b, at);
}

int
rec_absence_ok_get(const struct wire_record *w, struct rec_absence_ok *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_ABSENCE_OK, &rd))
		return -1;
	r->serial = wire_get_u64(&rd);
	r->n = wire_get_u32(&rd);
	if (r->n > ABSENCE_USERS_MAX)
		return -1;
	r->states = wire_get_bytes(&rd, 4 * (size_t)r->n);
	r->list = NULL;
	return field_close(&rd);
}

uint32_t
rec_absence_state(const struct rec_absence_ok *r, uint32_t i)
{
	return u32_at(r->states, i);
}

int
rec_event_webhook_put(struct buf *b, const struct rec_event_tenant *r)
{
	size_t at = wire_begin(b, REC_EVENT_WEBHOOK);

	wire_put_u64(b, r->n);
	wire_put_u64(b, r->tenant);
	return wire_end(b, at);
}

int
rec_event_webhook_get(const struct wire_record *w, struct rec_event_tenant *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_EVENT_WEBHOOK, &rd))
		return -1;
	r->n = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	return field_close(&rd);
}

int
rec_op_outbox_step_put(struct buf *b, const struct rec_op_outbox_step *r)
{
	size_t at = wire_begin(b, REC_OP_OUTBOX_STEP);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->outbox);
	field_put(b, r->after);
	field_put(b, r->next);
	field_put_users(b, r->list, r->nusers);
	for (uint32_t i = 0; i < r->nusers; i++)
		wire_put_u32(b, r->wait_ms[i]);
	return wire_end(b, at);
}

int
rec_op_outbox_step_get(const struct wire_record *w,
    struct rec_op_outbox_step *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_OUTBOX_STEP, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->outbox = wire_get_u64(&rd);
	r->after = field_get(&rd, 0, FIELD_USER_MAX);
	r->next = field_get(&rd, 0, FIELD_USER_MAX);
	r->users = users_get(&rd, &r->nusers);
	if (rd.bad)
		return -1;
	r->waits = wire_get_bytes(&rd, 4 * (size_t)r->nusers);
	r->list = NULL;
	r->wait_ms = NULL;
	return field_close(&rd);
}

bool
rec_op_outbox_step_next(const struct rec_op_outbox_step *r, size_t *at,
    struct str *user, uint32_t *wait_ms)
{
	/* The number of the user is in the low bits: records_fields.c. */
	uint32_t i = (uint32_t)(*at & 0xffff);

	if (!field_next_user(r->users, r->nusers, at, user))
		return false;
	*wait_ms = u32_at(r->waits, i);
	return true;
}

int
rec_op_delivery_result_put(struct buf *b,
    const struct rec_op_delivery_result *r)
{
	size_t at = wire_begin(b, REC_OP_DELIVERY_RESULT);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->delivery);
	wire_put_u32(b, r->attempts);
	wire_put_u8(b, r->result);
	wire_put_u64(b, r->next_ms);
	wire_put_u64(b, r->tried_ms);
	field_put(b, r->error);
	return wire_end(b, at);
}

int
rec_op_delivery_result_get(const struct wire_record *w,
    struct rec_op_delivery_result *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_DELIVERY_RESULT, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->delivery = wire_get_u64(&rd);
	r->attempts = wire_get_u32(&rd);
	r->result = wire_get_u8(&rd);
	r->next_ms = wire_get_u64(&rd);
	r->tried_ms = wire_get_u64(&rd);
	r->error = field_get(&rd, 0, DELIVERY_ERROR_MAX);
	if (r->result >= DELIVERY_RESULTS || r->next_ms > INT64_MAX ||
	    r->tried_ms > INT64_MAX)
		rd.bad = true;
	return field_close(&rd);
}

int
rec_op_webhook_drop_put(struct buf *b, const struct rec_op_webhook_drop *r)
{
	size_t at = wire_begin(b, REC_OP_WEBHOOK_DROP);

	field_put_head(b, &r->h);
	return wire_end(b, at);
}

int
rec_op_webhook_drop_get(const struct wire_record *w,
    struct rec_op_webhook_drop *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_WEBHOOK_DROP, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	return field_close(&rd);
}

int
rec_op_dead_letter_put(struct buf *b, enum record_type type,
    const struct rec_op_dead_letter *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	field_put_head(b, &r->h);
	field_put(b, r->id);
	return wire_end(b, at);
}

int
rec_op_dead_letter_get(const struct wire_record *w,
    struct rec_op_dead_letter *r)
{
	struct wire_reader rd;

	if (w->type != REC_OP_DEAD_LETTER_RETRY &&
	    w->type != REC_OP_DEAD_LETTER_DROP)
		return -1;
	wire_reader_init(&rd, w);
	field_get_head(&rd, &r->h);
	r->id = field_get_token_str(&rd);
	return field_close(&rd);
}
