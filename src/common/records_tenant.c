/* SPDX-License-Identifier: MIT */
/* Operations on tenants and their keys.  Pure. */
#include "records_tenant.h"

#include "records_fields.h"

int
rec_op_tenant_update_put(struct buf *b, const struct rec_op_tenant_update *r)
{
	size_t at = wire_begin(b, REC_OP_TENANT_UPDATE);

	field_put_head(b, &r->h);
	wire_put_u8(b, r->has);
	field_put(b, r->tenant);
	field_put(b, r->name);
	wire_put_u8(b, r->disabled);
	wire_put_u8(b, r->has_rate_limit);
	wire_put_u32(b, r->rate_limit);
	field_put(b, r->webhook_url);
	field_put(b, r->webhook_secret);
	field_put(b, r->new_secret);
	field_put(b, r->jwt_secret);
	field_put(b, r->jwt_public_key);
	wire_put_u32(b, r->retention_days);
	return wire_end(b, at);
}

int
rec_op_tenant_update_get(const struct wire_record *w,
    struct rec_op_tenant_update *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_TENANT_UPDATE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->has = wire_get_u8(&rd);
	r->tenant = field_get(&rd, 0, FIELD_NAME_MAX);
	r->name = field_get(&rd, (r->has & TENANT_NAME) != 0 ? 1 : 0,
	    TENANT_NAME_MAX);
	r->disabled = field_get_bool(&rd);
	r->has_rate_limit = field_get_bool(&rd);
	r->rate_limit = wire_get_u32(&rd);
	r->webhook_url = field_get(&rd, 0, TENANT_URL_MAX);
	r->webhook_secret = field_get(&rd, 0, TENANT_SECRET_MAX);
	r->new_secret = field_get(&rd, 0, TENANT_SECRET_MAX);
	r->jwt_secret = field_get(&rd, 0, TENANT_SECRET_MAX);
	r->jwt_public_key = field_get(&rd, 0, TENANT_JWT_PUBLIC_SIZE);
	r->retention_days = wire_get_u32(&rd);
	if (r->rate_limit > TENANT_RATE_MAX ||
	    r->retention_days > TENANT_RETENTION_MAX ||
	    (r->jwt_public_key.len != 0 &&
		r->jwt_public_key.len != TENANT_JWT_PUBLIC_SIZE))
		rd.bad = true;
	return field_close(&rd);
}

int
rec_op_tenant_create_put(struct buf *b, const struct rec_op_tenant_create *r)
{
	size_t at = wire_begin(b, REC_OP_TENANT_CREATE);

	field_put_head(b, &r->h);
	field_put(b, r->name);
	wire_put_bytes(b, r->key_hash, KEY_HASH_SIZE);
	return wire_end(b, at);
}

int
rec_op_tenant_create_get(const struct wire_record *w,
    struct rec_op_tenant_create *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_TENANT_CREATE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->name = field_get(&rd, 1, FIELD_NAME_MAX);
	field_get_fixed(&rd, r->key_hash, KEY_HASH_SIZE);
	return field_close(&rd);
}

static bool
admin_type(uint8_t type)
{
	switch (type) {
	case REC_OP_TENANT_LIST:
	case REC_OP_TENANT_SHOW:
	case REC_OP_TENANT_DELETE:
	case REC_OP_KEY_ADD:
	case REC_OP_KEY_REVOKE:
	case REC_OP_KEY_LIST:
	case REC_OP_BACKUP:
	case REC_OP_USER_ERASE:
	case REC_OP_USER_ERASING:
		return true;
	default:
		return false;
	}
}

int
rec_op_admin_put(struct buf *b, enum record_type type,
    const struct rec_op_admin *r)
{
	size_t at = wire_begin(b, (uint8_t)type);

	field_put_head(b, &r->h);
	field_put(b, r->a);
	field_put(b, r->b);
	wire_put_bytes(b, r->key_hash, KEY_HASH_SIZE);
	return wire_end(b, at);
}

int
rec_op_admin_get(const struct wire_record *w, struct rec_op_admin *r)
{
	struct wire_reader rd;

	if (!admin_type(w->type))
		return -1;
	wire_reader_init(&rd, w);
	field_get_head(&rd, &r->h);
	r->a = field_get(&rd, 0, FIELD_NAME_MAX);
	r->b = field_get(&rd, 0, FIELD_NAME_MAX);
	field_get_fixed(&rd, r->key_hash, KEY_HASH_SIZE);
	return field_close(&rd);
}

int
rec_op_key_used_put(struct buf *b, const struct rec_op_key_used *r)
{
	size_t at = wire_begin(b, REC_OP_KEY_USED);

	field_put_head(b, &r->h);
	wire_put_u64(b, r->key);
	wire_put_u64(b, r->unix_ms);
	return wire_end(b, at);
}

int
rec_op_key_used_get(const struct wire_record *w, struct rec_op_key_used *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_KEY_USED, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	r->key = wire_get_u64(&rd);
	r->unix_ms = wire_get_u64(&rd);
	return field_close(&rd);
}
