/* SPDX-License-Identifier: MIT */
/* Records of the bus: between the master and its children.  Pure. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "records_fields.h"

/* Types to come up to the next group of enum record_type. */
#define EVENT_LAST ((enum record_type)(REC_OP_SEND - 1))
#define OP_LAST ((enum record_type)(REC_REPLY - 1))
#define BUILD_MAX 64

int
rec_hello_put(struct buf *b, const struct rec_hello *r)
{
	size_t at = wire_begin(b, REC_HELLO);

	wire_put_u8(b, r->role);
	wire_put_u32(b, r->slot);
	wire_put_u32(b, r->pid);
	wire_put_u32(b, r->page_layout);
	wire_put_u32(b, r->schema);
	field_put(b, r->build);
	return wire_end(b, at);
}

int
rec_hello_get(const struct wire_record *w, struct rec_hello *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_HELLO, &rd))
		return -1;
	r->role = wire_get_u8(&rd);
	if (r->role > ROLE_COURIER)
		rd.bad = true;
	r->slot = field_get_slot(&rd);
	r->pid = wire_get_u32(&rd);
	r->page_layout = wire_get_u32(&rd);
	r->schema = wire_get_u32(&rd);
	r->build = field_get(&rd, 0, BUILD_MAX);
	return field_close(&rd);
}

int
rec_empty_put(struct buf *b, enum record_type type)
{
	return wire_end(b, wire_begin(b, (uint8_t)type));
}

int
rec_empty_get(const struct wire_record *w)
{
	switch (w->type) {
	case REC_READY:
	case REC_HEARTBEAT:
	case REC_LOST:
	case REC_DRAINED:
	case REC_PRESENCE_RESET:
	case REC_CERTIFICATE:
	case REC_STATUS:
	case REC_REPLACED:
		return w->len == 0 ? 0 : -1;
	default:
		return -1;
	}
}

int
rec_config_put(struct buf *b, const struct rec_config *r)
{
	size_t at = wire_begin(b, REC_CONFIG);

	wire_put_u64(b, r->incarnation);
	wire_put_u32(b, r->seat);
	wire_put_u32(b, r->nlisteners);
	for (uint32_t i = 0; i < r->nlisteners && i < LISTENERS_MAX; i++)
		wire_put_u8(b, r->kinds[i]);
	config_put(b, r->config);
	return wire_end(b, at);
}

int
rec_config_get(const struct wire_record *w, struct rec_config *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_CONFIG, &rd))
		return -1;
	r->incarnation = wire_get_u64(&rd);
	r->seat = wire_get_u32(&rd);
	if (r->seat >= CONFIG_WORKERS_MAX)
		rd.bad = true;
	r->nlisteners = wire_get_u32(&rd);
	if (r->nlisteners > LISTENERS_MAX)
		rd.bad = true;
	for (uint32_t i = 0; !rd.bad && i < r->nlisteners; i++) {
		r->kinds[i] = wire_get_u8(&rd);
		if (r->kinds[i] > LISTENER_MAX)
			rd.bad = true;
	}
	if (rd.bad || config_get(&rd, r->config) == -1)
		return -1;
	if (field_close(&rd) == -1) {
		config_free(r->config);
		return -1;
	}
	return 0;
}

int
rec_peer_put(struct buf *b, const struct rec_peer *r)
{
	size_t at = wire_begin(b, REC_PEER);

	wire_put_u8(b, r->role);
	wire_put_u32(b, r->slot);
	wire_put_u64(b, r->incarnation);
	return wire_end(b, at);
}

int
rec_peer_get(const struct wire_record *w, struct rec_peer *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_PEER, &rd))
		return -1;
	r->role = wire_get_u8(&rd);
	if (r->role > ROLE_COURIER)
		rd.bad = true;
	r->slot = field_get_slot(&rd);
	r->incarnation = wire_get_u64(&rd);
	return field_close(&rd);
}

int
rec_interest_put(struct buf *b, const struct rec_interest *r)
{
	size_t at;

	if (r->nadd > INTEREST_KEYS_MAX ||
	    r->ndel > INTEREST_KEYS_MAX - r->nadd)
		return -1;
	at = wire_begin(b, REC_INTEREST);
	wire_put_u64(b, r->serial);
	wire_put_u32(b, r->nadd);
	wire_put_u32(b, r->ndel);
	for (uint32_t i = 0; i < r->nadd; i++)
		wire_put_u64(b, r->add[i]);
	for (uint32_t i = 0; i < r->ndel; i++)
		wire_put_u64(b, r->del[i]);
	return wire_end(b, at);
}

int
rec_interest_get(const struct wire_record *w, struct rec_interest *r)
{
	struct wire_reader rd;

	memset(r, 0, sizeof(*r));
	if (!field_open(w, REC_INTEREST, &rd))
		return -1;
	r->serial = wire_get_u64(&rd);
	r->nadd = wire_get_u32(&rd);
	r->ndel = wire_get_u32(&rd);
	if (r->nadd > INTEREST_KEYS_MAX ||
	    r->ndel > INTEREST_KEYS_MAX - r->nadd)
		return -1;
	r->keys = wire_get_bytes(&rd, 8 * ((size_t)r->nadd + r->ndel));
	return field_close(&rd);
}

uint64_t
rec_interest_key(const struct rec_interest *r, uint32_t i)
{
	return field_key(r->keys, i);
}

