/* SPDX-License-Identifier: MIT */
/* The operation that changes a tenant.  Pure. */
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