int
rec_interest_ok_put(struct buf *b, uint64_t serial)
{
	size_t at = wire_begin(b, REC_INTEREST_OK);

	wire_put_u64(b, serial);
	return wire_end(b, at);
}

int
rec_interest_ok_get(const struct wire_record *w, uint64_t *serial)
{
	struct wire_reader rd;

	if (!field_open(w, REC_INTEREST_OK, &rd))
		return -1;
	*serial = wire_get_u64(&rd);
	return field_close(&rd);
}

static int
attach_put(struct buf *b, enum record_type type, const struct rec_attach *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	wire_put_u64(b, r->conn);
	wire_put_u64(b, r->tenant);
	field_put(b, r->user);
	return wire_end(b, at);
}

static int
attach_get(const struct wire_record *w, enum record_type type,
    struct rec_attach *r)
{
	struct wire_reader rd;

	if (!field_open(w, type, &rd))
		return -1;
	r->conn = wire_get_u64(&rd);
	r->tenant = wire_get_u64(&rd);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}

int
rec_attach_put(struct buf *b, const struct rec_attach *r)
{
	return attach_put(b, REC_ATTACH, r);
}

int
rec_attach_get(const struct wire_record *w, struct rec_attach *r)
{
	return attach_get(w, REC_ATTACH, r);
}

int
rec_detach_put(struct buf *b, const struct rec_attach *r)
{
	return attach_put(b, REC_DETACH, r);
}

int
rec_detach_get(const struct wire_record *w, struct rec_attach *r)
{
	return attach_get(w, REC_DETACH, r);
}

int
rec_attached_put(struct buf *b, const struct rec_attached *r)
{
	size_t at = wire_begin(b, REC_ATTACHED);

	wire_put_u64(b, r->conn);
	wire_put_u8(b, r->granted);
	return wire_end(b, at);
}

int
rec_attached_get(const struct wire_record *w, struct rec_attached *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_ATTACHED, &rd))
		return -1;
	r->conn = wire_get_u64(&rd);
	r->granted = field_get_bool(&rd);
	return field_close(&rd);
}

size_t
rec_publish_begin(struct buf *b, const uint64_t *keys, uint16_t n)
{
	size_t at = wire_begin(b, REC_PUBLISH);

	wire_put_u16(b, n);
	for (uint16_t i = 0; i < n; i++)
		wire_put_u64(b, keys[i]);
	return at;
}

int
rec_publish_end(struct buf *b, size_t at)
{
	struct wire_record w;
	struct rec_publish r;

	/* An event that did not fit has taken itself out; the hub kills who
	 * sends it an envelope without one. */
	if (wire_end(b, at) == -1)
		return -1;
	if (wire_next((const uint8_t *)buf_head(b) + at, b->len - at, &w) <=
		0 ||
	    rec_publish_get(&w, &r) == -1)
		return field_undo(b, at);
	return 0;
}

int
rec_publish_get(const struct wire_record *w, struct rec_publish *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_PUBLISH, &rd))
		return -1;
	r->nkeys = wire_get_u16(&rd);
	if (r->nkeys > PUBLISH_KEYS_MAX)
		return -1;
	r->keys = wire_get_bytes(&rd, 8 * (size_t)r->nkeys);
	if (field_inner(&rd, REC_LOST, EVENT_LAST, &r->inner) == -1)
		return -1;
	/* LOST: the publisher had to drop events of its own. */
	return r->inner.type == REC_LOST || r->inner.type >= REC_EVENT_MESSAGE ?
	    0 :
	    -1;
}

uint64_t
rec_publish_key(const struct rec_publish *r, uint16_t i)
{
	return field_key(r->keys, i);
}

int
rec_drain_put(struct buf *b, uint64_t timeout_ms)
{
	size_t at = wire_begin(b, REC_DRAIN);

	wire_put_u64(b, timeout_ms);
	return wire_end(b, at);
}

int
rec_drain_get(const struct wire_record *w, uint64_t *timeout_ms)
{
	struct wire_reader rd;

	if (!field_open(w, REC_DRAIN, &rd))
		return -1;
	*timeout_ms = wire_get_u64(&rd);
	return field_close(&rd);
}

int
rec_control_put(struct buf *b, enum record_type type, uint64_t client,
    const struct wire_record *inner)
{
	size_t at = wire_begin(b, (uint8_t)type);

	wire_put_u64(b, client);
	wire_put_bytes(b, inner->whole, inner->whole_len);
	return wire_end(b, at);
}

int
rec_control_get(const struct wire_record *w, struct rec_control *r)
{
	struct wire_reader rd;

	if (w->type != REC_CONTROL && w->type != REC_CONTROL_REPLY)
		return -1;
	wire_reader_init(&rd, w);
	r->client = wire_get_u64(&rd);
	if (w->type == REC_CONTROL)
		return field_inner(&rd, REC_OP_SEND, OP_LAST, &r->inner);
	return field_inner(&rd, REC_REPLY, REC_REPLY, &r->inner);
}

int
rec_presence_put(struct buf *b, const struct rec_presence *r)
{
	size_t at = wire_begin(b, REC_PRESENCE);

	wire_put_u64(b, r->tenant);
	wire_put_u8(b, r->online);
	field_put(b, r->user);
	return wire_end(b, at);
}

int
rec_presence_get(const struct wire_record *w, struct rec_presence *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_PRESENCE, &rd))
		return -1;
	r->tenant = wire_get_u64(&rd);
	r->online = field_get_bool(&rd);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	return field_close(&rd);
}
